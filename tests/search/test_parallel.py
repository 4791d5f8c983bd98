"""Several batches at a time: nothing twice, nothing lost, told as it arrives, and the same again from the store."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from weighed import Weighed

from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms import create
from hwnas.search.objectives import Outcome
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("w", (1, 2, 3, 4)) for _ in range(4)))
NET = Weighed(SPACE, macs=[10, 3, 1, 2], params=[7, 5, 2, 9])


class Devices:
    """Some devices that answer in an order of their own."""

    name, unit, maximise, source, costs_nothing, exact, batched = "score", "%", True, "script", False, False, True

    def __init__(self, devices=3, order=0, stop_after=None):
        self.devices, self.stop_after = devices, stop_after
        self._rng = np.random.default_rng(order)
        self._sent, self.measured, self.most = {}, [], 0

    def evaluate(self, X):
        raise AssertionError("it is started, never evaluated")

    def start(self, X, again):
        self._sent[len(self.measured) + 1000 * len(self._sent)] = X
        self.measured += SPACE.keys(X)
        self.most = max(self.most, len(self._sent))
        return list(self._sent)[-1]

    def arrived(self, timeout_s):
        if self._rng.random() < 0.2:
            return None
        if self.stop_after is not None:
            self.stop_after -= 1
            if self.stop_after < 0:
                raise KeyboardInterrupt
        ticket = list(self._sent)[self._rng.integers(len(self._sent))]
        X = self._sent.pop(ticket)
        values = (X @ [3.0, 5.0, 1.0, 2.0]) % 11 + X[:, 0]
        return ticket, Outcome(values, ("ok",) * len(X), ("",) * len(X))


@pytest.fixture
def run(monkeypatch):
    def call(devices, evals=40, algorithm="linas", **options):
        entry = SimpleNamespace(
            names=lambda: ["macs", "score"], create=lambda name, sources: made(name, sources, devices)
        )
        monkeypatch.setattr(objectives, "registry", entry)
        if algorithm == "linas":  # its loop is the same with a short inner search
            options = {"settings": {"inner_evals": 600, "population": 40}} | options
        return search(NET, objectives=["macs", "score"], algorithm=algorithm, evals=evals, seed=1, **options)

    from hwnas.search.objectives import registry as real

    def made(name, sources, devices):
        return devices if name == "score" else real.create(name, sources)

    return call


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["linas", "nsga2", "random"])
def test_every_algorithm_keeps_devices_busy_and_evaluates_nothing_twice(run, algorithm):
    devices = Devices()
    study = run(devices, algorithm=algorithm)
    keys = [one.key for one in study.evaluations]
    assert len(keys) == len(set(keys)) == 40
    assert sorted(keys) == sorted(devices.measured)
    assert devices.most == devices.devices + 1
    assert study.settings["parallel"] == 4


@pytest.mark.slow
def test_one_device_is_the_plain_loop(run):
    class One(Devices):
        def evaluate(self, X):
            return self.arrived_of(X)

        def arrived_of(self, X):
            return Outcome((X @ [3.0, 5.0, 1.0, 2.0]) % 11, ("ok",) * len(X), ("",) * len(X))

    study = run(One(devices=1))
    assert len(study.evaluations) == 40
    assert "parallel" not in study.settings


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["linas", "nsga2"])
def test_the_order_of_arrival_decides_what_is_asked_and_nothing_else(run, algorithm):
    first = run(Devices(order=5), algorithm=algorithm)
    again = run(Devices(order=5), algorithm=algorithm)
    other = run(Devices(order=6), algorithm=algorithm)
    assert [one.key for one in first.evaluations] == [one.key for one in again.evaluations]
    assert [one.key for one in first.evaluations] != [one.key for one in other.evaluations]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["linas", "nsga2"])
def test_an_interrupted_study_goes_on_as_it_would_have(run, algorithm):
    with Store.open(":memory:") as store:
        stopped = Devices(order=2, stop_after=4)
        with pytest.raises(KeyboardInterrupt):
            run(stopped, algorithm=algorithm, store=store, study="s", parallel=4)
        kept = [one.key for one in load(store, "s").evaluations]
        assert 8 <= len(kept) < 40
        devices = Devices(order=3)
        study = run(devices, algorithm=algorithm, store=store, study="s", resume=True)
        keys = [one.key for one in study.evaluations]
        assert keys[: len(kept)] == kept
        assert len(keys) == len(set(keys)) == 40
        assert not set(devices.measured) & set(kept)
        # What was under way when it stopped is asked for again, and measured.
        assert set(stopped.measured) <= set(keys)
        replayed = Devices()
        same = run(replayed, algorithm=algorithm, store=store, study="s", resume=True)
        assert [one.key for one in same.evaluations] == keys
        assert not replayed.measured


@pytest.mark.slow
def test_a_study_keeps_how_many_batches_it_was_begun_with(run):
    with Store.open(":memory:") as store:
        run(Devices(), store=store, study="s", evals=20, parallel=3)
        assert run(Devices(devices=7), store=store, study="s", resume=True, evals=30).settings["parallel"] == 3
        with pytest.raises(UsageError, match="was begun with 3 batches"):
            run(Devices(), store=store, study="s", resume=True, evals=40, parallel=5)


def test_where_nothing_is_measured_nothing_is_waited_for():
    with pytest.raises(UsageError, match="parallel 2: nothing is measured"):
        search(NET, objectives=["macs", "params"], evals=5, parallel=2)


def test_all_of_a_small_space_is_evaluated_once(run):
    study = run(Devices(), algorithm="random", evals=1000)
    assert len(study.evaluations) == len({one.key for one in study.evaluations}) == 256


# --- fantasies --------------------------------------------------------------------------------------------------------


@pytest.fixture
def linas():
    made = create("linas", Problem(SPACE, ("a", "b")), 100, np.random.default_rng(0), {})
    X = made.ask()
    made.tell(X, np.stack([X @ [3.0, 1, 2, 1], 20 - X @ [1.0, 2, 1, 3]], axis=1))
    return made


def test_what_is_pending_is_asked_no_second_time(linas):
    pending = linas.ask()
    beside = linas.ask(pending=pending)
    assert not set(SPACE.keys(pending)) & set(SPACE.keys(beside))


def test_pending_ones_count_as_if_they_had_turned_out_as_hoped(linas):
    pending = linas.ask()
    known = linas._evaluated()
    with_fantasies, without = linas._front(*known, pending), linas._front(*known, pending[:0])
    lower_bound = linas._surrogate.lower_bound(pending, 1.0)
    assert len({tuple(row) for row in lower_bound} & {tuple(row) for row in with_fantasies}) >= 1
    assert not {tuple(row) for row in lower_bound} <= {tuple(row) for row in without}


def test_before_anything_is_told_nothing_is_guessed_beside_the_design():
    made = create("linas", Problem(SPACE, ("a", "b")), 100, np.random.default_rng(0), {})
    design = made.ask()
    assert len(made.ask(pending=design)) == 0
