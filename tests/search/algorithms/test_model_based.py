"""Searches whose model is a library's, their local search, and predictors that are trained once."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
from botorch_here import needed_by

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms import optuna_gp, qlognehvi
from hwnas.search.algorithms._local_search import climb, neighbours
from hwnas.search.algorithms._optuna import optuna_for
from hwnas.search.algorithms.predict_once import evenly
from hwnas.search.hypervolume import hypervolume
from hwnas.search.sampling import every_point, row_keys
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("k", (0, 1, 2, 3)) for _ in range(8)))
# A depth, labels that have no order, and a choice that has an effect at the larger depth alone.
MIXED = SearchSpace((
    Choice("d", (1, 2)), Choice("op", ("a", "b", "c"), ordered=False), Choice("w", (1, 2, 3), needs=(0, 1)),
))  # fmt: skip
LIBRARIES = ["optuna-gp", "qlognehvi"]
# What a library thinks about every proposal takes up to a second: these begin later, and look at fewer candidates.
BRIEF = {"optuna-gp": {"first": 16}, "qlognehvi": {"first": 14, "samples": 32, "candidates": 64, "starts": 1}}
WORST = np.array([25.0, 25.0])


def trade(X):
    """The first half trades one objective for the other, the second only costs."""
    first, second = X[:, :4].sum(axis=1), X[:, 4:].sum(axis=1)
    return np.stack([first + second, 12.0 - first + second], axis=1).astype(float)


def made(name, evals=24, seed=0, settings=None, **problem):
    needed_by(name)
    posed = Problem(SPACE, ("a", "b"), **problem)
    return algorithms.create(name, posed, evals, np.random.default_rng(seed), settings or {})


def searched(algorithm):
    asked = []
    while len(X := algorithm.ask()):
        algorithm.tell(X, trade(X))
        asked.append(X)
    return np.concatenate(asked)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LIBRARIES, "predict-once"])
def test_beats_random(name):
    settings = BRIEF.get(name)
    found = [hypervolume(trade(searched(made(name, 30, seed, settings))), WORST) for seed in range(2)]
    random = [hypervolume(trade(searched(made("random", 30, seed))), WORST) for seed in range(2)]
    assert min(found) > max(random)


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARIES)
def test_what_is_pending_is_not_proposed_and_changes_what_is(name):
    batches = []
    for pending in (0, 4):
        algorithm = made(name, settings={"first": 12, "batch": 4})
        X = algorithm.ask()
        algorithm.tell(X[: 12 - pending], trade(X)[: 12 - pending])
        batches.append(algorithm.ask(pending=X[12 - pending :]))
        assert not set(row_keys(batches[-1])) & set(row_keys(X))
        assert len(set(row_keys(batches[-1]))) == 4
    assert (batches[0] != batches[1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARIES)
def test_goes_on_from_its_state(name):
    whole = made(name)
    X = whole.ask()
    whole.tell(X, trade(X))
    state = whole.state()
    expected = whole.ask()
    other = made(name, seed=9)
    other.restore(state, X)
    other.tell(X, trade(X))
    np.testing.assert_array_equal(other.ask(), expected)
    with pytest.raises(ValueError, match="version"):
        other.restore({**state, "version": 0}, X)


@pytest.mark.parametrize("name", LIBRARIES)
def test_asks_for_no_more_before_anything_is_known_of_what_is_pending(name):
    algorithm = made(name)
    X = algorithm.ask()
    assert len(algorithm.ask(pending=X)) == 0


def test_a_trial_of_optuna_says_by_how_much_a_sub_network_breaks_each_constraint():
    problem = Problem(SPACE, ("a", "b"), bounds=(None, 9.0), violation=lambda X: np.maximum(0.0, X[:, 0] - 2.0))
    sampler = optuna_gp.Sampler(problem, optuna_for("optuna-gp"))
    X = np.concatenate([SPACE.smallest(), SPACE.largest()])
    study = sampler._study(X, trade(X), X[:0], 0)
    assert [trial.constraints for trial in study.trials] == [{"b": 3.0, "known": 0.0}, {"b": 3.0, "known": 1.0}]
    free = optuna_gp.Sampler(Problem(SPACE, ("a", "b")), optuna_for("optuna-gp"))
    assert [trial.constraints for trial in free._study(X, trade(X), X[:0], 0).trials] == [{}, {}]


def test_optuna_is_not_told_of_an_objective_that_is_the_same_for_all():
    """With one, no hypervolume is left to improve, and it proposed what random search would."""
    sampler = optuna_gp.Sampler(Problem(SPACE, ("a", "b", "c"), bounds=(None, None, 5.0)), optuna_for("optuna-gp"))
    X = every_point(SPACE)[::7]
    three = np.column_stack([trade(X)[:, 0], np.full(len(X), 7.0), trade(X)[:, 1]])
    study = sampler._study(X, three, X[:0], 0)
    assert [trial.values for trial in study.trials] == trade(X).tolist()
    assert len(study.directions) == 2
    assert study.trials[0].constraints == {"c": three[0, 2] - 5.0}
    assert len(sampler._study(X, np.ones((len(X), 3)), X[:0], 0).directions) == 3


def test_what_is_pending_is_a_running_trial_and_labels_are_categories():
    sampler = optuna_gp.Sampler(Problem(MIXED, ("a", "b")), optuna_for("optuna-gp"))
    X = every_point(MIXED)[:3]
    study = sampler._study(X[:2], np.ones((2, 2)), X[2:], 0)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "RUNNING"]
    kinds = [type(one).__name__ for one in study.trials[0].distributions.values()]
    assert kinds == ["IntDistribution", "CategoricalDistribution", "IntDistribution"]
    assert [list(trial.params.values()) for trial in study.trials] == X.tolist()


@pytest.mark.parametrize(
    ("name", "package", "extra"), [("optuna-gp", "optuna", "motpe"), ("qlognehvi", "botorch", "botorch")]
)
def test_a_missing_package_says_how_to_install_it(name, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"algorithm '{name}' needs .* pip install 'hwnas\[{extra}\]'"):
        algorithms.create(name, Problem(SPACE, ("a", "b")), 5, np.random.default_rng(0))


# --- the local search -------------------------------------------------------------------------------------------------


def test_neighbours_are_all_networks_that_one_change_of_an_active_choice_leads_to():
    vectors = np.array(list(itertools.product(range(2), range(3), range(3))))
    for x in every_point(MIXED):
        differs = vectors != x
        near = vectors[(differs.sum(axis=1) == 1) & (differs & MIXED.active(x[None])).any(axis=1)]
        found = neighbours(MIXED, x)
        assert sorted(row_keys(found)) == sorted(row_keys(MIXED.canonical(near)))


def test_climbing_finds_the_best_of_a_sum_or_what_no_new_neighbour_beats(rng):
    weight = rng.normal(size=(SPACE.n_var, 4))

    def score(X):
        return weight[np.arange(SPACE.n_var), X].sum(axis=1)

    points = every_point(SPACE)
    order = np.argsort(-score(points))
    start = SPACE.sample(5, 0)
    np.testing.assert_array_equal(climb(SPACE, score, start, set(), 2)[0], points[order[0]])
    best = row_keys(points[order[:1]])
    (second,) = climb(SPACE, score, start, set(best), 2)
    around = [x for x in neighbours(SPACE, second) if row_keys(x[None]) != best]
    assert row_keys(second[None]) != best
    assert score(np.array(around)).max() <= score(second[None])


def test_climbing_where_everything_is_taken_finds_nothing():
    points = every_point(MIXED)
    assert climb(MIXED, lambda X: np.zeros(len(X)), points, set(row_keys(points)), 3).shape == (0, 3)
    left = climb(MIXED, lambda X: np.zeros(len(X)), points, set(row_keys(points[1:])), 3)
    np.testing.assert_array_equal(left, points[:1])


# --- qLogNEHVI --------------------------------------------------------------------------------------------------------


def test_features_are_levels_of_ordered_choices_and_a_column_per_label():
    X = np.array([[1, 2, 1], [0, 0, 0]])
    np.testing.assert_array_equal(qlognehvi._features(MIXED, X), [[1, 0.5, 0, 0, 1], [0, 0, 1, 0, 0]])


@pytest.mark.slow
def test_the_acquisition_is_the_improvement_where_the_model_is_sure(rng):
    """A second way: hypervolume improvements of exact values, which have to come out in the same order."""
    needed_by("qlognehvi")
    import torch

    problem = Problem(SPACE, ("a", "b"), noise=(0.0, 0.0))
    X = SPACE.canonical(SPACE.sample(60, rng))
    acquisition = qlognehvi.Acquisition(problem, qlognehvi.DEFAULTS)
    asked = SPACE.canonical(SPACE.sample(40, rng))
    with qlognehvi._seeded(0):
        found = acquisition._acquisition(X, trade(X), np.ones(60, dtype=bool))
        with torch.no_grad():
            values = found(torch.as_tensor(qlognehvi._features(SPACE, asked)).unsqueeze(1)).numpy()
    worst = trade(X).max(axis=0) + 0.01 * np.ptp(trade(X), axis=0)
    before = hypervolume(trade(X), worst)
    gains = np.array([hypervolume(np.concatenate([trade(X), trade(x[None])]), worst) for x in asked]) - before
    assert gains.max() > 0
    assert values[gains > 0].min() > values[gains == 0].max()


# --- predictors that are trained once ---------------------------------------------------------------------------------


def test_a_random_share_is_asked_for_then_the_predicted_front_at_once():
    algorithm = made("predict-once", 20, settings={"train": 0.3, "inner_evals": 400, "predictor": "ridge"})
    sample = algorithm.ask()
    assert len(sample) == 6
    algorithm.tell(sample, trade(sample))
    front = algorithm.ask()
    assert len(front) == 14
    # Of a sum, ridge learns enough to know that the second half only costs.
    assert trade(front).sum(axis=1).mean() < trade(sample).sum(axis=1).mean() - 2
    assert len(algorithm.ask()) == 0


def test_what_is_exactly_known_is_not_predicted(monkeypatch):
    learned = []

    def fit(features, y, kind):
        learned.append(y)
        return algorithms_fit(features, y, kind)

    from hwnas.search.algorithms import _trained

    algorithms_fit = _trained.fit
    monkeypatch.setattr(_trained, "fit", fit)
    exact = (lambda X: trade(X)[:, 0], None)
    for settings, number in (({}, 1), ({"exact": False}, 2)):
        learned.clear()
        small = {"predictor": "ridge", "inner_evals": 200}
        searched(made("predict-once", 10, settings=small | settings, exact=exact))
        assert len(learned) == number


@pytest.mark.parametrize("train", [0.0, 1.0, -0.5])
def test_a_share_of_none_or_all_is_refused(train):
    with pytest.raises(UsageError, match="train: expected a share"):
        made("predict-once", settings={"train": train})


def test_points_are_chosen_evenly_with_the_ends_first():
    along = np.linspace(0.0, 1.0, 101)
    F = np.stack([10.0 * along, 1.0 - along], axis=1)
    chosen = evenly(F, 5)
    assert set(chosen[:2].tolist()) == {0, 100}
    np.testing.assert_allclose(np.sort(along[chosen]), np.linspace(0.0, 1.0, 5))
    assert evenly(F, 1).tolist() == [0]
