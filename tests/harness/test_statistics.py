"""Order statistics and rank correlation, against scipy, brute force and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from harness import statistics

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


@pytest.mark.parametrize(("statistic", "q"), [("p10", 0.1), ("median", 0.5)])
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


def test_too_few_samples_have_no_interval():
    for statistic in ("p10", "median"):
        summary = statistics.summarise(np.array([1.0, 2.0]), np.array([True, True]), statistic)
        assert math.isinf(summary.width)
    empty = statistics.summarise(np.empty(0), np.empty(0, dtype=bool), "min")
    assert math.isnan(empty.value)
    assert math.isinf(empty.width)


def test_the_minimum_of_a_few_lucky_samples_has_a_wide_interval(rng):
    common, lucky = rng.normal(1.10, 0.001, 98), np.array([1.0, 1.001])
    settled = statistics.summarise(common, np.ones(98, dtype=bool), "min")
    doubtful = statistics.summarise(np.concatenate([common, lucky]), np.ones(100, dtype=bool), "min")
    assert settled.width < 0.01
    assert doubtful.width > 0.09


def test_only_clean_samples_count_unless_most_are_disturbed():
    samples, clean = np.array([1.0, 5.0, 5.0, 5.0]), np.array([False, True, True, True])
    assert statistics.summarise(samples, clean, "min").value == 5.0
    assert statistics.summarise(samples, ~clean, "median").value == 5.0
    assert statistics.summarise(samples, ~clean, "min").n_clean == 4
    assert statistics.summarise(samples, clean, "min").min == 1.0


numbers = st.floats(0.5, 2.0) | st.sampled_from([1.0, 1.5])


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


def test_inputs_are_not_changed(rng):
    samples = rng.random(50)
    before = samples.copy()
    statistics.summarise(samples, samples < 2, "p10")
    statistics.tau(samples, samples[::-1], 0.1)
    assert np.array_equal(samples, before)
