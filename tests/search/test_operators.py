"""Operators on integer vectors: what they change, what they keep, and how the published ones compare."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.search.operators import CROSSOVERS, MUTATIONS, neighbour, polynomial, reset
from hwnas.search.sampling import every_point, sample_unseen, unseen_rows
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(
    (
        Choice("d", (2, 3, 4)),
        Choice("w", (1, 2, 4, 8)),
        Choice("w", (1, 2, 4, 8), (0, 1)),
        Choice("w", (1, 2, 4, 8), (0, 2)),
        Choice("k", (3,)),
    )
)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("name", MUTATIONS)
@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_mutants_are_points_and_parents_are_left_alone(name, seed):
    X = SPACE.sample(20, seed)
    before = X.copy()
    children = MUTATIONS[name](SPACE, X, np.random.default_rng(seed), 0.3)
    SPACE.check(children)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", CROSSOVERS)
@settings(max_examples=30, deadline=None)
@given(seed=seeds)
def test_children_lie_between_their_parents(name, seed):
    A, B = SPACE.sample(20, seed), SPACE.sample(20, seed + 1)
    children = CROSSOVERS[name](SPACE, A, B, np.random.default_rng(seed))
    SPACE.check(children)
    same = A == B
    np.testing.assert_array_equal(children[same], A[same])
    if name != "sbx":
        assert ((children == A) | (children == B)).all()


@pytest.mark.parametrize("mutate", [reset, neighbour])
@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_every_mutant_is_another_network(mutate, seed):
    X = SPACE.canonical(SPACE.sample(30, seed))
    children = SPACE.canonical(mutate(SPACE, X, np.random.default_rng(seed)))
    assert (children != X).any(axis=1).all()


def test_reset_reaches_every_other_value_equally():
    X = np.zeros((30_000, SPACE.n_var), dtype=np.int64)
    children = reset(SPACE, X, np.random.default_rng(0))
    moved = children[children[:, 1] > 0, 1]
    shares = np.bincount(moved, minlength=4)[1:] / len(moved)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    assert (children[:, 2:] == 0).all(), "choices that do not matter at depth 2 were changed"


def test_neighbour_moves_by_one():
    X = SPACE.sample(500, 1)
    assert np.abs(neighbour(SPACE, X, np.random.default_rng(1), 0.5) - X).max() == 1


def test_a_space_of_one_network_stays_as_it_is():
    only = SearchSpace((Choice("k", (3,)),))
    for mutate in MUTATIONS.values():
        np.testing.assert_array_equal(mutate(only, only.smallest(), np.random.default_rng(0), 0.5), only.smallest())


def test_published_mutation_changes_almost_nothing():
    """What it says in the module: at 0.02, with rounding, few genes of a three-valued choice change at all."""
    space = SearchSpace(tuple(Choice("k", (3, 5, 7)) for _ in range(45)))
    X = space.sample(2000, 0)
    rng = np.random.default_rng(0)
    published = (polynomial(space, X, rng, 0.02) != X).any(axis=1).mean()
    ours = (reset(space, X, rng) != X).any(axis=1).mean()
    assert published < 0.05
    assert ours == 1.0


def test_sampling_is_distinct_new_and_exhaustive():
    everything = every_point(SPACE)
    assert len(everything) == SPACE.distinct_size
    np.testing.assert_array_equal(SPACE.canonical(everything), everything)
    rng = np.random.default_rng(0)
    first = sample_unseen(SPACE, 50, rng)
    rest = sample_unseen(SPACE, 1000, rng, set(map(bytes, first)))
    assert len(first) == 50
    assert len(rest) == SPACE.distinct_size - 50
    assert len(np.unique(np.concatenate([first, rest]), axis=0)) == SPACE.distinct_size


def test_unseen_rows_keeps_the_first_of_equals():
    X = np.array([[1, 2], [3, 4], [1, 2], [5, 6]])
    np.testing.assert_array_equal(unseen_rows(X, {np.array([5, 6]).tobytes()}), [0, 1])
