"""A search starts from the accuracies that another study has found, on whatever platform that was."""

from __future__ import annotations

import numpy as np
import pytest
from lookup_tables import written

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._surrogate import Surrogate
from hwnas.search.objectives import Sources
from hwnas.search.study.plan import Plan
from hwnas.search.study.request import Request
from hwnas.search.study.run import search
from hwnas.supernets.errors import UsageError

NET = supernets.get("ofa-mbv3-w1.0")
QUICK = {"first": 4, "batch": 2, "inner_evals": 40}


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


@pytest.fixture
def tables(tmp_path):
    """Two devices: on the second, kernels cost more."""
    return [
        written(tmp_path / "a.yaml", NET, lambda block: 1e-9 + block.macs / 1e11),
        written(tmp_path / "b.yaml", NET, lambda block: 1e-9 + (block.macs / 1e11) ** 0.5),
    ]


def before(store, platform, evals=12, study="on-a", **more):
    """Search A."""
    given = {"algorithm": "random", "evals": evals, "seed": 0, **more}
    return search(NET, platform, store=store, study=study, **given)


def go(store, platform, evals, study, whence="on-a", **more):
    """Search B."""
    given = {"algorithm": "linas", "settings": QUICK, "evals": evals, "seed": 1, **more}
    return search(NET, platform, store=store, study=study, transfer_from=whence, **given)


def plan(store, platform, whence, **more):
    with Sources(NET, platform, more.pop("quality", None), store=store) as sources:
        return Plan(Request("linas", 0, transfer_from=whence, **more), sources)


def keys(study):
    return [one.key for one in study.archive]


def test_accuracies_of_a_study_are_known_from_the_first_evaluation_on(store, tables):
    found = before(store, tables[0])
    problem = plan(store, tables[1], "on-a").problem()
    assert problem.names == ("latency", "top1")
    latency, (X, values) = problem.evaluated
    assert latency is None
    assert NET.space.keys(X) == keys(found)
    np.testing.assert_array_equal(values, [-one.objectives["top1"] for one in found.archive])


@pytest.mark.parametrize("more", [{"quality": "none", "objectives": ("latency", "macs")}, {"objectives": ("params",)}])
def test_other_objectives_are_not_those_that_were_evaluated(store, tables, more):
    before(store, tables[0])
    assert all(one is None for one in plan(store, tables[1], "on-a", **more).problem().evaluated)


def test_another_quality_of_the_same_name_is_another_objective(store, tables, tmp_path):
    X = NET.space.canonical(NET.space.sample(20, 0))
    rows = [f'"{str(config)!s}",{70 + n}' for n, config in enumerate(NET.space.decode(X))]
    file = tmp_path / "q.csv"
    file.write_text("config,top1\n" + "\n".join(rows).replace("'", '""') + "\n", encoding="utf-8")
    before(store, tables[0])
    spec = f"table:{file}"
    problem = plan(store, tables[1], "on-a", quality=spec).problem()
    assert problem.names == ("latency", "top1")
    assert problem.evaluated == (None, None)


def test_accuracies_carry_over_to_a_platform_that_knows_its_latencies(store, tables):
    """The platform knows its latencies: they are not predicted, and there is something to transfer nevertheless."""
    before(store, tables[0])
    seen = []
    study = go(store, tables[1], 10, "b", progress=lambda event: seen.append(event.origins))
    assert seen[-1] == ("on-a (12 latencies, 12 values of top1)",)
    assert keys(study) != keys(search(NET, tables[1], algorithm="linas", settings=QUICK, evals=10, seed=1))


def test_a_study_without_latencies_serves_by_its_accuracies(store, tables):
    before(store, None, objectives=("macs", "quality"))
    seen = []
    go(store, tables[1], 6, "b", progress=lambda event: seen.append(event.origins))
    assert seen[-1] == ("on-a (12 values of top1)",)
    with pytest.raises(UsageError, match="nothing to transfer"):
        go(store, tables[1], 6, "c", objectives=("latency", "macs"))


def test_a_search_without_a_platform_starts_from_accuracies(store, tables):
    before(store, tables[0])
    problem = plan(store, None, "on-a", objectives=("macs", "quality")).problem()
    assert [one is None for one in problem.evaluated] == [True, False]
    assert len(go(store, None, 8, "b", objectives=("macs", "quality")).archive) == 8


def test_too_few_of_them_say_nothing(store, tables):
    before(store, tables[0], evals=7)
    assert plan(store, tables[1], "on-a").transfer.evaluated(plan(store, tables[1], None).objectives[1]) is None


