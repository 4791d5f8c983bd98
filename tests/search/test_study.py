"""The study loop: nothing twice, nothing lost, and the same again from the same seed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from botorch_here import needed_by

from hwnas.harness.store import Store
from hwnas.search import algorithms, objectives
from hwnas.search.objectives import Outcome
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import StoreError, UnknownNameError, UsageError
from hwnas.supernets.space import Choice, SearchSpace


class Tiny:
    """27 networks, 36 vectors; two counts that disagree and a quality of its own."""

    name = "tiny"
    summary = "a stand-in"
    default_quality = "none"
    slots = ()
    space = SearchSpace((Choice("a", (1, 2, 3)), Choice("b", (1, 2, 3, 4), needs=(0, 1)), Choice("c", (1, 2, 3))))

    def macs(self, X):
        return (np.asarray(X) @ [10, 3, 1] + 5) * 1_000_000

    def params(self, X):
        return (40 - np.asarray(X) @ [7, 5, 2]) * 1_000_000


class Scripted:
    """An objective that remembers what it was asked; ``fails`` and ``unstable`` hold keys."""

    unit, maximise, source, costs_nothing, exact, batched = "%", True, "script", False, False, True

    def __init__(self, name="score", **changed):
        self.name = name
        self.asked = []
        self.fails, self.unstable = set(), set()
        self.stop_after = None
        self.__dict__ |= changed

    def evaluate(self, X):
        keys = Tiny.space.keys(X)
        if self.stop_after is not None and len(self.asked) + len(keys) > self.stop_after:
            raise KeyboardInterrupt
        self.asked += keys
        values = (X @ [3.0, 5.0, 1.0]) % 7 + X[:, 0]
        status = ["failed" if k in self.fails else "unstable" if k in self.unstable else "ok" for k in keys]
        values = np.where([one == "failed" for one in status], np.nan, values)
        reasons = tuple("" if one == "ok" else f"it was {one}" for one in status)
        return Outcome(values, tuple(status), reasons)


class Echo:
    """An algorithm that asks batches from a list, and remembers what it was told."""

    def __init__(self, batches):
        self.batches = list(batches)
        self.told = []

    def ask(self):
        return np.array(self.batches.pop(0) if self.batches else [], dtype=np.int64).reshape(-1, 3)

    def tell(self, X, F):
        self.told.append((np.asarray(X).tolist(), np.asarray(F).tolist()))


@pytest.fixture
def score(monkeypatch):
    made = Scripted()
    provider = SimpleNamespace(create=lambda name, sources: made)
    monkeypatch.setitem(objectives.registry._providers, "score", provider)
    return made


@pytest.fixture
def echo(monkeypatch):
    """Register the algorithm "echo"; the fixture sets its batches and gives the last one made."""
    made = SimpleNamespace(batches=[], last=None, problem=None, settings=None)

    def create(name, problem, evals, rng, settings):
        made.last, made.problem, made.settings = Echo(made.batches), problem, settings
        return made.last

    provider = SimpleNamespace(create=create, MAX_OBJECTIVES=None, SUMMARY="asks what it is told to")
    monkeypatch.setitem(algorithms.registry._providers, "echo", provider)
    return made


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


def tiny(**options):
    base = {"objectives": ["macs", "params"], "algorithm": "random", "evals": 12, "settings": {"batch": 5}}
    return search(Tiny(), **base | options)


def found(study):
    """Everything of a study but its times."""
    timeless = {"measure_s": 0, "search_s": 0, "total_s": 0}
    return [one.to_json() | timeless for one in study.evaluations]


# --- the loop ---------------------------------------------------------------------------------------------------------


def test_no_sub_network_is_evaluated_twice_and_what_is_known_is_answered(score, echo):
    echo.batches = [[[0, 0, 0], [1, 1, 1], [0, 3, 0]], [[1, 1, 1], [2, 0, 0], [2, 0, 0]]]
    study = tiny(objectives=["score", "macs"], algorithm="echo", settings={})
    assert score.asked == ["000", "111", "200"]  # [0, 3, 0] is [0, 0, 0] spelled otherwise
    assert [one.iteration for one in study.evaluations] == [0, 0, 1]
    first, second = echo.last.told
    assert first[0] == [[0, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert second[0] == [[1, 1, 1], [2, 0, 0], [2, 0, 0]]
    assert second[1][0] == first[1][1]
    assert first[1][1] == [-(9 % 7 + 1), 10 + 3 + 1 + 5]


def test_a_failed_evaluation_is_kept_with_its_reason_and_told_as_nan(score, echo):
    score.fails, score.unstable = {"111"}, {"200"}
    echo.batches = [[[0, 0, 0], [1, 1, 1], [2, 0, 0]]]
    study = tiny(objectives=["score", "macs"], algorithm="echo", settings={})
    assert [one.status for one in study.evaluations] == ["ok", "failed", "unstable"]
    assert study.evaluations[1].reason == "score: it was failed"
    assert np.isnan(echo.last.told[0][1][1]).all()
    assert 1 not in [one.index for one in study.front]
    assert study.to_json()["evaluations"][1]["objectives"] == {"score": None, "macs": 19.0}
    assert "1 of 3 evaluations failed: score: it was failed" in study.notes()


def test_evals_cut_the_last_batch(echo):
    echo.batches = [Tiny.space.canonical(Tiny.space.sample(200, 0)).tolist()]
    assert len(tiny(algorithm="echo", settings={}, evals=7).evaluations) == 7


@pytest.mark.slow
def test_an_algorithm_that_asks_only_for_what_is_known_is_stopped(echo):
    echo.batches = [[[0, 0, 0]]] * 1000
    study = tiny(algorithm="echo", settings={})
    assert len(study.evaluations) == 1
    assert "nothing new" in study.stopped
    assert study.notes() == [f"stopped: {study.stopped}"]
    assert len(echo.last.batches) > 800


def test_the_whole_space_can_be_evaluated():
    study = tiny(evals=1000)
    assert len(study.evaluations) == Tiny.space.distinct_size == 27
    assert len({one.key for one in study.evaluations}) == 27


def test_an_exhausted_algorithm_ends_the_search(echo):
    echo.batches = [[[0, 0, 0]], []]
    assert tiny(algorithm="echo", settings={}).stopped == "the algorithm has nothing left to ask for after 1 evaluation"


def test_slow_objectives_are_evaluated_and_kept_one_by_one(score, store):
    score.batched, score.stop_after = False, 7
    with pytest.raises(KeyboardInterrupt):
        tiny(objectives=["score", "macs"], store=store, study="s")
    assert len(load(store, "s").evaluations) == 7


def test_times(score):
    time_s = tiny(objectives=["score", "macs"]).time_s
    assert 0 < time_s["measure"] < time_s["total"]
    assert 0 < time_s["search"] < time_s["total"]


def test_what_the_algorithm_is_given(echo, score):
    echo.batches = [[[0, 0, 0]]]
    tiny(objectives=["score", "macs"], algorithm="echo", settings={"x": 1}, preset="paper", constraints=["macs<=20M"])
    X = Tiny.space.sample(9, 1)
    assert echo.settings == {"x": 1, "preset": "paper"}
    assert echo.problem.names == ("score", "macs")
    assert echo.problem.exact[0] is None
    np.testing.assert_array_equal(echo.problem.exact[1](X), Tiny().macs(X) / 1e6)
    assert echo.problem.bounds == (None, 20.0)
    assert len(echo.problem.known) == 1
    np.testing.assert_array_equal(echo.problem.known[0](X), Tiny().params(X))


# --- resuming ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "stop_after"),
    [
        *((name, 5) for name in algorithms.names() if name != "exact"),
        *(("nsga2", n) for n in (0, 1, 4, 9)),
        ("random", 0),
    ],
)
def test_an_interrupted_search_resumes_to_the_same_evaluations(score, store, algorithm, stop_after):
    needed_by(algorithm)
    names = ["score", "macs"][: algorithms.registry.stated(algorithm, "MAX_OBJECTIVES")]
    options = {"objectives": names, "algorithm": algorithm, "seed": 3, "evals": 12, "settings": None}
    score.batched = False  # interrupted in the middle of a batch
    whole = tiny(**options)
    score.asked.clear()
    score.stop_after = stop_after
    with pytest.raises(KeyboardInterrupt):
        tiny(**options, store=store, study="s")
    assert len(load(store, "s").evaluations) == stop_after
    score.stop_after = None
    resumed = tiny(**options, store=store, study="s", resume=True)
    assert found(resumed) == found(whole)
    assert sorted(score.asked) == sorted({one.key for one in whole.evaluations})  # each once, over both runs
    assert found(load(store, "s")) == found(whole)


def test_a_finished_study_resumes_to_itself_and_grows_on_request(score, store):
    options = {"objectives": ["score", "macs"], "store": store, "study": "s", "seed": 5}
    first = tiny(**options, evals=10)
    assert found(tiny(**options, evals=10, resume=True)) == found(first)
    assert len(score.asked) == 10
    grown = tiny(**options, evals=15, resume=True)
    assert found(grown)[:10] == found(first)
    assert found(grown) == found(tiny(objectives=["score", "macs"], seed=5, evals=15))
    with pytest.raises(UsageError, match="has 15 evaluations already"):
        tiny(**options, evals=10, resume=True)


def test_time_goes_on_where_it_was(store):
    first = tiny(store=store, study="s", evals=5)
    second = tiny(store=store, study="s", evals=10, resume=True)
    assert second.evaluations[4].total_s == first.evaluations[4].total_s
    assert second.evaluations[5].total_s > first.evaluations[4].total_s
    times = [one.total_s for one in second.evaluations]
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"seed": 1}, "seed was 0, is 1"),
        ({"algorithm": "nsga2", "settings": None}, "algorithm was 'random', is 'nsga2'"),
        ({"objectives": ["macs"]}, "objectives was"),
        ({"constraints": ["macs<=20M"]}, "constraints was"),
        ({"settings": {"batch": 6}}, "settings was"),
        ({"reference": {"macs": 50, "params": 50}}, "reference was None"),
    ],
)
def test_resuming_with_other_settings_is_refused(store, changed, named):
    tiny(store=store, study="s", evals=5)
    with pytest.raises(UsageError, match=named):
        tiny(**{"store": store, "study": "s", "evals": 5, "resume": True} | changed)
    assert len(load(store, "s").evaluations) == 5


def test_resuming_with_another_source_is_refused(score, store):
    tiny(store=store, study="s", objectives=["score", "macs"])
    score.source = "script on another machine"
    with pytest.raises(UsageError, match="sources was"):
        tiny(store=store, study="s", objectives=["score", "macs"], resume=True)


def test_resuming_another_space_is_refused(store, monkeypatch):
    tiny(store=store, study="s")
    monkeypatch.setattr(Tiny, "space", SearchSpace((*Tiny.space.choices[:2], Choice("c", (1, 2, 4)))))
    with pytest.raises(UsageError, match="space was"):
        tiny(store=store, study="s", resume=True)


def test_an_algorithm_that_proposes_otherwise_is_noticed(store, echo):
    echo.batches = [[[0, 0, 0], [1, 0, 0]]]
    tiny(algorithm="echo", settings={}, store=store, study="s")
    echo.batches = [[[0, 0, 0], [2, 0, 0]]]
    with pytest.raises(UsageError, match="proposes other sub-networks"):
        tiny(algorithm="echo", settings={}, store=store, study="s", resume=True)


def test_names(store):
    tiny(store=store, study="mine")
    with pytest.raises(UsageError, match=r"'mine' already, with 12 evaluations.*--resume"):
        tiny(store=store, study="mine")
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        tiny(store=store, study="mime", resume=True)
    with pytest.raises(UnknownNameError, match="did you mean 'mine'"):
        load(store, "mime")
    assert tiny(store=store, resume=True).name == "mine"
    with pytest.raises(UsageError, match="--study NAME"):
        tiny(study="mine", resume=True)
    assert [tiny(store=store).name for _ in range(2)] == ["tiny-random-1", "tiny-random-2"]
    assert tiny().name == "tiny-random-1"


@pytest.mark.parametrize("evals", [0, -3])
def test_too_few_evaluations(evals):
    with pytest.raises(UsageError, match="at least 1 evaluation"):
        tiny(evals=evals)


def test_a_negative_seed():
    with pytest.raises(UsageError, match="seed"):
        tiny(seed=-1)


def test_nothing_is_begun_where_the_request_is_wrong(store):
    for wrong in ({"objectives": ["mac"]}, {"constraints": ["macs>=1"]}, {"algorithm": "nsga"}, {"settings": {"x": 1}}):
        with pytest.raises(UsageError):
            tiny(store=store, **wrong)
    assert store.studies() == []


def test_two_that_write_the_same_study_collide(store, score, monkeypatch):
    score.batched, score.stop_after = False, 3
    options = {"objectives": ["score", "macs"], "store": store, "study": "s"}
    with pytest.raises(KeyboardInterrupt):
        tiny(**options)
    score.stop_after = None
    evaluate = score.evaluate

    def and_so_does_somebody_else(X):
        score.evaluate = evaluate
        tiny(**options, resume=True)
        return evaluate(X)

    score.evaluate = and_so_does_somebody_else
    with pytest.raises(StoreError, match="another process is writing the study 's'"):
        tiny(**options, resume=True)
    assert len(load(store, "s").evaluations) == 12


# --- constraints ------------------------------------------------------------------------------------------------------


def test_the_front_holds_only_what_meets_the_constraints():
    study = tiny(evals=27, constraints=["macs<=20M", "params<=36M"])
    expected = [one for one in study.evaluations if one.objectives["macs"] <= 20 and one.objectives["params"] <= 36]
    assert expected
    assert [one for one in study.evaluations if one.feasible] == expected
    assert all(one in expected for one in study.front)
    assert study.nearest is None


def test_a_constraint_on_what_is_no_objective(echo):
    echo.batches = [Tiny.space.canonical(Tiny.space.sample(200, 0)).tolist()]
    study = tiny(objectives=["macs"], algorithm="echo", settings={}, evals=27, constraints=["params<=30M"])
    assert set(study.evaluations[0].objectives) == {"macs", "params"}
    (best,) = study.front
    every = [one.objectives["macs"] for one in study.evaluations if one.objectives["params"] <= 30]
    assert best.objectives["macs"] == min(every)
    # What is exactly known is part of the problem: no evaluation is told as failed for it.
    told = np.array(echo.last.told[0][1])[:, 0]
    assert np.isfinite(told).all()
    violation = echo.problem.violations(np.array([one.vector for one in study.evaluations]))
    np.testing.assert_array_equal(violation > 0, [one.objectives["params"] > 30 for one in study.evaluations])


def test_a_constraint_on_what_would_have_to_be_measured(score):
    with pytest.raises(UsageError, match="score: it has to be measured"):
        tiny(constraints=["score>=3"])


def test_an_impossible_constraint_names_the_nearest():
    study = tiny(evals=27, constraints=["macs<=2M"])
    assert study.front == []
    nearest = study.evaluations[study.nearest]
    assert nearest.objectives["macs"] == 5
    assert nearest.violation == pytest.approx(1.5)
    assert study.to_json()["nearest"] == nearest.index
    *_, note = study.notes()  # the ones before say how the constraint was read, and what it excludes
    assert "meets macs<=2M" in note
    assert "(macs 5 M" in note
    assert "150.0% beyond" in note


# --- reference, stopping, warm start ----------------------------------------------------------------------------------


def test_the_default_reference_is_that_of_the_smallest_and_largest():
    for seed in range(2):
        assert tiny(seed=seed).reference.tolist() == [10 * 2 + 3 * 3 + 2 + 5, 40]


def test_of_what_is_measured_the_worst_stands_in(score):
    study = tiny(objectives=["score", "macs"])
    assert study.reference.tolist() == [-min(one.objectives["score"] for one in study.evaluations), 36]


def test_a_reference_that_is_given(score):
    study = tiny(objectives=["score", "macs"], reference={"macs": 50, "score": 1})
    assert study.reference.tolist() == [-1, 50]
    assert study.to_json()["hypervolume"]["reference"] == {"score": 1.0, "macs": 50.0}
    for wrong in ({"macs": 50}, {"macs": 50, "score": 1, "latency": 3}):
        with pytest.raises(UsageError, match="reference"):
            tiny(objectives=["score", "macs"], reference=wrong)


def test_a_target_stops_the_search(score):
    whole = tiny(evals=25, settings={"batch": 1})
    target = whole.archive.hypervolumes(whole.reference)[9]
    stopped = tiny(evals=25, settings={"batch": 1}, target=target)
    reached = np.argmax(whole.archive.hypervolumes(whole.reference) >= target) + 1
    assert len(stopped.evaluations) == reached < 25
    assert "target" in stopped.stopped
    with pytest.raises(UsageError, match="needs a reference"):
        tiny(objectives=["score", "macs"], target=1.0)
    with pytest.raises(UsageError, match="positive"):
        tiny(target=0.0)


def test_a_plateau_stops_the_search(score):
    reference = {"score": -1, "macs": 50}
    study = tiny(objectives=["score", "macs"], evals=27, settings={"batch": 1}, plateau=4, reference=reference)
    volumes = study.archive.hypervolumes(study.reference)
    assert len(volumes) < 27
    assert volumes[-1] - volumes[-5] < 1e-3 * volumes[-1]
    assert not any(b - a < 1e-3 * b for a, b in zip(volumes[:-5], volumes[4:-1], strict=True) if b)
    with pytest.raises(UsageError, match="plateau"):
        tiny(plateau=0)


def test_a_warm_start_evaluates_the_front_first_and_stays_what_it_was(score, store):
    names = ["score", "macs"]
    before = tiny(store=store, study="before", evals=10, objectives=names)
    front = [before.archive[index].key for index in before.archive.front]
    options = {"store": store, "study": "after", "warm_start": "before", "seed": 9, "objectives": names}
    after = tiny(**options, evals=8)
    assert [one.key for one in after.evaluations][: len(front)] == front
    grown = tiny(store=store, study="before", evals=27, objectives=names, resume=True)
    assert {one.key for one in grown.front} != set(front)
    assert found(tiny(**options, evals=12, resume=True))[:8] == found(after)
    assert found(tiny(warm_start=before, evals=8, seed=9, objectives=names)) == found(after)
    with pytest.raises(UsageError, match="expected a store"):
        tiny(warm_start="before")


def test_a_warm_start_from_another_super_network(store, monkeypatch):
    before = tiny()
    monkeypatch.setattr(Tiny, "name", "other")
    with pytest.raises(UsageError, match="it searched tiny, this search is of other"):
        tiny(warm_start=before)


# --- progress and JSON ------------------------------------------------------------------------------------------------


def test_progress():
    events = []
    study = tiny(progress=events.append, constraints=["macs<=20M"])
    assert [event.done for event in events] == [5, 10, 12]
    assert {event.total for event in events} == {12}
    assert {event.study for event in events} == {"tiny-random-1"}
    assert events[-1].hypervolume == pytest.approx(study.hypervolume)
    feasible = [one for one in study.evaluations if one.feasible]
    assert events[-1].best.objectives["params"] == min(one.objectives["params"] for one in feasible)
    assert tiny(progress=events.append)
    assert events[-1].best is None


def test_progress_while_a_batch_is_measured(score, monkeypatch):
    class Telling:
        @staticmethod
        def create(_name, sources):
            evaluate = score.evaluate
            score.evaluate = lambda X: (sources.progress("timing"), evaluate(X))[1]
            return score

    monkeypatch.setitem(objectives.registry._providers, "score", Telling)
    events = []
    tiny(objectives=["score", "macs"], evals=10, progress=events.append)
    assert [(event.done, event.measuring) for event in events] == [(0, "timing"), (5, None), (5, "timing"), (10, None)]


def test_json_has_the_contracts_fields_and_comes_back_from_the_store(store):
    study = tiny(store=store, study="s", constraints=["macs<=30M"], preset="default")
    shown = json.loads(json.dumps(study.to_json(), allow_nan=False))
    contract = ["schema", "study", "supernet", "platform", "algorithm", "seed", "objectives", "evaluations", "front"]
    assert {*contract, "hypervolume", "time_s"} <= set(shown)
    assert shown["schema"] == 1
    assert shown["objectives"][0] == {"name": "macs", "unit": "M", "maximise": False}
    assert set(shown["evaluations"][0]) >= {"index", "iteration", "config", "objectives", "status"}
    assert set(shown["hypervolume"]) == {"value", "reference"}
    assert set(shown["time_s"]) == {"measure", "search", "total"}
    loaded = load(store, "s").to_json()
    unknown_later = {"time_s", "stopped", "notes"}
    assert {k: v for k, v in loaded.items() if k not in unknown_later} == {
        k: v for k, v in shown.items() if k not in unknown_later
    }
    assert Tiny.space.encode([shown["evaluations"][3]["config"]])[0].tolist() == list(study.evaluations[3].vector)


# --- determinism and death --------------------------------------------------------------------------------------------

SEARCH = """
import json, sys
from hwnas import supernets
from hwnas.search.study.run import search
study = search(supernets.get("ofa-mbv3-w1.0"), objectives=["macs", "params"], algorithm=sys.argv[1], evals=70, seed=11)
print(json.dumps([[one.iteration, one.key, dict(one.objectives)] for one in study.evaluations]))
"""

SLOW = """
import sys, time
sys.path.insert(0, sys.argv[1])
from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.study.run import search

