"""The device lock: between processes, within one, and after a holder's death."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from hwnas.harness.host import lock
from hwnas.harness.host.lock import DeviceLock

NO_UNIX = str(Path(__file__).parents[1] / "stand_ins" / "no_unix")
on_every_system = pytest.mark.parametrize("path", [(), (NO_UNIX,)], ids=["here", "without unix"])


def program(directory, body, path=()):
    """Start a program that has the lock class at hand, and locks what lies in the directory."""
    code = f"""
        import sys
        from hwnas.harness.host import lock
        def say(text): print(text, flush=True)
        {body}
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, *sys.path]), lock.VARIABLE: str(directory)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


HOLD = "with lock.DeviceLock('cpu'): say('held'); sys.stdin.readline()"


@pytest.mark.slow
@on_every_system
def test_a_second_program_waits_and_says_so(path, tmp_path):
    with program(tmp_path, HOLD, path) as first:
        assert first.stdout.readline() == "held\n"
        with program(tmp_path, "with lock.DeviceLock('cpu', say): say('mine')", path) as second:
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


# What another user may have left under the file's name, by accident or to be in the way.
def _folder(path):
    path.mkdir()


def _link(path):
    path.symlink_to(path.with_name("elsewhere"))


def _pipe(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as made, contextlib.chdir(path.parent):
        made.bind(path.name)


def _unreadable(path):
    path.touch()
    path.chmod(0o600)


IN_THE_WAY = (_folder, _link, _pipe, _socket, _unreadable)


@pytest.mark.slow
@pytest.mark.parametrize("put", IN_THE_WAY)
def test_what_is_in_the_way_keeps_nobody_from_queueing(tmp_path, put):
    put(tmp_path / "hwnas-cpu.lock")
    with program(tmp_path, HOLD) as first:
        assert first.stdout.readline() == "held\n"
        said = []

        def interrupt(text):
            said.append(text)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            DeviceLock("cpu", interrupt).__enter__()
        assert said[0].startswith(f"waiting for cpu: process {first.pid}")
        first.stdin.write("\n")
        first.stdin.flush()
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_of_which_one_may_only_read_is_locked(tmp_path):
    (tmp_path / "hwnas-cpu.lock").write_text("process 1 (x)")
    (tmp_path / "hwnas-cpu.lock").chmod(0o444)
    with DeviceLock("cpu"):
        assert [one.name for one in tmp_path.iterdir()] == ["hwnas-cpu.lock"]


def test_a_second_name_of_a_file_is_not_written(tmp_path):
    (tmp_path / "precious").write_text("content")
    (tmp_path / "precious").chmod(0o666)
    (tmp_path / "hwnas-cpu.lock").hardlink_to(tmp_path / "precious")
    with DeviceLock("cpu"):
        assert (tmp_path / "precious").read_text() == "content"


def test_where_every_name_is_taken_a_user_locks_out_only_themself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for ending in ("", "-2", "-3", "-4"):
        (tmp_path / f"hwnas-cpu{ending}.lock").mkdir()
    said = []
    with DeviceLock("cpu", said.append):
        assert [one.name for one in (tmp_path / "cache").rglob("*.lock")] == ["hwnas-cpu.lock"]
    assert said == [f"{tmp_path}/hwnas-cpu.lock cannot be locked: other users may measure on cpu meanwhile"]
    (tmp_path / "cache").rename(tmp_path / "old")
    (tmp_path / "cache").touch()
    with DeviceLock("cpu", said.append):
        assert len(said) == 2


def test_a_device_of_any_name(tmp_path):
    with DeviceLock("/dev/x y:0"):
        assert [one.name for one in tmp_path.iterdir()] == ["hwnas--dev-x-y-0.lock"]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as other users")


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("put", [*IN_THE_WAY, None])
def test_two_users_queue_in_a_folder_of_all(put):
    """In a sticky folder, whatever the first of them, or a third, has left there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        folder = Path(place)
        folder.chmod(0o1777)
        if put is not None:
            put(folder / "hwnas-cpu.lock")
            os.chown(folder / "hwnas-cpu.lock", 12345, 12345, follow_symlinks=False)
        with user(folder, HOLD) as first:
            assert first.stdout.readline() == "held\n"
            with program(folder, "with lock.DeviceLock('cpu', say): say('mine')") as second:
                assert second.stdout.readline().startswith(f"waiting for cpu: process {first.pid}")
                first.stdin.write("\n")
                first.stdin.flush()
                assert second.stdout.readline() == "mine\n"


def user(folder, body):
    """Start a program as somebody who owns nothing; what it needs is imported before it becomes that."""
    drop = "import os, hwnas.supernets.assets; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
    return program(folder, f"{drop}\n        {body}")
