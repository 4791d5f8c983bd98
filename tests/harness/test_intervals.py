"""Intervals against what scipy and their own definitions say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwnas.harness.measurement.intervals import half_width, standard_error, wilson


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_an_interval_of_a_mean_tells_the_standard_error_that_it_was_made_of(confidence):
    low, high = stats.norm.interval(confidence, loc=7.0, scale=0.3)
    assert standard_error(low, high, confidence) == pytest.approx(0.3)
    assert half_width(confidence) == pytest.approx((high - 7.0) / 0.3)


def test_without_a_confidence_it_is_95_per_cent_and_arrays_are_taken_number_by_number():
    low, high = np.array([1.0, 2.0]), np.array([1.0, 2.0 + 2 * 1.959964])
    np.testing.assert_allclose(standard_error(low, high), [0.0, 1.0], rtol=1e-6)
    assert standard_error(2.0, 1.0) < 0  # whether it is an interval is its owner's to know


@pytest.mark.parametrize(("right", "n"), [(0, 10), (10, 10), (3, 17), (1520, 2000), (9_012, 10_000)])
def test_the_interval_of_a_proportion_is_wilsons(right, n):
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize(("share", "n"), [(0.0, 10), (0.5, 943), (1.0, 5), (0.3721, 943)])
def test_wilsons_interval_is_where_its_test_turns(share, n):
    for end in wilson(share, n):
        assert 0 <= end <= 1
        if 1e-12 < end < 1 - 1e-12:
            assert abs(share - end) / math.sqrt(end * (1 - end) / n) == pytest.approx(1.959964, abs=1e-6)
        else:
            assert end == pytest.approx(share, abs=1e-12)
