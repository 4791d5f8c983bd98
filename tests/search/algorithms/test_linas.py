"""LINAS: what each of its parts does."""

from __future__ import annotations

import json
import re
import textwrap

import numpy as np
import pytest

from hwnas import supernets
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms import linas
from hwnas.search.algorithms._inner import Variation, crowding_distance, distinct, evolve, ranges
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._published import predictor_kinds
from hwnas.search.algorithms._surrogate import Surrogate
from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import spread
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (0, 1, 2, 3)) for column in range(12)))
NET = supernets.get("ofa-mbv3-w1.0")


def zdt(X):
    """ZDT1 over integers: the first choice trades, the others have to be 0. Its front is known."""
    first = X[:, 0] / 3.0
    g = 1.0 + X[:, 1:].mean(axis=1)
    return np.stack([first, g * (1.0 - np.sqrt(first / g))], axis=1)


def search(settings, evals=80, seed=0, problem=None, evaluate=zdt):
    problem = problem or Problem(SPACE, ("first", "second"))
    algorithm = algorithms.create("linas", problem, evals, np.random.default_rng(seed), settings)
    asked, told = [], []
    while len(X := algorithm.ask()):
        asked.append(X)
        told.append(evaluate(X))
        algorithm.tell(X, told[-1])
    return asked, np.concatenate(told)


@pytest.mark.slow
def test_the_example_prints_what_its_docstring_says(capsys):
    example, printed = (textwrap.dedent(block) for block in re.findall(r"::\n\n((?: {4}.*\n|\n)+)", linas.__doc__))
    exec(compile(example, "linas.py", "exec"), {})
    assert capsys.readouterr().out == printed.rstrip() + "\n"


@pytest.mark.slow
def test_an_objective_that_is_the_same_for_all_hides_nothing_of_the_others():
    def three(X):
        return np.column_stack([zdt(X), np.full(len(X), 7.0)])

    names, exact = ("first", "second", "third"), (None, None, lambda X: np.full(len(X), 7.0))
    problem, settings = Problem(SPACE, names, exact=exact), {"inner_evals": 1500}
    found = [search(settings, 40, seed, problem, three)[1][:, :2] for seed in range(4)]
    # Without it 1.884; where no volume was left to improve, 1.754.
    assert np.mean([hypervolume(F, [1.1, 2.2]) for F in found]) > 1.8


@pytest.mark.parametrize("value", [0.0, 7.0, -75.0, 1e12, 1e-9, 0.1])
def test_what_is_the_same_for_all_has_its_size_for_a_range(value):
    F = np.column_stack([[1.0, 3.0, 2.0], np.full(3, value)])
    F[1, 1] = np.nextafter(value, np.inf) if value else 0.0  # and rounding is no difference
    assert ranges(F).tolist() == [2.0, pytest.approx(abs(value) or 1.0)]
    assert (F.max(axis=0) + 0.01 * ranges(F) > F.max(axis=0)).all()


@pytest.mark.slow
def test_finds_the_known_front():
    _, F = search({})
    first = np.arange(4) / 3.0
    front = np.stack([first, 1.0 - np.sqrt(first)], axis=1)
    corner = np.array([1.1, 1.1])
    assert hypervolume(F, corner) == pytest.approx(hypervolume(front, corner))


def test_published_preset_asks_populations():
    asked, _ = search({"preset": "paper", "population": 20, "inner_evals": 500})
    assert [len(X) for X in asked] == [20, 20, 20, 20]


@pytest.mark.slow
def test_default_asks_few_at_a_time_after_a_design():
    asked, _ = search({"first": 10, "batch": 3}, evals=40)
    assert len(asked[0]) <= 10
    assert {len(X) for X in asked[1:]} <= {1, 3}


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", ["design=random", "predictor=ridge", "features=one-hot", "selection=rank", "exact=false"]
)
def test_every_part_can_be_taken_away(setting):
    key, value = setting.split("=")
    # The first objective costs nothing: it is computed, unless that part is taken away too.
    problem = Problem(SPACE, ("first", "second"), exact=(lambda X: X[:, 0] / 3.0, None))
    whole, without = (search({"inner_evals": 500, **more}, evals=24, problem=problem)[0] for more in ({}, {key: value}))
    assert sum(map(len, without)) == sum(map(len, whole)) == 24
    # What is asked for is another than with the part.
    assert np.concatenate(without).tolist() != np.concatenate(whole).tolist()


