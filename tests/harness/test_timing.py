"""The timing loop on simulated machines, where the truth is known."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted_device import CLOCKS
from simulated import Machine, Network, Repeated, Slowing, Wandering

from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import tau
from hwnas.harness.measurement.verdict import judge
from hwnas.harness.worker.sessions import Inference
from hwnas.harness.worker.timing import plan, time_batch
from hwnas.supernets.errors import MeasurementError

NOISY = profile("noisy")


def statuses(result, protocol=NOISY):
    """Return the status of every network of a batch."""
    return [
        judge(
            timed.samples,
            result.convergence.summaries[index],
            protocol,
            threads=1,
            rules=result.convergence.rules(index),
            spent_s=timed.spent_s,
        ).status
        for index, timed in enumerate(result.timed)
    ]


def values(result):
    return np.array([summary.value for summary in result.convergence.summaries])


machines = st.builds(
    Machine,
    seed=st.integers(0, 2**16),
    drift=st.sampled_from([0.0, 0.02, 0.05]),
    period_s=st.sampled_from([3.0, 20.0, 100.0]),
    slow_mode=st.sampled_from([0.0, 0.05, 0.3]),
    mode_s=st.sampled_from([0.02, 0.3]),
    spikes=st.sampled_from([0.0, 0.1, 0.4]),
    hidden=st.sampled_from([0.0, 0.3]),
    jitter=st.sampled_from([0.001, 0.01, 0.03]),
)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    machine=machines,
    n=st.integers(2, 16),
    step=st.sampled_from([0.005, 0.02, 0.1]),
    fastest=st.sampled_from([5e-5, 1e-3, 8e-3]),
    kind=st.sampled_from(["noisy", "quiet"]),
    seed=st.integers(0, 2**16),
)
def test_what_is_ok_is_ranked_truly(machine, n, step, fastest, kind, seed):
    protocol = profile(kind)
    rng = np.random.default_rng(seed)
    true = fastest * (1 + step) ** rng.permutation(n)
    result = time_batch([Network(machine, seconds) for seconds in true], protocol, machine, rng)
    ok = [index for index, status in enumerate(statuses(result, protocol)) if status == "ok"]
    # Networks closer than their intervals may change places.
    for i in ok:
        for j in ok:
            if true[i] > true[j] * (1 + 2 * protocol.interval):
                assert values(result)[i] > values(result)[j]


@pytest.mark.slow
@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**16), kind=st.sampled_from(["noisy", "quiet"]), bad=st.sampled_from([Wandering, Slowing]))
def test_what_cannot_settle_is_never_ok(seed, kind, bad):
    machine, rng, protocol = Machine(seed=seed, jitter=0.005), np.random.default_rng(seed), profile(kind)
    networks = [Network(machine, 2e-3), bad(machine, 3e-3), Network(machine, 9e-3)]
    result = time_batch(networks, protocol, machine, rng)
    assert statuses(result, protocol) == ["ok", "unstable", "ok"]


@pytest.mark.slow
def test_a_batch_whose_ranks_do_not_settle_is_unstable():
    # Each network in turn is slow for seconds: every interval would be narrow, if only the fast half of it counted.
    machine = Machine(seed=1, slow_mode=0.5, mode_s=3.0, jitter=0.05)
    protocol = profile("quiet", interval=10.0)
    result = time_batch(
        [Network(machine, 1e-3 * (1 + 1e-4 * i)) for i in range(12)], protocol, machine, np.random.default_rng(0)
    )
    assert result.convergence.tau < 0.98
    assert "unstable" in statuses(result, protocol)


def test_drift_does_not_favour_whoever_comes_first():
    machine = Machine(seed=5, drift=0.1, period_s=30, jitter=0.002)
    true = 1e-3 * 1.01 ** np.arange(16)
    result = time_batch([Network(machine, seconds) for seconds in true], NOISY, machine, np.random.default_rng(0))
    assert tau(values(result), true) >= 0.98
    one_after_the_other = []
    for seconds in true:
        network = Network(machine, seconds)
        start = machine.now
        while machine.now - start < 1e9:
            network.run()
        one_after_the_other.append((machine.now - start) / 1e9)
    assert tau(one_after_the_other, true) < 0.9


def test_a_spike_marks_its_sample_and_only_it():
    machine = Machine(seed=2, spikes=0.1, spike_ns=2e6)
    timed = time_batch([Network(machine, 1e-3)], NOISY, machine, np.random.default_rng(0)).timed[0]
    disturbed = timed.samples.disturbed(NOISY.disturbed, 1)
    assert 0 < disturbed.sum() < timed.samples.n / 2
    assert np.array_equal(disturbed, timed.samples.wall_ns > 1.05e6)
    assert timed.samples.switches[disturbed].min() >= 1
    assert timed.samples.waiting_ns.sum() > 0


def test_the_first_runs_of_a_visit_are_no_samples():
    machine = Machine()
    result = time_batch([Network(machine, 1e-3), Network(machine, 2e-3)], NOISY, machine, np.random.default_rng(0))
    assert np.unique(result.timed[0].samples.wall_ns).tolist() == [1_000_000]
    assert result.timed[0].samples.n == result.rounds * (NOISY.visit_runs - NOISY.visit_drop)


def test_every_round_visits_everyone_in_another_order():
    machine = Machine(seed=1, jitter=0.001)
    result = time_batch([Network(machine, 1e-3) for _ in range(8)], NOISY, machine, np.random.default_rng(0))
    starts = np.array([[t.samples.at_ns[t.samples.rounds == r].min() for t in result.timed] for r in range(1, 11)])
    orders = {tuple(np.argsort(row)) for row in starts}
    assert len(orders) > 8
    assert (starts[1:].min(axis=1) > starts[:-1].max(axis=1)).all()


def test_the_cap_holds():
    machine = Machine(seed=1, jitter=0.5)
    result = time_batch([Wandering(machine, 5e-3) for _ in range(3)], NOISY, machine, np.random.default_rng(0))
    # How long the next visit takes is known from the last one only.
    assert max(timed.spent_s for timed in result.timed) <= 1.01 * NOISY.cap_s
    assert min(timed.spent_s for timed in result.timed) >= 0.9 * NOISY.cap_s


def test_a_slow_network_still_gets_its_least_samples():
    machine = Machine(seed=1, jitter=0.01)
    result = time_batch([Wandering(machine, 0.7)], NOISY, machine, np.random.default_rng(0))
    assert result.timed[0].samples.n >= NOISY.samples


@given(run_ns=st.floats(100, 5e9))
def test_a_visit_is_long_enough_and_no_longer_than_affordable(run_ns):
    runs, drop, group = plan(run_ns, NOISY)
    assert runs > drop >= 1
    assert group * run_ns >= NOISY.group_s * 1e9 * (1 - 1e-9)
    least = NOISY.slow_runs if run_ns >= NOISY.slow_run_s * 1e9 else NOISY.visit_runs
    shortened = runs < least
    assert shortened == (least * group * run_ns > NOISY.cap_s * 1e9 / NOISY.rounds) or runs == drop + 1
    if not shortened:
        assert runs * group * run_ns >= NOISY.visit_s * 1e9 * (1 - 1e-9)


def test_short_runs_are_timed_in_groups():
    machine = Machine()
    timed = time_batch([Network(machine, 1e-5)], NOISY, machine, np.random.default_rng(0)).timed[0]
    assert set(timed.samples.group) == {20}
    assert timed.samples.seconds == pytest.approx(1e-5)


def test_a_network_that_fails_does_not_stop_the_others():
    machine = Machine(seed=1, jitter=0.001)
    networks = [Network(machine, 1e-3), Network(machine, 2e-3, fails_at=1), Network(machine, 3e-3, fails_at=40)]
    result = time_batch(networks, NOISY, machine, np.random.default_rng(0))
    assert [timed.failure for timed in result.timed] == [None, *["RuntimeError: gave up"] * 2]
    assert statuses(result)[0] == "ok"


def test_the_sessions_of_a_network_take_turns():
    machine = Machine(seed=1, jitter=0.001)
    network = Repeated(machine, [1e-3, 1.02e-3, 0.99e-3, 1.01e-3])
    result = time_batch([network], NOISY, machine, np.random.default_rng(0))
    samples = result.timed[0].samples
    warmed, visits = network.turns[:4], network.turns[4:]
    assert sorted(warmed) == [0, 1, 2, 3]
    assert visits == [number % 4 for number in range(1, result.rounds + 1)]
    for session, ns in enumerate(network.each_ns):
        assert np.median(samples.wall_ns[samples.rounds % 4 == session]) == pytest.approx(ns, rel=1e-3)


@pytest.mark.slow
def test_sessions_that_differ_more_than_networks_do_not_pass_for_ranked():
    def converged(n_sessions):
        machine, rng = Machine(seed=7, jitter=0.001), np.random.default_rng(3)
        each = [1e-3 * (1 + 1e-3 * i) * (1 + 0.01 * rng.standard_normal(n_sessions)) for i in range(16)]
        protocol = profile("noisy", cap_s=0.5)
        result = time_batch([Repeated(machine, one) for one in each], protocol, machine, rng)
        return result.convergence.tau, statuses(result, protocol)

    # Of one session each, nothing shows that another would rank the networks otherwise.
    assert converged(1)[0] > 0.95
    assert set(converged(1)[1]) == {"ok"}
    agreement, found = converged(4)
    assert agreement < 0.8
    assert found.count("unstable") > 4


def test_nobody_waits_for_anchors():
    machine = Machine(seed=1, jitter=0.001)
    networks = [Wandering(machine, 1e-3), Network(machine, 2e-3), Network(machine, 3e-3)]
    result = time_batch(networks, NOISY, machine, np.random.default_rng(0), anchors=1)
    assert result.convergence.all_converged
    assert result.rounds < 20
    alone = time_batch(networks[:1], NOISY, machine, np.random.default_rng(0), anchors=1)
    assert not alone.convergence.all_converged


@pytest.mark.slow
def test_the_same_seed_gives_the_same_samples():
    def run(seed):
        machine = Machine(seed=3, jitter=0.01)
        return time_batch([Network(machine, 1e-3) for _ in range(4)], NOISY, machine, np.random.default_rng(seed))

    first, again, other = (run(seed).timed[2].samples.at_ns for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_signs_of_life_come_once_a_second_and_cost_the_networks_nothing():
    machine = Machine(seed=1, jitter=0.01)
    ticks = []

    def tick(told):
        ticks.append((machine.now, told))
        machine.now += 500_000_000  # the listener takes its time

    result = time_batch(
        [Wandering(machine, 1e-3) for _ in range(4)], NOISY, machine, np.random.default_rng(0), tick=tick
    )
    moments = np.diff([moment for moment, _ in ticks[:-1]])
    assert len(ticks) >= 5
    assert moments.min() >= 1_500_000_000
    assert sum(timed.spent_s for timed in result.timed) <= 4.04 * NOISY.cap_s
    assert ticks[-1][1].total == 4


def test_garbage_collection_is_off_while_timing_and_back_on_afterwards():
    seen = []

    class Looking(Network):
        def run(self):
            seen.append(gc.isenabled())
            super().run()

    machine = Machine()
    assert gc.isenabled()
    time_batch([Looking(machine, 1e-3)], NOISY, machine, np.random.default_rng(0))
    assert gc.isenabled()
    assert not any(seen)


class OnDevice(Network):
    """A network with a device clock: the host's clock runs while it is asked, and says something else."""

    def time_runs(self):
        def timed(n):
            self.machine.now += round(2 * n * self.ns)
            return [self.ns / 1e9 * (1 + 0.001 * abs(self.machine.rng.standard_normal())) for _ in range(n)]

        return timed


