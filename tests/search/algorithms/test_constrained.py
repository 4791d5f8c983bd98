"""Constraints in searches: what breaks them comes after what does not, whatever the objectives' units."""

import numpy as np
import pytest

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import LimitsBroken, best_first, constrained_ranks
from hwnas.search.hypervolume import front_ranks
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (0, 1, 2, 3)) for column in range(12)))
# As of an energy in joules beside an accuracy in per cent.
UNITS = np.array([1e-9, 70.0])
LIMIT = 4e-9
SMALL = {
    "linas": {"inner_evals": 600, "population": 40},
    "predict-once": {"inner_evals": 2000, "population": 40, "predictor": "ridge"},
    "ofa-ga": {"generations": 10, "predictor": "ridge"},
}


def trade(X):
    """A cost and an error, both a sum over the choices; fewer than 1 in 10,000 random vectors cost at most 4."""
    return np.stack([X.sum(axis=1), (3.0 - X).sum(axis=1)], axis=1) * UNITS


def searched(name, settings, problem, evals=80):
    algorithm = algorithms.create(name, problem, evals, np.random.default_rng(0), settings)
    found = []
    while len(X := algorithm.ask()):
        found.append(X)
        algorithm.tell(X, trade(X))
    return np.concatenate(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("linas", SMALL["linas"]),
        ("linas", {**SMALL["linas"], "selection": "rank"}),
        ("linas", {"preset": "paper", "population": 20, "inner_evals": 2000}),
        ("linas", {"preset": "paper", "population": 20, "inner_evals": 600, "inner": "age-moea"}),
        ("predict-once", SMALL["predict-once"]),
        ("ofa-ga", SMALL["ofa-ga"]),
        ("nsga2", {"population": 10}),
        ("moead", {"population": 10}),
    ],
    ids=lambda one: one if isinstance(one, str) else "-".join(str(value) for value in one.values()),
)
def test_a_bound_on_a_small_objective_beside_a_large_one_is_heeded(name, settings):
    X = searched(name, settings, Problem(SPACE, ("a", "b"), bounds=(LIMIT, None)), 160)
    assert (trade(X)[80:, 0] <= LIMIT).mean() > 0.1


@pytest.mark.slow
def test_motpe_learns_which_trials_break_a_bound():
    X = searched("motpe", {}, Problem(SPACE, ("a", "b"), bounds=(10e-9, None)), 120)
    late = (trade(X)[60:, 0] <= 10e-9).mean()
    assert late > 0.3  # 4 % of random ones


def test_what_breaks_constraints_comes_after_what_does_not_by_how_much_it_does():
    F = np.array([[1.0, 5.0], [0.0, 1.0], [2.0, 4.0], [3.0, 6.0], [0.0, 0.0], [9.0, 9.0]])
    over = np.array([0.0, 0.2, 0.0, 0.0, 0.1, 0.1])
    np.testing.assert_array_equal(constrained_ranks(F, over), [0, 3, 0, 1, 2, 2])
    np.testing.assert_array_equal(best_first(F, over)[-1:], [1])
    np.testing.assert_array_equal(constrained_ranks(F, np.zeros(6)), front_ranks(F))
    np.testing.assert_array_equal(constrained_ranks(F[1:2], over[1:2]), [0])


def test_a_violation_is_the_same_in_whatever_batch_and_unit(rng):
    F, X = rng.random((30, 2)), SPACE.sample(30, 1)
    scale = np.array([2.0**-40, 2.0**9])
    violation = LimitsBroken.of(Problem(SPACE, ("a", "b"), bounds=(0.3, 0.6)), F)
    over = violation(X, F)
    np.testing.assert_array_equal(over > 0, (F[:, 0] > 0.3) | (F[:, 1] > 0.6))
    np.testing.assert_array_equal(np.concatenate([violation(X[:7], F[:7]), violation(X[7:], F[7:])]), over)
    scaled = LimitsBroken.of(Problem(SPACE, ("a", "b"), bounds=tuple(scale * [0.3, 0.6])), F * scale)
    np.testing.assert_array_equal(scaled(X, F * scale), over)


def test_a_violation_is_what_is_exceeded_relative_to_the_range():
    problem = Problem(SPACE, ("a", "b"), bounds=(2.0, None), violation=lambda X: X[:, 0] / 10)
    X = np.zeros((3, 12), dtype=np.int64)
    X[2, 0] = 3
    violation = LimitsBroken.of(problem, np.array([[1.0, 0.0], [5.0, 1.0]]))
    np.testing.assert_allclose(violation(X, np.array([[2.0, 9.0], [3.0, 9.0], [4.0, 9.0]])), [0.0, 0.25, 0.8])


def test_the_least_excess_is_one():
    violation = LimitsBroken(np.array([0.0]), np.array([1e300]), lambda X: np.zeros(len(X)))
    assert violation(SPACE.sample(1, 0), np.array([[1e-300]]))[0] > 0


@pytest.mark.slow
@pytest.mark.parametrize("selection", ["improvement", "rank"])
def test_constraints_on_known_quantities_hold_for_all_that_is_chosen(selection):
    def violation(X):
        return np.maximum(0.0, X[:, :6].sum(axis=1) - 6.0)

    problem = Problem(SPACE, ("a", "b"), violation=violation)
    X = searched("linas", {**SMALL["linas"], "design": "random", "selection": selection}, problem, 60)
    assert (violation(X[12:]) == 0).all()


@pytest.mark.parametrize("name", ["nsga2", "moead"])
def test_whatever_breaks_constraints_is_ahead_of_what_failed(name):
    """An algorithm of pymoo's: with a bound that nothing keeps, parents are those that have values."""
    problem = Problem(SPACE, ("a", "b"), violation=lambda X: 1e9 + X[:, 0])
    algorithm = algorithms.create(name, problem, 60, np.random.default_rng(0), {"population": 10})
    X = algorithm.ask()
    F = trade(X)
    F[::2] = np.nan
    algorithm.tell(X, F)
    algorithm.ask()
    survivors = algorithm._algorithm.pop
    violation = survivors.get("G" if name == "nsga2" else "F").max(axis=1)
    failed = np.isnan(F).any(axis=1)[[[row.tolist() for row in X].index(x.tolist()) for x in survivors.get("X")]]
    assert failed.any()
    assert violation[failed].min() > violation[~failed].max()