def test_inner_algorithms_are_exchangeable():
    for inner in ("unsga3", "random"):
        asked, _ = search({"preset": "paper", "population": 10, "inner": inner, "inner_evals": 100}, evals=20)
        assert sum(map(len, asked)) == 20


def test_spread_goes_from_smallest_to_largest():
    X = spread(NET.space, 12, np.random.default_rng(0))
    macs = NET.macs(X)
    assert macs[0] == NET.macs(NET.space.smallest())[0]
    assert macs[-1] == NET.macs(NET.space.largest())[0]
    drawn = NET.macs(NET.space.sample(12, 0))
    assert np.ptp(macs) > 1.5 * np.ptp(drawn)


def test_exact_objectives_are_not_predicted():
    calls = []

    def exact(X):
        calls.append(len(X))
        return zdt(X)[:, 0]

    problem = Problem(SPACE, ("first", "second"), exact=(exact, None))
    surrogate = Surrogate(problem, "gp", "hierarchical", exact=True)
    X = SPACE.sample(20, 0)
    surrogate.fit(X, zdt(X))
    Z = SPACE.sample(5, 1)
    lower_bound = surrogate.lower_bound(Z, 2.0)
    np.testing.assert_array_equal(lower_bound[:, 0], zdt(Z)[:, 0])
    assert calls
    assert (lower_bound[:, 1] < surrogate.lower_bound(Z, 0.0)[:, 1]).all()


def test_noisy_objectives_are_seen_through_the_predictor():
    problem = Problem(SPACE, ("first", "second"), noise=(0.0, 0.1))
    surrogate = Surrogate(problem, "gp", "hierarchical", exact=True)
    X, rng = SPACE.sample(80, 0), np.random.default_rng(1)
    F = zdt(X)
    told = F * np.stack([np.ones(80), rng.normal(1.0, 0.1, 80)], axis=1)
    surrogate.fit(X, told)
    seen = surrogate.posterior_mean(X, told)
    np.testing.assert_array_equal(seen[:, 0], told[:, 0])
    assert np.abs(seen[:, 1] - F[:, 1]).mean() < 0.8 * np.abs(told[:, 1] - F[:, 1]).mean()


@pytest.mark.slow
def test_inner_search_is_as_good_as_pymoos():
    from pymoo.algorithms.moo.nsga2 import NSGA2

    from hwnas.search.algorithms._pymoo import DEFAULTS, PymooSearch

    space = NET.space

    def objectives(X):
        scaled = space.one_hot(X)
        return np.stack([NET.macs(X) / 1e8, scaled[:, ::3].sum(axis=1) + 0.1 * scaled[:, 1::3].sum(axis=1)], axis=1)

    corner = np.array([8.0, 40.0])
    variation = Variation(CROSSOVERS["uniform"], 0.9, MUTATIONS["reset"], 0.0)
    ours, theirs = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        start = space.canonical(space.sample(50, rng))
        ours.append(hypervolume(evolve(space, objectives, start, 4000, rng, variation)[1], corner))
        problem = Problem(space, ("a", "b"))
        other = PymooSearch("nsga2", problem, 4000, rng, {**DEFAULTS, "initial": start}, NSGA2)
        values = []
        while len(X := other.ask()):
            values.append(objectives(X))
            other.tell(X, values[-1])
        theirs.append(hypervolume(np.concatenate(values), corner))
    assert np.mean(ours) > 0.98 * np.mean(theirs)


@pytest.mark.parametrize(("offspring", "generations"), [(None, [10] * 6), (25, [10, 25, 25])])
def test_a_generation_has_as_many_children_as_are_asked_for(offspring, generations):
    looked_at = []

    def objectives(X):
        looked_at.append(len(X))
        return zdt(X)

    variation = Variation(CROSSOVERS["uniform"], 0.5, MUTATIONS["reset"], 0.0)
    start = spread(SPACE, 10, np.random.default_rng(0))
    evolve(SPACE, objectives, start, 60, np.random.default_rng(0), variation, offspring)
    assert looked_at == generations


