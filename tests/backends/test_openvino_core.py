"""After OpenVINO was used, a process still hears signals."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("openvino")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signal stacks are looked at on Linux alone")

ROOT = Path(__file__).parents[2]
ROOMS = ("backends", "experiments", "harness", "hwnas", "latency_luts", "scripts", "search", "supernets", "tests")

# The others end in the order of their beginnings.
USED = """
import faulthandler, gc, os, signal, sys
import openvino, torch
from hwnas.backends.openvino_core import kept_signal_stack, shared_core

faulthandler.enable()
signal.signal(signal.SIGTERM, lambda *_: print("heard"))

def loaded(core):
    core.get_property("CPU", "FULL_DEVICE_NAME")
    return core

def others():
    several = [loaded(openvino.Core()), loaded(openvino.Core())]
    several.pop(0)
    gc.collect()
"""
THEN = """
gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""


def run(what):
    return subprocess.run(
        [sys.executable, "-c", USED + textwrap.dedent(what) + THEN],
        capture_output=True, text=True, timeout=120, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.slow
def test_two_cores_alone_leave_no_stack_for_handlers():
    """What the others are tried against: if this fails, OpenVINO has mended it."""
    assert run("others()").returncode == -11


@pytest.mark.slow
def test_a_block_keeps_the_stack():
    ran = run("""
        with kept_signal_stack():
            others()
    """)
    assert (ran.returncode, ran.stdout) == (0, "heard\n"), ran.stderr


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="NNCF is not installed")
def test_signals_are_heard_after_preparing_quantising_and_exporting(tmp_path):
    ran = run(f"""
        from pathlib import Path
        from hwnas.backends import Settings, get
        from hwnas.search.deploy import check, write
        from hwnas.supernets.supernet import Stage

        stage = Stage("test", torch.nn.Linear(4, 2).eval(), (torch.ones(1, 4),), ("x",))
        sessions = [get("openvino").prepare(stage, Settings(precision=each)) for each in ("int8", "fp32", "int8")]
        for name, content in write._openvino(stage).items():
            Path({str(tmp_path)!r}, name).write_bytes(content)
        check._by_openvino(Path({str(tmp_path)!r}, "test.xml"), ["x"])([torch.ones(1, 4).numpy()])
        del sessions[0]
        gc.collect()
        del sessions
    """)
    assert (ran.returncode, ran.stdout) == (0, "heard\n"), ran.stderr


def test_nothing_makes_a_core_of_its_own():
    files = (file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
    ours = {ROOT / "backends/openvino_core.py", Path(__file__).resolve()}
    assert [str(file) for file in files if file.resolve() not in ours and "openvino.Core(" in file.read_text()] == []
