"""A machine without a real clock: networks whose latencies are known, and a host that disturbs them as told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hwnas.harness.worker.clocks import HostCounters


@dataclass
class Machine:
    """The clocks of a simulated host.

    Attributes:
        drift: how far the speed wanders, as a fraction, over ``period_s``.
        slow_mode: how much slower the slow mode is, as a fraction (0: there is none).
        mode_s: how long a mode lasts on average.
        spikes: probability that a run is interrupted.
        spike_ns: how long interruptions last on average.
        hidden: share of the interruptions that CPU time does not show (a neighbour on the memory bus).
        jitter: relative deviation of each run, one-sided.
    """

    seed: int = 0
    drift: float = 0.0
    period_s: float = 20.0
    slow_mode: float = 0.0
    mode_s: float = 0.05
    spikes: float = 0.0
    spike_ns: float = 3e6
    hidden: float = 0.0
    jitter: float = 0.0
    now: int = 1_000_000_000
    cpu_ns: int = 0
    n_switches: int = 0
    waiting: int = 0
    last: object = None
    since_switch: int = 0
    rng: np.random.Generator = field(init=False)

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        self._slow, self._until = False, 0

    def wall(self):
        return self.now

    def cpu(self):
        return self.cpu_ns

    def switches(self):
        return self.n_switches

    def host(self):
        return HostCounters(waiting=self.waiting)

    def compute(self, network, ns):
        """Let a network run: ``ns`` on a machine at rest, a little longer after another network."""
        self.since_switch = self.since_switch + 1 if self.last is network else 0
        self.last = network
        # As measured: what the caches lost costs a time of its own, and no network more than a fifth.
        ns += min({0: 150e3, 1: 70e3}.get(self.since_switch, 0.0), {0: 0.2, 1: 0.07}.get(self.since_switch, 0.0) * ns)
        ns *= 1 + self.drift * math.sin(2 * math.pi * self.now / 1e9 / self.period_s)
        ns *= 1 + self.slow_mode * self._in_slow_mode()
        ns *= 1 + self.jitter * abs(self.rng.standard_normal())
        busy = round(ns)
        self.now += busy
        self.cpu_ns += busy
        if self.rng.random() < self.spikes:
            self._interrupt(round(self.rng.exponential(self.spike_ns)))

    def _interrupt(self, ns):
        self.now += ns
        if self.rng.random() < self.hidden:
            self.cpu_ns += ns
        else:
            self.n_switches += 1
            self.waiting += ns

    def _in_slow_mode(self):
        while self.now > self._until:
            self._slow = not self._slow
            self._until = max(self._until, self.now - int(1e9)) + round(self.rng.exponential(self.mode_s * 1e9))
        return self._slow


class Network:
    """A network of known latency."""

    n_sessions = 1
    n_stages = 0
    left_out = 0

    def __init__(self, machine, seconds, fails_at=None):
        self.machine, self.ns, self.fails_at = machine, seconds * 1e9, fails_at
        self.marks: list[int] = []
        self.runs = 0

    def turn(self, session):
        pass

    def run(self):
        self.runs += 1
        if self.runs == self.fails_at:
            raise RuntimeError("gave up")
        self.machine.compute(self, self.ns)

    def clear(self):
        pass

    def time_runs(self):
        return None


class Repeated(Network):
    """A network that was prepared several times, each session with a latency of its own."""

    def __init__(self, machine, each_s):
        super().__init__(machine, each_s[0])
        self.each_ns = [1e9 * seconds for seconds in each_s]
        self.n_sessions = len(each_s)
        self.turns = []

    def turn(self, session):
        self.turns.append(session)
        self.ns = self.each_ns[session]


class Wandering(Network):
    """A network whose latency never settles: each run takes something between one and two times as long."""

    def run(self):
        self.machine.compute(self, self.ns * (1 + self.machine.rng.random()))


class Slowing(Network):
    """A network that gets slower and slower."""

    def run(self):
        self.runs += 1
        self.machine.compute(self, self.ns * (1 + self.runs / 500))
