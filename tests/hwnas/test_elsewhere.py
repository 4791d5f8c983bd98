"""What other systems have not got costs its refinement, and nothing else (tests/stand_ins/no_linux, no_unix)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
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


@pytest.mark.parametrize("lacks", ["no_linux", "no_unix"])
def test_networks_are_measured(lacks, hwnas_without, tmp_path):
    done = hwnas_without(
        lacks, "profile", "ofa-mbv3-w1.0:r=32", "-c", "min", "-p", "onnxruntime:threads=1", "--effort", "quick",
        "--json", "found.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    # What could not be looked up is not claimed.
    assert {found["environment"][name] for name in ("cpu_flags", "caches", "quota", "governor")} == {None}
    assert found["measurements"][0]["status"] in {"ok", "unstable"}
    assert found["measurements"][0]["latency_ms"]["value"] > 0


def test_a_worker_ends_with_a_client_that_is_killed_without_unix(tmp_path):
    path = os.pathsep.join([str(STAND_INS / "no_unix"), python_path()])
    client = subprocess.Popen(
        [sys.executable, "-m", "hwnas", "profile", "ofa-mbv3-w1.0:r=32", "-c", "min", "-p", "torch", "--cap", "60"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not (workers := psutil.Process(client.pid).children()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert workers
        time.sleep(1.0)  # until it waits for its parent's end
    finally:
        client.kill()
        client.wait()
    assert not psutil.wait_procs(workers, timeout=30)[1]


@pytest.mark.parametrize("arguments", [["--help"], ["platforms"], ["environment"], ["supernets"]])
def test_what_there_is_is_listed_without_unix(hwnas_without, arguments):
    done = hwnas_without("no_unix", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_searches_run_side_by_side_without_unix(hwnas_without, assets):
    done = hwnas_without(
        "no_unix", "compare", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--algorithms", "random", "--evals", "8",
        "--seeds", "2", "--json", "-",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["algorithms"][0]["runs"]) == 2


def test_tables_are_searched_without_unix(hwnas_without, assets):
    done = hwnas_without("no_unix", "search", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--evals", "8", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["evaluations"]) == 8