def test_a_devices_clock_takes_the_place_of_the_hosts():
    machine = Machine(seed=1)
    networks = [OnDevice(machine, 1e-3), OnDevice(machine, 1.1e-3)]
    result = time_batch(networks, NOISY, machine, np.random.default_rng(0))
    assert values(result) == pytest.approx([1e-3, 1.1e-3], rel=2e-3)
    assert statuses(result) == ["ok", "ok"]
    assert not result.timed[0].samples.disturbed(NOISY.disturbed, 1).any()
    assert np.isnan(result.timed[0].samples.cores())


class Broken(OnDevice):
    """A network whose device's clock breaks, when it is asked for the given time."""

    def __init__(self, machine, seconds, how, asked):
        super().__init__(machine, seconds)
        self.how, self.asked = how, asked

    def time_runs(self):
        timed = super().time_runs()

        def broken(n):
            self.asked -= 1
            return timed(n) if self.asked > 0 else CLOCKS[self.how](n)

        return broken


@pytest.mark.parametrize("how", CLOCKS)
@pytest.mark.parametrize("asked", [1, 20])
def test_a_devices_clock_that_is_broken_fails_its_network_alone(how, asked):
    machine = Machine(seed=1)
    networks = [OnDevice(machine, 1e-3), Broken(machine, 1.05e-3, how, asked), OnDevice(machine, 1.1e-3)]
    result = time_batch(networks, NOISY, machine, np.random.default_rng(0))
    failures = [timed.failure for timed in result.timed]
    assert failures[::2] == [None, None]
    assert failures[1].startswith("the device's clock gave ")
    assert "expected" in failures[1]
    assert statuses(result)[::2] == ["ok", "ok"]
    # Its samples up to then are in the record, and can be read.
    for timed in result.timed:
        assert Samples.from_record(timed.samples.to_record()).n == timed.samples.n


