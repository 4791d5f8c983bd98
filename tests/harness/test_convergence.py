"""The stopping rules, on samples that are written down."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwnas.harness.measurement.convergence import Convergence, Rules, _agreeing, _trends, assess
from hwnas.harness.measurement.pace import Calm, Pace
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import tau

# Eight samples are enough here, and intervals of 10 %.
RULES = profile("noisy", samples=8, interval=0.1, accept=2.0, steady=0.03, tau=0.9, statistic="median")


def taken(*rounds, cpu=1.0, first=1):
    """Samples of a network: for each round, how many milliseconds each of its samples took."""
    wall = np.array([1e6 * one for visit in rounds for one in visit]).round().astype(np.int64)
    visit = np.repeat(np.arange(len(rounds)), [len(one) for one in rounds])
    n, zeros = len(wall), np.zeros(len(rounds), dtype=np.int64)
    return Samples(
        at_ns=np.arange(n),
        wall_ns=wall,
        cpu_ns=(wall * cpu).astype(np.int64),
        switches=np.zeros(n, dtype=np.int64),
        group=np.ones(n, dtype=np.int64),
        visit=visit,
        round=np.arange(first, first + len(rounds)),
        waiting_ns=zeros,
        steal_ns=zeros,
        throttled_ns=zeros,
        stage_ns=np.empty((n, 0), dtype=np.int64),
    )


def level(milliseconds, rounds=8, spread=0.0):
    """A network that takes as long in every round, but for a spread that all rounds have alike."""
    return taken(*[[milliseconds * (1 + spread * (k - 1)) for k in range(3)] for _ in range(rounds)])


def converged(*samples, judged=None, protocol=RULES):
    return assess(samples, protocol, 1, range(len(samples)) if judged is None else judged)


def test_networks_that_hold_still_have_settled():
    found = converged(level(1.0), level(2.0), level(3.0))
    everyone = frozenset({0, 1, 2})
    assert (found.narrow, found.known, found.steady, found.ranked) == (everyone,) * 4
    assert found.tau == 1.0
    assert found.all_converged
    assert [one.value for one in found.summaries] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert found.rules(1) == Rules(narrow=True, steady=True, ranked=True)


def test_before_there_are_samples_nothing_is_known():
    found = Convergence.nothing(2)
    assert len(found.summaries) == 2
    assert all(math.isinf(one.width) and one.n == 0 for one in found.summaries)
    assert (found.narrow, found.known, found.steady, found.ranked) == (frozenset(),) * 4
    assert math.isnan(found.tau)
    assert found.all_converged is False
    assert found.rules(0) == Rules(narrow=False, steady=False, ranked=False)
    assert Convergence.nothing(3).summaries[0].statistic == "min"


@pytest.mark.parametrize("missing", ["narrow", "steady", "ranked"])
def test_all_rules_are_to_be_met(missing):
    assert Rules(narrow=True, steady=True, ranked=True).met
    assert not replace(Rules(narrow=True, steady=True, ranked=True), **{missing: False}).met


def test_an_interval_just_as_wide_as_is_aimed_for_is_narrow():
    samples = level(1.0, spread=0.05)
    width = converged(samples).summaries[0].width
    assert width > 0
    exact, below = (converged(samples, protocol=replace(RULES, interval=w)) for w in (width, 0.999 * width))
    assert (exact.narrow, below.narrow) == ({0}, frozenset())
    assert exact.all_converged
    assert not below.all_converged
    # What is known to within the interval either way may be told when its time is up.
    half, less = (converged(samples, protocol=replace(RULES, interval=w)) for w in (width / 2, 0.499 * width))
    assert (half.known, half.narrow, less.known) == ({0}, frozenset(), frozenset())


def test_too_few_samples_are_never_narrow():
    eight, seven = taken(*[[1.0]] * 8), taken(*[[1.0]] * 7)
    assert converged(eight).narrow == converged(eight).known == {0}
    found = converged(eight, seven)
    assert (found.narrow, found.known) == ({0}, {0})
    assert found.steady == {0, 1}
    assert not found.all_converged


def test_a_network_that_does_not_run_holds_nobody_up():
    found = converged(level(1.0), Samples.none(), level(2.0))
    assert found.narrow == found.steady == found.ranked == {0, 2}
    assert found.all_converged


def test_only_those_that_are_judged_count():
    ragged = taken(*[[1.0, 1.5, 2.0]] * 8)
    found = converged(level(1.0), ragged, level(2.0), judged=[0, 2])
    assert found.narrow == found.ranked == found.steady == {0, 2}
    assert found.all_converged
    assert not converged(level(1.0), ragged, level(2.0)).all_converged


def test_a_network_that_slows_down_is_not_steady():
    slowing = taken(*[[2.0] * 3] * 4, *[[2.2] * 3] * 4)
    found = converged(level(1.0), slowing, level(3.0))
    assert found.steady == {0, 2}
    assert found.narrow == {0, 1, 2}
    assert not found.all_converged


def test_rules_are_applied_to_what_is_left_without_the_hosts_pace(monkeypatch):
    slowing = taken(*[[2.0] * 3] * 4, *[[2.5] * 3] * 4)
    samples, pace = [level(1.0), slowing, level(3.0)], Pace(np.log([1.0] * 4 + [1.25] * 4), "median", 0.0)
    given = []

    def known(*arguments):
        given.append(arguments)
        return [None, pace, None]

    monkeypatch.setattr("hwnas.harness.measurement.convergence.estimate", known)
    found = converged(*samples)
    assert found.paces == (None, pace, None)
    assert found.steady == found.narrow == {0, 1, 2}
    assert found.summaries[1].value == pytest.approx(2e-3)
    ((of, undisturbed, statistic),) = given
    assert [one is two for one, two in zip(of, samples, strict=True)] == [True] * 3
    assert [one.tolist() for one in undisturbed] == [[True] * 24] * 3
    assert statistic == "median"


def test_where_the_whole_batch_slows_down_it_is_the_hosts_matter():
    slower = [taken(*[[ms] * 3] * 4, *[[1.1 * ms] * 3] * 4) for ms in (1.0, 2.0, 3.0)]
    assert converged(*slower).steady == {0, 1, 2}
    # Beside those, one that kept its pace has become faster.
    assert converged(*slower, level(4.0)).steady == {0, 1, 2}


def test_a_change_of_just_what_is_allowed_is_steady():
    protocol = replace(RULES, steady=0.25)  # of 1.25, whose difference to 1 is exact
    changed = taken(*[[1.0] * 3] * 4, *[[1.25] * 3] * 4)
    assert converged(changed, level(2.0), level(3.0), protocol=protocol).steady == {0, 1, 2}
    protocol = replace(RULES, steady=0.2499)
    assert converged(changed, level(2.0), level(3.0), protocol=protocol).steady == {1, 2}


def test_ranks_are_those_of_the_even_and_the_odd_rounds():
    # Two networks change places with every round; a third is apart from them.
    swinging = taken(*[[1.0] * 3, [1.2] * 3] * 4), taken(*[[1.2] * 3, [1.0] * 3] * 4)
    found = converged(*swinging, level(9.0))
    assert found.tau == pytest.approx(1 / 3)
    assert found.ranked == {1, 2}
    assert not found.all_converged
    assert found.steady == {0, 1, 2}


def test_disturbed_samples_do_not_count():
    calm = taken(*[[1.0, 1.0]] * 8)
    disturbed = replace(calm, wall_ns=np.where(np.arange(16) % 2, 5_000_000, 1_000_000), cpu_ns=calm.cpu_ns)
    found = converged(disturbed)
    assert found.summaries[0].value == 1e-3
    assert found.summaries[0].n_clean == 8
    assert found.narrow == {0}


def test_several_threads_explain_wall_time_together():
    # Two threads that are both busy: CPU time is twice the wall time, and nothing is disturbed.
    both = taken(*[[1.0] * 3] * 8, cpu=2.0)
    assert assess([both], RULES, 2, [0]).summaries[0].n_clean == 24


def test_agreement_takes_out_what_spoils_it_and_no_more():
    halves = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 0.5]])
    agreement, kept = _agreeing(halves, RULES)
    assert agreement == tau(halves[:, 0], halves[:, 1]) == 0.0
    assert kept == [0, 1, 2]
    assert _agreeing(halves, replace(RULES, tau=0.0)) == (0.0, [0, 1, 2, 3])
    middle = np.array([[1.0, 1.0], [2.0, 9.0], [3.0, 3.0], [4.0, 4.0]])
    assert _agreeing(middle, RULES) == (pytest.approx(1 / 3), [0, 2, 3])


def test_agreement_of_few():
    assert _agreeing(np.empty((0, 2)), RULES) == (1.0, [])
    assert _agreeing(np.array([[1.0, 1.0]]), RULES) == (1.0, [0])
    assert _agreeing(np.array([[1.0, 2.0], [2.0, 1.0]]), RULES) == (-1.0, [1])


def test_a_network_seen_in_one_half_only_is_ranked_by_nothing():
    halves = np.array([[1.0, 1.0], [2.0, np.nan], [3.0, 3.0], [np.nan, 4.0]])
    assert _agreeing(halves, RULES) == (0.0, [0, 2])


def test_networks_within_the_resolution_are_tied_when_ranks_are_compared():
    halves = np.array([[1.0, 1.004], [1.004, 1.0], [2.0, 2.0]])
    tied = replace(RULES, resolution=0.01)
    assert _agreeing(halves, tied) == (1.0, [0, 1, 2])
    assert _agreeing(halves, replace(RULES, resolution=0.001)) == (pytest.approx(1 / 3), [1, 2])
    # Of three that change places two are tied: only what is contradicted beyond the resolution counts.
    mixed = np.array([[1.0, 1.3], [1.2, 1.0], [1.205, 1.0], [3.0, 3.0]])
    assert _agreeing(mixed, tied)[1] == [1, 2, 3]


def test_a_pair_that_one_half_ties_is_nobodys_fault():
    """Two of four are 0.1 % apart in one half and a little more in the other; no pair is contradicted."""
    halves = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [3.002, 3.004]])
    close = replace(RULES, resolution=0.001, tau=0.95)
    agreement, kept = _agreeing(halves[[0, 1, 3, 2]], close)
    assert (agreement, kept) == (pytest.approx(5 / np.sqrt(30)), [0, 1, 2, 3])
    # One that is contradicted is taken out all the same, and no other for the tie.
    worse = np.concatenate([halves, [[4.0, 0.5]]])
    assert _agreeing(worse, close)[1] == [0, 1, 2, 3]


def calm(nets, statistic):
    return [Calm(one.seconds, np.ones(one.n, dtype=bool), one.rounds, statistic) for one in nets]


def test_trends_are_relative_to_the_batchs():
    nets = [taken(*[[ms] * 2] * 4, *[[late * ms] * 2] * 4) for ms, late in ((1.0, 1.1), (2.0, 1.1), (3.0, 1.32))]
    assert _trends(calm(nets, "median")) == pytest.approx([1.0, 1.0, 1.2])


def test_a_trend_needs_early_and_late_rounds():
    one_round, none = taken([1.0, 1.0]), Samples.none()
    nets = [one_round, level(2.0), none]
    assert np.isnan(_trends(calm(nets, "median"))).tolist() == [True, False, True]
    assert np.isnan(_trends(calm([one_round, none], "median"))).all()


def test_the_middle_round_is_an_early_one():
    nine = taken(*[[1.0]] * 5, *[[2.0]] * 4)
    other = taken(*[[1.0]] * 9)
    assert _trends(calm([nine, other, other], "median")) == pytest.approx([2.0, 1.0, 1.0])


def test_a_round_between_early_and_late_is_early():
    # Of three rounds the second is the middle one: early are 2 and 1 ms, late is 3.
    nets = [taken([2.0], [1.0], [3.0]), *[taken([1.0], [1.0], [1.0])] * 2]
    assert _trends(calm(nets, "min")) == pytest.approx([3.0, 1.0, 1.0])


def test_the_intervals_count_visits_where_a_visit_repeats_itself():
    # Twelve visits of eight samples, each visit of one speed: as much as twelve samples, and not as ninety-six.
    mode = [1.0, 1.1, 1.0, 1.1, 1.1, 1.0, 1.0, 1.1, 1.0, 1.1, 1.1, 1.0]
    repeated = converged(taken(*[[ms] * 8 for ms in mode])).summaries[0]
    apart = converged(taken(*[[1.0, 1.1] * 4 for _ in mode])).summaries[0]
    assert repeated.width == pytest.approx(0.1, abs=0.01)
    assert apart.width == pytest.approx(0.1, abs=0.01)
    third = [1.0, 1.0, 1.1, 1.0, 1.0, 1.1, 1.0, 1.0, 1.1, 1.0, 1.0, 1.1]
    assert converged(taken(*[[ms] * 8 for ms in third])).summaries[0].high == pytest.approx(1.1e-3)
    assert converged(taken(*[[1.0, 1.0, 1.1] for _ in range(32)])).summaries[0].high == pytest.approx(1.0e-3)


def test_ranks_that_agree_just_as_much_as_is_wanted_are_enough():
    # One pair of six changes places between even and odd rounds: 4 of 6.
    nets = [taken(*[[1.0], [1.2]] * 4), taken(*[[1.2], [1.0]] * 4), level(3.0), level(4.0)]
    wide = replace(RULES, interval=9.0, steady=9.0, samples=1)
    agreement = converged(*nets, protocol=wide).tau
    assert converged(*nets, protocol=replace(wide, tau=agreement)).all_converged
    assert not converged(*nets, protocol=replace(wide, tau=agreement + 1e-9)).all_converged


def test_as_many_are_taken_out_as_spoil_it():
    halves = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [4.0, 0.5], [5.0, 0.4]])
    assert _agreeing(halves, RULES)[1] == [0, 1, 2]


def test_ties_are_no_contradictions_when_the_worst_is_looked_for():
    # The first three change places within the resolution; the two after them change places in truth.
    halves = np.array([[1.0, 1.002], [1.002, 1.0], [1.004, 0.998], [5.0, 6.6], [6.0, 6.3], [7.0, 7.0]])
    assert _agreeing(halves, replace(RULES, resolution=0.01, tau=0.95))[1] == [0, 1, 2, 4, 5]
