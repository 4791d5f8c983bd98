"""Work side by side in processes, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tasks import double, fail

from hwnas.search.processes import side_by_side
from hwnas.supernets.errors import WorkError

WRITING = """
import os, sys, time
from pathlib import Path

def write(file):
    number = 0
    while True:
        number += 1
        Path(file).write_text(f"{os.getpid()} {number}")
        time.sleep(0.01)

if __name__ == "__main__":
    from hwnas.search.processes import side_by_side
    for _ in side_by_side(write, {name: (name,) for name in sys.argv[1:]}, 2):
        pass
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_every_task_is_done_once_and_comes_with_its_name(workers):
    found = dict(side_by_side(double, {str(number): (number,) for number in range(5)}, workers))
    assert found == {str(number): 2 * number for number in range(5)}


@pytest.mark.slow
def test_what_a_task_raises_is_raised_here():
    with pytest.raises(ValueError, match="odd"):
        list(side_by_side(fail, {"a": ("odd",), "b": ("odd",)}, 2))


@pytest.mark.slow
def test_an_error_that_cannot_be_sent_keeps_its_words():
    with pytest.raises(WorkError, match="apple is not in the basket"):
        list(side_by_side(fail, {"a": ("unsendable",), "b": ("unsendable",)}, 2))


def test_a_process_that_dies_is_named():
    with pytest.raises(WorkError, match=r"the process of (a|b) died"):
        list(side_by_side(fail, {"a": ("die",), "b": ("die",)}, 2))


def test_who_has_enough_leaves_no_process():
    before = {child.pid for child in psutil.Process().children()}
    for _ in side_by_side(double, {str(number): (number,) for number in range(5)}, 2):
        break
    left = [child for child in psutil.Process().children() if child.pid not in before]
    assert [child for child in left if "resource_tracker" not in " ".join(child.cmdline())] == []


DEAF = """
from tasks import blocked_signals
from hwnas.search.processes import side_by_side

if __name__ == "__main__":
    print(sorted(dict(side_by_side(blocked_signals, {"a": (), "b": ()}, 2)).items()))
"""


@pytest.mark.slow
def test_none_of_them_hears_what_a_terminal_sends_not_even_the_first(tmp_path):
    (tmp_path / "deaf.py").write_text(DEAF)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.check_output([sys.executable, str(tmp_path / "deaf.py")], env=environment, text=True)
    assert said == f"{[(name, ['SIGHUP', 'SIGINT']) for name in 'ab']}\n"


def semaphores():
    return {file.name for file in Path("/dev/shm").glob("sem.mp-*")}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "whole_group"), [(signal.SIGKILL, False), (signal.SIGKILL, True), (signal.SIGINT, True)]
)
def test_nothing_goes_on_writing_when_the_parent_has_ended(tmp_path, number, whole_group):
    (tmp_path / "writing.py").write_text(WRITING)
    files = [tmp_path / "a", tmp_path / "b"]
    before_it = semaphores()
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "writing.py"), *map(str, files)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not all(file.exists() and file.read_text() for file in files) and time.monotonic() < deadline:
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if whole_group else os.kill)(process.pid, number)
        process.wait(10)
        _, left = psutil.wait_procs(children, timeout=5)
        assert [one.pid for one in left if one.status() != psutil.STATUS_ZOMBIE] == []
        before = [file.read_text() for file in files]
        assert [file.read_text() for file in files] == before
        assert semaphores() <= before_it
        # One traceback at most: the parent's own. Children that were told as well keep still.
        assert process.stderr.read().count(b"Traceback") <= 1
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
