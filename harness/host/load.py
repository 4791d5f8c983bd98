"""See how much of the CPUs other programs use, and which programs they are, from Linux's ``/proc``.

``/proc/stat`` counts every CPU's busy time, whoever has caused it: programs of other users and containers count too.
What this process and its measuring worker have used is taken off; another child process of this one keeps CPUs from
the worker as any program does. Only programs that can be seen from here are named.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.harness.host import cgroup
from hwnas.supernets.quoting import shortened, visible

PROC = Path("/proc")

# A thread that finds a CPU of its own is measured well beside a busy neighbour (docs/measurement.md). One that has to
# share its CPU for less than a fifth of the time still has undisturbed samples in most visits.
_SLACK = 0.2
# Which programs are worth being named, and how many of them.
_WORTH_NAMING, _NAMED = 0.05, 3
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Process:
    """What a process has used up to now.

    Attributes:
        name: of its command.
        parent: the number of its parent process.
        own_s: its CPU time.
        family_s: that of its child processes that have ended.
    """

    name: str
    parent: int
    own_s: float
    family_s: float


@dataclass(frozen=True)
class Reading:
    """The CPU time that was used up to a moment, in seconds.

    Attributes:
        at_s: the moment, by a clock that only goes forward.
        busy_s: by CPU.
        processes: by number and time of starting, since numbers are used again.
        group: the control group with the tightest quota: CPUs that it may use, and its CPU time; ``None``: no quota, or
            its time is not known.
    """

    at_s: float
    busy_s: Mapping[int, float]
    processes: Mapping[tuple[int, int], Process]
    group: tuple[float, float] | None = None

    def family(self, root: int | None) -> set[tuple[int, int]]:
        """Return a process and all that descend from it; nothing for no process."""
        children = defaultdict(list)
        for key, process in self.processes.items():
            children[process.parent].append(key)
        found, left = set[tuple[int, int]](), [key for key in self.processes if key[0] == root]
        while left:
            key = left.pop()
            found.add(key)
            left += [child for child in children[key[0]] if child not in found]
        return found

    def used_s(self, own: int, worker: int | None) -> float:
        """Return the CPU time of a process, and of a worker and all that descend from it, ended ones included."""
        alone = sum(process.own_s for key, process in self.processes.items() if key[0] == own)
        family = (self.processes[key] for key in self.family(worker))
        return alone + sum(process.own_s + process.family_s for process in family)


def read(proc: Path = PROC) -> Reading | None:
    """Read what was used up to now; ``None`` where the system does not say."""
    stat = _text(proc / "stat")
    if not stat:
        return None
    tick = 1 / os.sysconf("SC_CLK_TCK")
    busy = _busy(stat, tick)
    if not busy:
        return None
    return Reading(time.monotonic(), busy, dict(_processes(proc, tick)), cgroup.used())


def _busy(stat: str, tick: float) -> dict[int, float]:
    """Return the busy time of each CPU: user, nice, system, interrupts; not idle, waiting for disks, or stolen."""
    found = {}
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and len(fields) >= 7:
            found[int(name[3:])] = tick * sum(int(fields[place]) for place in (0, 1, 2, 5, 6))
    return found


def _processes(proc: Path, tick: float) -> Iterator[tuple[tuple[int, int], Process]]:
    for number in _listed(proc):
        # A command's name may have brackets, spaces and line ends in it: the last bracket ends it.
        head, _, tail = _text(proc / str(number) / "stat").rpartition(")")
        fields = tail.split()
        if len(fields) > 19:
            own, family = (tick * (int(fields[place]) + int(fields[place + 1])) for place in (11, 13))
            yield (number, int(fields[19])), Process(head.partition("(")[2], int(fields[1]), own, family)


def _listed(proc: Path) -> list[int]:
    try:
        return [int(path.name) for path in proc.iterdir() if path.name.isdigit()]
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:  # the process has ended, or the system has no such file
        return ""


# --- between two readings --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Program:
    """A program that keeps CPUs busy.

    Attributes:
        name: of its command, safe to print.
        cpus: how many CPUs its processes kept busy.
        numbers: of its processes.
    """

    name: str
    cpus: float
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        which = f"process {self.numbers[0]}" if len(self.numbers) == 1 else f"{len(self.numbers)} processes"
        return f"{self.name} ({which}, {100 * self.cpus:.0f} % of a CPU)"


@dataclass(frozen=True)
class Load:
    """How much of the CPUs other programs used over some time.

    Attributes:
        cpus: that may be used: the CPUs, or the control group's quota where that leaves less.
        free: of these, what other programs left.
        programs: the busiest that can be seen, the busiest first.
    """

    cpus: float
    free: float
    programs: tuple[Program, ...] = ()

    @property
    def busy(self) -> float:
        """The share of the CPUs that other programs used."""
        return 1 - self.free / self.cpus

    def heavy(self, threads: int) -> bool:
        """Return whether so many threads do not find a CPU each."""
        return threads - self.free > _SLACK

    def __str__(self) -> str:
        named = ", ".join(map(str, self.programs)) or "none that can be seen from here"
        return f"other programs keep {self.cpus - self.free:.1f} of {self.cpus:g} CPUs busy: {named}"

    def to_record(self) -> dict[str, Any]:
        """Return what a measurement taken beside it is marked with, JSON-able."""
        programs = [{"name": one.name, "cpus": round(one.cpus, 2)} for one in self.programs]
        return {"busy": round(self.busy, 3), "programs": programs}


def between(before: Reading, after: Reading, cpus: Collection[int], own: int, worker: int | None = None) -> Load | None:
    """Return the load that other programs were between two readings; ``None`` where no time lies between them.

    Args:
        before: the earlier reading.
        after: the later one.
        cpus: those that are to be used.
        own: the process whose own use does not count.
        worker: the process whose use, and that of its descendants, does not count; ``None``: there is none.
    """
    seconds = after.at_s - before.at_s
    known = [cpu for cpu in cpus if cpu in before.busy_s and cpu in after.busy_s]
    if seconds <= 0 or not known:
        return None
    own_s = after.used_s(own, worker) - before.used_s(own, worker)
    busy_s = sum(after.busy_s[cpu] - before.busy_s[cpu] for cpu in known)
    left = [(float(len(known)), _within((busy_s - own_s) / seconds, len(known)))]
    if before.group is not None and after.group is not None:
        quota = after.group[0]
        left.append((quota, _within((after.group[1] - before.group[1] - own_s) / seconds, quota)))
    room, used = min(left, key=lambda one: one[0] - one[1])
    ours = {own, *(number for number, _ in after.family(worker))}
    return Load(room, room - used, _programs(before, after, ours, seconds))


def _within(used: float, most: float) -> float:
    return min(max(0.0, used), most)


def _programs(before: Reading, after: Reading, but: Collection[int], seconds: float) -> tuple[Program, ...]:
    """Return the busiest programs between two readings, except some processes."""
    shares: dict[str, dict[int, float]] = defaultdict(dict)
    for key, process in after.processes.items():
        earlier = before.processes[key].own_s if key in before.processes else 0.0
        share = (process.own_s - earlier) / seconds
        if key[0] not in but and share >= _WORTH_NAMING:
            shares[process.name][key[0]] = share
    found = [Program(_printable(name), sum(each.values()), tuple(each)) for name, each in shares.items()]
    return tuple(sorted(found, key=lambda one: (-one.cpus, one.name))[:_NAMED])


def _printable(name: str) -> str:
    """Return a command's name, which may be any bytes, as a few characters of one line."""
    return shortened(visible(" ".join(name.split())), _LONGEST_NAME) or "a program without a name"
