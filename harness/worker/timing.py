"""The timing loop: time networks side by side, in rounds of random order, until latencies and rankings converge.

It uses nothing but the networks, clocks and random numbers that it is given. So tests can show with scripted networks
and clocks how it copes with drift, spikes and several modes.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.convergence import Convergence, assess
from hwnas.harness.measurement.interim import Interim
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.measurement.samples import UNKNOWN, SampleLog
from hwnas.harness.worker.clocks import Clocks, HostCounters, device_times
from hwnas.harness.worker.sampling import TimedNetwork, loop_overhead, sample
from hwnas.harness.worker.timed import BatchResult, Report, Tick, Timed
from hwnas.supernets.plug_ins import FAILURES, reason_of

_TICK_NS = 1_000_000_000  # between two signs of life
_LOOKING = 100  # the stopping rules are applied after so many times as long as that took


@dataclass(frozen=True)
class _Listeners:
    """The callbacks of ``time_batch``."""

    enter: Callable[[int], None]
    tick: Callable[[Tick], None]
    report: Report


@dataclass
class _Network:
    """The state of a network while it is timed."""

    runner: TimedNetwork
    log: SampleLog
    run_ns: float = math.nan
    spent_ns: int = 0
    last_ns: int = 0  # duration of the last visit or, before the first visit, of the warm-up
    warmup_runs: int = 0
    failure: str | None = None
    time_runs: Callable[[int], Sequence[float]] | None = None

    def timed(self) -> Timed:
        return Timed(self.log.samples(), self.spent_ns / 1e9, self.warmup_runs, self.failure)

    def turn(self, number: int) -> None:
        self.runner.turn(number % self.runner.n_sessions)
        self.time_runs = self.runner.time_runs()


def time_batch(  # noqa: PLR0913 - all but the first four are options by name
    runners: Sequence[TimedNetwork],
    protocol: TimingProtocol,
    clocks: Clocks,
    rng: np.random.Generator,
    *,
    anchors: int = 0,
    threads: int = 1,
    enter: Callable[[int], None] = lambda _: None,
    tick: Callable[[Tick], None] = lambda _: None,
    report: Report = lambda *_: None,
) -> BatchResult:
    """Time a batch of networks.

    Args:
        runners: the networks.
        protocol: the protocol's numbers.
        clocks: the clocks to read.
        rng: draws the order of each round.
        anchors: how many of the first networks are anchors, which do not have to converge, unless there are no others.
        threads: compute threads of the platform; CPU time divided by them explains wall time.
        enter: called with a network's index before it runs.
        tick: called about once a second, between visits, and at the end.
        report: called between rounds with the result so far and the networks that are due; see
            ``hwnas.harness.measurement.interim``.
    """
    return _Loop(runners, protocol, clocks, rng, anchors, threads, _Listeners(enter, tick, report)).run()


class _Loop:
    def __init__(
        self,
        runners: Sequence[TimedNetwork],
        protocol: TimingProtocol,
        clocks: Clocks,
        rng: np.random.Generator,
        anchors: int,
        threads: int,
        listeners: _Listeners,
    ) -> None:
        self.protocol, self.clocks, self.rng, self.threads = protocol, clocks, rng, threads
        self.networks = [_Network(runner, SampleLog(runner.n_stages)) for runner in runners]
        self.judged = range(anchors if anchors < len(runners) else 0, len(runners))
        self.listeners = listeners
        self.interim = Interim(protocol.tau_times)
        self.origin = self.last_tick = clocks.wall()
        self.counters = clocks.host()
        self.round = 0
        self.convergence = Convergence.nothing(len(runners))

    def run(self) -> BatchResult:
        with _no_garbage_collection():
            self.overhead = loop_overhead(self.clocks)
            for index in range(len(self.networks)):
                self._guarded(index, self._warm_up)
            self._rounds()
        self.convergence = self._assess()
        self._tick()  # the one before may be of the last round but some: nobody would see how it ended
        return self._result()

    def _result(self) -> BatchResult:
        timed = tuple(network.timed() for network in self.networks)
        seconds = (self.clocks.wall() - self.origin) / 1e9
        return BatchResult(timed, self.convergence, self.round, self.overhead, seconds)

    def _rounds(self) -> None:
        in_a_row, next_look, not_before = 0, self.protocol.rounds, 0
        while open_ := self._open():
            self.round += 1
            for index in self.rng.permutation(open_):
                self._guarded(int(index), self._visit)
            if self.round >= next_look and (begun := self.clocks.wall()) >= not_before:
                self.convergence = self._assess()
                # Looking costs milliseconds, of a large batch tens of them: it takes a hundredth of the time.
                not_before = begun + _LOOKING * (self.clocks.wall() - begun)
                next_look = self.round + max(self.protocol.check_every, self.round // 5)
                in_a_row = in_a_row + 1 if self.convergence.all_converged else 0
                if in_a_row >= self.protocol.tau_times:
                    return
                self._report(self.interim.due(self.convergence, self._samples_each()))
            elif self.round < self.protocol.rounds:
                self._report(self.interim.early(self._samples_each()))

    def _open(self) -> list[int]:
        """Return the networks to visit in the next round; none once no network that is judged wants more."""
        visited = self.judged if self.round % self.protocol.anchor_every else range(len(self.networks))
        open_ = [index for index in visited if self._wants_more(self.networks[index])]
        return open_ if any(index in self.judged for index in open_) else []

    def _samples_each(self) -> dict[int, int]:
        """Return how many samples there are of each network that is judged and runs."""
        return {index: len(self.networks[index].log) for index in self.judged if not self.networks[index].failure}

    def _report(self, due: Mapping[int, bool]) -> None:
        """Report networks if any are due; the time this takes is not attributed to the next visit."""
        if due:
            self.listeners.report(self._result(), due)
            self.counters = self.clocks.host()

    def _assess(self) -> Convergence:
        samples = [network.log.samples() for network in self.networks]
        judged = [index for index in self.judged if self.networks[index].failure is None]
        return assess(samples, self.protocol, self.threads, judged)

    def _wants_more(self, network: _Network) -> bool:
        """Return whether to visit a network again: it runs, and has time left or too few samples."""
        if network.failure is not None:
            return False
        runs, _, group = plan(network.run_ns, self.protocol)
        next_ns = max(runs * group * network.run_ns, network.last_ns)
        return network.spent_ns + next_ns <= self.protocol.cap_s * 1e9 or len(network.log) < self.protocol.samples

    def _guarded(self, index: int, step: Callable[[_Network], None]) -> None:
        """Do a step with a network; an exception marks the network as failed, and the others go on."""
        network = self.networks[index]
        if network.failure is not None:
            return
        self.listeners.enter(index)
        start = self.clocks.wall()
        try:
            step(network)
        except FAILURES as error:  # a backend is anybody's code
            network.failure = reason_of(error)
        now = self.clocks.wall()
        network.spent_ns += now - start
        network.last_ns = now - start
        if now - self.last_tick >= _TICK_NS:
            self._tick()
            self.last_tick = self.clocks.wall()
            self.counters = self.clocks.host()

    def _tick(self) -> None:
        """Say how far the batch is."""
        self.listeners.tick(Tick(self.round, len(self.convergence.narrow), len(self.judged), self.convergence.tau))

    def _warm_up(self, network: _Network) -> None:
        """Run until two blocks' minima agree: 5 runs and 50 ms at least, 1 s at most; other sessions a block each."""
        for session in range(1, network.runner.n_sessions):
            network.turn(session)
            network.warmup_runs += self._block(network)[1]
        network.turn(0)
        start, last = self.clocks.wall(), math.inf
        while True:
            fastest, runs = self._block(network)
            network.warmup_runs += runs
            spent = (self.clocks.wall() - start) / 1e9
            agree = abs(fastest - last) <= self.protocol.warmup_agree * min(fastest, last)
            if (agree and spent >= self.protocol.warmup_s) or spent >= self.protocol.warmup_cap_s:
                network.run_ns = max(1.0, min(fastest, last))
                return
            last = fastest

    def _block(self, network: _Network) -> tuple[float, int]:
        """Run half a warm-up; return its fastest run in ns and the number of runs."""
        wall, run = self.clocks.wall, network.runner.run
        least = math.ceil(self.protocol.warmup_runs / 2)
        if network.time_runs is not None:
            return 1e9 * float(device_times(network.time_runs(least), least).min()), least
        begin, fastest, runs = wall(), math.inf, 0
        while (runs < least and wall() - begin < self.protocol.warmup_cap_s * 1e9) or (
            wall() - begin < self.protocol.warmup_s * 0.5e9
        ):
            start = wall()
            run()
            fastest = min(fastest, wall() - start)
            runs += 1
        return fastest, runs

    def _visit(self, network: _Network) -> None:
        network.turn(self.round)
        runs, drop, group = plan(network.run_ns, self.protocol)
        if network.time_runs is not None:
            self._timed_by_device(network, runs * group, drop)
        else:
            for _ in range(drop):
                network.runner.run()
            for _ in range(runs - drop):
                sample(network.runner, network.log, self.clocks, group, self.origin)
        counters = self.clocks.host()
        network.log.end_visit(self.round, *_difference(self.counters, counters))
        self.counters = counters

    def _timed_by_device(self, network: _Network, runs: int, drop: int) -> None:
        """Take samples by the device's clock; the host's CPU time and switches do not explain them."""
        if network.time_runs is None:
            return
        at = self.clocks.wall() - self.origin
        for seconds in device_times(network.time_runs(runs), runs)[drop:]:
            network.log.sample(at, round(1e9 * seconds), UNKNOWN, UNKNOWN, 1, (0,) * network.runner.n_stages)
            at += round(1e9 * seconds)


