"""The timing loop to the nanosecond, on a machine that never varies."""

from __future__ import annotations

import gc
import math
from dataclasses import replace

import numpy as np
import pytest

from hwnas.harness.measurement.convergence import Convergence
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.worker.clocks import HostCounters
from hwnas.harness.worker.sampling import loop_overhead
from hwnas.harness.worker.timing import plan, time_batch


class Exact:
    """Clocks that move only when a network runs, and count what they are told to."""

    looks = 100_000  # more than any loop here takes that ends

    def __init__(self, start=7_000_000_000_123):
        self.now, self.used, self.counted, self.taken = start, 0, 0, [0, 0, 0]

    def wall(self):
        self.looks -= 1
        if not self.looks:
            pytest.fail("the loop does not end")
        return self.now

    def cpu(self):
        return self.used

    def switches(self):
        return self.counted

    def host(self):
        return HostCounters(*self.taken)


class Scripted:
    """A network whose runs take so many ns, one after the other; the last of them again and again."""

    n_sessions = 1
    n_stages = 0
    left_out = 0
    marks: tuple[int, ...] = ()

    def __init__(self, clocks, *durations, cpu=1.0, switches=0, taken=(0, 0, 0)):
        self.clocks, self.durations, self.cpu, self.switches, self.taken = clocks, durations, cpu, switches, taken
        self.runs = 0

    def turn(self, session):
        pass

    def run(self):
        ns = self.durations[min(self.runs, len(self.durations) - 1)]
        self.runs += 1
        self.clocks.now += ns
        self.clocks.used += round(self.cpu * ns)
        self.clocks.counted += self.switches
        self.clocks.taken = [before + more for before, more in zip(self.clocks.taken, self.taken, strict=True)]

    def clear(self):
        pass

    def time_runs(self):
        return None


# Six runs of warm-up at least, visits of five runs of which the first is dropped; rounds until four look settled.
SHORT = profile(
    "noisy",
    warmup_runs=6,
    warmup_s=0.0,
    visit_runs=5,
    visit_drop=1,
    visit_s=0.0,
    rounds=4,
    check_every=3,
    samples=1,
    tau_times=1,
    cap_s=10.0,
)


def exactly(*runners, clocks, protocol=SHORT, **more):
    return time_batch(runners, protocol, clocks, np.random.default_rng(0), **more)


def test_every_sample_is_what_the_clocks_said_around_it():
    clocks = Exact()
    network = Scripted(clocks, 1_000_000, cpu=0.5, switches=3, taken=(5, 7, 11))
    (timed,) = exactly(network, clocks=clocks).timed
    samples = timed.samples
    # Six runs of warm-up; then visits of a dropped run and four samples.
    visits = np.arange(4)
    starts = 1_000_000 * (6 + 5 * np.repeat(visits, 4) + 1 + np.tile(np.arange(4), 4))
    assert samples.at_ns.tolist() == starts.tolist()
    assert set(samples.wall_ns) == {1_000_000}
    assert set(samples.cpu_ns) == {500_000}
    assert set(samples.switches) == {3}
    assert set(samples.group) == {1}
    assert samples.visit.tolist() == np.repeat(visits, 4).tolist()
    assert samples.round.tolist() == [1, 2, 3, 4]
    # What the host took since the visit before: the warm-up's is the first visit's.
    assert samples.waiting_ns.tolist() == [5 * 11, 5 * 5, 5 * 5, 5 * 5]
    assert samples.steal_ns.tolist() == [7 * 11, 7 * 5, 7 * 5, 7 * 5]
    assert samples.throttled_ns.tolist() == [11 * 11, 11 * 5, 11 * 5, 11 * 5]
    assert (timed.warmup_runs, timed.spent_s, timed.failure) == (6, 26e-3, None)


def test_a_batchs_time_is_that_of_its_networks():
    clocks = Exact()
    result = exactly(Scripted(clocks, 1_000_000), Scripted(clocks, 3_000_000), clocks=clocks)
    assert [timed.spent_s for timed in result.timed] == pytest.approx([26e-3, 78e-3])
    assert result.seconds == 104e-3
    assert result.overhead_s == 0.0
    assert result.rounds == 4
    assert result.convergence.all_converged


