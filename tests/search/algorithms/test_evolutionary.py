"""The evolutionary algorithms: geometry, directions, settings, optional packages."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._pymoo import directions
from hwnas.search.algorithms.age_moea import curvature, survival_scores
from hwnas.search.hypervolume import front_ranks
from hwnas.search.sampling import every_point
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("k", (0, 1, 2)) for _ in range(10)))


def trade(X):
    """The more of the first half the better for one objective, the worse for the other; the second half only costs."""
    half = X[:, :5].sum(axis=1) + X[:, 5:].sum(axis=1)
    return np.stack([half, 20 - X[:, :5].sum(axis=1) + X[:, 5:].sum(axis=1)], axis=1).astype(float)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, 4.0])
def test_curvature_of_known_fronts(p):
    angle = np.linspace(0.0, np.pi / 2, 101)
    front = np.stack([np.cos(angle), np.sin(angle)], axis=1) ** (2.0 / p)
    assert curvature(front) == pytest.approx(p, rel=1e-6)


def test_curvature_of_degenerate_fronts():
    assert curvature(np.array([[0.0, 1.0], [1.0, 0.0]])) == 1.0
    assert curvature(np.array([[0.0, 0.0]])) == 1.0


def test_survival_prefers_ends_then_the_lonely():
    F = np.array([[0.0, 1.0], [0.1, 0.9], [0.11, 0.89], [0.5, 0.5], [1.0, 0.0], [1.0, 1.0], [3.0, 3.0]])
    rank = front_ranks(F)
    scores = survival_scores(F, rank)
    assert np.isinf(scores[[0, 4]]).all()
    assert scores[3] > scores[2]
    assert scores[5] > scores[6]


@pytest.mark.slow
def test_directions():
    two, three = directions(2, 20), directions(3, 20)
    np.testing.assert_allclose(two.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diff(two[:, 0]), 1 / 19)
    assert three.shape == (20, 3)
    np.testing.assert_allclose(three.sum(axis=1), 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nsga2", "age-moea", "unsga3", "ctaea", "moead"])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_beats_random(name, preset):
    from hwnas.search.hypervolume import hypervolume

    def found(which, settings, seed):
        problem = Problem(SPACE, ("a", "b"))
        algorithm = algorithms.create(which, problem, 400, np.random.default_rng(seed), settings)
        values = []
        while len(X := algorithm.ask()):
            values.append(trade(X))
            algorithm.tell(X, values[-1])
        return hypervolume(np.concatenate(values), np.array([21.0, 31.0]))

    ours = np.mean([found(name, {"preset": preset}, seed) for seed in range(3)])
    random = np.mean([found("random", {}, seed) for seed in range(3)])
    assert ours > random


def test_unknown_operator_is_named():
    with pytest.raises(UsageError, match="mutation: unknown 'resett'; did you mean 'reset'"):
        algorithms.create("nsga2", Problem(SPACE, ("a", "b")), 5, np.random.default_rng(0), {"mutation": "resett"})


def test_missing_optuna_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'hwnas\[motpe\]'"):
        algorithms.create("motpe", Problem(SPACE, ("a", "b")), 5, np.random.default_rng(0))


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [(), (6.0, None)])
def test_motpe_learns_the_rest_of_a_batch_of_which_one_failed(bounds):
    def states(fails):
        algorithm = algorithms.create("motpe", Problem(SPACE, ("a", "b"), bounds=bounds), 40, np.random.default_rng(0))
        while len(X := algorithm.ask()):
            F = trade(X)
            F[:fails] = np.nan
            algorithm.tell(X, F)
        return [trial.state.name for trial in algorithm._study.get_trials(deepcopy=False)]

    assert states(1).count("COMPLETE") == 30
    assert states(4).count("COMPLETE") == 0


def test_finder_heeds_a_limit():
    problem = Problem(SPACE, ("a", "b"), bounds=(6.0, None))
    algorithm = algorithms.create("ofa-ga", problem, 100, np.random.default_rng(0), {"train": 50, "generations": 10})
    values = []
    while len(X := algorithm.ask()):
        values.append(trade(X))
        algorithm.tell(X, values[-1])
    late = np.concatenate(values)[50:]
    assert (late[:10, 0] <= 6.0).mean() > 0.8
    assert late[late[:, 0] <= 6.0, 1].min() == 14.0


def test_finder_ends_where_no_network_keeps_the_limit():
    problem = Problem(SPACE, ("a", "b"), bounds=(-1.0, None))
    algorithm = algorithms.create("ofa-ga", problem, 30, np.random.default_rng(0), {"train": 10, "generations": 3})
    asked = 0
    while len(X := algorithm.ask()):
        algorithm.tell(X, trade(X))
        asked += len(X)
    assert asked == 30


def test_finder_finds_the_best_within_each_of_the_limits_that_it_draws():
    """Without a bound, limits are drawn: within each it must find what trying all sub-networks finds."""
    space = SearchSpace(tuple(Choice(f"c{gene}", (0, 1, 2)) for gene in range(5)))
    every = every_point(space)

    def values(X):
        return np.stack([X @ [5.0, 4.0, 3.0, 2.0, 1.0], 40.0 - X @ [1.0, 2.0, 3.0, 4.0, 7.0]], axis=1)

    problem = Problem(space, ("a", "b"))
    algorithm = algorithms.create("ofa-ga", problem, 60, np.random.default_rng(0), {"train": 50, "batch": 10})
    known = set()
    while len(X := algorithm.ask()):
        if len(known) >= 50:
            left = values(np.array([row for row in every if tuple(row) not in known]))
            for a, b in values(X):
                # Each is wanted for a limit of its own, which it keeps, and at which no other is better.
                assert b <= left[left[:, 0] <= a, 1].min() + 1e-9
        known |= {tuple(row) for row in X}
        algorithm.tell(X, values(X))
    assert len(known) == 60
