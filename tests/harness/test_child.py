"""Children that end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hwnas.harness.host.child import Child, unnamed_file

# A child that has a temporary file, a folder and a computation that never ends.
ENDLESS = """
import sys, tempfile
from hwnas.harness.host.child import joined
print(joined(), flush=True)
open(tempfile.mkdtemp() + "/file", "w").close()
tempfile.NamedTemporaryFile(delete=False).close()
print("ready", flush=True)
while True:
    pass
"""
PARENT = """
import sys
from hwnas.harness.host.child import Child, unnamed_file
words = unnamed_file()
child = Child("endless", ["an argument"], stderr=words)
print(child.process.pid, flush=True)
sys.stdin.read()
"""


def ended(pids, within_s=5.0):
    """Wait until none of the processes is there."""
    _, left = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=within_s)
    return not [one for one in left if one.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def parent(tmp_path):
    """A process with an endless child: its process, the child's number, and the folder of their temporary files."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(temporary)},
    )
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "['an argument']\n"
    assert process.stdout.readline() == "ready\n"
    yield process, pid, temporary
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent_and_leaves_no_files(parent, number):
    process, pid, temporary = parent
    assert list(temporary.iterdir())
    process.send_signal(number)
    process.wait(5)
    assert ended([pid])
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_child_does_not_hear_what_a_terminal_sends(parent):
    _, pid, _ = parent
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(pid, number)
    time.sleep(0.2)
    assert psutil.Process(pid).status() == psutil.STATUS_RUNNING


def test_a_child_that_is_closed_is_gone_with_its_files(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text(ENDLESS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    child = Child("endless", stdout=subprocess.PIPE)
    while child.process.stdout.readline() != b"ready\n":
        pass
    assert list(temporary.iterdir())
    child.close(patience_s=2.0)
    child.close()
    assert child.process.returncode == -signal.SIGTERM
    assert list(temporary.iterdir()) == []


def test_a_child_that_cannot_be_started_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        Child("endless", cwd=str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_without_a_temporary_folder_a_child_starts_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "hello.py").write_text("from hwnas.harness.host.child import joined\njoined()\nprint('hello')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    child = Child("hello", stdout=subprocess.PIPE)
    assert child.process.stdout.read() == b"hello\n"
    child.close()


def test_an_unnamed_file_is_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with unnamed_file() as file:
        file.write(b"words")
        file.seek(0)
        assert file.read() == b"words"
        assert list(tmp_path.iterdir()) == []