@pytest.mark.parametrize(
    ("numbers", "rounds"),
    [
        ({"tau_times": 1}, 4),
        ({"tau_times": 2}, 7),  # looked at again after three rounds
        ({"tau_times": 3}, 10),
        ({"tau_times": 2, "check_every": 1}, 5),
        ({"rounds": 10, "tau_times": 2, "check_every": 1}, 12),  # or after a fifth of the rounds made
        ({"rounds": 10, "tau_times": 3, "check_every": 1}, 14),
    ],
)
def test_rounds_end_when_so_many_looks_in_a_row_found_all_settled(numbers, rounds):
    clocks = Exact()
    assert exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=replace(SHORT, **numbers)).rounds == rounds


def test_looks_are_so_seldom_that_they_take_a_hundredth_of_the_time(monkeypatch):
    clocks, at = Exact(), []

    def slow(*_):
        at.append(clocks.now)
        clocks.now += 1_000_000
        return Convergence.nothing(1)

    monkeypatch.setattr("hwnas.harness.worker.timing.assess", slow)
    exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=replace(SHORT, cap_s=1.0))
    apart = np.diff(at[:-1])  # the last look is at the end, whenever that is
    assert len(apart) >= 5
    assert apart.min() >= 100e6
    assert apart.min() < 110e6


def test_what_was_left_out_counts_as_what_was_done():
    clocks = Exact()
    network = Scripted(clocks, 1_000_000, cpu=0.5)
    network.left_out = 3_000_000
    samples = exactly(network, clocks=clocks).timed[0].samples
    assert set(samples.wall_ns) == {4_000_000}
    assert set(samples.cpu_ns) == {2_000_000}


@pytest.mark.parametrize(("cap_s", "visits"), [(0.1, 8), (0.11, 9)])  # a tenth round would be one of the anchor's
def test_anchors_are_visited_in_one_of_so_many_rounds_and_end_with_the_others(cap_s, visits):
    clocks, numbers = Exact(), replace(SHORT, anchor_every=3, tau_times=99, cap_s=cap_s)
    anchor, network = Scripted(clocks, 1_000_000), Scripted(clocks, 2_000_000)
    first, second = exactly(anchor, network, clocks=clocks, protocol=numbers, anchors=1).timed
    # Of the network, the warm-up and eight visits of five runs fit into 100 ms; the anchor alone would get 18 visits.
    assert second.samples.round.tolist() == [*range(1, visits + 1)]
    assert first.samples.round.tolist() == [1, 4, 7]


@pytest.mark.parametrize(("ms", "expected"), [(24, (1, 1)), (25, (1, 0)), (100, (1, 0))])
def test_of_a_long_run_none_is_dropped_where_the_protocol_says_so(ms, expected):
    numbers = profile("noisy", effort="quick")
    runs, drop, group = plan(ms * 1e6, numbers)
    assert (runs - drop, drop, group) == (*expected, 1)
    assert plan(ms * 1e6, replace(numbers, cap_s=100.0))[0] == runs
    assert plan(ms * 1e6, profile("noisy"))[1] == 1


def test_anchors_alone_are_visited_as_any_others_are():
    clocks, numbers = Exact(), replace(SHORT, anchor_every=3)
    (timed,) = exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=numbers, anchors=1).timed
    assert timed.samples.round.tolist() == [1, 2, 3, 4]


