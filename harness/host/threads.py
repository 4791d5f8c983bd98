"""Verify that as many compute threads ran as were asked for."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hwnas.harness.host.cpus import listed
from hwnas.supernets.errors import MeasurementError

_TASKS = Path("/proc/self/task")

# A burst is long enough to see a thread that works one millisecond in twenty, by a clock that ticks every 10 ms too.
_BURST_S, _TICKING_BURST_S = 0.15, 1.0
# How many times longer each further burst is, as long as the threads seen are not those asked for.
_LONGER = (1, 3, 10)
# A task took part if it was on a CPU for this share of the burst, and had work if it was on one or waited for one so
# long. The caller's own Python and the runtimes' timers use less.
_PART = 0.05
# Runnable threads on average: one more than this above what was asked for is one too many. A dispatching thread beside
# the computing one adds up to about 0.2 on networks of 0.1 ms.
_SLACK = 0.4
# Two threads that share one network are both runnable at least this part of the time, or the second one idles.
_SHARED = 0.1


@dataclass(frozen=True)
class Activity:
    """How much CPU time the process's threads have used and waited for up to now.

    Attributes:
        on_cpu_ns: per task, time on a CPU.
        waiting_ns: per task, time spent runnable but waiting for a CPU.
        source: "schedstat", or "psutil" (ticks of 10 ms, no waiting) where the system has none.
        allowed: per task, the CPUs that it may run on, where the system says so.
    """

    on_cpu_ns: Mapping[int, int]
    waiting_ns: Mapping[int, int]
    source: str
    allowed: Mapping[int, frozenset[int]] = field(default_factory=dict)


def activity() -> Activity:
    """Read the activity of every thread of this process."""
    read = {int(task.name): fields for task in _tasks() if len(fields := _schedstat(task)) > 1}
    if not read:
        return _activity_by_psutil()
    on_cpu, waiting = ({task: int(fields[place]) for task, fields in read.items()} for place in (0, 1))
    return Activity(on_cpu, waiting, "schedstat", _allowed(read))


def _activity_by_psutil() -> Activity:
    import psutil

    times = {task.id: round(1e9 * (task.user_time + task.system_time)) for task in psutil.Process().threads()}
    return Activity(times, dict.fromkeys(times, 0), "psutil", _allowed(times))


def _tasks() -> list[Path]:
    try:
        return list(_TASKS.iterdir())
    except OSError:
        return []


def _schedstat(task: Path) -> list[str]:
    try:
        return (task / "schedstat").read_text().split()
    except OSError:  # it has ended meanwhile, or the system counts nothing
        return []


def _allowed(tasks: Iterable[int]) -> dict[int, frozenset[int]]:
    found = {}
    for task in tasks:
        with contextlib.suppress(OSError, AttributeError):
            found[task] = frozenset(os.sched_getaffinity(task))
    return found


def cpus_apart(places: Sequence[Collection[int]]) -> int:
    """Return how many tasks can have a CPU of their own at the same time, given the CPUs that each may run on.

    This is the largest matching of tasks and CPUs (Hall, 1935), by augmenting paths (Kuhn, 1955).
    """
    holder: dict[int, int] = {}

    def seat(task: int, seen: set[int]) -> bool:
        free = next((cpu for cpu in places[task] if cpu not in holder), None)
        if free is not None:
            holder[free] = task
            return True
        for cpu in set(places[task]) - seen:
            seen.add(cpu)
            if seat(holder[cpu], seen):
                holder[cpu] = task
                return True
        return False

    return sum(seat(task, set()) for task in range(len(places)))


@dataclass(frozen=True)
class ThreadCheck:
    """The threads that were seen to run during a burst of inferences.

    Attributes:
        asked: the threads asked for.
        active: tasks that had work: they ran, or waited for a CPU.
        runnable: threads running or waiting to run, on average; a busy machine does not lower it.
        source: how it was seen, as in ``Activity``.
        verified: the count is the one asked for. A network too small to be shared between threads is not verified;
            that is no error, and ``note`` says so.
        note: a remark for the user, or "".
        cpus: how many CPUs the busiest tasks, one per thread asked for, can have at the same time; ``None`` if the
            system does not say.
    """

    asked: int
    active: int
    runnable: float
    source: str
    verified: bool
    note: str = ""
    cpus: int | None = None


def verify(
    run: Callable[[], None],
    asked: int,
    shared: bool = True,
    look: Callable[[], Activity] = activity,
    now: Callable[[], int] = time.perf_counter_ns,
) -> ThreadCheck:
    """Run a burst of inferences and compare the threads that worked with those asked for; repeat it longer if in doubt.

    On a busy machine a thread can starve for the whole of a short burst, so only the last, longest one is an error.

    Args:
        run: one inference.
        asked: the number of threads.
        shared: the inference is large enough that every runtime spreads it over its threads.
        look: reads the activity.
        now: wall clock, ns.

    Raises:
        MeasurementError: more threads ran than were asked for, or fewer although the inference is ``shared``, or they
            may not run on as many CPUs.
    """
    for longer in _LONGER[:-1]:
        seen = _burst(run, longer, look, now)
        if not seen.too_many(asked) and not seen.too_few(asked) and not seen.crowded(asked):
            return ThreadCheck(asked, seen.active, seen.runnable, seen.source, True, seen.note, seen.cpus(asked))
    seen = _burst(run, _LONGER[-1], look, now)
    seen_as = f"{seen.ran} took part, {seen.runnable:.2f} were runnable on average"
    if seen.too_many(asked):
        raise MeasurementError(
            f"{asked} threads were asked for and more ran: {seen_as}; the backend ignores its setting"
        )
    if seen.crowded(asked):
        raise MeasurementError(
            f"{asked} threads were asked for, and those that worked may run on too few CPUs: {seen.where(asked)}; they "
            "take turns there: something has bound them (taskset on threads, a library, or the backend itself)"
        )
    too_few = seen.too_few(asked)
    if too_few and shared:
        raise MeasurementError(
            f"{asked} threads were asked for and fewer ran: {seen_as}; the backend ignores its setting"
        )
    small = f"too small a network to tell whether {asked} threads are used: {seen_as}" if too_few else ""
    note = "; ".join(filter(None, [small, seen.note]))
    return ThreadCheck(asked, seen.active, seen.runnable, seen.source, not too_few, note, seen.cpus(asked))


@dataclass(frozen=True)
class _Seen:
    """The tasks that were seen during one burst.

    Attributes:
        ran: tasks that were on a CPU for a fair part of it.
        active: tasks that were, or that waited for one, which means that they had work.
        runnable: threads running or waiting to run, on average.
        source: as in ``Activity``.
        places: the CPUs that each active task may run on, as far as known, the busiest tasks first.
    """

    ran: int
    active: int
    runnable: float
    source: str
    places: tuple[frozenset[int], ...]

    def too_many(self, asked: int) -> bool:
        return self.ran > asked and self.runnable > asked + _SLACK

    def too_few(self, asked: int) -> bool:
        return self.active < _least(asked) or (asked > 1 and self.runnable < 1 + _SHARED * (asked - 1))

    def crowded(self, asked: int) -> bool:
        # One task more than asked for is the dispatcher, which hands out the work and needs no CPU of its own.
        busiest = self.places[:asked]
        return cpus_apart(busiest) < len(busiest)

    def cpus(self, asked: int) -> int | None:
        return cpus_apart(self.places[:asked]) if self.places else None

    def where(self, asked: int) -> str:
        return ", ".join(f"one on CPU {listed(place)}" for place in self.places[:asked])

    @property
    def note(self) -> str:
        return "seen by psutil, in ticks of 10 ms" if self.source == "psutil" else ""


def _burst(run: Callable[[], None], longer: int, look: Callable[[], Activity], now: Callable[[], int]) -> _Seen:
    before = look()
    length = longer * (_BURST_S if before.source == "schedstat" else _TICKING_BURST_S)
    start = now()
    while now() - start < length * 1e9:
        run()
    wall, after = now() - start, look()
    on_cpu = {task: ns - before.on_cpu_ns.get(task, 0) for task, ns in after.on_cpu_ns.items()}
    waiting = {task: ns - before.waiting_ns.get(task, 0) for task, ns in after.waiting_ns.items()}
    working = {task: ns + waiting.get(task, 0) for task, ns in on_cpu.items()}
    ran, active = (sum(ns >= _PART * wall for ns in times.values()) for times in (on_cpu, working))
    busiest = sorted((task for task, ns in working.items() if ns >= _PART * wall), key=lambda task: -working[task])
    places = tuple(after.allowed[task] for task in busiest if task in after.allowed)
    return _Seen(ran, active, sum(working.values()) / wall, before.source, places)


def _least(asked: int) -> int:
    """Return how many tasks must take part: no network keeps dozens of threads equally busy."""
    return asked if asked <= 8 else math.ceil(0.75 * asked)
