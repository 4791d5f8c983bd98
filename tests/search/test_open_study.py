"""Studies whose loop is the caller's: asked and told in any order, stored, resumed; the same as ``hwnas.search``."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
from asked_and_told import NET, OWN, SETTINGS, SPACE, Energy, energies, opened, rows

import hwnas
from hwnas.harness.quality import QualityOptions
from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.objectives import Sources
from hwnas.search.objectives.rows import Rows
from hwnas.search.study import open_study
from hwnas.search.study.open_study import create_study
from hwnas.search.study.own import own_objective
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import StoreError, UnknownNameError, UsageError


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as made:
        yield made


# --- asking and telling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["linas", "nsga2", "random"])
def test_a_caller_who_tells_all_before_he_asks_gets_the_search_that_hwnas_runs(algorithm, monkeypatch):
    class Provider:
        create = staticmethod(lambda name, sources: Energy())

    monkeypatch.setitem(objectives.registry._providers, "energy", Provider)
    ran = search(NET, objectives=["energy", "macs"], algorithm=algorithm, settings=SETTINGS[algorithm], evals=30)
    with opened(algorithm) as study:
        while proposals := study.ask():
            told = study.tell(proposals, energies(proposals))
            assert [one.key for one in told] == [one.key for one in proposals]
        result = study.result()
    assert rows(result.evaluations) == rows(ran.evaluations)
    assert rows(result.front) == rows(study.front) == rows(ran.front) != []
    assert (result.stopped, result.hypervolume) == (ran.stopped, ran.hypervolume)
    assert {**result.settings, "sources": ran.settings["sources"]} == ran.settings
    json.dumps(result.to_json())


def test_what_hwnas_evaluates_itself_needs_no_values():
    with create_study(NET, objectives=["macs", "params"], algorithm="random", evals=12) as study:
        while proposals := study.ask(5):
            study.tell(proposals)
    assert len(study.evaluations) == 12
    assert [one.objectives["macs"] for one in study.evaluations] == [
        float(NET.macs(np.array([one.vector]))[0] / 1e6) for one in study.evaluations
    ]


def test_a_proposal_is_a_sub_network_by_config_key_and_vector():
    with opened() as study:
        (one,) = study.ask(1)
    assert SPACE.encode([one.config]).tolist() == [list(one.vector)]
    assert SPACE.keys(np.array([one.vector])) == [one.key]


@pytest.mark.parametrize("n", [1, 3, 100])
def test_so_many_are_asked_for_at_a_time(n):
    with opened("random", evals=20) as study:
        assert len(study.ask(n)) == min(n, 5)  # its batch; the algorithm has to be told of that first
    with opened("linas", evals=20) as study:
        first = study.ask()
        study.tell(first, energies(first))
        asked = study.ask(n)
        assert len(asked) == min(n, 20 - len(first))  # it takes what is pending into account
        assert not {one.key for one in asked} & {one.key for one in first}


def test_nothing_is_asked_for_twice_and_never_more_than_evals():
    keys = []
    with opened(evals=25) as study:
        while asked := study.ask(2) or study.ask(1):
            keys += [one.key for one in asked]
            study.tell(asked[:1], energies(asked[:1]))
            if len(asked) > 1:
                study.tell(asked[1:], energies(asked[1:]))
        assert study.result().stopped == "25 evaluations are done"
    assert len(keys) == len(set(keys)) == 25


def test_parts_are_told_in_any_order_and_the_rest_later():
    with opened("nsga2", evals=16) as study:
        asked = study.ask()
        assert study.ask() == [], "it has to be told of all"
        assert study.result().stopped == ""
        for one in reversed(asked):
            study.tell([one], energies([one]))
        assert [one.key for one in study.evaluations] == [one.key for one in reversed(asked)]
        assert len(study.ask()) == 8


def test_a_failed_evaluation_is_none():
    with opened("random", constraints=["energy<=15mJ"]) as study:
        asked = study.ask()
        told = study.tell(asked, {"energy": [None, 12.0, np.float64(16.0), 3, 14.5]})
    assert [one.status for one in told] == ["failed", "ok", "ok", "ok", "ok"]
    assert told[0].reason == "energy: the caller has no value of it"
    assert np.isnan(told[0].objectives["energy"])
    assert [one.feasible for one in told] == [False, True, False, True, True]


def test_an_objective_of_the_callers_own_may_be_maximised_and_take_the_place_of_one_of_hwnas():
    with create_study(NET, objectives=["params:max", "macs"], algorithm="random", evals=10) as study:
        asked = study.ask()
        study.tell(asked, {"params": range(len(asked))})
    best = max(study.evaluations, key=lambda one: one.objectives["params"])
    assert best in study.front
    assert [(one.name, one.unit, one.maximise) for one in study.result().objectives] == [
        ("params", "", True),
        ("macs", "M", False),
    ]


# --- errors ----------------------------------------------------------------------------------------------------------

WRONG_VALUES = [
    (None, "expected values of energy; energy has none"),
    ({}, "expected values of energy; energy has none"),
    ({"energi": [1] * 5}, "unknown objective 'energi'.*did you mean 'energy'"),
    ({"energy": [1] * 5, "macs": [1] * 5}, "macs is evaluated by hwnas; leave it out.*macs:min"),
    ({"energy": [1] * 4}, r"energy: expected one value per proposal \(5\), got 4 values"),
    ({"energy": [1] * 6}, r"energy: expected one value per proposal \(5\), got 6 values"),
    ({"energy": 3.0}, r"energy: expected one value per proposal \(5\), got a float"),
    ({"energy": "12345"}, r"energy: expected one value per proposal \(5\), got a str"),
    ({"energy": [1, 2, float("nan"), 4, 5]}, "energy: value 2: expected a finite number, got nan; None says"),
    ({"energy": [1, float("inf"), 3, 4, 5]}, "energy: value 1: expected a finite number, got inf"),
    ({"energy": [True, 2, 3, 4, 5]}, "energy: value 0: expected a finite number"),
    ({"energy": ["1", 2, 3, 4, 5]}, "energy: value 0: expected a finite number"),
    ({"energy": np.zeros((5, 1))}, "energy: value 0: expected a finite number"),
    ([1, 2, 3, 4, 5], r"expected values by objective, like {'energy': \[...\]}, got \[1"),
]


@pytest.mark.parametrize(("values", "message"), WRONG_VALUES)
def test_wrong_values_are_named_and_nothing_is_stored(values, message, store):
    with opened("random", store=store, name="s") as study:
        asked = study.ask()
        with pytest.raises(UsageError, match=message):
            study.tell(asked, values)
        assert study.evaluations == load(store, "s").evaluations == []
        study.tell(asked, energies(asked))  # what was refused can be told rightly


def test_only_what_was_asked_for_is_told_and_once():
    with opened("random") as study, opened("random", seed=1) as other:
        asked, foreign = study.ask(), other.ask()
        unknown = next(one for one in foreign if one.key not in {mine.key for mine in asked})
        for proposals, message in (
            ([*asked, unknown], f"proposal 5 .{unknown.key}. was not asked for"),
            ([asked[0], asked[0]], f"proposal 1 .{asked[0].key}. is given twice"),
            ([asked[0].config], "proposal 0: expected one that ask returned, got a"),
            (asked[0], "expected a list of proposals, as ask returns it, got a Proposal"),
            (None, "expected a list of proposals"),
        ):
            with pytest.raises(UsageError, match=message):
                study.tell(proposals, {"energy": [1.0] * 6})
        study.tell(asked[:2], energies(asked[:2]))
        with pytest.raises(UsageError, match=f"proposal 1 .{asked[1].key}. was told already"):
            study.tell([asked[2], asked[1]], {"energy": [1.0, 1.0]})
        assert len(study.evaluations) == 2
        assert study.tell([], {"energy": []}) == []


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_number_to_ask_for_is_one(n):
    with opened("random") as study, pytest.raises(UsageError, match=f"ask: expected 1 or more sub-networks.*{n!r}"):
        study.ask(n)


def test_a_closed_study_is_read_and_not_driven():
    with opened("random") as study:
        asked = study.ask()
        study.tell(asked, energies(asked))
    assert len(study.evaluations) == 5
    assert repr(study) == f"<OpenStudy {study.name!r}: 5 of 30 evaluations, closed>"
    study.close()
    for use in (study.ask, lambda: study.tell(asked, energies(asked))):
        with pytest.raises(UsageError, match="is closed; go on with it by create_study"):
            use()


@pytest.mark.parametrize(
    "spelled", ["energy:", "energy:MIN", ":min", "energy:min:mJ", "energy[]:min", "e y:min", "a:b:max"]
)
def test_how_an_own_objective_is_spelled(spelled):
    with pytest.raises(UsageError, match=f"objective {re.escape(repr(spelled))}: expected NAME:min or NAME:max"):
        create_study(NET, objectives=[spelled])
    assert own_objective("energy") is None


def test_objectives_are_distinct_and_known():
    with pytest.raises(UsageError, match="one is given twice: macs, macs"):
        create_study(NET, objectives=["macs:min", "macs"])
    with pytest.raises(UsageError, match=r"unknown objective 'mac'.*; one of your own says.*: mac:min or mac:max"):
        create_study(NET, objectives=["energy:min", "mac"], quality="capacity")


def test_a_search_asks_no_caller():
    with pytest.raises(UsageError, match=r"energy is evaluated by the caller.*hwnas\.create_study"):
        search(NET, objectives=OWN, evals=5)


# --- what it is made of ----------------------------------------------------------------------------------------------


@pytest.fixture
def given_sources(monkeypatch):
    """What the objectives of the latest study were given to read from."""
    found = {}

    class Spy(Sources):
        def __init__(self, *args, **kwargs):
            found.update(kwargs, first=args)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(open_study, "Sources", Spy)
    return found


def test_what_a_caller_asks_for_is_what_objectives_read_from(given_sources, store):
    options = QualityOptions(subset=7)
    asked = {"quality_options": options, "protocol": {"cap_s": 5}, "wait_s": 3.0, "store": store}
    with create_study(NET, "lut:table=note10", objectives=OWN, quality="capacity", name="s", **asked):
        assert given_sources == {**asked, "first": (NET, "lut:table=note10", "capacity"), "since": None}
    with create_study(NET, "lut:table=note10", objectives=OWN, quality="capacity", name="s", resume=True, **asked):
        assert given_sources["since"] == store.study("s").created_at


def test_what_is_not_asked_for_is_as_in_a_search(given_sources):
    with create_study(NET, objectives=OWN) as study:
        assert repr(study) == f"<OpenStudy {study.name!r}: 0 of 150 evaluations, open>"
        result = study.result()
    assert (result.settings["algorithm"], result.settings["preset"], result.name) == ("linas", None, study.name)
    assert given_sources["wait_s"] == 0.0
    with create_study(NET, objectives=OWN, preset="paper") as study:
        assert study.result().settings["preset"] == "paper"


def test_it_is_stored_and_resumed_with_the_time_that_it_took(store):
    with opened("random", store=store, name="s") as study:
        study.tell(asked := study.ask(), energies(asked))
        assert rows(load(store, "s").evaluations) == rows(study.evaluations) != []
        assert study.result().time_s["total"] > 0
        assert study.result().time_s["search"] > 0
        later = study.evaluations
    with opened("random", store=store, name="s", resume=True) as study:
        assert rows(study.evaluations) == rows(later)
    with pytest.raises(UnknownNameError, match="unknown study 't'"):
        opened("random", store=store, name="t", resume=True)


def test_what_is_to_be_closed_with_it_is_closed_once_and_after_it():
    closed = []
    with ExitStack() as other, opened("random") as study:
        other.callback(closed.append, "the caller's")
        study.closing(other.pop_all())
        assert closed == []
        study.close()
        assert closed == ["the caller's"]
        study.close()
        study.closing(ExitStack())
    assert closed == ["the caller's"]


def test_values_of_a_study_without_an_objective_of_ones_own_are_by_name_as_well():
    with create_study(NET, objectives=["macs", "params"], algorithm="random", evals=5) as study:
        asked = study.ask()
        with pytest.raises(UsageError, match=r"expected values by objective, like {'energy': \[...\]}, got \[1"):
            study.tell(asked, [1] * 5)
        with pytest.raises(UsageError, match=r"proposal 0: expected one that ask returned, got a dict"):
            study.tell([asked[0].config])


class Listed(Energy):
    """Energies of so many sub-networks only, as a table of them has."""

    exact = costs_nothing = True

    def __init__(self, n):
        self.rows = Rows("t.csv", n)


class Measured(Energy):
    """Energies that drift with the machine: whom was measured again beside each batch is kept."""

    def __init__(self):
        self.again = []

    def evaluate_beside(self, X, again):
        self.again.append(again.tolist())
        return self.evaluate(X)


@pytest.fixture
def with_energy(monkeypatch):
    """Let hwnas evaluate energies in a given way."""

    def give(objective):
        provider = SimpleNamespace(create=lambda name, sources: objective)
        monkeypatch.setitem(objectives.registry._providers, "energy", provider)

    return give


def test_a_table_of_a_few_sub_networks_is_not_searched(with_energy, store):
    few = re.escape("t.csv: has the energy of 102 of the space's 1.02e+03 sub-networks")
    with_energy(Listed(103))
    with create_study(NET, objectives=["energy", "macs"], store=store, name="s"):
        pass
    with_energy(Listed(102))
    with pytest.raises(UsageError, match=few):
        create_study(NET, objectives=["energy", "macs"])
    with pytest.raises(UsageError, match=few):
        create_study(NET, objectives=["macs", "params"], constraints=["energy<=15mJ"])
    # Whoever has begun has seen what comes of it.
    with create_study(NET, objectives=["energy", "macs"], store=store, name="s", resume=True) as study:
        assert study.ask(1)


def test_some_of_the_front_are_measured_again_beside_what_is_told(with_energy):
    with_energy(measured := Measured())
    with create_study(NET, objectives=["energy", "macs"], algorithm="random", evals=9) as study:
        asked = study.ask(9)
        study.tell(asked[:5])
        front = [list(one.vector) for one in study.front]
        study.tell(asked[5:])
    first, second = measured.again
    assert first == []
    assert second == front[::-1][:2]


def test_a_study_of_other_sub_networks_is_damaged(store):
    with opened("random", store=store, name="s") as study:
        asked = study.ask()
        study.tell(asked, energies(asked))
    (row, *_), table = store.evaluations(store.study("s")), store._tables["evaluation"]
    changed = table.update().where(table.c.number == 0).values(record=json.dumps({**row, "key": "99999"}))
    store._database.write(lambda connection: connection.execute(changed))
    with pytest.raises(StoreError, match="the study 's' is damaged: evaluation 0"):
        opened("random", store=store, name="s", resume=True)


# --- public ---------------------------------------------------------------------------------------------------------


def test_it_is_public():
    with hwnas.create_study(NET, objectives=OWN, evals=3) as study:
        assert len(study.ask(1)) == 1
