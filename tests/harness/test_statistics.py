"""Order statistics and rank correlation, against scipy, brute force and simulation."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hwnas.harness.measurement import statistics

LEVELS = [0.05, 0.1, 0.5, 0.9]


@pytest.mark.parametrize("n", [1, 5, 30, 400])
@pytest.mark.parametrize("p", LEVELS)
def test_binomial_equals_scipy(n, p):
    assert statistics.binomial(n, p) == pytest.approx(stats.binom.pmf(np.arange(n + 1), n, p), abs=1e-12)


@pytest.mark.parametrize("q", LEVELS)
@given(n=st.integers(1, 300), confidence=st.sampled_from([0.8, 0.95, 0.975]))
def test_ranks_are_the_tightest_with_that_confidence(q, n, confidence):
    # x_(r) is at least the quantile exactly when fewer than r samples lie below it.
    def covers(rank):
        return stats.binom.cdf(rank - 1, n, q) >= confidence - 1e-12

    rank = statistics.upper_rank(n, q, confidence)
    assert (rank == n + 1 and not covers(n)) or covers(rank)
    assert rank == 1 or not stats.binom.cdf(rank - 2, n, q) >= confidence + 1e-12
    assert statistics.lower_rank(n, q, confidence) == n + 1 - statistics.upper_rank(n, 1 - q, confidence)


@pytest.mark.parametrize(("statistic", "q"), [("p10", 0.1), ("p15", 0.15), ("median", 0.5)])
@pytest.mark.parametrize("draw", ["exponential", "two modes"])
def test_intervals_cover_the_true_quantile(statistic, q, draw, rng):
    def sample(n):
        if draw == "exponential":
            return rng.exponential(size=n)
        return np.where(rng.random(n) < 0.3, rng.normal(1, 0.01, n), rng.normal(2, 0.01, n))

    true = np.quantile(sample(1_000_000), q)
    intervals = [statistics.interval(np.sort(sample(80)), statistic) for _ in range(1000)]
    assert np.mean([low <= true <= high for low, high in intervals]) >= 0.94


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)), st.floats(0, 1))
def test_quantiles_equal_numpys(samples, q):
    assert statistics.quantile(np.sort(samples), q) == pytest.approx(np.quantile(samples, q), abs=1e-9)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3)), st.sampled_from([0.2, 0.5]))
def test_a_smooth_quantile_is_the_mean_of_what_lies_around_it(samples, q):
    # Ten copies of each: both ends fall between two copies.
    copies, n = np.repeat(np.sort(samples), 10), len(samples)
    around = copies[round(10 * (q - 0.2) * n) : round(10 * (q + 0.2) * n)]
    assert statistics.smooth_quantile(np.sort(samples), q, 0.2) == pytest.approx(around.mean(), abs=1e-9)


def test_the_fifteenth_percentile_is_less_noisy_than_an_order_statistic(rng):
    draws = 1 + 0.01 * rng.normal(size=(2000, 150))
    values = [statistics.summarise(one, np.ones(150, dtype=bool), "p15").value for one in draws]
    assert np.std(values) < 0.9 * np.std(np.quantile(draws, 0.15, axis=1))
    assert np.mean(values) == pytest.approx(1 + 0.01 * stats.norm.ppf(0.15), abs=0.002)


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([0.5, 0.99, 1.0, 1.01, 9.0])),
    st.sampled_from(["min", "p10", "p15", "median"]),
    st.integers(1, 5),
)
def test_a_value_lies_within_its_interval(samples, statistic, size):
    visit = np.arange(len(samples)) // size
    summary = statistics.summarise(samples, np.ones(len(samples), dtype=bool), statistic, visit=visit)
    assert summary.low <= summary.value <= summary.high


def test_a_few_lucky_samples_do_not_pull_the_value(rng):
    samples = np.concatenate([rng.normal(1.10, 0.001, 190), np.full(4, 0.5)])
    summary = statistics.summarise(samples, np.ones(194, dtype=bool), "p15")
    assert summary.width < 0.01
    assert summary.value == pytest.approx(1.10, abs=0.01)


def test_too_few_samples_have_no_interval():
    summary = statistics.summarise(np.array([1.0, 2.0]), np.array([True, True]), "median")
    assert math.isinf(summary.width)
    assert statistics.interval(np.array([1.0]), "p10") == (1.0, math.inf)
    empty = statistics.summarise(np.empty(0), np.empty(0, dtype=bool), "min")
    assert math.isnan(empty.value)
    assert math.isinf(empty.width)


def test_the_minimum_of_a_few_lucky_samples_has_a_wide_interval(rng):
    common, lucky = rng.normal(1.10, 0.001, 98), np.array([1.0, 1.001])
    converged = statistics.summarise(common, np.ones(98, dtype=bool), "min")
    doubtful = statistics.summarise(np.concatenate([common, lucky]), np.ones(100, dtype=bool), "min")
    assert converged.width < 0.01
    assert doubtful.width > 0.09


def test_a_batch_that_is_half_disturbed_has_values_of_one_kind(rng):
    # Were all samples to count below one half, the fastest of all would be faster ones of the undisturbed, or slower.
    def value(n_clean):
        clean = np.arange(4000) < n_clean
        taken = rng.normal(1, 0.02, 4000) + np.where(clean, 0, 0.1)
        return statistics.summarise(taken, clean, "p15")

    fewer, more = value(1900), value(2100)
    assert (fewer.n_clean, more.n_clean) == (1900, 2100)
    assert fewer.value == pytest.approx(more.value, rel=0.003)


def test_only_clean_samples_count_unless_most_are_disturbed():
    samples, clean = np.array([1.0] + [5.0] * 5), np.array([False] + [True] * 5)
    assert statistics.summarise(samples, clean, "min").value == 5.0
    assert statistics.summarise(samples, ~clean, "median").value == 5.0
    assert statistics.summarise(samples, ~clean, "min").n_clean == 6
    assert statistics.summarise(samples, clean, "min").min == 1.0


numbers = st.floats(0.5, 2.0) | st.sampled_from([1.0, 1.5])


@pytest.mark.slow
@given(arrays(np.float64, st.tuples(st.integers(2, 30), st.just(2)), elements=numbers))
def test_tau_equals_scipy(pairs):
    ours, scipys = statistics.tau(pairs[:, 0], pairs[:, 1]), stats.kendalltau(pairs[:, 0], pairs[:, 1]).statistic
    if math.isnan(scipys):  # everything tied in one of them
        assert ours in (0.0, 1.0)
    else:
        assert ours == pytest.approx(scipys, abs=1e-12)


@given(arrays(np.float64, st.tuples(st.integers(2, 12), st.just(2)), elements=numbers), st.floats(0, 0.2))
def test_tau_with_resolution_equals_counting(pairs, resolution):
    def sign(a, b):
        return 0 if abs(a - b) <= resolution * min(a, b) else np.sign(a - b)

    both = [
        (sign(pairs[i, 0], pairs[j, 0]), sign(pairs[i, 1], pairs[j, 1])) for i in range(len(pairs)) for j in range(i)
    ]
    agreement, x, y = (
        sum(f(*pair) for pair in both) for f in (lambda a, b: a * b, lambda a, _: a * a, lambda _, b: b * b)
    )
    if x and y:
        assert statistics.tau(pairs[:, 0], pairs[:, 1], resolution) == pytest.approx(agreement / math.sqrt(x * y))


def test_one_network_is_ranked_like_itself():
    assert statistics.tau([1.0], [2.0]) == 1.0


def test_repeated_observations_are_worth_no_more(rng):
    values = rng.exponential(size=40)
    visit = np.repeat(np.arange(40), 7)
    assert statistics.observations(np.repeat(values, 7) < 0.5, visit) == 40
    for statistic in ("min", "p10", "p15", "median"):
        alone = statistics.interval(np.sort(values), statistic)
        repeated = np.repeat(values, 7)
        summary = statistics.summarise(repeated, np.ones(280, dtype=bool), statistic, visit=visit)
        assert (summary.low, summary.high) == pytest.approx(alone, rel=0.3)


def test_independent_samples_are_worth_nearly_all(rng):
    worth = [statistics.observations(rng.random(400) < 0.1, np.repeat(np.arange(50), 8)) for _ in range(200)]
    assert np.mean(worth) > 300
    assert min(worth) >= 50


@given(arrays(np.bool_, st.integers(1, 60)), st.integers(1, 9))
def test_worth_lies_between_visits_and_samples(below, size):
    visit = np.arange(len(below)) // size
    assert len(np.unique(visit)) <= statistics.observations(below, visit) <= len(below)


@pytest.mark.parametrize("statistic", ["p10", "p15", "median"])
def test_intervals_of_correlated_samples_cover_the_truth(statistic, rng):
    def sample(n):
        mode = np.repeat(rng.random(n) < 0.4, 5)  # the host's mode lasts for a visit
        return np.where(mode, 1.0, 1.3) + 0.01 * rng.exponential(size=5 * n)

    true = np.quantile(sample(200_000), {"p10": 0.1, "p15": 0.15, "median": 0.5}[statistic])
    visit, clean = np.repeat(np.arange(36), 5), np.ones(180, dtype=bool)
    covered = {"by visit": 0, "by sample": 0}
    for _ in range(500):
        taken = sample(36)
        for name, groups in (("by visit", visit), ("by sample", None)):
            summary = statistics.summarise(taken, clean, statistic, visit=groups)
            covered[name] += summary.low <= true <= summary.high
    assert covered["by visit"] >= 0.93 * 500
    if statistic == "median":
        assert covered["by sample"] < 0.8 * 500


def test_inputs_are_not_changed(rng):
    samples = rng.random(50)
    before = samples.copy()
    statistics.summarise(samples, samples < 2, "p15")
    statistics.tau(samples, samples[::-1], 0.1)
    assert np.array_equal(samples, before)


# --- exact values, by hand and by another way ------------------------------------------------------------------------


def test_a_summary_of_known_samples_field_by_field():
    # 101 samples from 1.00 to 2.00 in steps of 0.01, and one disturbed one: percentiles are read off.
    samples = np.append(1 + np.arange(101) / 100, 9.0)[::-1].copy()
    clean = samples < 5
    found = statistics.summarise(samples, clean, "p10")
    assert (found.statistic, found.n, found.n_clean, found.min) == ("p10", 102, 101, 1.0)
    assert found.value == pytest.approx(1.10)
    assert (found.p10, found.median, found.p90) == pytest.approx(np.quantile(samples, [0.1, 0.5, 0.9]))
    ranks = stats.binom.ppf(0.025, 101, 0.1), stats.binom.ppf(0.975, 101, 0.1) + 1  # 1-based, of the clean ones
    assert (found.low, found.high) == pytest.approx([1 + (rank - 1) / 100 for rank in ranks])
    assert found.width == pytest.approx((found.high - found.low) / 1.10)


def test_a_summary_of_nothing_field_by_field():
    nothing = statistics.summarise(np.empty(0), np.empty(0, dtype=bool), "p15")
    nan = math.nan
    expected = statistics.Summary("p15", nan, -math.inf, math.inf, nan, nan, nan, nan, 0, 0)
    np.testing.assert_equal(asdict(nothing), asdict(expected))
    assert math.isinf(nothing.width)
    assert math.isnan(statistics.statistic_of(np.empty(0), np.empty(0, dtype=bool), "p15"))


def test_a_width_is_relative_to_a_value_above_zero():
    one = statistics.summarise(np.array([0.0, 0.0, 1.0]), np.ones(3, dtype=bool), "min")
    assert one.value == 0.0
    assert one.width == math.inf
    assert replace(one, value=0.5, low=0.25, high=1.0).width == 1.5


@given(
    arrays(np.float64, st.integers(1, 60), elements=st.floats(0.5, 2.0)),
    st.sampled_from(["min", "p10", "p15", "median"]),
    st.integers(0, 2**16),
)
def test_a_statistic_alone_is_that_of_the_summary_before_its_bounds(samples, statistic, seed):
    clean = np.random.default_rng(seed).random(len(samples)) < 0.6
    alone = statistics.statistic_of(samples, clean, statistic)
    summary = statistics.summarise(samples, clean, statistic)
    assert summary.value == min(max(alone, summary.low), summary.high)


def test_a_percentile_is_an_order_statistic_but_for_the_smooth_one():
    samples, all_ = np.array([1.0, 1.1, 1.2, 1.9, 5.0]), np.ones(5, dtype=bool)
    assert statistics.statistic_of(samples, all_, "p10") == pytest.approx(np.quantile(samples, 0.1))
    assert statistics.statistic_of(samples, all_, "median") == 1.2
    assert statistics.statistic_of(samples, all_, "min") == 1.0
    # The fastest 30 % of five: one and a half samples.
    assert statistics.statistic_of(samples, all_, "p15") == pytest.approx((1.0 + 0.5 * 1.1) / 1.5)


@given(arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e3, 1e3)))
def test_a_smooth_quantile_ends_with_the_samples(samples):
    ordered, n = np.sort(samples), len(samples)
    top, bottom = np.repeat(ordered, 10)[8 * n :], np.repeat(ordered, 10)[: 2 * n]
    assert statistics.smooth_quantile(ordered, 0.9, 0.1) == pytest.approx(top.mean(), abs=1e-9)
    assert statistics.smooth_quantile(ordered, 0.95, 0.15) == pytest.approx(top.mean(), abs=1e-9)
    assert statistics.smooth_quantile(ordered, 0.05, 0.15) == pytest.approx(bottom.mean(), abs=1e-9)


def test_exactly_a_fifth_of_clean_samples_is_enough():
    samples, clean = np.arange(1.0, 11.0), np.arange(10) >= 8
    assert statistics.summarise(samples, clean, "min").n_clean == 2
    assert statistics.summarise(samples, np.arange(10) >= 9, "min").n_clean == 10


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 12, 29, 40, 80])
def test_bounds_are_those_of_the_binomial_distribution(n, confidence):
    ordered, sure = np.arange(1.0, n + 1), 1 - (1 - confidence) / 2 - 1e-12

    def bounds(q):
        # The greatest r with P(Bin(n, q) >= r) >= 1 - tail, and the least with P(Bin(n, q) < r) >= 1 - tail.
        below = np.concatenate([[0.0], np.cumsum(stats.binom.pmf(np.arange(n + 1), n, q))])  # of r: P(Bin < r)
        lower = np.flatnonzero(1 - below[: n + 1] >= sure).max()
        upper = np.flatnonzero(below[: n + 1] >= sure)
        return lower, float(upper[0]) if len(upper) else math.inf

    for statistic, q in (("p10", 0.1), ("p15", 0.15), ("median", 0.5)):
        lower, upper = bounds(q)
        low = float(lower) if lower else (1.0 if q < 0.5 else -math.inf)
        assert statistics.interval(ordered, statistic, confidence) == (low, upper)
    assert statistics.interval(ordered, "min", confidence) == (1.0, bounds(0.05)[1])


def test_six_samples_bound_a_median_by_their_ends():
    # P(all six on one side) = 1/64 < 2.5 %; of five it is 1/32.
    assert statistics.interval(np.arange(6.0), "median") == (0.0, 5.0)
    assert statistics.interval(np.arange(5.0), "median") == (-math.inf, math.inf)


def test_fewer_observations_take_the_bounds_at_their_own_levels():
    # 60 samples that are worth 6: the bounds of six, at the sixths among the sixty.
    ordered = np.arange(1.0, 61.0)
    assert statistics.interval(ordered, "median", worth=6) == (10.0, 60.0)
    assert statistics.interval(ordered, "median", worth=600) == statistics.interval(ordered, "median")


@given(arrays(np.bool_, st.integers(3, 40)), st.integers(0, 2**16))
def test_worth_is_that_of_the_analysis_of_variance(below, seed):
    visit = np.sort(np.random.default_rng(seed).integers(0, 6, len(below)))
    groups = [below[visit == one].astype(float) for one in np.unique(visit)]
    n, k = len(below), len(groups)
    if k in (1, n):
        assert statistics.observations(below, visit) == k
        return
    between = sum(len(g) * (g.mean() - below.mean()) ** 2 for g in groups) / (k - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - k)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    total = between + (size - 1) * within
    rho = np.clip((between - within) / total, 0, 1) if total > 1e-12 else 0.0
    expected = max(k, n / (1 + (size - 1) * rho))
    # Rounded down: by one less where rounding errors decide.
    assert expected - 1 - 1e-6 <= statistics.observations(below, visit) <= expected + 1e-6


def test_what_never_varies_is_worth_every_sample():
    visit = np.repeat(np.arange(5), 4)
    assert statistics.observations(np.ones(20, dtype=bool), visit) == 20
    assert statistics.observations(np.zeros(20, dtype=bool), visit) == 20


def test_a_fast_mode_of_whole_visits_counts_by_visits():
    # Three of twenty visits are fast throughout: of a low percentile those say as much as three samples, not 30.
    visit = np.repeat(np.arange(20), 10)
    samples = np.where(visit < 3, 1.0, 2.0)
    by_visit = statistics.summarise(samples, np.ones(200, dtype=bool), "p10", visit=visit)
    by_sample = statistics.summarise(samples, np.ones(200, dtype=bool), "p10")
    assert (by_visit.low, by_visit.high) == (1.0, 2.0)
    assert (by_sample.low, by_sample.high) == (1.0, 1.0)


def test_all_tied_in_one_ranking_only_is_no_agreement():
    assert statistics.tau([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) == 0.0
    assert statistics.tau([1.0, 1.0], [2.0, 2.0]) == 1.0
    assert statistics.tau([1.0, 1.5], [2.0, 2.1]) == 1.0
    assert statistics.tau([1.0, 1.5], [2.0, 2.1], 0.2) == 0.0


def test_pairs_within_the_resolution_of_the_smaller_are_tied():
    assert statistics.orders([1.0, 1.5, 1.75]).tolist() == [[0, -1, -1], [1, 0, -1], [1, 1, 0]]
    # 0.5 is just within half of 1.0; whole numbers are values too.
    assert statistics.orders([1.0, 1.5, 1.75], 0.5).tolist() == [[0, 0, -1], [0, 0, 0], [1, 0, 0]]
    assert statistics.orders([2, 3], 0.5).tolist() == [[0, 0], [0, 0]]
    assert statistics.orders([1, 3]).dtype == np.int64
