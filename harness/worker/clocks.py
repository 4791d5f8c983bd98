"""Read the clocks and counters that the timing loop uses; tests replace them by scripted ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from hwnas.harness.host import cgroup
from hwnas.supernets.errors import MeasurementError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.unix import resource
from hwnas.supernets.values import Values

T = TypeVar("T")

_TASKS = Path("/proc/self/task")
_STAT = Path("/proc/stat")
# These counters tick every 10 ms and cost a hundred microseconds to read: they are read so often at most.
_SLOW_NS = 50_000_000
# Times are stored in whole ns, and 64 bits hold the sum of thousands of the longest.
_SHORTEST_S, _LONGEST_S = 1e-9, 1e6
# Windows has neither this nor the files.
_CLOSING = getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True)
class HostCounters:
    """Time that the host took from the process, ns; the counters only grow."""

    waiting: int = 0
    steal: int = 0
    throttled: int = 0


class Clocks(Protocol):
    """The clocks that the timing loop reads."""

    def wall(self) -> int:
        """Return wall time, ns."""
        ...

    def cpu(self) -> int:
        """Return the CPU time of all threads of the process, ns.

        Of all threads: several runtimes compute in a thread of their own while the caller waits.
        """
        ...

    def switches(self) -> int:
        """Return the process's involuntary context switches."""
        ...

    def host(self) -> HostCounters:
        """Return the host's counters."""
        ...


def device_times(given: Any, n: int) -> FloatArray:
    """Check the times of ``n`` runs by a device's own clock, and return them in seconds, ``(n,)``.

    Raises:
        MeasurementError: there is not one valid time for each run; names the first invalid one.
    """
    clock = "the device's clock"
    nothing = f"{clock} gave nan: expected a finite number above 0"
    found = Values.of(given, n, source=clock, missing=nothing, time=True, asked="runs")
    reason = next(filter(None, found.reasons), None)
    if reason is not None:
        raise MeasurementError(f"{reason}, the seconds of a run")
    odd = found.values[(found.values < _SHORTEST_S) | (found.values > _LONGEST_S)]
    if len(odd):
        raise MeasurementError(f"{clock} gave {odd[0]:g} s for a run, expected {_SHORTEST_S:g} to {_LONGEST_S:g} s")
    return found.values


class SystemClocks:
    """The system's clocks. Files under /proc stay open, since reading an open one again takes only microseconds."""

    wall = staticmethod(time.perf_counter_ns)
    cpu = staticmethod(time.process_time_ns)

    def __init__(self) -> None:
        self._waiting = [_Open(task / "schedstat") for task in _listed(_TASKS)]
        self._stat = _Open(_STAT)
        self._throttled = [_Open(path) for path in cgroup.stat_files()]
        self._tick = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
        self._slow, self._slow_at = (0, 0), -_SLOW_NS

    @staticmethod
    def switches() -> int:
        """Return the process's involuntary context switches; 0 where the system does not count them."""
        return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw

    def host(self) -> HostCounters:
        """Return the host's counters; 0 where the system has none."""
        waiting = sum(int(fields[1]) for file in self._waiting if len(fields := file.read().split()) > 1)
        if self.wall() - self._slow_at >= _SLOW_NS:
            self._slow, self._slow_at = (self._steal(), self._throttled_ns()), self.wall()
        return HostCounters(waiting, *self._slow)

    def _steal(self) -> int:
        stat = self._stat.read().split(maxsplit=9)
        return int(stat[8]) * self._tick if len(stat) > 9 else 0

    def _throttled_ns(self) -> int:
        return sum(cgroup.throttled_ns(file.read()) for file in self._throttled)

    def close(self) -> None:
        """Close the files."""
        for file in (*self._waiting, self._stat, *self._throttled):
            file.close()


@contextmanager
def system_clocks() -> Iterator[SystemClocks]:
    """Open the system's clocks; waiting is counted for the threads that exist now."""
    clocks = SystemClocks()
    try:
        yield clocks
    finally:
        clocks.close()


class _Open:
    """A file under /proc that is read from its start again and again; empty if it is not there any more."""

    def __init__(self, path: Path) -> None:
        self._fd = _quietly(lambda: os.open(path, os.O_RDONLY | _CLOSING), -1)

    def read(self) -> str:
        return _quietly(lambda: os.pread(self._fd, 4096, 0).decode(), "") if self._fd >= 0 else ""

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _listed(folder: Path) -> list[Path]:
    return _quietly(lambda: list(folder.iterdir()), [])


def _quietly(read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except OSError:
        return otherwise
