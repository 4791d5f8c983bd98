"""The front that a search reports is measured in full, and kept so."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from weighed import Weighed

from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import Score
from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.objectives import Outcome
from hwnas.search.report.study_view import StudyView
from hwnas.search.study.prior import of_study
from hwnas.search.study.run import search
from hwnas.search.study.snapshots import COMPARED, FINAL, MODELS, extend
from hwnas.search.study.stored import checkpoint_of, load
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (1, 2, 3, 4)) for column in range(4)))
NET = Weighed(SPACE, macs=[10, 3, 1, 2], params=[7, 5, 2, 9])


# --- in a search -----------------------------------------------------------------------------------------------------


class Measured:
    """An objective that is measured with an effort: briefly, it is wrong by a tenth at most."""

    name, unit, maximise, source, costs_nothing, exact, batched = "time", "ms", False, "script", False, False, True

    def __init__(self, sources, calls):
        self.effort, self.calls = sources.effort, calls

    def evaluate(self, X):
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X, again):
        self.calls.append((self.effort, SPACE.keys(X)))
        true = 10.0 + X.sum(axis=1)
        error = 0.0 if self.effort == "thorough" else 0.1 * np.sin(100 * (X @ [1.0, 3.0, 7.0, 11.0]))
        value = true * (1 + error)
        bounds = np.stack([value * 0.9, value * 1.1], axis=1)
        n = len(X)
        return Outcome(value, ("ok",) * n, ("",) * n, bounds, ({},) * n, efforts=(self.effort,) * n)


@pytest.fixture
def calls(monkeypatch):
    made = []
    provider = SimpleNamespace(create=lambda name, sources: Measured(sources, made))
    monkeypatch.setitem(objectives.registry._providers, "time", provider)
    return made


def searched(**options):
    given = {"objectives": ["time", "params"], "algorithm": "random", "evals": 30, "seed": 1} | options
    return search(NET, **given)


def test_a_search_measures_briefly_and_its_front_in_full(calls):
    study = searched()
    efforts = [effort for effort, _ in calls]
    assert efforts == ["quick"] * (len(calls) - 1) + ["thorough"]
    again = set(calls[-1][1])
    for one in study.front:
        assert one.key in again
        assert one.effort == "thorough"
        assert one.objectives["time"] == 10.0 + sum(one.vector)
        assert one.while_searching["time"] != one.objectives["time"]
    assert study.facts["final"]["sub_networks"] == len(again)
    assert {one.effort for one in study.archive if one.key not in again} == {"quick"}
    shown = study.to_json()
    assert shown["effort"] == "quick"
    assert shown["final"]["effort"] == "thorough"
    assert shown["time_s"]["final"] >= 0


def test_the_curve_of_a_search_ends_at_the_hypervolume_of_its_front(calls):
    for seed in range(3):
        study = searched(seed=seed)
        curve = study.archive.hypervolumes(study.reference)
        assert curve[-1] == pytest.approx(study.hypervolume)
        assert (np.diff(curve) >= 0).all()
        assert StudyView(study.to_json()).hypervolumes() == pytest.approx(curve.tolist())


@pytest.mark.parametrize(
    ("options", "efforts"),
    [
        ({"final_front": 0}, {"quick"}),
        ({"effort": "normal"}, {"normal", "thorough"}),
        ({"effort": "thorough"}, {"thorough"}),
    ],
)
def test_how_much_is_measured_can_be_said(calls, options, efforts):
    study = searched(**options)
    assert {effort for effort, _ in calls} == efforts
    assert ("final" in study.facts) == (len(efforts) == 2)


def test_a_small_final_front_has_the_likeliest_and_says_what_it_leaves_out(calls):
    study = searched(final_front=2)
    assert len(calls[-1][1]) == 2
    assert study.facts["final"]["left_out"] > 0
    assert any("more may be on the front" in note for note in study.notes())
    with pytest.raises(UsageError, match="final_front: expected 0 or more"):
        searched(final_front=-1)


def test_where_nothing_is_measured_there_is_nothing_to_measure_again():
    study = search(NET, objectives=["macs", "params"], algorithm="random", evals=5, seed=0)
    assert "final" not in study.facts
    assert "effort" not in study.settings
    assert "effort" not in study.to_json()["evaluations"][0]


def test_the_store_has_the_final_front(calls):
    with Store.open(":memory:") as store:
        study = searched(store=store, study="s")
        again = load(store, "s")
        assert again.archive.front == study.archive.front
        assert [one.to_json() for one in again.archive] == [one.to_json() for one in study.archive]
        assert again.facts["final"] == study.facts["final"]


def test_a_search_that_was_interrupted_in_its_final_front_goes_on_there(calls, monkeypatch):
    whole = searched()
    with Store.open(":memory:") as store:
        evaluate = Measured.evaluate_beside

        def interrupted(self, X, again):
            if self.effort == "thorough":
                raise KeyboardInterrupt
            return evaluate(self, X, again)

        monkeypatch.setattr(Measured, "evaluate_beside", interrupted)
        with pytest.raises(KeyboardInterrupt):
            searched(store=store, study="s")
        monkeypatch.setattr(Measured, "evaluate_beside", evaluate)
        calls.clear()
        study = searched(store=store, study="s", resume=True)
        assert [effort for effort, _ in calls] == ["thorough"]
        assert study.archive.front == whole.archive.front
        calls.clear()
        assert searched(store=store, study="s", resume=True).archive.front == whole.archive.front
        assert calls == []  # all of it is in the store


@pytest.mark.parametrize("algorithm", ["random", "linas"])
def test_a_study_that_has_ended_keeps_its_final_front_when_it_is_resumed_and_does_not_go_on(calls, algorithm):
    with Store.open(":memory:") as store:
        whole = searched(algorithm=algorithm, evals=20, store=store, study="s")
        for _ in range(2):
            calls.clear()
            study = searched(algorithm=algorithm, evals=20, store=store, study="s", resume=True)
            assert calls == []
            assert study.facts["final"] == load(store, "s").facts["final"] == whole.facts["final"]
            assert load(store, "s").archive.front == whole.archive.front


@pytest.mark.parametrize(("evaluations", "stay"), [(4, {FINAL, COMPARED, MODELS}), (5, {FINAL, MODELS}), (6, {MODELS})])
def test_what_lies_beside_a_study_stays_as_long_as_it_is_of_use(calls, evaluations, stay):
    with Store.open(":memory:") as store:
        searched(evals=5, store=store, study="s")
        record = store.study("s")
        extend(store, record, compared="2026-01-31", models=[])
        checkpoint_of(store, record, NET).save({"evaluations": evaluations, "state": {}})
        assert store.snapshot(record).keys() == {"evaluations", "state"} | stay


def test_a_larger_final_front_can_be_asked_for_afterwards(calls):
    with Store.open(":memory:") as store:
        small = searched(store=store, study="s", final_front=2)
        wanted = 2 + small.facts["final"]["left_out"]
        calls.clear()
        assert searched(store=store, study="s", resume=True).facts["final"] == small.facts["final"]
        assert calls == []  # as many as there are is enough where nothing is asked for
        larger = searched(store=store, study="s", resume=True, final_front=wanted)
        assert larger.facts["final"] == load(store, "s").facts["final"]
        assert larger.facts["final"] | {"sub_networks": 0} == {"effort": "thorough", "sub_networks": 0, "left_out": 0}
        assert [(one.key, one.objectives) for one in larger.front] == [
            (one.key, one.objectives) for one in searched(final_front=wanted).front
        ]
        calls.clear()
        searched(store=store, study="s", resume=True, final_front=wanted + 5)
        assert calls == []  # there are no more


@pytest.fixture
def latencies(calls, monkeypatch):
    """Let the latency be what is measured."""
    kind = type("Latency", (Measured,), {"name": "latency"})
    provider = SimpleNamespace(create=lambda name, sources: kind(sources, calls))
    monkeypatch.setitem(objectives.registry._providers, "latency", provider)


def test_a_search_goes_on_after_the_front_of_the_study_that_it_starts_from_was_measured_again(latencies):
    both = {"objectives": ["latency", "params"]}
    with Store.open(":memory:") as store:
        searched(**both, evals=10, store=store, study="a", final_front=0)
        later = {"algorithm": "linas", "store": store, "study": "b", "transfer_from": "a", "final_front": 0}
        begun = searched(**both, **later, evals=11)
        concluded = searched(**both, evals=10, store=store, study="a", resume=True)
        again = searched(**both, **later, evals=12, resume=True)
        assert again.evaluations[:11] == begun.evaluations
        assert any(one.while_searching for one in concluded.evaluations)
        seen = {one.key: one.as_searched().objectives["latency"] for one in concluded.evaluations}
        of_now = of_study(NET, "a", store)
        assert {key: one.seconds for key, one in of_now.known.items()} == seen
        assert {key: one.seconds for key, one in of_study(NET, "a", store, of_now.until).known.items()} == seen
        # A search of an earlier version has begun from the values of the final front.
        final = {key: one.seconds for key, one in of_study(NET, "a", store, (10, "")).known.items()}
        assert final == {one.key: one.objectives["latency"] for one in concluded.evaluations} != seen


@pytest.mark.slow
def test_a_study_that_goes_on_learns_from_what_it_saw_and_has_another_final_front(calls):
    whole = searched(algorithm="linas", evals=30)
    with Store.open(":memory:") as store:
        searched(algorithm="linas", evals=20, store=store, study="s")
        study = searched(algorithm="linas", evals=30, store=store, study="s", resume=True)
        assert [one.key for one in study.archive] == [one.key for one in whole.archive]
        assert study.archive.front == whole.archive.front
        assert load(store, "s").archive.front == whole.archive.front


def test_a_study_keeps_its_effort(calls):
    with Store.open(":memory:") as store:
        searched(evals=5, store=store, study="s", effort="normal")
        calls.clear()
        searched(evals=8, store=store, study="s", resume=True)
        assert {effort for effort, _ in calls} == {"normal", "thorough"}
        with pytest.raises(UsageError, match="effort was 'normal', is 'quick'"):
            searched(evals=8, store=store, study="s", resume=True, effort="quick")


# --- accuracy on few examples ----------------------------------------------------------------------------------------


class Images:
    """A quality source with 10,000 examples, on which it says how many it was tested."""

    USES_WEIGHTS = True
    BRIEF = 2000

    def __init__(self):
        self.tested = []

    def serves(self, name, net):
        return [name]

    def create(self, name, argument, net, options):
        def score(config):
            self.tested.append(options.subset)
            value = 50.0 + sum(int(one) for one in np.ravel(list(config.values())))
            error = 0.0 if options.subset is None else 2.0 * np.sin(100 * value)
            return Score(value + error, value + error - 2.0, value + error + 2.0, options.subset or 10_000)

        return EvaluatedQuality(name, "top1", "%", True, net, options, f"{options.subset or 'all'} images", score)


@pytest.fixture
def images(monkeypatch, tmp_path):
    made = Images()
    monkeypatch.setitem(quality.registry._providers, "pictures", made)
    (tmp_path / "weights").write_bytes(b"weights")

    def run(subset=None, **options):
        made.tested.clear()
        given = {"objectives": ["params", "top1"], "algorithm": "random", "evals": 20, "seed": 1} | options
        weights = QualityOptions(weights=str(tmp_path / "weights"), subset=subset)
        return search(NET, quality="pictures", quality_options=weights, **given), list(made.tested)

    return run


def test_a_search_tests_on_few_examples_and_its_front_on_all(images):
    study, tested = images()
    assert tested[:20] == [2000] * 20
    assert set(tested[20:]) == {None}
    assert len(tested) == 20 + study.facts["final"]["sub_networks"]
    for one in study.front:
        assert one.objectives["top1"] == 50.0 + sum(int(value) for value in np.ravel(list(one.config.values())))
        assert (one.effort, set(one.while_searching)) == ("thorough", {"top1"})


@pytest.mark.parametrize(
    ("options", "subset"), [({"subset": 100}, 100), ({"effort": "normal"}, None), ({"effort": "thorough"}, None)]
)
def test_a_subset_that_is_asked_for_is_used_throughout_and_more_effort_uses_all(images, options, subset):
    study, tested = images(**options)
    assert tested == [subset] * 20
    assert "final" not in study.facts
