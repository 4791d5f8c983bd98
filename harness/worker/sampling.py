"""Take one sample of a network: its inferences by the clocks around them. Also: what taking a sample itself costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from hwnas.harness.measurement.samples import SampleLog
from hwnas.harness.worker.clocks import Clocks

_BLOCK = 10  # samples of nothing that are timed together


class TimedNetwork(Protocol):
    """One network, ready to run.

    Attributes:
        n_sessions: how often it was prepared.
        n_stages: the number of stages that are timed separately; 0 for a single stage.
        marks: ns spent in each stage since the last ``clear``.
        left_out: ns that runs which were left out since then would have taken.
    """

    n_sessions: int
    n_stages: int
    marks: list[int]
    left_out: int

    def turn(self, session: int) -> None:
        """Make ``run`` use the given session from now on."""
        ...

    def run(self) -> None:
        """Run one inference."""
        ...

    def clear(self) -> None:
        """Set ``marks`` and ``left_out`` to 0."""
        ...

    def time_runs(self) -> Callable[[int], Sequence[float]] | None:
        """Return the device's own way to time n inferences, in seconds, or ``None``."""
        ...


def sample(runner: TimedNetwork, log: SampleLog, clocks: Clocks, group: int, origin: int) -> None:
    """Take one sample: a group of runs by the wall clock, the CPU's and the switches counted around it."""
    run, wall, cpu, switches = runner.run, clocks.wall, clocks.cpu, clocks.switches
    runner.clear()
    switches_before, cpu_before, start = switches(), cpu(), wall()
    for _ in range(group):
        run()
    end, cpu_after = wall(), cpu()
    switched = switches() - switches_before
    wall_ns, cpu_ns = end - start, cpu_after - cpu_before
    if runner.left_out:
        # What was left out would have taken the processors as what was done.
        whole = wall_ns + runner.left_out
        wall_ns, cpu_ns = whole, round(cpu_ns * whole / wall_ns)
    log.sample(start - origin, wall_ns, cpu_ns, switched, group, tuple(runner.marks))


def loop_overhead(clocks: Clocks, blocks: int = 20) -> float:
    """Return the loop's own time per sample, in seconds, by timing a network that does nothing."""
    nothing, log, fastest = _Nothing(), SampleLog(), math.inf
    for _ in range(blocks):
        start = clocks.wall()
        for _ in range(_BLOCK):
            sample(nothing, log, clocks, 1, start)
        # The fastest block: the others were interrupted.
        fastest = min(fastest, (clocks.wall() - start) / _BLOCK)
    return fastest / 1e9


class _Nothing:
    """A network that does nothing."""

    n_sessions = 1
    n_stages = 0
    marks: list[int] = []  # noqa: RUF012 - never written to
    left_out = 0

    def turn(self, session: int) -> None:
        pass

    def run(self) -> None:
        pass

    def clear(self) -> None:
        pass

    def time_runs(self) -> None:
        return None
