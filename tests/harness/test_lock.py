"""The device lock: between processes, within one, and after a holder's death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness import lock
from harness.lock import DeviceLock


def program(directory, body):
    """Start a program that has the lock class at hand."""
    code = f"""
        import sys
        from pathlib import Path
        from harness import lock
        lock.DIRECTORY = Path({str(directory)!r})
        def say(text): print(text, flush=True)
        {body}
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


HOLD = "with lock.DeviceLock('cpu'): say('held'); sys.stdin.readline()"


def test_a_second_program_waits_and_says_so(tmp_path):
    with program(tmp_path, HOLD) as first:
        assert first.stdout.readline() == "held\n"
        with program(tmp_path, "with lock.DeviceLock('cpu', say): say('mine')") as second:
            waiting = second.stdout.readline()
            assert waiting.startswith(f"waiting for cpu: process {first.pid}")
            first.stdin.write("\n")
            first.stdin.flush()
            assert second.stdout.readline() == "mine\n"


def test_a_dead_holder_holds_nothing(tmp_path):
    with program(tmp_path, HOLD) as first:
        first.stdout.readline()
        first.send_signal(signal.SIGKILL)
        first.wait()
    said = []
    with DeviceLock("cpu", said.append):
        assert said == []


def test_another_device_is_another_lock(tmp_path):
    with program(tmp_path, HOLD) as first:
        first.stdout.readline()
        with DeviceLock("cuda:0"):
            assert (tmp_path / "hwnas-cuda-0.lock").exists()
        first.stdin.write("\n")
        first.stdin.flush()


def test_a_process_does_not_wait_for_itself():
    with DeviceLock("cpu"):
        with DeviceLock("cpu"):
            pass
        assert lock._held
    assert not lock._held


def test_an_interrupted_wait_leaves_nothing_open(tmp_path):
    def interrupt(_):
        raise KeyboardInterrupt

    with program(tmp_path, HOLD) as first:
        first.stdout.readline()
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(KeyboardInterrupt):
            DeviceLock("cpu", interrupt).__enter__()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        first.stdin.write("\n")
        first.stdin.flush()


def test_every_user_may_open_the_file(tmp_path):
    before = os.umask(0o077)
    try:
        with DeviceLock("cpu"):
            assert (tmp_path / "hwnas-cpu.lock").stat().st_mode & 0o666 == 0o666
    finally:
        os.umask(before)


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "hwnas-cpu.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"hwnas-cpu\.lock"):
        DeviceLock("cpu").__enter__()
    assert not (tmp_path / "elsewhere").exists()
