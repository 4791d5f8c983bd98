"""A study that goes on from its snapshot: bit for bit what it would have been, and nothing is thought twice."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from weighed import Weighed

from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms import create, linas
from hwnas.search.algorithms._published import PublishedLinas
from hwnas.search.algorithms.linas import DefaultLinas
from hwnas.search.objectives import Outcome
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (1, 2, 3, 4)) for column in range(5)))
NET = Weighed(SPACE, macs=[10, 3, 1, 2, 6], params=[7, 5, 2, 9, 1])
EVALS = 40
# What an algorithm carries on with is carried on by a short inner search as by a long one.
SETTINGS = {"inner_evals": 60, "population": 20, "first": 6}


class Score:
    """An objective that is evaluated one by one, until it is interrupted."""

    name, unit, maximise, source, costs_nothing, exact, batched = "score", "ms", False, "script", False, False, False

    def __init__(self, name="score", fails=0, stop_after=None):
        self.name, self.fails, self.left = name, fails, stop_after

    def evaluate(self, X):
        self.count(len(X))
        return self.outcome(self.true(X), X)

    def count(self, n):
        if self.left is not None:
            self.left -= n
            if self.left < 0:
                raise KeyboardInterrupt

    @staticmethod
    def true(X):
        return 10.0 + (X @ [3.0, 5.0, 1.0, 2.0, 4.0]) % 11 + 0.1 * X[:, 0]

    def outcome(self, values, X, beside=()):
        failed = (X.sum(axis=1) % 5 == 3) if self.fails else np.zeros(len(X), dtype=bool)
        status = tuple("failed" if one else "ok" for one in failed)
        reasons = tuple("it does not fit" if one else "" for one in failed)
        return Outcome(np.where(failed, np.nan, values), status, reasons, None, beside)


class Drifting(Score):
    """One that is measured batch by batch, each on a machine that is some percent slower or faster than before."""

    batched = True

    def evaluate(self, X):
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X, again):
        self.count(len(X))
        return self.measured(X, again)

    def measured(self, X, again):
        slower = 1.0 + 0.01 * (int(X.sum()) % 7)
        beside = dict(zip(SPACE.keys(again), (slower * self.true(again)).tolist(), strict=True))
        return self.outcome(slower * self.true(X), X, ({"anchor": 5.0 * slower} | beside,) * len(X))


class Devices(Score):
    """Three devices that answer in an order of their own: that of what they measure."""

    devices, batched = 3, True

    def __init__(self, **options):
        super().__init__(**options)
        self.sent = []

    def evaluate(self, X):
        raise AssertionError("it is started, never evaluated")

    def measured(self, X, again):
        return self.outcome(self.true(X), X)

    def start(self, X, again):
        self.sent.append((X, again))
        return len(self.sent) - 1

    def arrived(self, timeout_s):
        ticket = max((n for n, one in enumerate(self.sent) if one), key=lambda n: self.sent[n][0].sum() * 13 % 11)
        (X, again), self.sent[ticket] = self.sent[ticket], None
        self.count(len(X))
        return ticket, self.measured(X, again)


class DriftingDevices(Devices):
    """Such devices, each of which drifts."""

    measured = Drifting.measured

    def evaluate_beside(self, X, again):
        raise AssertionError("it is started, never evaluated")


class Case:
    """A search that can be interrupted; ``asks`` counts how often its algorithm was asked."""

    def __init__(self, monkeypatch, kind=Score, extra=False, **options):
        self.patch, self.kind, self.extra, self.asks = monkeypatch, kind, extra, 0
        self.fails = options.pop("fails", 0)
        # Thoroughly: some of the front are measured again beside each batch, and nothing after the last.
        self.options = {"evals": EVALS, "settings": SETTINGS, "effort": "thorough"} | options
        self._count(DefaultLinas, "ask")
        self._count(PublishedLinas, "ask")

    def _count(self, algorithm, name):
        asked = getattr(algorithm, name)

        @functools.wraps(asked)
        def counted(*arguments, **pending):
            self.asks += 1
            return asked(*arguments, **pending)

        self.patch.setattr(algorithm, name, counted)

    def run(self, *, stop_after=None, **options):
        """Return the evaluations, without their times, and how often was asked; none where it was interrupted."""
        names, self.asks = ["score", "macs"], 0
        made = {"score": self.kind(fails=self.fails, stop_after=stop_after)}
        if self.extra:  # evaluated one by one where the other arrives in batches, and interrupted there
            names, made = ["score", "extra"], {"score": self.kind(), "extra": Score("extra", stop_after=stop_after)}
        for name, objective in made.items():
            provider = SimpleNamespace(create=lambda _name, _sources, objective=objective: objective)
            self.patch.setitem(objectives.registry._providers, name, provider)
        try:
            study = search(NET, objectives=names, seed=7, **self.options | options)
        except KeyboardInterrupt:
            return None, self.asks
        return found(study), self.asks


def found(study):
    """Everything of a study but its times."""
    return [one.to_json() | {"measure_s": 0, "search_s": 0, "total_s": 0} for one in study.evaluations]


def forget(store):
    """Leave the store as an earlier version would have it: without snapshots."""
    store._database.write(lambda connection: connection.execute(store._tables["snapshot"].delete()))


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


CASES = {
    "plain": {},
    "published": {"preset": "paper", "settings": {"population": 6, "inner_evals": 60}},
    "published, constraints": {
        "preset": "paper",
        "settings": {"population": 6, "inner_evals": 60, "inner": "age-moea"},
        "constraints": ["score<=17", "params<=80M"],
    },
    # Kernel parameters are searched for anew only when evaluations have grown by a twentieth.
    "one at a time": {"evals": 30, "settings": SETTINGS | {"batch": 1}},
    "constraints": {"constraints": ["score<=17", "params<=80M"]},
    "failures": {"fails": 1},
    "drift": {"kind": Drifting},
    "several devices": {"kind": Devices},
    "several devices, failures, constraints": {"kind": Devices, "fails": 1, "constraints": ["params<=80M"]},
}


@pytest.fixture(params=CASES)
def case(request, monkeypatch):
    return Case(monkeypatch, **CASES[request.param])


# --- wherever it was interrupted --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_goes_on_to_the_same_evaluations_wherever_it_was_interrupted(case, store):
    whole, all_asks = case.run(store=store, study="whole")
    last = store.snapshot(store.study("whole"))
    assert len(whole) == case.options["evals"]
    for stop_after in range(0, len(whole), 5):  # at every place in a batch of four
        name = f"interrupted after {stop_after}"
        assert case.run(store=store, study=name, stop_after=stop_after)[0] is None
        before, kept = case.asks, store.study(name).evaluations
        resumed, after = case.run(store=store, study=name, resume=True)
        assert resumed == whole
        # Two states may happen to ask for the same: they are compared too, number by number.
        assert store.snapshot(store.study(name)) == last
        # The batch in which it was interrupted is asked for again, and none before it.
        assert before + after == all_asks + 1 or not kept
        assert case.run(store=store, study=name, resume=True) == (whole, 1)


@pytest.mark.slow
def test_a_study_may_be_interrupted_again_and_again(case, store):
    whole, _ = case.run()
    options = {"store": store, "study": "s"}
    assert case.run(**options, stop_after=9)[0] is None
    while (resumed := case.run(**options, stop_after=9, resume=True)[0]) is None:
        assert store.study("s").evaluations
    assert resumed == whole


@pytest.mark.slow
def test_an_earlier_versions_study_is_asked_for_once_more_and_then_goes_on_quickly(case, store):
    whole, all_asks = case.run(store=store, study="s")
    forget(store)
    assert case.run(store=store, study="s", resume=True) == (whole, all_asks)
    assert case.run(store=store, study="s", resume=True) == (whole, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False], ids=["with its snapshot", "without"])
def test_a_study_whose_version_began_otherwise_goes_on_from_its_snapshot_or_is_told_so(monkeypatch, store, kept):
    case = Case(monkeypatch)
    monkeypatch.setitem(linas.DEFAULTS, "design", "spread")
    assert case.run(store=store, study="s", stop_after=12)[0] is None
    begun = [one.key for one in load(store, "s", NET).evaluations]
    monkeypatch.setitem(linas.DEFAULTS, "design", "largest")
    if kept:
        resumed, _ = case.run(store=store, study="s", resume=True)
        assert [one["key"] for one in resumed[: len(begun)]] == begun
        assert len(resumed) == EVALS
        return
    forget(store)
    with pytest.raises(UsageError, match="its version or a library's has changed"):
        case.run(store=store, study="s", resume=True)


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [9, 18, 27, 36])
@pytest.mark.parametrize(
    "changed",
    [
        # A part of a batch that is kept counts as one that arrived by itself.
        {"kind": Devices, "extra": True},
        # What is sent once more is measured beside what is on the front by then.
        {"kind": DriftingDevices, "fails": 1},
        {"kind": DriftingDevices, "constraints": ["score<=17", "params<=80M"]},
    ],
)
def test_where_interrupting_changes_it_a_study_goes_on_as_if_it_were_asked_for_everything(
    monkeypatch, changed, stop_after
):
    case, resumed = Case(monkeypatch, **changed), {}
    for forgets in (False, True):
        with Store.open(":memory:") as store:
            assert case.run(store=store, study="s", stop_after=stop_after)[0] is None
            if forgets:
                forget(store)
            resumed[forgets] = case.run(store=store, study="s", resume=True)
    assert resumed[False][0] == resumed[True][0]
    assert resumed[False][1] < resumed[True][1]


@pytest.mark.slow
@pytest.mark.parametrize("fewer", [5, 14, 30])
def test_a_study_grows_as_if_it_had_been_meant_to_from_the_start(case, store, fewer):
    # Where several batches are under way, how many there may be decides what the last ones hold.
    options = {"store": store, "study": "s"}
    case.run(**options, evals=fewer)
    grown = case.run(**options, resume=True)
    with Store.open(":memory:") as other:
        case.run(store=other, study="s", evals=fewer)
        forget(other)
        expected = case.run(store=other, study="s", resume=True)
    assert grown[0] == expected[0]
    assert grown[1] < expected[1] or fewer == 5
    if case.kind is Score:
        assert grown[0] == case.run()[0]


@pytest.mark.parametrize("kind", [Score, Drifting])
def test_a_study_may_end_earlier_than_it_was_meant_to(monkeypatch, store, kind):
    case = Case(monkeypatch, kind)
    options = {"store": store, "study": "s"}
    case.run(**options, stop_after=20)
    kept = store.study("s").evaluations
    shorter, asks = case.run(**options, evals=kept, resume=True)
    assert len(shorter) == kept
    assert shorter == case.run()[0][:kept]
    assert asks <= 1


FIRST_FIT = """
import numpy as np
from threadpoolctl import threadpool_info
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms import create, linas
from hwnas.search.threads import one_thread
from hwnas.supernets.space import Choice, SearchSpace

