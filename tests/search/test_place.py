"""The place of a study in the store: which name it gets, when it is refused, and what it goes on from."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from asked_and_told import NET, energies, opened

from hwnas.harness.store import Store
from hwnas.search.study.place import Place
from hwnas.supernets.errors import StoreError, UnknownNameError, UsageError

with opened("random") as _study:
    # What a study of another super-network would be begun with.
    SETTINGS = {**_study.result().settings, "supernet": "net:depth=2:wide", "algorithm": "some"}
    FACTS = {**_study.result().facts, "beside": "of now"}
PLAN = SimpleNamespace(objectives=(), limited=(), facts=lambda: FACTS)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as made:
        yield made


def place(store, name, *, resume=False, evals=30):
    return Place(store, name, resume, evals, NET)


@pytest.fixture
def begun(store):
    """A study of ten evaluations, called "s"."""
    with opened("random", store=store, name="s") as study:
        for _ in range(2):
            asked = study.ask()
            study.tell(asked, energies(asked))
    return store.study("s")


@pytest.mark.parametrize("evals", [0, -1])
def test_at_least_one_evaluation(store, evals):
    for where in (store, None):
        with pytest.raises(UsageError, match=f"^evals: expected at least 1 evaluation, got {evals}$"):
            place(where, "s", evals=evals)
    assert place(store, "s", evals=1).begun == {}


@pytest.mark.parametrize(("has_store", "name"), [(True, None), (False, "s"), (False, None)])
def test_what_is_resumed_has_a_store_and_a_name(store, begun, has_store, name):
    with pytest.raises(UsageError, match=r"^resume: expected a store and the name of the study"):
        place(store if has_store else None, name, resume=True)


def test_without_a_store_it_has_a_name_and_keeps_nothing():
    for name, called in ((None, "net-some-1"), ("mine", "mine")):
        placed = place(None, name).take(PLAN, SETTINGS)
        assert (placed.name, placed.settings, placed.facts) == (called, SETTINGS, FACTS)
        assert (placed.checkpoint.evaluations, placed.checkpoint.snapshot) == ((), None)


def test_a_new_study_is_created_with_its_settings_and_facts_and_a_name_of_its_own(store):
    names = [place(store, None).take(PLAN, SETTINGS).name for _ in range(2)]
    assert names == ["net-some-1", "net-some-2"]
    record = store.study("net-some-2")
    assert record.settings == {"search": SETTINGS, "facts": FACTS}
    new = place(store, "mine")
    assert (new.begun, new.since) == ({}, None)
    assert new.take(PLAN, SETTINGS).name == "mine"
    assert store.study("mine").settings["search"] == SETTINGS


def test_a_new_study_keeps_what_is_put_into_its_checkpoint(store):
    placed = place(store, "mine").take(PLAN, SETTINGS)
    placed.checkpoint.save({"evaluations": 0})
    assert store.snapshot(store.study("mine")) == {"evaluations": 0}


def test_a_study_of_the_name_is_not_begun_again(store, begun):
    wanted = "^there is a study 's' already, with 10 evaluations: go on with it by --resume"
    with pytest.raises(UsageError, match=wanted):
        place(store, "s")


def test_a_study_that_is_not_there_is_not_resumed(store, begun):
    with pytest.raises(UnknownNameError, match="unknown study 't'"):
        place(store, "t", resume=True)


def test_fewer_evaluations_than_there_are_is_refused_and_as_many_are_enough(store, begun):
    with pytest.raises(UsageError, match=r"^study 's' has 10 evaluations already; expected at least .*, got 9$"):
        place(store, "s", resume=True, evals=9)
    assert place(store, "s", resume=True, evals=10).since == begun.created_at


def test_a_study_that_is_resumed_has_the_settings_facts_and_evaluations_it_was_begun_with(store, begun):
    resumed = place(store, "s", resume=True)
    settings = begun.settings["search"]
    assert resumed.begun == settings
    assert resumed.since == begun.created_at
    placed = resumed.take(PLAN, settings, ["a remark"])
    assert (placed.name, placed.settings) == ("s", settings)
    assert placed.facts == {**begun.settings["facts"], "remarks": ["a remark"]}
    assert len(placed.checkpoint.evaluations) == 10
    with pytest.raises(UsageError, match=r"study 's' cannot be resumed with other settings \(seed was 0, is 7\)"):
        resumed.take(PLAN, {**settings, "seed": 7})


def damaged(store, record, change):
    """Damage the store's settings of a study."""
    table = store._tables["study"]
    settings = {**record.settings, "search": {**record.settings["search"], **change}}
    statement = table.update().where(table.c.id == record.id).values(settings=json.dumps(settings))
    store._database.write(lambda connection: connection.execute(statement))


def test_a_study_that_began_with_what_is_no_sub_network_is_damaged(store, begun):
    damaged(store, begun, {"initial": ["9999"]})
    with pytest.raises(StoreError, match=r"the study 's' is damaged: initial, 1"):
        place(store, "s", resume=True)


def test_a_study_with_an_evaluation_of_no_sub_network_is_damaged(store, begun):
    table, resumed = store._tables["evaluation"], place(store, "s", resume=True)
    row = store.evaluations(begun)[0]
    changed = json.dumps({**row, "key": "99999"})
    statement = table.update().where(table.c.number == 0).values(record=changed)
    store._database.write(lambda connection: connection.execute(statement))
    with pytest.raises(StoreError, match=r"the study 's' is damaged: evaluation 0"):
        resumed.take(PLAN, begun.settings["search"])


def test_files_that_the_study_does_not_know_are_remarked_on_first(store, begun):
    resumed, settings = place(store, "s", resume=True), begun.settings["search"]
    held = {"name": "t.csv", "digest": "0" * 16}
    placed = resumed.take(PLAN, {**settings, "contents": {"lut table": held}}, ["a remark"])
    first, last = placed.facts["remarks"]
    assert first.startswith("lut table t.csv: the study was begun before contents were recorded")
    assert last == "a remark"


def test_objectives_are_asked_what_their_sources_were_called(store, begun):
    """Of a study from before contents were recorded: those that are only constrained, too."""
    old = dict(begun.settings["search"])
    del old["contents"]
    store.create_study(
        "old", {"search": {**old, "sources": {"a": "x", "b": "y"}}, "facts": begun.settings["facts"]}, prefix=""
    )
    asked = []

    def renamed(name):
        return SimpleNamespace(name=name, recorded_as=lambda source: asked.append((name, source)) or True)

    plan = SimpleNamespace(objectives=(renamed("a"),), limited=(renamed("b"),), facts=dict)
    settings = {**old, "contents": {}, "sources": {"a": "x2", "b": "y2"}}
    assert place(store, "old", resume=True).take(plan, settings).facts["remarks"] == []
    assert sorted(asked) == [("a", "x"), ("b", "y")]