def test_crowding_distance_by_definition(rng):
    F = rng.random((30, 2))
    F = F[non_dominated(F)]
    found = crowding_distance(F)
    order = np.argsort(F[:, 0])
    inner = order[1:-1]
    span = np.ptp(F, axis=0)
    expected = [(np.abs(F[order[i + 1]] - F[order[i - 1]]) / span).sum() for i in range(1, len(order) - 1)]
    np.testing.assert_allclose(found[inner], expected)
    assert np.isinf(found[order[[0, -1]]]).all()


def test_distinct_keeps_values_with_their_vectors(rng):
    X = rng.integers(0, 2, size=(50, 3))
    Z, F = distinct(X, X.astype(float))
    np.testing.assert_array_equal(Z, F)
    assert len(Z) == len(np.unique(X, axis=0))


def test_observations_remember_the_last_value_and_keep_failures():
    observations = Observations(Problem(SPACE, ("a", "b")), 10)
    X = SPACE.sample(3, 0)
    observations.add(X, [[1.0, 2.0], [np.nan, 3.0], [5.0, 6.0]])
    observations.add(X[:1], [[7.0, 8.0]])
    assert len(observations) == 3
    np.testing.assert_array_equal(observations.ok, [True, False, True])
    np.testing.assert_array_equal(observations.values(X[:1]), [[7.0, 8.0]])
    assert np.isnan(observations.values(X[1:2])).all()
    assert len(observations.ask(X)) == 0, "what was observed is not asked for"


def test_predictor_per_objective():
    problem = Problem(SPACE, ("latency", "top1"))
    assert predictor_kinds(problem, "ridge") == ["ridge", "ridge"]
    assert predictor_kinds(problem, "svr-rbf,latency=ridge") == ["ridge", "svr-rbf"]
    with pytest.raises(UsageError, match="did you mean 'ridge'"):
        search({"preset": "paper", "predictors": "rigde", "population": 5}, evals=10)


@pytest.mark.parametrize(("key", "near"), [("design", "spread"), ("selection", "rank"), ("selection", "improvement")])
def test_a_misspelled_part_is_refused_with_the_nearest(key, near):
    with pytest.raises(UsageError, match=rf"linas: {key}: unknown '{near}s'.*{near}"):
        search({key: f"{near}s"}, evals=1)


def test_settings_are_read_from_text():
    asked, _ = search({"first": "6", "batch": "2", "inner_evals": "200"}, evals=10)
    assert len(asked[0]) == 6
    with pytest.raises(UsageError, match="first: expected int like 12, got 'many'"):
        search({"first": "many"})


@pytest.mark.parametrize(
    ("name", "key", "value", "said"),
    [
        ("linas", "batch", 0, "batch: expected 1 or more, got 0"),
        ("linas", "population", "-1", "population: expected 1 or more, got '-1'"),
        ("linas", "first", -1, "first: expected 0 or more, got -1"),
        ("linas", "batch", 2.5, "batch: expected int like 4, got 2.5"),
        ("linas", "batch", float("inf"), "batch: expected int like 4, got inf"),
        ("linas", "kappa", float("nan"), "kappa: expected float like 1.0, got nan"),
        ("predict-once", "population", 0, "population: expected 1 or more, got 0"),
        ("nsga2", "population", 0, "population: expected 1 or more, got 0"),
        ("moead", "population", 1, "population: expected 2 or more, since neighbours mate, got 1"),
    ],
)
def test_a_count_that_is_none_is_refused(name, key, value, said):
    """It ended in a library's error, in a search that never ended, or in one that was short without a word."""
    with pytest.raises(UsageError, match=f"^{name}: {said}$"):
        algorithms.create(name, Problem(SPACE, ("first", "second")), 20, np.random.default_rng(0), {key: value})


def test_what_may_be_none_and_whole_numbers_of_any_kind_are_read():
    for value in (0, "0", 0.0, np.int64(0)):
        asked, _ = search({"first": value, "batch": 2.0, "inner_evals": 200}, evals=8)
        assert len(np.concatenate(asked)) == 8


