"""Comparing algorithms: curves and thresholds against plain counting, and the same result however it is run."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.comparison import run as module
from hwnas.search.comparison.run import Comparison, Contestant, compare
from hwnas.search.hypervolume import hypervolume
from hwnas.search.objectives import Directions, Outcome
from hwnas.search.study.archive import Archive
from hwnas.search.study.run import search
from hwnas.supernets.errors import UnknownNameError, UsageError

NET = supernets.get("ofa-mbv3-w1.0")
PROBLEM = {"objectives": ["macs", "params"], "evals": 40}


@pytest.fixture(scope="module")
def comparison():
    return compare(NET, algorithms=["random", "nsga2"], seeds=3, workers=1, **PROBLEM)


def without_times(shown):
    if isinstance(shown, dict):
        return {key: without_times(value) for key, value in shown.items() if key not in {"time_s", "search_s"}}
    return [without_times(value) for value in shown] if isinstance(shown, list) else shown


@pytest.mark.slow
def test_parallel_processes_find_the_same(comparison):
    events = []
    parallel = compare(NET, algorithms=["random", "nsga2"], seeds=3, workers=2, progress=events.append, **PROBLEM)
    assert without_times(parallel.to_json()) == without_times(comparison.to_json())
    assert [event.done for event in events] == list(range(7))
    assert {event.total for event in events} == {6}
    assert {event.last for event in events[1:]} >= {"random, seed 0", "nsga2, seed 2"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["none-of-the-registered", NET.name])
def test_a_super_network_of_ones_own_is_searched_and_none_that_has_its_name(name):
    class Own(type(NET)):
        def macs(self, X):
            return super().macs(X) + 10**9

    own = Own.__new__(Own)
    own.__dict__.update(NET.__dict__, name=name)
    problem = {"algorithms": ["random"], "seeds": 2, **PROBLEM, "evals": 3}
    found = compare(own, workers=2, **problem)
    assert without_times(found.to_json()) == without_times(compare(own, workers=1, **problem).to_json())
    assert min(one.objectives["macs"] for study in found.studies[Contestant("random")] for one in study.archive) > 1000


def test_each_run_is_the_search_of_that_seed(comparison):
    alone = search(NET, algorithm="nsga2", seed=1, **PROBLEM)
    compared = comparison.studies[Contestant("nsga2")][1]
    assert [one.key for one in compared.evaluations] == [one.key for one in alone.evaluations]


def test_curves_against_counting(comparison):
    runs = comparison.studies[Contestant("random")]
    together = np.vstack([study.archive.F for each in comparison.studies.values() for study in each])
    best = hypervolume(together, comparison.reference)
    for n in (1, 2, 17, 40):
        values = [hypervolume(run.archive.F[:n], comparison.reference) / best for run in runs]
        assert comparison.mean(Contestant("random"))[n - 1] == pytest.approx(np.mean(values))
        error = np.std(values, ddof=1) / np.sqrt(3)
        assert comparison.standard_error(Contestant("random"))[n - 1] == pytest.approx(error)
    assert comparison.best == pytest.approx(best)


def test_thresholds(comparison):
    (threshold,) = comparison.thresholds
    for one in comparison.reached(threshold):
        contestant = Contestant(one.name)
        mean = comparison.mean(contestant)
        if one.evaluations is None:
            assert (mean < threshold).all()
            assert one.time_s is None
        else:
            assert mean[one.evaluations - 1] >= threshold
            assert (mean[: one.evaluations - 1] < threshold).all()
            assert 0 < one.search_s <= one.time_s
        for curve, n in zip(comparison.curves[contestant], one.per_seed, strict=True):
            assert (curve.max() < threshold) if n is None else (curve[n - 1] >= threshold)
    assert sum(one.evaluations is not None for one in comparison.reached(threshold)) == 2
    assert all(one.evaluations is None for one in comparison.reached(1.5))


def test_json(comparison):
    shown = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert shown["schema"] == 1
    assert [one["name"] for one in shown["algorithms"]] == ["random", "nsga2"]
    assert shown["seeds"] == [0, 1, 2]
    assert {len(one["mean"]) for one in shown["algorithms"]} == {40}
    largest = NET.space.largest()
    assert shown["reference"] == {"macs": NET.macs(largest)[0] / 1e6, "params": NET.params(largest)[0] / 1e6}
    for one in shown["algorithms"]:
        assert [surface["level"] for surface in one["attainment"]] == [0.25, 0.5, 0.75]
        assert all(set(point) == {"macs", "params"} for run in one["runs"] for point in run["front"])
        assert one["final"]["mean"] == one["mean"][-1]


def test_searches_of_three_objectives_that_found_nothing_have_no_surfaces():
    problem = {"objectives": ["macs", "params", "model-size"], "constraints": ["macs<=1M"], "evals": 5}
    (shown,) = compare(NET, algorithms=["random"], seeds=2, workers=1, **problem).to_json()["algorithms"]
    assert [surface["points"] for surface in shown["attainment"]] == [[], [], []]
    assert shown["final"]["mean"] == 0.0


def test_one_seed_has_no_standard_error():
    shown = compare(NET, algorithms=["random"], seeds=[7], workers=1, **PROBLEM).to_json()
    assert shown["algorithms"][0]["standard_error"] is None
    assert shown["seeds"] == [7]
    assert shown["thresholds"] == []


def test_what_counts_as_one_and_the_thresholds_can_be_given():
    plain = compare(NET, algorithms=["random"], seeds=1, workers=1, **PROBLEM)
    scaled = compare(
        NET, algorithms=["random"], seeds=1, workers=1, best=2 * plain.best, thresholds=[0.4, 0.1], **PROBLEM
    )
    np.testing.assert_allclose(2 * scaled.curves[Contestant("random")], plain.curves[Contestant("random")])
    assert scaled.thresholds == (0.1, 0.4)
    for wrong in ({"best": 0.0}, {"thresholds": [-1.0]}, {"thresholds": [float("nan")]}):
        with pytest.raises(UsageError, match="positive"):
            Comparison.of(plain.studies, 40, **wrong)


@pytest.mark.parametrize("wrong", [{"best": 0.0}, {"thresholds": [0.5, float("nan")]}])
def test_marks_that_cannot_be_are_refused_before_the_searches(wrong):
    began = []
    with pytest.raises(UsageError, match="positive"):
        compare(NET, algorithms=["random"], seeds=1, workers=1, progress=began.append, **wrong, **PROBLEM)
    assert began == []


def test_a_threshold_that_is_given_twice_is_one():
    once = compare(NET, algorithms=["random"], seeds=1, workers=1, thresholds=[0.4, 0.1, 0.4], **PROBLEM)
    assert once.thresholds == (0.1, 0.4)


def test_presets_are_contestants_of_their_own():
    assert Contestant.parse("linas:paper") == Contestant("linas", "paper")
    assert Contestant.parse(" nsga2 ").name == "nsga2"
    assert Contestant("linas", "paper").name == "linas:paper"
    both = compare(NET, algorithms=["nsga2", "nsga2:paper"], seeds=1, workers=1, **PROBLEM)
    assert [one.name for one in both.studies] == ["nsga2", "nsga2:paper"]


@pytest.mark.parametrize(
    ("changed", "kind", "match"),
    [
        ({"algorithms": []}, UsageError, "at least one of .*nsga2"),
        ({"algorithms": ["nsga"]}, UnknownNameError, "did you mean 'nsga2'"),
        ({"algorithms": ["random", "random"]}, UsageError, "twice"),
        ({"algorithms": ["random:"]}, UsageError, "NAME:PRESET"),
        ({"algorithms": ["random:best"]}, UsageError, "unknown preset 'best'"),
        ({"seeds": 0}, UsageError, "seeds"),
        ({"seeds": [1, 1]}, UsageError, "seeds"),
        ({"evals": 0}, UsageError, "at least 1 evaluation"),
        ({"objectives": ["mac"]}, UnknownNameError, "did you mean 'macs'"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_refusals(changed, kind, match, workers, monkeypatch):
    if workers == 2:  # what a process raises is handed on; that it is spawned for it is tested above
        monkeypatch.setattr(module, "_in_parallel", lambda net, jobs, _, tell: [job.run(net) for job in jobs])
    with pytest.raises(kind, match=match):
        compare(NET, **{"algorithms": ["random"], "seeds": 1, "workers": workers} | PROBLEM | changed)


# --- measured ---------------------------------------------------------------------------------------------------------


class Measured:
    """A stand-in for what is measured: the store remembers for it."""

    name, unit, maximise, source, costs_nothing, exact, batched = "measured", "ms", False, "here", False, False, True

    def evaluate(self, X):
        return Outcome.of(NET.macs(X) ** 0.5 / 1e3, "")


def test_what_is_measured_shares_a_store_and_the_worst_of_all(monkeypatch):
    stores = []

    def create(name, sources):
        stores.append(sources.store)
        return Measured()

    monkeypatch.setitem(objectives.registry._providers, "measured", SimpleNamespace(create=create))
    events = []
    found = compare(
        NET, algorithms=["random"], seeds=3, objectives=["measured", "params"], evals=20, progress=events.append
    )
    used = stores[1:]  # the first only asks whether it is free
    assert len(used) == 2 * 3 + 1  # each search is named first; in the end it is asked what is to be measured together
    assert len({id(store) for store in used}) == 1
    assert used[0].name == ":memory:"
    runs = found.studies[Contestant("random")]
    worst = max(one.objectives["measured"] for run in runs for one in run.evaluations)
    assert found.reference[0] == worst
    assert found.reference[1] == NET.params(NET.space.largest())[0] / 1e6
    assert len({run.reference[0] for run in runs}) > 1
    assert [event.searching.done for event in events if event.searching] == [20, 20, 20]


def test_an_interrupted_comparison_of_what_is_measured_goes_on(monkeypatch, tmp_path):
    evaluated = []

    class Counted(Measured):
        def evaluate(self, X):
            evaluated.extend(NET.space.keys(X))
            return super().evaluate(X)

    monkeypatch.setitem(
        objectives.registry._providers, "measured", SimpleNamespace(create=lambda name, sources: Counted())
    )
    problem = {"algorithms": ["random", "nsga2"], "seeds": 2, "objectives": ["measured", "params"], "evals": 60}

    def interrupt(event):
        if event.done == 2 and event.searching is not None:
            raise KeyboardInterrupt

    with Store.open(str(tmp_path / "s.db")) as store:
        with pytest.raises(KeyboardInterrupt):
            compare(NET, store=store, progress=interrupt, **problem)
        found = compare(NET, store=store, **problem)
        assert len(store.studies()) == 4
    assert len(evaluated) == 4 * 60  # none twice in a study
    runs = [run for one in found.studies.values() for run in one]
    assert [len(run.archive) for run in runs] == [60] * 4


class Drifting(Measured):
    """A stand-in for what is measured on a machine that has another pace whenever somebody begins to measure."""

    def __init__(self, pace):
        self.pace = pace

    def evaluate(self, X):
        found = super().evaluate(X)
        return replace(found, values=found.values * self.pace, efforts=("thorough",) * len(X))

    def evaluate_beside(self, X, again):
        return replace(self.evaluate(X), beside=({},) * len(X))


@pytest.fixture
def drifting(monkeypatch):
    """Let a measured objective drift; return the paces of those that have measured, the latest last."""
    paces = []

    def create(name, sources):
        paces.append(1.0 + 0.37 * (len(paces) % 5))
        return Drifting(paces[-1])

    monkeypatch.setitem(objectives.registry._providers, "measured", SimpleNamespace(create=create))
    return paces


def test_fronts_that_were_measured_at_different_paces_are_compared_at_one(drifting, tmp_path):
    problem = {"algorithms": ["random", "nsga2"], "seeds": 2, "objectives": ["measured", "params"], "evals": 40}
    with Store.open(str(tmp_path / "s.db")) as store:
        found = compare(NET, store=store, **problem)
    fronts = [run.front for runs in found.studies.values() for run in runs]
    for one in (one for front in fronts for one in front):
        macs = NET.macs(np.array([one.vector]))[0]
        assert one.objectives["measured"] == pytest.approx(macs**0.5 / 1e3 * drifting[-1])
        assert one.effort == "thorough"
    assert found.to_json()["measured_together"] == len({one.key for front in fronts for one in front})
    # At one pace the front of all together is not what chance has made of it.
    points = np.vstack([run.archive.front_points() for runs in found.studies.values() for run in runs])
    assert found.best == pytest.approx(hypervolume(points, found.reference))
    for contestant, runs in found.studies.items():
        for run, curve in zip(runs, found.curves[contestant], strict=True):
            assert curve[-1] == pytest.approx(hypervolume(run.archive.front_points(), found.reference) / found.best)


def test_a_seed_before_those_that_were_compared_already_is_compared_with_them(drifting, tmp_path):
    problem = {"algorithms": ["random"], "objectives": ["measured", "params"], "evals": 5}
    with Store.open(str(tmp_path / "s.db")) as store:
        compare(NET, seeds=[1], store=store, **problem)
        found = compare(NET, seeds=[0, 1], store=store, **problem)
    time_s = found.to_json()["algorithms"][0]["time_s"]
    runs = found.studies[Contestant("random")]
    assert time_s["measure"] == pytest.approx(np.mean([run.archive[4].measure_s for run in runs]))
    assert time_s.keys() == {"measure", "search", "total"}


def test_searches_that_somebody_has_resumed_for_more_are_not_compared_with_shorter_ones(drifting, tmp_path):
    problem = {"objectives": ["measured", "params"]}
    with Store.open(str(tmp_path / "s.db")) as store:
        first = compare(NET, algorithms=["random"], seeds=2, evals=5, store=store, **problem)
        longer = search(NET, algorithm="random", seed=1, evals=8, store=store, resume=True, **problem)
        assert longer.name in {run.name for run in first.studies[Contestant("random")]}
        for _ in range(2):
            found = compare(NET, algorithms=["random"], seeds=2, evals=5, store=store, **problem)
            runs = found.studies[Contestant("random")]
            assert [len(run.archive) for run in runs] == [5, 5]
            assert [run["evaluations"] for run in found.to_json()["algorithms"][0]["runs"]] == [5, 5]
            assert [run.name for run in runs] == [first.studies[Contestant("random")][0].name, f"{longer.name}-2"]
        assert len(store.studies()) == 3
        assert store.study(longer.name).evaluations == 8


def test_a_search_all_of_whose_evaluations_failed_takes_nothing_from_the_others(monkeypatch):
    provider = SimpleNamespace(create=lambda name, sources: Measured())
    monkeypatch.setitem(objectives.registry._providers, "measured", provider)
    problem = {"objectives": ["measured", "params"], "evals": 20}
    found, lost = (search(NET, algorithm="random", seed=seed, **problem) for seed in (0, 1))
    archive = Archive(lost.archive.names, Directions([False, False]))
    nothing = {"status": "failed", "objectives": {"measured": np.nan, "params": np.nan}}
    archive.add([replace(one, **nothing) for one in lost.archive])
    lost = replace(lost, archive=archive)
    together = Comparison.of({Contestant("random"): [found, lost]}, 20)
    assert together.best == pytest.approx(found.hypervolume)
    assert together.curves[Contestant("random")][:, -1].tolist() == pytest.approx([1.0, 0.0])


def test_a_comparison_of_what_costs_nothing_measures_nothing_together(comparison):
    assert "measured_together" not in comparison.to_json()
