"""The package that docs/extending.md shows is installed as its reader would, and holds what its kinds have to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.harness.host.child import python_path

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
FILE = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder in which the page's package is installed."""
    folder = tmp_path_factory.mktemp("page")
    for found in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        file = folder / found["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found["text"], encoding="utf-8")
    target = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(folder / "acme-hwnas")], check=True, stdout=subprocess.DEVNULL)
    return target


def hwnas(site, *command):
    path = os.pathsep.join([str(site), python_path()])
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, "-m", "hwnas", *command], env=environment, capture_output=True, text=True, check=False
    )


def test_the_examples_are_short():
    sizes = {found["path"]: found["text"].count("\n") for found in FILE.finditer(PAGE.read_text(encoding="utf-8"))}
    assert len(sizes) == 3
    assert all(size < 80 for size in sizes.values()), sizes


@pytest.mark.slow
def test_the_super_network_holds_what_it_has_to(site):
    done = hwnas(site, "check-plugin", "acme-net")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "super-network acme-net: 9 checks" in done.stdout
    assert "0 failed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.slow
def test_both_are_measured_together(site, tmp_path):
    store = str(tmp_path / "s.db")
    profile = ["profile", "acme-net", "-c", "min", "-c", "max", "-p", "acme-runtime", "--effort", "quick"]
    done = hwnas(site, *profile, "--store", store)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("acme-runtime") == 2


@pytest.mark.alone
def test_the_backend_holds_what_it_has_to(site):
    done = hwnas(site, "check-plugin", "acme-runtime")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "0 failed" in done.stdout