def test_a_look_that_finds_something_unsettled_begins_the_count_anew(monkeypatch):
    clocks, said = Exact(), iter([True, False, True, True, False])

    def scripted(samples, *_):
        return replace(Convergence.nothing(len(samples)), all_converged=next(said))

    monkeypatch.setattr("hwnas.harness.worker.timing.assess", scripted)
    protocol = replace(SHORT, rounds=2, tau_times=2, check_every=1)
    assert exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=protocol).rounds == 5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1, [0, 1])),
        ({"threads": 3, "anchors": 1}, (3, [1])),
        ({"anchors": 2}, (1, [0, 1])),  # there is nobody else to wait for
    ],
)
def test_who_is_waited_for_and_what_explains_their_time(monkeypatch, given, expected):
    clocks, asked = Exact(), []

    def scripted(samples, _, threads, judged):
        asked.append((threads, list(judged)))
        return replace(Convergence.nothing(len(samples)), all_converged=True)

    monkeypatch.setattr("hwnas.harness.worker.timing.assess", scripted)
    exactly(Scripted(clocks, 1_000_000), Scripted(clocks, 1_000_000), clocks=clocks, **given)
    assert asked == [expected] * 2  # the look that ends it, and the last word


def test_a_network_is_visited_while_its_next_visit_fits_under_the_cap():
    # Of 6 ms warm-up and 5 ms a visit: three visits end at 21 ms.
    for cap_s, visits in ((0.021, 3), (0.0209999, 2), (0.026, 4)):
        clocks = Exact()
        protocol = replace(SHORT, cap_s=cap_s, tau_times=10**6, rounds=1, samples=1)
        result = exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=protocol)
        assert result.rounds == visits


@pytest.mark.parametrize(("over_ns", "visits"), [(0, 19), (1, 18)])
def test_the_cap_holds_to_the_nanosecond(over_ns, visits):
    clocks = Exact()
    protocol = replace(SHORT, cap_s=2.02, tau_times=10**6, rounds=1, slow_runs=5, slow_drop=1)
    # Of 120 ms warm-up and 100 ms a visit.
    result = exactly(Scripted(clocks, 20_000_000 + over_ns, 20_000_000), clocks=clocks, protocol=protocol)
    assert result.rounds == visits


def test_the_plan_says_how_long_the_next_visit_may_take():
    # Warmed up at 0.1 ms a run, then twice as fast: 0.6 + 0.5 ms, and a visit as planned, of 1 ms, would end at 2.1.
    clocks = Exact()
    protocol = replace(SHORT, cap_s=0.0019, tau_times=10**6, rounds=1, group_s=200e-6)
    result = exactly(Scripted(clocks, *[100_000] * 6, 50_000), clocks=clocks, protocol=protocol)
    assert set(result.timed[0].samples.group) == {2}
    assert result.rounds == 1


def test_the_last_visit_says_how_long_the_next_one_takes():
    # Warmed up at 1 ms a run, then twice as slow: 6 + 10 + 10 = 26 ms, and a visit more would end at 36.
    clocks = Exact()
    protocol = replace(SHORT, cap_s=0.0355, tau_times=10**6, rounds=1)
    result = exactly(Scripted(clocks, *[1_000_000] * 6, 2_000_000), clocks=clocks, protocol=protocol)
    assert result.rounds == 2


def test_below_the_least_number_of_samples_the_cap_waits():
    clocks = Exact()
    protocol = replace(SHORT, cap_s=0.001, samples=9, rounds=1)
    result = exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=protocol)
    runs = plan(1e6, protocol)[0] - 1
    assert len(result.timed[0].samples.wall_ns) == runs * math.ceil(9 / runs)


@pytest.mark.parametrize(
    ("durations", "runs"),
    [
        ([1_000_000], 6),  # two blocks of three
        ([9, 9, 1_000_000], 9),  # the first block's fastest run has no second like it
        ([2_000_000, 1_500_000, 1_500_000, 1_000_000], 9),
        ([1_000_000] * 3 + [971_000], 6),  # within 3 % of the faster one
        ([1_030_000] * 3 + [1_000_000], 6),
        ([1_000_000] * 3 + [970_000], 9),
        ([970_000] * 3 + [1_000_000], 9),
    ],
)
def test_a_warm_up_ends_when_two_blocks_agree(durations, runs):
    clocks = Exact()
    assert exactly(Scripted(clocks, *durations), clocks=clocks).timed[0].warmup_runs == runs