def plan(run_ns: float, protocol: TimingProtocol) -> tuple[int, int, int]:
    """Return the plan of a visit to a network that takes ``run_ns``: samples, how many of them to drop, runs in each.

    The first runs of a visit take some hundred microseconds longer, until the caches are filled. For a slow network
    that is little: its visits can be shorter, so that more networks are visited in the same time.
    """
    group = max(1, math.ceil(protocol.group_s * 1e9 / run_ns))
    slow = run_ns >= protocol.slow_run_s * 1e9
    least, drop = (protocol.slow_runs, protocol.slow_drop) if slow else (protocol.visit_runs, protocol.visit_drop)
    if 0 < protocol.undropped_s * 1e9 <= run_ns:
        least, drop = 1, 0
    runs = max(least, math.ceil(protocol.visit_s * 1e9 / (run_ns * group)))
    # A very slow network's visits get shorter rather than fewer: the rounds are what spreads them over time.
    affordable = math.floor(protocol.cap_s * 1e9 / protocol.rounds / (run_ns * group))
    return max(drop + 1, min(runs, affordable)), drop, group


def _difference(before: HostCounters, after: HostCounters) -> tuple[int, int, int]:
    # A thread that ended takes its waiting time with it: never below 0.
    pairs = ((after.waiting, before.waiting), (after.steal, before.steal), (after.throttled, before.throttled))
    waiting, steal, throttled = (max(0, later - earlier) for later, earlier in pairs)
    return waiting, steal, throttled


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