def test_no_stage_hides_what_anothers_clock_says():
    def clock(seconds):
        return SimpleNamespace(run=None, time_runs=lambda n: [seconds] * n)

    one = Inference(((clock(3e-3), clock(1e-3)),), (1, 2))
    assert one.time_runs()(2) == pytest.approx([5e-3, 5e-3])
    with pytest.raises(MeasurementError, match=r"clock gave -0\.001: expected a finite number above 0"):
        Inference(((clock(3e-3), clock(-1e-3)),), (1, 2)).time_runs()(2)


class Instant(Network):
    """A network that takes no time by the wall clock, or less than none, from some run on."""

    def __init__(self, machine, step):
        super().__init__(machine, 1e-3)
        self.step = step

    def run(self):
        self.runs += 1
        self.machine.now += round(self.ns) if self.runs < 75 else self.step


@pytest.mark.parametrize("step", [0, -5])
def test_a_wall_clock_that_stands_still_fails_its_network_alone(step):
    machine = Machine(seed=1)
    result = time_batch([Network(machine, 1e-3), Instant(machine, step)], NOISY, machine, np.random.default_rng(0))
    assert result.timed[0].failure is None
    assert "by the clock, expected at least 1 ns" in result.timed[1].failure
    samples = result.timed[1].samples
    assert Samples.from_record(samples.to_record()).n == samples.n > 0


class TwoStages(Network):
    n_stages = 2
    left_out = 0

    def __init__(self, machine, seconds):
        super().__init__(machine, seconds)
        self.marks = [0, 0]

    def run(self):
        for stage in range(2):
            start = self.machine.now
            self.machine.compute(self, self.ns * (stage + 1))
            self.marks[stage] += self.machine.now - start

    def clear(self):
        self.marks = [0, 0]


def test_stages_are_taken_apart_and_add_up():
    machine = Machine(seed=1, jitter=0.01)
    timed = time_batch([TwoStages(machine, 1e-3)], NOISY, machine, np.random.default_rng(0)).timed[0]
    assert np.array_equal(timed.samples.stage_ns.sum(axis=1), timed.samples.wall_ns)
    assert np.median(timed.samples.stage_ns, axis=0) == pytest.approx([1e6, 2e6], rel=0.03)