class Slow:
    name, unit, maximise, source, costs_nothing, exact, batched = "slow", "", True, "script", False, False, False
    def evaluate(self, X):
        time.sleep(0.01)
        print(supernets.get("ofa-mbv3-w1.0").space.keys(X)[0], flush=True)
        return objectives.Outcome.of(X.sum(axis=1).astype(float), "")

class Provider:
    create = staticmethod(lambda name, sources: Slow())

objectives.registry._providers["slow"] = Provider
settings = {"inner_evals": 300} if sys.argv[5] == "linas" else {}
with Store.open(sys.argv[2]) as store:
    search(supernets.get("ofa-mbv3-w1.0"), objectives=["slow", "macs"], algorithm=sys.argv[5], evals=int(sys.argv[4]),
           store=store, study="s", resume=sys.argv[3] == "resume", seed=2, settings=settings)
"""


def run(code, *arguments, **environment):
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process):
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return output


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["random", "nsga2"])
def test_the_same_seed_gives_the_same_search_on_any_hash_seed(algorithm):
    first, second = (finished(run(SEARCH, algorithm, PYTHONHASHSEED=seed)) for seed in ("0", "4242"))
    assert first == second
    assert len(json.loads(first)) == 70


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["nsga2", "linas"])
def test_a_killed_search_resumes_and_evaluates_nothing_again(tmp_path, algorithm):
    path, evals = tmp_path / "s.db", 80
    process = run(SLOW, tmp_path, path, "begin", evals, algorithm)
    said = [process.stdout.readline().strip() for _ in range(23)]
    process.send_signal(signal.SIGKILL)
    said += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.communicate(timeout=20)
    with Store.open(str(path)) as opened:
        kept = [one.key for one in load(opened, "s").evaluations]
    assert len(kept) >= 22  # all but the one under way
    assert kept == said[: len(kept)]
    again = finished(run(SLOW, tmp_path, path, "resume", evals, algorithm)).split()
    assert not set(kept) & set(again)
    whole = finished(run(SLOW, tmp_path, tmp_path / "whole.db", "begin", evals, algorithm)).split()
    assert kept + again == whole
    assert len(set(whole)) == evals


# --- a machine that drifts --------------------------------------------------------------------------------------------


class Drifting(Scripted):
    """A measured objective on a machine that becomes a tenth slower with each batch."""

    unit, maximise = "ms", False

    def __init__(self, **changed):
        super().__init__(**changed)
        self.batches, self.again = 0, []

    def evaluate(self, X):
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X, again):
        slower = 1.1**self.batches
        self.batches += 1
        self.again.append(Tiny.space.keys(again))
        outcome = super().evaluate(X)
        values = self.true(again)
        beside = {"anchor": 5.0 * slower} | dict(zip(Tiny.space.keys(again), (values * slower).tolist(), strict=True))
        return Outcome(self.true(X) * slower, outcome.status, outcome.reasons, None, (beside,) * len(X))

    @staticmethod
    def true(X):
        return 10 + X @ [3.0, 5.0, 1.0]


@pytest.fixture
def drifting(monkeypatch):
    made = Drifting()
    provider = SimpleNamespace(create=lambda name, sources: made)
    monkeypatch.setitem(objectives.registry._providers, "score", provider)
    return made


BATCHES = [[[0, 0, 0], [1, 1, 1]], [[2, 0, 0], [1, 0, 0]], [[2, 2, 2], [0, 0, 1]], [[2, 2, 0], [0, 0, 2]]]


def test_the_front_is_measured_again_beside_small_batches_and_drift_is_not_told(drifting, echo):
    echo.batches = list(BATCHES)
    study = tiny(objectives=["score", "macs"], algorithm="echo", settings={}, evals=8, effort="thorough")
    assert drifting.again[0] == []
    assert drifting.again[1] == ["000"]  # the front by then
    assert all(len(again) <= 2 for again in drifting.again)
    assert study.evaluations[6].objectives["score"] == pytest.approx(26 * 1.1**3)  # the value is what was measured
    last, F = echo.last.told[-1]
    told = dict(zip(Tiny.space.keys(np.array(last)), np.array(F)[:, 0].tolist(), strict=True))
    assert told["220"] == pytest.approx(26.0, rel=0.02)  # what the algorithm learns is free of the drift
    assert "000" in told  # what was measured again is told again
    assert echo.problem.noise_of(0) == pytest.approx(0.0, abs=0.01)


def test_large_batches_rank_enough_side_by_side(drifting, echo):
    X = np.unique(Tiny.space.canonical(Tiny.space.sample(200, 0)), axis=0)
    echo.batches = [X[:1].tolist(), X[1:].tolist()]
    tiny(objectives=["score", "macs"], algorithm="echo", settings={}, evals=27, effort="thorough")
    assert drifting.again == [[], []]


def test_a_resumed_search_is_told_the_same_of_drift(drifting, echo, store):
    echo.batches = list(BATCHES)
    options = {"objectives": ["score", "macs"], "algorithm": "echo", "settings": {}, "store": store, "study": "s"}
    tiny(**options, evals=6)
    before = list(echo.last.told[:3])
    echo.batches = list(BATCHES)
    study = tiny(**options, evals=8, resume=True)
    assert echo.last.told[:3] == before
    assert found(load(store, "s")) == found(study)
