"""The wheel in an environment of its own, in a folder where a user's own files have our packages' names."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NET = "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.25"
OWN = "raise SystemExit('a file of the user took the place of a package')\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built with the setuptools that is here."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    subprocess.run([*pip, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def scripts(wheel, tmp_path_factory):
    """The scripts of an environment that has the wheel, and its dependencies from here."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, env=bare())
    here = {one for one in sys.path if one.endswith(("site-packages", "dist-packages"))} | set(site.getsitepackages())
    (own / "dependencies.pth").write_text("\n".join(sorted(here)) + "\n")
    return folder / "bin"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder, with files and folders that are called as ours."""
    for name in ("search", "backends", "supernets", "latency_luts", "statistics_of_mine"):
        (tmp_path / f"{name}.py").write_text(OWN)
    for name in ("harness", "experiments"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bare():
    """The environment without what says where Python looks for packages."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*command):
    return subprocess.run(
        [str(part) for part in command],
        env=bare() | {"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_everything_that_is_installed_has_one_name(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"hwnas"}
    ours = {str(file.relative_to(ROOT)) for file in ROOT.glob("supernets/**/*.py")}
    assert {name.removeprefix("hwnas/") for name in names} >= ours
    assert any(name.endswith("shipped/fig8.toml") for name in names)


def test_the_commands_run_beside_files_of_the_same_names(scripts, folder):
    for command in ([scripts / "hwnas"], [scripts / "python", "-m", "hwnas"]):
        listed = run(*command, "backends")
        assert listed.returncode == 0, listed.stderr
        assert "onnxruntime" in listed.stdout


def test_a_worker_runs_beside_files_of_the_same_names(scripts, folder):
    measured = run(
        scripts / "hwnas",
        "profile",
        NET,
        "-p",
        "torch:threads=1",
        "-c",
        "min",
        "--effort",
        "quick",
        "--json",
        "found.json",
    )
    assert measured.returncode == 0, measured.stderr
    assert (folder / "found.json").exists()


def test_the_package_can_be_called_and_has_its_parts(scripts, folder):
    code = (
        "import hwnas; net = hwnas.supernet('ofa-mbv3-w1.0'); from hwnas.search.study.run import search\n"
        "study = hwnas.search(net, None, objectives=['macs', 'params'], evals=4, algorithm='random')\n"
        "print(len(study.evaluations), callable(hwnas.search))"
    )
    found = run(scripts / "python", "-c", code)
    assert (found.returncode, found.stdout.split()) == (0, ["4", "True"]), found.stderr
