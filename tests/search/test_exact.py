"""The exact front, against brute force where that can be done, and against long searches where it cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.latency_luts import published
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import Variation, evolve
from hwnas.search.algorithms.exact import exact_front
from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import every_point
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

RNG = 7


def additive(space: SearchSpace, places, rng: np.random.Generator, whole: bool):
    """A sum of one random table per place."""
    tables = []
    for columns in places:
        shape = tuple(int(space.n_options[column]) for column in columns)
        tables.append(rng.integers(0, 50, shape).astype(float) if whole else rng.normal(size=shape))
    return lambda X: sum(table[tuple(X[:, list(c)].T)] for c, table in zip(places, tables, strict=True))


def brute(problem: Problem) -> np.ndarray:
    X = np.unique(problem.space.canonical(every_point(problem.space)), axis=0)
    F = np.stack([exact(X) for exact in problem.exact], axis=1)
    F = F[(problem.limits >= F).all(axis=1)]
    front = np.unique(F[non_dominated(F)], axis=0)
    return front[np.lexsort((front[:, -1], front[:, 0]))]


def small_space() -> SearchSpace:
    """Two stages of two layers with a depth each, as once-for-all's, and one choice on its own."""
    return SearchSpace(
        (
            Choice("ks", (3, 5, 7)),
            Choice("ks", (3, 5, 7), needs=(5, 1)),
            Choice("ks", (3, 5)),
            Choice("ks", (3, 5), needs=(6, 1)),
            Choice("w", (1, 2)),
            Choice("d", (1, 2)),
            Choice("d", (1, 2)),
        )
    )


PLACES = ((0, 5), (1, 5), (2, 6), (3, 6), (4,))


@pytest.mark.parametrize("n_obj", [1, 2])
@pytest.mark.parametrize("whole", [True, False], ids=["with equal values", "without"])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_it_is_what_brute_force_finds(seed, whole, n_obj):
    rng, space = np.random.default_rng(seed), small_space()
    exact = tuple(additive(space, PLACES, rng, whole) for _ in range(n_obj))
    problem = Problem(space, ("a", "b")[:n_obj], exact=exact, places=PLACES)
    X, F = exact_front(problem, rng)
    assert np.array_equal(F, np.stack([one(X) for one in exact], axis=1))
    assert np.array_equal(X, space.canonical(X))
    assert np.unique(F, axis=0) == pytest.approx(brute(problem), abs=1e-9)


def test_a_choice_that_all_places_share_is_taken_in_turn():
    rng, space = np.random.default_rng(RNG), small_space()
    shared = tuple((*place, 4) for place in PLACES[:4])
    exact = tuple(additive(space, shared, rng, whole=False) for _ in range(2))
    problem = Problem(space, ("a", "b"), exact=exact, places=shared)
    assert exact_front(problem, rng)[1] == pytest.approx(brute(problem), abs=1e-9)


def test_bounds_on_objectives_cut_the_front():
    rng, space = np.random.default_rng(RNG), small_space()
    exact = tuple(additive(space, PLACES, rng, whole=False) for _ in range(2))
    free = brute(Problem(space, ("a", "b"), exact=exact, places=PLACES))
    bound = float(np.median(free[:, 0]))
    problem = Problem(space, ("a", "b"), exact=exact, places=PLACES, bounds=(bound, None))
    found = exact_front(problem, rng)[1]
    assert found[:, 0].max() <= bound
    assert found == pytest.approx(free[free[:, 0] <= bound], abs=1e-9)


@pytest.fixture(scope="module")
def net():
    return supernets.get("ofa-mbv3-w1.2")


def real(net, *exact) -> Problem:
    return Problem(net.space, ("a", "b"), exact=exact, places=tuple(slot.columns for slot in net.slots))


def test_a_long_search_finds_nothing_beyond_the_exact_front(net, assets):
    latency = published.get("note10").open().bind(net).latency
    problem = real(net, latency, lambda X: -net.params(X).astype(float))
    _, F = exact_front(problem, np.random.default_rng(0))

    def objectives(X):
        return np.stack([one(X) for one in problem.exact], axis=1)

    start = net.space.sample(100, np.random.default_rng(1))
    variation = Variation(CROSSOVERS["uniform"], 0.15, MUTATIONS["reset"], 0.0)
    _, found = evolve(net.space, objectives, start, 20_000, np.random.default_rng(2), variation)
    corner = np.concatenate([F, found]).max(axis=0) + 1.0
    exact, both = (hypervolume(one, corner) for one in (F, np.concatenate([F, found])))
    assert both == pytest.approx(exact, rel=1e-12)
    assert hypervolume(found, corner) < exact


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda X: X[:, :45].sum(axis=1) ** 2.0, r"exact: b is not a sum over the layers: .* off by up to \d+\.\d+%"),
        (None, r"exact: b is not known exactly without evaluating; use linas"),
    ],
)
def test_what_does_not_add_up_is_refused_by_name(net, second, said):
    problem = real(net, lambda X: net.macs(X).astype(float), second)
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match=said):
        algorithms.create("exact", problem, 10, rng).ask()


def test_it_asks_for_the_front_and_its_ends_and_then_for_nothing():
    rng, space = np.random.default_rng(RNG), small_space()
    exact = tuple(additive(space, PLACES, rng, whole=False) for _ in range(2))
    problem = Problem(space, ("a", "b"), exact=exact, places=PLACES)
    front = brute(problem)
    algorithm = algorithms.create("exact", problem, 4, rng)
    X = algorithm.ask()
    F = np.stack([one(X) for one in exact], axis=1)
    algorithm.tell(X, F)
    assert len(X) == min(4, len(front))
    assert F[0] == pytest.approx(front[0])
    assert F[-1] == pytest.approx(front[-1])
    assert len(algorithm.ask()) == 0