made = create("linas", Problem(SearchSpace((Choice("w", (1, 2, 3, 4)),) * 4), ("a",)), 20, np.random.default_rng(0), {})
with one_thread():
    X = made.ask()
    made.tell(X, X.sum(axis=1).astype(float)[:, None])
    made.ask()
    print({pool["num_threads"] for pool in threadpool_info()})
"""


@pytest.mark.slow
def test_the_first_fit_of_a_process_has_one_thread_as_any_other():
    # Otherwise its sums are others than those of the same fit in a search that was not interrupted.
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", FIRST_FIT], env=variables, capture_output=True, text=True, check=False)
    assert done.stdout == "{1}\n", done.stderr


def test_a_state_is_kept_to_the_last_bit():
    made, again = (create("linas", Problem(SPACE, ("a",)), 90, np.random.default_rng(0), SETTINGS) for _ in range(2))
    told = [(X := made.ask(), Score.true(X)[:, None])]
    made.tell(*told[0])
    told.append((X := made.ask(), Score.true(X)[:, None]))
    made.tell(*told[1])
    again.restore(json.loads(json.dumps(made.state())), np.concatenate([X for X, _ in told]))
    for X, F in told:
        again.tell(X, F)
    ours, theirs = made._surrogate._parameters[0], again._surrogate._parameters[0]
    assert ours.tobytes() == theirs.tobytes()
    np.testing.assert_array_equal(made.ask(), again.ask())
    assert made.state() == again.state()


# --- snapshots --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_snapshot_counts_what_the_store_has(case, store, monkeypatch):
    put, seen = store.put_snapshot, []

    def put_snapshot(study, record):
        seen.append((record["evaluations"], store.study("s").evaluations))
        put(study, record)

    monkeypatch.setattr(store, "put_snapshot", put_snapshot)
    case.run(store=store, study="s")
    assert len(seen) > 5
    assert all(counted == there > 0 for counted, there in seen)


def without(record, *path):
    *outer, last = path
    for key in outer:
        record = record[key]
    del record[last]


def put(record, value, *path):
    *outer, last = path
    for key in outer:
        record = record[key]
    record[last] = value


DAMAGES = {
    "no state": lambda one: without(one, "state"),
    "no batches": lambda one: without(one, "under_way"),
    "no count": lambda one: put(one, "many", "evaluations"),
    "none told": lambda one: put(one, 0, "evaluations"),
    "more than there are": lambda one: put(one, 1000, "evaluations"),
    "in the midst of a batch": lambda one: put(one, one["evaluations"] - 1, "evaluations"),
    "batches of another space": lambda one: put(one, [[[0, 1, 2]]], "under_way"),
    "batches beyond the space": lambda one: put(one, [[[0, 1, 2, 3, 4]]], "under_way"),
    "a list": lambda one: put(one, [], "state"),
    "another version": lambda one: put(one, 0, "state", "version"),
    "no generator": lambda one: put(one, None, "state", "rng"),
    "another generator": lambda one: put(one, "MT19937", "state", "rng", "bit_generator"),
    "a generator's number": lambda one: put(one, "x", "state", "rng", "state", "state"),
    "what was kept": lambda one: put(one, [[9, 9, 9, 9, 9]], "state", "kept"),
    "no surrogate": lambda one: put(one, {}, "state", "surrogate"),
    "another kernel": lambda one: put(one, [None, [0.5]], "state", "surrogate", "parameters"),
    "one objective": lambda one: put(one, [None], "state", "surrogate", "parameters"),
    "no number": lambda one: put(one, float("nan"), "state", "surrogate", "parameters", 0, 0),
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """Make a finished search of each kind once: the store's file, the evaluations, and how often was asked."""

    @functools.cache
    def made(kind):
        file = tmp_path_factory.mktemp("searched") / "it.db"
        with pytest.MonkeyPatch.context() as patch, Store.open(str(file)) as store:
            return file, *Case(patch, kind).run(store=store, study="s")

    return made


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_snapshot_costs_time_and_nothing_else(monkeypatch, searched, tmp_path, damage):
    file, whole, all_asks = searched(Devices)
    with Store.open(str(shutil.copy(file, tmp_path))) as store:
        study = store.study("s")
        snapshot = store.snapshot(study)
        DAMAGES[damage](snapshot)
        store.put_snapshot(study, snapshot)
        assert Case(monkeypatch, Devices).run(store=store, study="s", resume=True) == (whole, all_asks)


@pytest.mark.slow
@pytest.mark.parametrize("snapshot", [[], "text", 5, {}])
def test_a_snapshot_that_is_something_else_costs_time_and_nothing_else(monkeypatch, searched, tmp_path, snapshot):
    file, whole, all_asks = searched(Score)
    with Store.open(str(shutil.copy(file, tmp_path))) as store:
        store.put_snapshot(store.study("s"), snapshot)
        assert Case(monkeypatch).run(store=store, study="s", resume=True) == (whole, all_asks)


def test_algorithms_that_are_quickly_asked_again_have_none(monkeypatch, store):
    Case(monkeypatch).run(store=store, study="s", algorithm="nsga2", settings=None)
    assert store.snapshot(store.study("s")) is None
