"""What every registered search algorithm must do; a new file, or an installed plug-in, is tested by being there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.hypervolume import hypervolume
from hwnas.search.sampling import every_point
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.space import Choice, SearchSpace

# What takes exact objectives alone is tested in tests/search/test_exact.py.
NAMES = [name for name in algorithms.names() if not getattr(algorithms.registry.provider(name), "NEEDS_EXACT", False)]
EVALS = 40
# What holds of an algorithm holds with a short inner search as with a long one.
SETTINGS = {"linas": {"inner_evals": 600, "population": 40}}


def layered_space(layers=6):
    """A depth, and per possible layer a width; only layers within the depth matter."""
    depth = Choice("d", (2, 4, 6))
    needs = {0: None, 1: None, 2: (0, 1), 3: (0, 1), 4: (0, 2), 5: (0, 2)}
    return SearchSpace((depth, *(Choice("w", (8, 16, 24, 32), needs[layer]) for layer in range(layers))))


def tiny_space():
    """Seven networks in ten vectors."""
    return SearchSpace((Choice("d", (1, 2)), Choice("w", (1, 2, 3)), Choice("w", (1, 2), (0, 1))))


def evaluate(space, X, n_obj):
    """A cost, a quality with its best in the interior, and a count; all minimised."""
    X = space.canonical(X)
    active = space.active(X)
    level = X / np.maximum(space.n_options - 1, 1)
    cost = (1.0 + level * active).sum(axis=1)
    error = ((level - 0.7) ** 2 * np.linspace(1, 3, space.n_var) + 0.5 * ~active).sum(axis=1)
    return np.stack([error, cost, active.sum(axis=1) + level[:, -1]], axis=1)[:, :n_obj]


def allowed(name, n_obj):
    provider = algorithms.registry.provider(name)
    most = getattr(provider, "MAX_OBJECTIVES", None)
    return getattr(provider, "MIN_OBJECTIVES", 1) <= n_obj and (most is None or n_obj <= most)


def fewest(name):
    return getattr(algorithms.registry.provider(name), "MIN_OBJECTIVES", 1)


def problem(space, n_obj, **kwargs):
    return Problem(space, ("error", "cost", "count")[:n_obj], **kwargs)


def make(name, space, n_obj, evals=EVALS, seed=0, settings=None, **kwargs):
    settings = SETTINGS.get(name) if settings is None else settings
    return algorithms.create(name, problem(space, n_obj, **kwargs), evals, np.random.default_rng(seed), settings)


def run(algorithm, space, n_obj, evals=EVALS, spoil=lambda X, F: F):
    """Ask and tell until done; return all that was asked, in order, and its values."""
    asked, told = [], []
    for _ in range(10 * evals):
        if sum(map(len, asked)) >= evals:
            break
        X = algorithm.ask()
        if not len(X):
            break
        asked.append(X)
        told.append(spoil(X, evaluate(space, X, n_obj)))
        algorithm.tell(X, told[-1])
    return np.concatenate(asked), np.concatenate(told)


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name):
    provider = algorithms.registry.provider(name)
    assert provider.SUMMARY
    assert "\n" not in provider.SUMMARY
    assert hasattr(provider, "MAX_OBJECTIVES")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_obj"), [(n, m) for n in NAMES for m in (1, 2, 3) if allowed(n, m)])
def test_asks_are_new_canonical_vectors_and_make_progress(name, n_obj):
    space = layered_space()
    X, F = run(make(name, space, n_obj, evals=120, seed=1), space, n_obj, 120)
    assert X.dtype == np.int64
    np.testing.assert_array_equal(space.canonical(X), X)
    assert len(np.unique(X, axis=0)) == len(X) == 120
    worst = np.full(n_obj, 30.0)
    assert hypervolume(F, worst) > hypervolume(F[:5], worst)


@pytest.mark.parametrize(("name", "n_obj"), [(n, m) for n in NAMES for m in (1, 2, 3, 5) if not allowed(n, m)])
def test_refuses_a_wrong_number_of_objectives_and_names_those_that_can(name, n_obj):
    space = tiny_space()
    names = tuple(f"f{number}" for number in range(n_obj))
    with pytest.raises(UsageError, match=rf"takes .* objectives?, got {n_obj} .*random"):
        algorithms.create(name, Problem(space, names), 5, np.random.default_rng(0))


@pytest.mark.parametrize("name", NAMES)
def test_never_asks_for_more_than_needed(name):
    space = layered_space()
    algorithm = make(name, space, fewest(name), evals=7)
    X, _ = run(algorithm, space, fewest(name), evals=100)
    assert len(X) == 7
    assert len(algorithm.ask()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_more_evaluations_begin_with_the_same_ones(name):
    if name == "ofa-ga":
        pytest.skip("trains its predictors on half of the evaluations, so it depends on how many there are")
    space, n_obj = layered_space(), fewest(name)
    few, _ = run(make(name, space, n_obj, evals=25), space, n_obj, 25)
    many, _ = run(make(name, space, n_obj, evals=40), space, n_obj, 40)
    np.testing.assert_array_equal(few, many[:25])


@pytest.mark.parametrize("name", NAMES)
def test_exhausts_a_tiny_space(name):
    space, n_obj = tiny_space(), fewest(name)
    X, _ = run(make(name, space, n_obj, evals=500), space, n_obj, 500)
    assert len(X) == space.distinct_size
    assert len(np.unique(X, axis=0)) == len(X)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_search_and_replay(name):
    space, n_obj = layered_space(), fewest(name)
    first, _ = run(make(name, space, n_obj), space, n_obj)
    second, _ = run(make(name, space, n_obj), space, n_obj)
    other, _ = run(make(name, space, n_obj, seed=1), space, n_obj)
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("name", NAMES)
def test_failed_fewer_and_foreign_rows(name):
    space, n_obj = layered_space(), fewest(name)
    algorithm, rng = make(name, space, n_obj), np.random.default_rng(3)
    seen = set()
    for _ in range(200):
        X = algorithm.ask()
        if not len(X) or len(seen) >= 30:
            break
        F = evaluate(space, X, n_obj)
        F[rng.random(len(X)) < 0.3, 0] = np.nan
        seen.update(map(bytes, X))
        foreign = space.canonical(space.sample(2, rng))
        kept = rng.random(len(X)) < 0.8
        X, F = np.concatenate([X[kept], foreign]), np.concatenate([F[kept], evaluate(space, foreign, n_obj)])
        algorithm.tell(np.concatenate([X, X[:1]]), np.concatenate([F, F[:1]]))
    assert len(seen) >= 30


@pytest.mark.parametrize("name", NAMES)
def test_everything_failing_is_survived(name):
    space, n_obj = layered_space(), fewest(name)
    X, _ = run(make(name, space, n_obj, evals=20), space, n_obj, 20, spoil=lambda _, F: np.full_like(F, np.nan))
    assert len(X) == 20


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_initial_population_comes_first(name):
    space, n_obj = layered_space(), fewest(name)
    initial = np.concatenate([space.largest(), space.smallest(), space.largest(), space.sample(3, 5)])
    X, _ = run(make(name, space, n_obj, settings={"initial": initial}), space, n_obj)
    expected = np.unique(space.canonical(initial), axis=0)
    np.testing.assert_array_equal(np.unique(X[: len(expected)], axis=0), expected)


@pytest.mark.parametrize("name", NAMES)
def test_input_is_left_alone(name):
    space, n_obj = layered_space(), fewest(name)
    algorithm = make(name, space, n_obj)
    X = algorithm.ask()
    F = evaluate(space, X, n_obj)
    X_before, F_before = X.copy(), F.copy()
    algorithm.tell(X, F)
    algorithm.ask()
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(F, F_before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("settings", [{"no-such": 1}, {"preset": "papr"}, {"initial": [[1, 2]]}])
def test_bad_settings_are_refused(name, settings):
    with pytest.raises(UsageError):
        make(name, layered_space(), fewest(name), settings=settings)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "random"])
def test_bounds_steer_the_search(name):
    """A tenth of the space keeps within the bound; a search that heeds it spends far more evaluations there."""
    space, n_obj = layered_space(), max(2, fewest(name))
    if not allowed(name, n_obj):
        pytest.skip("the bound is on the second objective")
    costs = evaluate(space, every_point(space), n_obj)[:, 1]
    within = float(np.quantile(costs, 0.1))
    _, F = run(make(name, space, n_obj, evals=120, bounds=(None, within)), space, n_obj, 120)
    assert (F[60:, 1] <= within).mean() > 1.5 * 0.1


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="did you mean 'nsga2'"):
        algorithms.create("nsga", problem(tiny_space(), 2), 5, np.random.default_rng(0))


@pytest.mark.slow
def test_hash_seed_changes_nothing():
    """Sets and dicts of strings and bytes iterate in an order that PYTHONHASHSEED shuffles."""
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_algorithms as t; s = t.layered_space()\n"
        "for name in ('linas', 'nsga2', 'motpe'):\n"
        "    print(t.run(t.make(name, s, 2, evals=60), s, 2, 60)[0].tolist())"
    )
    folder = str(Path(__file__).parent)
    outputs = set()
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", script, folder], env=env, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert "[" in outputs.pop()