def test_a_warm_up_takes_its_least_time():
    clocks = Exact()
    result = exactly(Scripted(clocks, 1_000_000), clocks=clocks, protocol=replace(SHORT, warmup_s=0.02))
    # Two blocks of half the time each.
    assert result.timed[0].warmup_runs == 20


def test_a_warm_up_that_never_agrees_ends_at_its_cap():
    clocks = Exact()
    swinging = [ns for _ in range(50) for ns in (1_000_000,) * 3 + (2_000_000,) * 3]
    protocol = replace(SHORT, warmup_cap_s=0.018)
    assert exactly(Scripted(clocks, *swinging), clocks=clocks, protocol=protocol).timed[0].warmup_runs == 12
    # A block is cut where one run takes longer than all of the warm-up may.
    clocks = Exact()
    slow = exactly(Scripted(clocks, 30_000_000), clocks=clocks, protocol=replace(protocol, samples=1, rounds=1))
    assert slow.timed[0].warmup_runs == 1


def test_a_block_ends_where_the_time_of_the_warm_up_is_over():
    clocks = Exact()
    protocol = replace(SHORT, warmup_cap_s=0.02)
    assert exactly(Scripted(clocks, 10_000_000), clocks=clocks, protocol=protocol).timed[0].warmup_runs == 2


def test_a_run_takes_a_nanosecond_at_least():
    clocks = Exact()
    grouped = exactly(Scripted(clocks, 1), clocks=clocks, protocol=replace(SHORT, group_s=1e-6))
    assert set(grouped.timed[0].samples.group) == {1000}


def test_what_the_warm_up_found_says_how_many_runs_are_a_sample():
    clocks = Exact()
    grouped = exactly(Scripted(clocks, 50_000), clocks=clocks, protocol=replace(SHORT, group_s=200e-6))
    assert set(grouped.timed[0].samples.group) == {4}
    assert set(grouped.timed[0].samples.wall_ns) == {200_000}
    assert grouped.timed[0].samples.seconds == pytest.approx(50e-6)


@pytest.mark.parametrize(
    ("run_ns", "expected"),
    [
        (1e5, (50, 1, 2)),  # groups of 0.2 ms, for 10 ms
        (2e5, (50, 1, 1)),
        (1.9e5, (27, 1, 2)),
        (3e5, (34, 1, 1)),
        (1e7, (5, 1, 1)),
        (4.9e7, (4, 1, 1)),  # five would be more than a tenth of the cap
        (5e7, (3, 2, 1)),  # slow from here on: drops two
        (1e9, (3, 2, 1)),
        (1e10, (3, 2, 1)),
    ],
)
def test_what_a_visit_is(run_ns, expected):
    numbers = {"group_s": 2e-4, "visit_s": 0.01, "visit_runs": 5, "visit_drop": 1, "cap_s": 2.0, "rounds": 10}
    slow = {"slow_run_s": 0.05, "slow_runs": 3, "slow_drop": 2}
    assert plan(run_ns, profile("noisy", **numbers, **slow)) == expected


@pytest.mark.parametrize(("run_ns", "affordable"), [(1e6, 10), (1e6 + 5e-4, 9)])
def test_a_visit_is_no_longer_than_a_rounds_part_of_the_cap(run_ns, affordable):
    # Of 0.2 s each of ten rounds has 20 ms: ten samples of two runs, or a little less.
    numbers = {"group_s": 2e-3, "visit_s": 0.1, "visit_runs": 5, "visit_drop": 1, "cap_s": 0.2, "rounds": 10}
    assert plan(run_ns, profile("noisy", **numbers)) == (affordable, 1, 2)


def test_the_loops_own_time_is_that_of_the_fastest_block():
    class Costly(Exact):
        """Reading the wall clock takes 10 ns, and 1000 in the first block."""

        reads = 0

        def wall(self):
            self.reads += 1
            self.now += 1000 if self.reads < 20 else 10
            return self.now

    # A block of ten samples reads it twice each, and once more at its end.
    assert loop_overhead(Costly(), blocks=3) == 21e-9
    assert loop_overhead(Costly(), blocks=1) > 100e-9