def told(F, settings=None, problem=None):
    """Return default LINAS that has been told of as many sub-networks as ``F`` has rows."""
    problem = problem or Problem(SPACE, ("first", "second"))
    algorithm = algorithms.create("linas", problem, 200, np.random.default_rng(0), settings or {})
    X = SPACE.sample(len(F), 0)
    algorithm.tell(X, np.asarray(F, dtype=np.float64))
    return algorithm


def stagnates_beyond(algorithm, reference):
    return algorithm._stagnates(*algorithm._evaluated(), reference)


# Of 40 evaluations all lie behind the first two; the corner is a little beyond (10, 10).
BEHIND = np.concatenate([[[1.0, 4.0], [4.0, 1.0], [10.0, 10.0]], np.full((37, 2), 5.0)])
CORNER = np.array([10.1, 10.1])


@pytest.mark.parametrize(
    ("change", "settings", "stagnates"),
    [
        ({}, {}, True),
        ({}, {"stagnation": 0.0}, False),
        ({30: (0.9, 4.0)}, {}, False),  # a gain of 1 % among the last 20
        ({30: (0.99, 4.0)}, {}, True),  # of 0.1 %
        ({30: (0.99, 4.0)}, {"stagnation": 0.0005}, False),
        ({15: (0.5, 0.5)}, {}, True),  # before them
        ({30: (np.nan, np.nan)}, {}, True),
    ],
)
def test_a_search_stagnates_whose_last_evaluations_have_hardly_improved_the_front(change, settings, stagnates):
    F = BEHIND.copy()
    for row, values in change.items():
        F[row] = values
    algorithm = told(np.concatenate([F, F[-1:]]), settings)  # one failed leaves forty
    assert stagnates_beyond(algorithm, algorithm._reference()) is stagnates
    assert not stagnates_beyond(told(F[:38], settings), CORNER)  # too few to tell


def test_what_breaks_a_constraint_ends_no_stagnation():
    F = BEHIND.copy()
    F[30] = 0.5, 0.5
    breaks = SPACE.sample(len(F), 0)[30]
    limited = Problem(SPACE, ("first", "second"), violation=lambda X: (breaks == X).all(axis=1).astype(float))
    assert stagnates_beyond(told(F, problem=limited), CORNER)
    assert not stagnates_beyond(told(F), CORNER)


@pytest.mark.parametrize(("settings", "first"), [({}, 1), ({"stagnation": 0.0}, 0)])
def test_a_stagnating_search_leaves_what_it_has_tried(settings, first):
    algorithm = told(BEHIND, {"batch": 1, **settings})
    # The first candidate promises most, but another was chosen for the same promise, and gave nothing.
    candidates, bounds = SPACE.sample(2, 7), np.array([[2.0, 2.0], [0.9, 6.0]])
    algorithm._hoped = np.array([[2.0, 2.0]])
    none = candidates[:0]
    assert algorithm._best_batch(candidates, bounds, none).tolist() == [candidates[first].tolist()]
    # Where nothing else promises anything, it is as if nothing had been tried.
    assert algorithm._best_batch(candidates[:1], bounds[:1], none).tolist() == [candidates[0].tolist()]


@pytest.mark.slow
def test_a_stagnating_search_goes_on_from_its_state():
    problem, settings = Problem(SPACE, ("first", "second")), {"inner_evals": 500}
    whole = algorithms.create("linas", problem, 200, np.random.default_rng(0), settings)
    while len(batch := whole.ask()) and len(whole._observations) < 60:
        whole.tell(batch, zdt(batch))
    assert stagnates_beyond(whole, whole._reference())
    resumed = algorithms.create("linas", problem, 200, np.random.default_rng(1), settings)
    vectors = whole._observations.vectors
    resumed.tell(vectors, zdt(vectors))
    resumed.restore(json.loads(json.dumps(whole.state())), np.concatenate([vectors, batch]))
    earlier = {key: value for key, value in whole.state().items() if key != "hoped"}
    for algorithm in (whole, resumed):
        algorithm.tell(batch, zdt(batch))
    assert resumed.ask().tolist() == whole.ask().tolist()
    # A state of version 0.2 does not have it.
    resumed.restore(earlier, np.concatenate([vectors, batch]))
    assert len(resumed.ask())
