"""The steps of the estimate of the host's pace, each against a second way: an optimiser, brute force, closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize

from hwnas.harness.measurement import estimate
from hwnas.harness.measurement.samples import SampleLog


def visits_of(network, log, rounds=None):
    """Visits of one sample each, in the order of time; a network's rounds follow each other, from 1 on."""
    at = np.arange(len(log))
    number = np.array([(network[:k] == network[k]).sum() for k in at])
    rounds = number + 1 if rounds is None else rounds
    return estimate._Visits(network, number, rounds, log, int(network.max()) + 1, np.exp(log), at)


def geometric_mean(seconds):
    return float(np.exp(np.log(seconds).mean()))


# --- what visits there are --------------------------------------------------------------------------------------------


def test_visits_are_in_the_order_of_time_and_of_samples_that_count():
    first, second, third = SampleLog(), SampleLog(), SampleLog()
    for at, walls in ((100, (4, 8)), (300, (5, 9)), (500, (7, 1))):
        for wall in walls:
            first.sample(at, wall, wall, 0, 2)
        first.end_visit(at // 100, 0, 0, 0)
    for log, at, wall in ((second, 400, 6), (second, 200, 3), (third, 250, 5), (third, 50, 8)):
        log.sample(at, wall, wall, 0, 1)
        log.end_visit(at // 50, 0, 0, 0)
    logs = first, second, third
    masks = [np.array([True, True, False, False, True, False]), np.array([True, True]), np.array([True, True])]
    found = estimate._visits([one.samples() for one in logs], masks)
    assert found.n == 3
    assert found.network.tolist() == [2, 0, 1, 2, 1, 0]
    assert found.visit.tolist() == [1, 0, 1, 0, 0, 2]
    assert found.round.tolist() == [1, 1, 4, 5, 8, 5]
    assert np.exp(found.log) == pytest.approx([8e-9, math.sqrt(2e-9 * 4e-9), 3e-9, 5e-9, 6e-9, 3.5e-9])
    assert found.seconds == pytest.approx([2e-9, 4e-9, 3.5e-9, 6e-9, 3e-9, 5e-9, 8e-9])
    assert found.of.tolist() == [1, 1, 5, 4, 2, 3, 0]
    # A pace is divided out of every sample of its visit.
    slower = np.log([8.0, 2.0, 3.0, 1.0, 1.0, 0.5])
    assert found.without(slower) == pytest.approx([1e-9, 2e-9, 7e-9, 6e-9, 1e-9, 5e-9, 1e-9])


# --- what of a visit is the host's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_what_lies_around_a_visit_is_the_median_of_its_neighbours_without_itself(reach):
    beyond = np.random.default_rng(0).normal(size=11)

    def neighbours(k):  # at the ends, those on the one side count twice
        steps = [step for step in range(-reach, reach + 1) if step]
        return [beyond[10 - abs(10 - abs(k + step))] for step in steps]

    expected = [np.median(neighbours(k)) for k in range(11)]
    assert estimate._around(beyond, reach) == pytest.approx(expected)
    assert estimate._around(beyond, reach, np.array([0, 7, 10])) == pytest.approx([expected[k] for k in (0, 7, 10)])


def test_how_unlikely_residuals_are():
    around_0 = np.array([0.0, 1.0, -1.0, 3.0, -5.0])  # of scale 1
    expected = np.log([1, 2, 2, 10, 26]).mean()
    assert estimate._unlikely(around_0) == pytest.approx(expected)
    assert estimate._unlikely(7.0 + 2.0 * around_0) == pytest.approx(math.log(2) + expected)
    assert estimate._unlikely(np.full(5, 0.3)) == pytest.approx(math.log(1e-9))


def best_choice(beyond, looked):
    plain = estimate._unlikely(beyond[looked])
    return max(
        (plain - estimate._unlikely(beyond[looked] - share * estimate._around(beyond, reach)[looked]), reach, share)
        for reach in (2, 3, 4, 6, 9, 13, 19, 28)
        if 4 * reach < len(beyond)
        for share in (0.5, 0.75, 1.0)
    )


@pytest.mark.parametrize(("n", "period"), [(9, 5), (60, 4), (112, 30), (113, 150), (600, 150)])
def test_the_choice_of_reach_and_share_is_the_likeliest(n, period):
    rng = np.random.default_rng(n)
    beyond = 0.1 * np.sin(2 * np.pi * np.arange(n) / period) + 0.03 * rng.standard_t(3, n)
    assert estimate._choose(beyond) == pytest.approx(best_choice(beyond, np.arange(n)))


def test_of_many_visits_six_hundred_are_looked_at():
    rng = np.random.default_rng(0)
    beyond = 0.1 * np.sin(np.arange(1199) / 20) + 0.03 * rng.standard_t(3, 1199)
    assert estimate._choose(beyond) == pytest.approx(best_choice(beyond, np.arange(0, 1199, 2)))


def test_of_eight_visits_nothing_is_chosen():
    gain, _, share = estimate._choose(np.arange(8.0))
    assert (gain, share) == (-math.inf, 0.0)


# --- how well values are known ----------------------------------------------------------------------------------------

SHIFTS = np.array([0.03, -0.01, 0.02, 0.05])  # of four parts of the samples
# The standard error of the mean of four parts.
ERROR = SHIFTS.std(ddof=1) / 2


def in_parts(factors, parts, rounds=16):
    """Visits of networks in rounds; a network's time differs between parts by so many times the shifts."""
    n = len(factors)
    network, number = np.tile(np.arange(n), rounds), np.repeat(np.arange(1, rounds + 1), n)
    log = np.log(0.01 * (1 + network)) + np.array(factors)[network] * SHIFTS[parts(number)]
    return visits_of(network, log, number)


def of_the_time(number):
    return (number - 1) // 4


def of_the_sessions(number):
    return number % 4


def spread(visits):
    return estimate._spread(visits, visits.seconds, geometric_mean)


@pytest.mark.parametrize("parts", [of_the_time, of_the_sessions])
def test_the_error_of_values_is_that_of_means_of_parts(parts):
    # Two networks differ from part to part, oppositely; the one in the middle does not: s, s and 0 over two.
    assert spread(in_parts([1, 0, -1], parts)) == pytest.approx(ERROR)


@pytest.mark.parametrize("parts", [of_the_time, of_the_sessions])
def test_what_all_networks_have_in_common_is_no_error_of_theirs(parts):
    assert spread(in_parts([1, 1, 1, 1], parts)) == pytest.approx(0.0, abs=1e-12)
    assert spread(in_parts([3, 2, 1], parts)) == pytest.approx(ERROR)


def test_networks_that_each_differ_in_a_part_of_their_own_have_the_error_of_that():
    network, number = np.tile(np.arange(3), 16), np.repeat(np.arange(1, 17), 3)
    visits = visits_of(network, np.log(0.01 * (1 + network)) + 0.04 * (of_the_time(number) == network), number)
    # Of four parts one lies 0.04 apart: a standard error of 0.04 / 4. Two networks of three are free.
    assert spread(visits) == pytest.approx(0.04 / 4 * math.sqrt(3 / 2))


def test_a_network_that_wanders_says_little_of_the_others():
    # Squares s, s, 0 and twice 2500 s, which count as four times their median: 10 s over four.
    assert spread(in_parts([1, -1, 0, 50, -50], of_the_time)) == pytest.approx(ERROR * math.sqrt(10 / 4))


def test_a_network_that_ran_in_one_part_only_says_nothing():
    visits = in_parts([1, 0, -1], of_the_time)
    kept = (visits.network != 1) | (visits.round <= 4)
    some = visits_of(visits.network[kept], visits.log[kept], visits.round[kept])
    part = of_the_time(some.round)
    assert estimate._between(some, part, some.seconds, geometric_mean) == pytest.approx(ERROR)


# --- whether there is a pace ------------------------------------------------------------------------------------------


def batch_of(*walls):
    """Samples of networks that are visited in turn, for a millisecond each: what each of a network's samples took."""
    made = []
    for network, those in enumerate(walls):
        log = SampleLog()
        for number, wall in enumerate(those):
            log.sample(1_000_000 * (number * len(walls) + network), wall, wall, 0, 1)
            log.end_visit(number + 1, 0, 0, 0)
        made.append(log.samples())
    return made


def four_networks(visits=16):
    rng = np.random.default_rng(0)
    return batch_of(*(rng.integers(1_000_000, 1_100_000, visits) for _ in range(4)))


def undisturbed(samples):
    return [np.ones(one.n, dtype=bool) for one in samples]


def test_a_pace_needs_four_networks_of_twelve_visits():
    def known(samples):
        return [one is not None for one in estimate.estimate(samples, undisturbed(samples), "median")]

    assert known(four_networks(12)) == [True] * 4
    assert known(four_networks(11)) == [False] * 4
    assert known(four_networks(12)[:3]) == [False] * 3
    assert known([*four_networks(12), four_networks(11)[0]]) == [True] * 4 + [False]
    # Visits whose samples do not count are none.
    samples = four_networks(13)
    masks = undisturbed(samples)
    for mask in masks:
        mask[:2] = False
    assert estimate.estimate(samples, masks, "median") == [None] * 4


def test_without_a_pace_the_error_is_that_of_the_statistic():
    samples = four_networks()
    visits = estimate._visits(samples, undisturbed(samples))
    for statistic, typical in (("min", np.min), ("median", np.median)):
        found = estimate.estimate(samples, undisturbed(samples), statistic)
        error = estimate._spread(visits, visits.seconds, typical)
        assert [(one.statistic, one.error) for one in found] == [(statistic, pytest.approx(error))] * 4
        assert not any(one.slower.any() for one in found)


@pytest.mark.parametrize(("better", "divided"), [(0.9, False), (0.8999, True)])
def test_a_pace_is_divided_out_where_values_are_known_a_tenth_better_for_it(monkeypatch, better, divided):
    samples = four_networks()
    plain = estimate.estimate(samples, undisturbed(samples), "p15")[0].error
    slower, unfelt = np.arange(64) / 100, np.array([0.0, 1e-3, 2e-3, 3e-3])
    monkeypatch.setattr(estimate, "_paced", lambda *_: (slower, better * plain, unfelt))
    found = estimate.estimate(samples, undisturbed(samples), "p15")
    assert [one.statistic for one in found] == ["median" if divided else "p15"] * 4
    errors = np.hypot(better * plain, unfelt) if divided else [plain] * 4
    assert [one.error for one in found] == pytest.approx(errors)
    assert found[1].slower == pytest.approx(np.arange(1, 64, 4) / 100 if divided else np.zeros(16))


def test_the_pace_at_a_visit_that_does_not_count_lies_between_those_beside_it(monkeypatch):
    samples = four_networks()
    masks = undisturbed(samples)
    masks[2][5] = masks[2][0] = False
    slower = np.linspace(0, 0.0123456, 62)
    monkeypatch.setattr(estimate, "_paced", lambda *_: (slower, 0.0, np.zeros(4)))
    found = estimate.estimate(samples, masks, "p15")[2].slower
    assert found[5] == pytest.approx((found[4] + found[6]) / 2, abs=1e-6)
    assert found[0] == found[1]
    assert found.tolist() == np.round(found, 6).tolist()  # as records hold it


@pytest.mark.parametrize(("short_of", "there_is"), [(0.0, True), (1e-9, False)])
def test_a_pace_has_to_make_visits_so_much_likelier(monkeypatch, short_of, there_is):
    samples = four_networks()
    visits = estimate._visits(samples, undisturbed(samples))
    monkeypatch.setattr(estimate, "_choose", lambda beyond: (0.02 + 6 / len(beyond) - short_of, 3, 0.75))
    assert (estimate._paced(visits, np.median) is not None) is there_is


def test_reach_and_share_are_chosen_at_first_and_again_when_the_networks_own_times_are_known(monkeypatch):
    visits, _ = unequal(np.ones(9), 0.005)
    choices, asked = iter([(1.0, 2, 0.5), (1.0, 9, 0.75)]), []

    def choose(beyond):
        asked.append(beyond)
        return next(choices)

    def beyond_own(pace):
        own = [np.median((visits.log - pace)[visits.network == number]) for number in range(9)]
        return visits.log - np.array(own)[visits.network]

    monkeypatch.setattr(estimate, "_choose", choose)
    estimate._paced(visits, np.median)
    pace = np.zeros(450)
    for _ in range(2):
        pace = 0.5 * estimate._around(beyond_own(pace), 2)
    assert len(asked) == 2
    assert asked[0] == pytest.approx(beyond_own(0.0), abs=1e-12)
    assert asked[1] == pytest.approx(beyond_own(pace), abs=1e-12)


def test_the_batch_as_a_whole_keeps_the_values_of_its_statistic_without_the_pace():
    visits, pace = unequal(np.ones(9), 0.005)
    slower, spread, unfelt = estimate._paced(visits, np.min)

    def values(seconds, typical):
        return np.log([typical(seconds[visits.network[visits.of] == number]) for number in range(9)])

    calm = visits.without(slower)
    kept = values(visits.seconds, np.min) - values(calm, np.median)
    assert np.median(kept) == pytest.approx(0.0, abs=1e-12)
    assert unfelt.tolist() == [0.0] * 9
    assert spread == pytest.approx(estimate._spread(visits, calm, np.median))
    # What is divided out follows the host's pace, and is as large.
    assert np.corrcoef(slower, pace)[0, 1] > 0.99
    assert np.ptp(slower) == pytest.approx(np.ptp(pace), rel=0.1)


# --- how much networks feel of it -------------------------------------------------------------------------------------


def likeliest_line(x, y, scale):
    """The line that Cauchy noise of this scale makes likeliest: value at 0 and slope."""
    slope, value = np.polyfit(x, y, 1)
    found = minimize(
        lambda at: np.log1p(((y - at[0] - at[1] * x) / scale) ** 2).sum(),
        [value, slope],
        method="Nelder-Mead",
        options={"xatol": 1e-12, "fatol": 1e-12, "maxiter": 4000},
    )
    return found.x


def unequal(feels, noise):
    """Nine networks, fifty visits each, that feel a slow swing of the host more or less, with heavy-tailed noise."""
    rng = np.random.default_rng(3)
    network = np.tile(np.arange(9), 50)
    pace = 0.1 + 0.2 * np.sin(np.arange(450) / 40)
    log = np.log(0.01 * (1 + network)) + feels[network] * pace + noise * rng.standard_t(2, 450)
    return visits_of(network, log), pace


def felt_by_likelihood(visits, pace):
    """How much each network feels the pace, the errors of that, and the variance between networks."""
    mine = [visits.network == number for number in range(visits.n)]
    beyond = visits.log - pace
    scale = np.median(np.abs(np.concatenate([beyond[one] - np.median(beyond[one]) for one in mine])))
    lines = [likeliest_line(pace[one], beyond[one], scale) for one in mine]
    slope = np.array([line[1] for line in lines])
    felt = (1 + slope) / (1 + np.median(slope))
    # The errors of M-estimates (Huber, Robust Statistics, 1981, section 7.6): of Cauchy noise the influence of a
    # residual r is r / (1 + (r / scale)^2), and its mean derivative the curvature.
    z = [((beyond[one] - line[0] - line[1] * pace[one]) / scale) ** 2 for one, line in zip(mine, lines, strict=True)]
    curvature = np.concatenate([(1 - each) / (1 + each) ** 2 for each in z]).mean()
    apart = [pace[one] - pace[one].mean() for one in mine]
    squares = [(x**2 * scale**2 * each / (1 + each) ** 2).sum() for x, each in zip(apart, z, strict=True)]
    error = np.sqrt(squares) / (curvature * np.array([(x**2).sum() for x in apart]))
    return felt, error, (1.4826 * np.median(np.abs(felt - np.median(felt)))) ** 2


# The iterations end so near to the optimum.
@pytest.mark.parametrize(("least", "most", "near"), [(0.5, 1.6, 1e-5), (0.9, 1.2, 1e-3), (0.92, 1.15, 1e-3)])
def test_how_much_a_network_feels_the_host_is_its_likeliest_line_shrunk_by_its_reliability(least, most, near):
    visits, pace = unequal(np.linspace(least, most, 9), 0.02)
    felt, error, between = felt_by_likelihood(visits, pace)
    variance = between - (1 + 1.5 * np.sqrt(2 / 8)) * np.median(error) ** 2
    assert variance > 0
    kept = (variance / (variance + error**2)) ** 2
    found, off = estimate._sensitivities(visits, pace)
    assert found == pytest.approx(1 + kept * (felt - 1), abs=near)
    assert off == pytest.approx(
        abs(np.median(pace)) * np.hypot((1 - kept) * np.sqrt(variance), kept * error), rel=100 * near
    )


def test_networks_that_differ_by_no_more_than_noise_explains_feel_the_host_alike():
    found, off = estimate._sensitivities(*unequal(np.ones(9), 0.02))
    assert found.tolist() == [1.0] * 9
    assert off.tolist() == [0.0] * 9


@pytest.mark.parametrize(("wide", "explained"), [(0.058, True), (0.0584, False)])
def test_noise_explains_a_variance_within_its_standard_error(wide, explained):
    visits, pace = unequal(1 + wide * np.linspace(-1, 1, 9), 0.02)
    _, error, between = felt_by_likelihood(visits, pace)
    # One and a half times that of a variance with eight degrees of freedom: 1.5 sqrt(2 / 8) above it. These are just
    # below that and just above.
    assert between / np.median(error) ** 2 == pytest.approx(1.70 if explained else 1.79, abs=0.01)
    found, _ = estimate._sensitivities(visits, pace)
    assert (len(set(found)) == 1) is explained
