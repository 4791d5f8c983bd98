"""What other systems have not got costs its refinement, and nothing else (tests/stand_ins/no_linux, no_unix)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.harness.host.child import python_path

pytestmark = pytest.mark.slow

STAND_INS = Path(__file__).parents[1] / "stand_ins"


@pytest.fixture
def hwnas_without(tmp_path):
    """Run hwnas in an empty folder, on a system that lacks what a folder of stand_ins takes away."""

    def run(lacks, *arguments):
        path = os.pathsep.join([str(STAND_INS / lacks), python_path()])
        return subprocess.run(
            [sys.executable, "-m", "hwnas", *arguments],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_networks_are_measured_without_proc(hwnas_without, tmp_path):
    done = hwnas_without(
        "no_linux", "profile", "ofa-mbv3-w1.0:r=32", "-c", "min", "-p", "onnxruntime:threads=1", "--effort", "quick",
        "--json", "found.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    # What could not be looked up is not claimed.
    assert {found["environment"][name] for name in ("cpu_flags", "caches", "quota", "governor")} == {None}
    assert found["measurements"][0]["status"] in {"ok", "unstable"}
    assert found["measurements"][0]["latency_ms"]["value"] > 0


@pytest.mark.parametrize("arguments", [["--help"], ["platforms"], ["environment"], ["supernets"]])
def test_what_there_is_is_listed_without_unix(hwnas_without, arguments):
    done = hwnas_without("no_unix", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_tables_are_searched_without_unix(hwnas_without, assets):
    done = hwnas_without("no_unix", "search", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--evals", "8", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["evaluations"]) == 8
