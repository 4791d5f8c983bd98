"""Hypervolume against counting, closed forms and itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hwnas.search.hypervolume import (
    free_boxes,
    front_ranks,
    hypervolume,
    hypervolumes,
    improvements,
    non_dominated,
    shares_on_front,
)
from hwnas.supernets.values import LARGEST

SIDE = 6


def grid_points(m):
    """Integer points below SIDE: the volume they dominate is a number of unit cells."""
    rows = st.integers(0, 8)
    return rows.flatmap(lambda n: arrays(np.float64, (n, m), elements=st.integers(0, SIDE - 1).map(float)))


def counted(points, m):
    cells = np.stack(np.meshgrid(*[np.arange(SIDE)] * m, indexing="ij"), axis=-1).reshape(-1, m)
    return sum(any((point <= cell).all() for point in points) for cell in cells)


@pytest.mark.parametrize("m", [1, 2, 3])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_the_number_of_dominated_cells(m, data):
    points = data.draw(grid_points(m))
    assert hypervolume(points, np.full(m, SIDE)) == counted(points, m)


def test_closed_forms():
    assert hypervolume([[1.0, 2.0]], [3.0, 5.0]) == 6.0
    assert hypervolume([[1.0, 2.0], [2.0, 1.0]], [3.0, 3.0]) == 3.0
    n = 400
    x = np.linspace(0, 1, n)
    assert hypervolume(np.stack([x, 1 - x], axis=1), [1.0, 1.0]) == pytest.approx(0.5, abs=1.0 / n)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
def test_the_order_of_points_changes_no_digit(m, rng):
    """Two searches that end with one front tie, whichever found what first."""
    for points in (rng.random((12, m)), rng.integers(0, 6, size=(12, m)) / 7.0):
        found = {hypervolume(points[rng.permutation(12)], np.full(m, 1.1)) for _ in range(20)}
        assert len(found) == 1


def test_failed_and_outside_points_dominate_nothing():
    assert hypervolume([[np.nan, 0.0], [5.0, 0.0], [3.0, 1.0]], [3.0, 3.0]) == 0.0
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0


@pytest.mark.parametrize("m", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_after_each_point_it_is_that_of_those_before_which_count(m, data):
    points, corner = data.draw(grid_points(m)), np.full(m, SIDE)
    counts = np.array(data.draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points))), dtype=bool)
    expected = [hypervolume(points[: n + 1][counts[: n + 1]], corner) for n in range(len(points))]
    assert hypervolumes(points, counts, corner).tolist() == expected


def test_wrong_shapes_are_named():
    with pytest.raises(ValueError, match=r"reference: expected shape \(2,\) .* got \(3,\)"):
        hypervolume([[1.0, 2.0]], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"points: expected shape \(n, m\), got \(2,\)"):
        hypervolume([1.0, 2.0], [3.0, 3.0])


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_non_dominated_and_ranks_by_definition(m, rng):
    points = rng.integers(0, 5, size=(40, m)).astype(float)
    beats = (points[:, None] <= points).all(axis=2) & (points[:, None] < points).any(axis=2)
    np.testing.assert_array_equal(non_dominated(points), ~beats.any(axis=0))
    ranks, left, level = np.full(40, -1), np.arange(40), 0
    while len(left):
        best = left[~beats[np.ix_(left, left)].any(axis=0)]
        ranks[best], left, level = level, np.setdiff1d(left, best), level + 1
    np.testing.assert_array_equal(front_ranks(points), ranks)


def test_non_dominated_leaves_failed_rows_out():
    points = np.array([[np.nan, 0.0], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])
    np.testing.assert_array_equal(non_dominated(points), [False, True, False, True])
    assert not non_dominated(points[:1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("m", [1, 2, 3, 4])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_improvement_is_the_difference_of_two_hypervolumes(m, data):
    front, candidates = data.draw(grid_points(m)), data.draw(grid_points(m))
    corner = np.full(m, SIDE - 1.0)
    found = improvements(candidates, free_boxes(front, corner))
    before = hypervolume(front, corner)
    expected = [hypervolume(np.vstack([front, point]), corner) - before for point in candidates]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_boxes_of_two_objectives_are_one_more_than_the_front(rng):
    x = np.sort(rng.random(17))
    low, high = free_boxes(np.stack([x, 1 - x], axis=1), [1.0, 1.0])
    assert len(low) == len(high) == 18


def test_inputs_are_left_alone(rng):
    points, corner = rng.random((10, 3)), np.ones(3)
    before = points.copy()
    hypervolume(points, corner)
    improvements(points, free_boxes(points, corner))
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_rows_that_are_not_finite_dominate_nothing(value):
    points = [[1.0, 2.0], [value, 0.0], [0.0, value]]
    assert hypervolume(points, [3.0, 3.0]) == 2.0
    assert non_dominated(points).tolist() == [True, False, False]
    assert non_dominated([[value]]).tolist() == [False]


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_reference_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="reference: expected finite numbers"):
        hypervolume([[1.0, 2.0]], [3.0, value])


def test_the_largest_values_there_may_be_have_a_finite_hypervolume():
    corner = np.full(6, LARGEST)
    assert np.isfinite(hypervolume(np.zeros((1, 6)), corner))


# --- noisy fronts ----------------------------------------------------------------------------------------------------


def test_of_two_noisy_values_the_better_one_wins_as_often_as_their_difference_says():
    values, errors = np.array([[1.0], [1.3]]), np.array([[0.2], [0.3]])
    shares = shares_on_front(values, errors, non_dominated, draws=4000, seed=0)
    probability = stats.norm.cdf(0.3 / np.hypot(0.2, 0.3))
    assert shares == pytest.approx([probability, 1 - probability], abs=4 * np.sqrt(0.25 / 4000))


def test_exact_values_are_on_the_front_in_every_draw_or_in_none():
    values = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]])
    shares = shares_on_front(values, np.zeros((3, 2)), non_dominated, draws=5, seed=0)
    assert shares.tolist() == [1.0, 1.0, 0.0]
    assert shares_on_front(values[:0], values[:0], non_dominated, draws=5, seed=0).shape == (0,)


def test_the_seed_decides_the_draws():
    values, errors = np.array([[1.0], [1.1]]), np.full((2, 1), 0.1)
    one, again, other = (shares_on_front(values, errors, non_dominated, draws=50, seed=seed) for seed in (1, 1, 2))
    assert one.tolist() == again.tolist() != other.tolist()