def test_what_the_host_counted_never_runs_backwards():
    clocks = Exact()
    clocks.taken = [10_000, 10_000, 10_000]
    network = Scripted(clocks, 1_000_000, taken=(-1, 2, -3))  # a thread that ended took its time along
    samples = exactly(network, clocks=clocks).timed[0].samples
    assert not samples.waiting_ns.any()
    assert samples.steal_ns.tolist() == [22, 10, 10, 10]
    assert not samples.throttled_ns.any()


def test_signs_of_life_say_how_far_it_is():
    clocks, ticks = Exact(), []
    networks = [Scripted(clocks, 20_000_000) for _ in range(3)]
    protocol = replace(SHORT, tau_times=4, tau=-1.0, slow_runs=5, slow_drop=1)
    exactly(*networks, clocks=clocks, protocol=protocol, anchors=1, tick=ticks.append)
    first, *_, last = ticks
    assert (first.round, first.converged, first.total) == (3, 0, 2)
    assert math.isnan(first.tau)
    assert (last.converged, last.total, last.tau) == (2, 2, 1.0)
    # Three networks of 120 ms warm-up, then 300 ms a round: a second is over within the third round.
    clocks, ticks = Exact(), []
    exactly(Scripted(clocks, 500_000_000), clocks=clocks, protocol=protocol, tick=ticks.append)
    assert ticks[0].round == 0  # while warming up


def test_the_last_sign_of_life_says_how_it_ended():
    """However briefly it was measured: a bar would stay at "0 of 3 have converged"."""
    clocks, ticks = Exact(), []
    networks = [Scripted(clocks, 1_000_000) for _ in range(3)]
    found = exactly(*networks, clocks=clocks, protocol=SHORT, tick=ticks.append)
    assert (ticks[-1].round, ticks[-1].converged, ticks[-1].total) == (found.rounds, 3, 3)


def test_what_the_host_took_while_it_was_listened_to_is_nobodys():
    clocks = Exact()

    def listen(_):
        clocks.taken = [one + 1_000_000 for one in clocks.taken]

    network = Scripted(clocks, 300_000_000, taken=(1, 1, 1))
    protocol = replace(SHORT, slow_runs=5, slow_drop=1)
    samples = exactly(network, clocks=clocks, protocol=protocol, tick=listen).timed[0].samples
    assert samples.waiting_ns.max() < 100


def test_what_is_known_is_reported_between_rounds():
    clocks, told = Exact(), []

    class Failing(Scripted):
        def run(self):
            raise ValueError("no")

    def report(result, due):
        samples = [timed.samples.n for timed in result.timed]
        told.append((result.rounds, due, samples, result.convergence.all_converged, result.seconds))
        clocks.taken = [one + 1_000_000 for one in clocks.taken]

    networks = [Scripted(clocks, 1_000_000, taken=(1, 1, 1)) for _ in range(2)]
    protocol = replace(SHORT, tau_times=2)
    result = exactly(*networks, Failing(clocks, 1), clocks=clocks, protocol=protocol, anchors=1, report=report)
    # At first, and whenever its samples have doubled: of who is neither an anchor nor has failed. From the first look
    # on, after the least number of rounds, with what it found.
    due = {1: False}
    assert told == [
        (1, due, [4, 4, 0], False, 0.022),
        (2, due, [8, 8, 0], False, 0.032),
        (4, due, [16, 16, 0], True, 0.052),
    ]
    assert result.rounds == 7
    # What reporting costs the host is nobody's.
    assert max(timed.samples.waiting_ns.max(initial=0) for timed in result.timed) < 100


def test_each_network_is_entered_before_it_runs():
    clocks, entered = Exact(), []
    exactly(Scripted(clocks, 1_000_000), Scripted(clocks, 2_000_000), clocks=clocks, enter=entered.append)
    assert entered[:2] == [0, 1]
    assert len(entered) == 2 + 2 * 4
    assert all(set(entered[i : i + 2]) == {0, 1} for i in range(2, 10, 2))


