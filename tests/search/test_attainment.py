"""Attainment surfaces against counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.search.comparison.attainment import attainment_surfaces

point = st.tuples(st.integers(0, 6), st.integers(0, 6))
fronts = st.lists(st.lists(point, max_size=6), min_size=1, max_size=6)


def attains(front, place):
    return any(a <= place[0] and b <= place[1] for a, b in front)


@settings(max_examples=150, deadline=None)
@given(fronts, st.sampled_from([0.2, 0.25, 0.5, 0.75, 1.0]))
def test_a_place_is_below_the_surface_where_enough_runs_attain_it(runs, level):
    arrays = [np.array(run, dtype=float).reshape(-1, 2) for run in runs]
    (surface,) = attainment_surfaces(arrays, [level])
    for place in [(a + 0.5, b + 0.5) for a in range(-1, 7) for b in range(-1, 7)]:
        enough = sum(attains(run, place) for run in runs) >= level * len(runs) - 1e-9
        assert attains(surface.tolist(), place) == enough


def test_corners_ascend():
    (surface,) = attainment_surfaces([np.array([[3.0, 1], [1, 3]]), np.array([[2.0, 2]])], [0.5])
    assert surface.tolist() == [[1, 3], [2, 2], [3, 1]]


def test_three_objectives():
    (surface,) = attainment_surfaces([np.array([[1.0, 2, 3]]), np.array([[2.0, 1, 3]])], [1.0])
    assert surface.tolist() == [[2, 2, 3]]


@pytest.mark.parametrize("m", [2, 3])
def test_where_no_run_found_anything_there_are_no_corners_of_as_many_objectives(m):
    assert [surface.shape for surface in attainment_surfaces([np.zeros((0, m))] * 2, [0.5, 1.0])] == [(0, m)] * 2


@pytest.mark.parametrize("level", [0, 1.1, float("nan")])
def test_levels_are_shares(level):
    with pytest.raises(ValueError, match="levels"):
        attainment_surfaces([np.zeros((1, 2))], [level])