@pytest.mark.slow
def test_a_resumed_search_knows_what_it_knew_when_it_began(store, tables):
    before(store, tables[0])
    whole = go(store, tables[1], 10, "whole")
    go(store, tables[1], 6, "parted")
    before(store, tables[0], 40, resume=True)
    assert keys(go(store, tables[1], 10, "parted", resume=True)) == keys(whole)
    assert keys(go(store, tables[1], 10, "later")) != keys(whole)


@pytest.mark.slow
def test_everything_known_is_the_accuracies_of_studies_on_this_platform_too(store, tables):
    before(store, tables[1], study="here, earlier")
    before(store, None, study="by MACs", objectives=("macs", "quality"))
    before(store, tables[0], study="another quality", quality="none", objectives=("latency", "macs"))
    study = go(store, tables[1], 6, "b", "known")
    assert study.settings["transfer_known"] == [
        {"study": "another quality"},
        {"study": "here, earlier", "latency": False},
        {"study": "by MACs", "latency": False},
    ]
    assert keys(go(store, tables[1], 8, "b", "known", resume=True))[:6] == keys(study)


def test_what_is_known_serves_without_a_platform(store, tables):
    """Latencies do not, of which nothing is asked."""
    with pytest.raises(UsageError, match=r"has no study of ofa-mbv3-w1\.0 with 8 evaluations of an objective"):
        plan(store, None, "known", objectives=("macs", "quality")).transfer.check()
    before(store, tables[0])
    before(store, tables[0], study="no quality", quality="none", objectives=("latency", "macs"))
    planned = plan(store, None, "known", objectives=("macs", "quality"))
    assert planned.transfer.described == ("on-a (12 values of top1)",)


def problem_with(evaluated, **more):
    known = (NET.macs, NET.params)
    return Problem(NET.space, ("latency", "top1"), known=known, evaluated=(None, evaluated), **more)


def test_predictions_are_fitted_to_both_and_own_evaluations_come_first():
    X = NET.space.canonical(NET.space.sample(30, 0))
    elsewhere = np.arange(30.0)
    surrogate = Surrogate(problem_with((X, elsewhere)), "gp", "hierarchical", True)
    own, F = X[:3], np.stack([np.arange(3.0), [100.0, 101.0, 102.0]], axis=1)
    surrogate.fit(own, F)
    predicted = surrogate.lower_bound(X, 0.0)[:, 1]
    assert predicted[:3].min() > 60
    assert np.abs(predicted[3:] - elsewhere[3:]).mean() < 10


def test_the_first_population_is_along_the_front_that_is_expected():
    """Accuracy is known to come from depth alone: the first population takes depth, not whatever is large."""
    X = NET.space.canonical(NET.space.sample(80, 0))
    deep = np.array([choice.key == "d" for choice in NET.space.choices])

    def accuracy(X):
        return np.asarray(X)[:, deep].sum(axis=1).astype(float)

    problem = problem_with((X, -accuracy(X)), priors=(NET.macs, None))
    first = algorithms.create("linas", problem, 20, np.random.default_rng(0), {}).ask()
    usual = algorithms.create("linas", problem_with(None), 20, np.random.default_rng(0), {}).ask()
    assert (len(first), len(usual)) == (4, 12)
    assert accuracy(first).max() == accuracy(NET.space.largest())[0]
    assert NET.macs(first[accuracy(first).argmax()][None]) < 0.8 * NET.macs(NET.space.largest())
    assert NET.macs(usual).max() == NET.macs(NET.space.largest())


def test_linas_as_published_refuses_what_it_makes_no_use_of():
    X = NET.space.canonical(NET.space.sample(10, 0))
    for name, settings in (("linas", {"preset": "paper"}), ("nsga2", {})):
        with pytest.raises(UsageError, match="makes no use of what is known on another platform"):
            algorithms.create(name, problem_with((X, np.arange(10.0))), 20, np.random.default_rng(0), settings)


@pytest.mark.slow
def test_latencies_that_say_nothing_of_others_change_nothing_in_a_search():
    """A search with sources that are left out is the one without: the same model, of latencies as they are."""

    def asked(prior):
        problem = Problem(NET.space, ("latency", "top1"), known=(NET.macs, NET.params), priors=(prior, None))
        algorithm = algorithms.create("linas", problem, 24, np.random.default_rng(0), {"inner_evals": 400})
        found = []
        while len(X := algorithm.ask()):
            found += NET.space.keys(X)
            algorithm.tell(X, np.stack([NET.macs(X) / 1e9, -(NET.params(X) ** 0.5) / 1e3], axis=1))
        return found

    noise = np.random.default_rng(3).lognormal(0.0, 1.0, 2**20)
    assert asked(lambda X: noise[(np.asarray(X) @ np.arange(1, NET.space.n_var + 1) * 7919) % 2**20]) == asked(None)