def test_a_network_that_failed_is_entered_no_more_and_not_waited_for():
    class Failing(Scripted):
        def run(self):
            raise ValueError("no")

    clocks, entered = Exact(), []
    result = exactly(Failing(clocks, 1), Scripted(clocks, 1_000_000), clocks=clocks, enter=entered.append)
    assert result.timed[0].failure == "ValueError: no"
    assert result.timed[0].samples.n == 0
    assert entered == [0, 1, 1, 1, 1, 1]
    assert result.convergence.all_converged
    nobody = exactly(Failing(clocks, 1), clocks=clocks)
    assert (nobody.rounds, nobody.timed[0].failure) == (0, "ValueError: no")


def test_samples_of_a_device_follow_each_other_by_its_own_clock():
    clocks, asked = Exact(), []

    class Device(Scripted):
        n_stages = 2
        left_out = 0

        def time_runs(self):
            def timed(n):
                asked.append(n)
                return [1.0 + 1e-6 * i for i in range(n)]

            return timed

    protocol = replace(SHORT, rounds=1, slow_runs=5, slow_drop=1)
    (timed,) = exactly(Device(clocks, 1), clocks=clocks, protocol=protocol).timed
    assert asked[:2] == [3, 3]  # two blocks of warm-up, of three runs each
    assert timed.warmup_runs == 6
    visits = len(asked) - 2
    assert asked[2:] == [5] * visits
    kept = [1_000_000_000 + 1_000 * i for i in range(1, 5)]  # the first is dropped
    assert timed.samples.wall_ns.tolist() == kept * visits
    assert timed.samples.at_ns.tolist() == [0, *np.cumsum(kept)[:-1]] * visits
    assert set(timed.samples.cpu_ns) == set(timed.samples.switches) == {-1}
    assert set(timed.samples.group) == {1}
    assert timed.samples.stage_ns.tolist() == [[0, 0]] * 4 * visits


def test_the_stages_of_a_sample_are_those_of_its_own_runs():
    clocks = Exact()

    class Staged(Scripted):
        n_stages = 2
        left_out = 0
        marks = (0, 0)

        def run(self):
            super().run()
            self.marks = (self.marks[0] + 20_000, self.marks[1] + 30_000)

        def clear(self):
            self.marks = (0, 0)

    (timed,) = exactly(Staged(clocks, 50_000), clocks=clocks, protocol=replace(SHORT, group_s=100e-6)).timed
    assert timed.samples.n
    assert timed.samples.stage_ns.tolist() == [[40_000, 60_000]] * timed.samples.n  # two runs each


@pytest.mark.parametrize(
    ("seconds", "runs"),
    [(1e-4, 10), (2e-4, 5), (0.0499999999999, 5), (0.05, 3)],  # groups of 0.2 ms; slow from 50 ms on
)
def test_what_a_device_says_of_the_warm_up_says_what_a_visit_is(seconds, runs):
    clocks, asked = Exact(), []

    class Device(Scripted):
        def time_runs(self):
            return lambda n: [asked.append(n) or seconds] * n

    protocol = replace(SHORT, group_s=200e-6, slow_run_s=0.05, slow_runs=3, slow_drop=1)
    exactly(Device(clocks, 1), clocks=clocks, protocol=protocol)
    assert set(asked[2:]) == {runs}


def test_a_session_each_is_warmed_up_by_a_block():
    clocks, turns = Exact(), []

    class Many(Scripted):
        n_sessions = 4

        def turn(self, session):
            turns.append((session, self.runs))

    (timed,) = exactly(Many(clocks, 1_000_000), clocks=clocks).timed
    assert turns[:4] == [(1, 0), (2, 3), (3, 6), (0, 9)]
    assert [session for session, _ in turns[4:]] == [1, 2, 3, 0]
    assert timed.warmup_runs == 15


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_collection_is_as_it_was_afterwards(enabled):
    clocks = Exact()
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        exactly(Scripted(clocks, 1_000_000), clocks=clocks)
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
