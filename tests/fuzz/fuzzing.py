"""How every parser is tried: how often, how long, in how much memory, what it may raise, where its files lie."""

from __future__ import annotations

import functools
import os
import resource
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from hwnas.supernets.errors import HwnasError

N = int(os.environ.get("HWNAS_FUZZ", "40"))
SETTINGS = settings(
    max_examples=N,
    deadline=None,
    database=None,
    derandomize=N < 1000,  # the ordinary suite tries the same each time; a long run tries new ones
    suppress_health_check=list(HealthCheck),
)

# What a case may take: of processors, which a machine that does other work too does not lengthen, and of memory.
SECONDS, BYTES = 2.0, 1 << 30
# When a case that does not end is ended, and how much it can take of the machine.
_HARD_SECONDS, _HARD_BYTES = 30.0, 4 << 30
# What a test may take, in real time, however few cases it tries: as pyproject.toml has it.
_TEST_SECONDS = 420.0


def fuzz(test):
    """Try a test of hypothesis ``N`` times, each within ``SECONDS`` and ``BYTES``."""
    inner = test.hypothesis.inner_test

    @functools.wraps(inner)
    def case(*args, **kwargs):
        with bounded():
            inner(*args, **kwargs)

    test.hypothesis.inner_test = case
    return pytest.mark.timeout(max(_TEST_SECONDS, SECONDS * N))(SETTINGS(test))


@contextmanager
def bounded():
    """Fail where what is inside takes longer, or more memory, than a case may.

    Importing is no part of a case: the time of one that imported something is not looked at.
    """
    modules, start, resident, most = len(sys.modules), time.process_time(), _resident(), _most()
    with _ended():
        yield
    took = time.process_time() - start
    if took > SECONDS and len(sys.modules) == modules:
        pytest.fail(f"took {took:.1f} s, expected at most {SECONDS:g}")
    if _most() > max(most, resident + BYTES):
        pytest.fail(f"took {(_most() - resident) >> 20:,} MiB, expected at most {BYTES >> 20:,}")


@contextmanager
def _ended():
    """End what takes so much that the machine would suffer."""

    def overrun(*_):
        pytest.fail(f"was ended after {_HARD_SECONDS:g} s, expected at most {SECONDS:g}")

    before = signal.signal(signal.SIGPROF, overrun)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_pages(0) + _HARD_BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, _HARD_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        # A signal that comes late must not end the whole process, which is what this one does where nobody handles it.
        signal.signal(signal.SIGPROF, signal.SIG_IGN if before is signal.SIG_DFL else before)


def _pages(column):
    return int(Path("/proc/self/statm").read_text().split()[column]) * resource.getpagesize()


def _resident():
    return _pages(1)


def _most():
    """Return the most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def refused_or_read(read):
    """Call ``read``; what it raises must be ours, with a message that can be printed. Return what it returned."""
    try:
        return read()
    except HwnasError as error:
        said = str(error)
    assert said.strip()
    return None


def put(folder, name, content):
    """Write a file and return its path."""
    (folder / name).write_bytes(content)
    return folder / name
