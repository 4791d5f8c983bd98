"""What a search goes on from is understood, or refused by one of our errors that names the store and the study."""

from __future__ import annotations

import json
import sqlite3

import pytest
from fuzzing import fuzz, refused_or_read
from hypothesis import given
from hypothesis import strategies as st
from mutations import contents, documents
from test_messages import NCF

from hwnas.cli.configs import read_configs
from hwnas.harness.store import Store
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import HwnasError

# A row of the store, the column with its record, and which of them.
PLACES = {
    "study": "SELECT rowid, settings FROM study",
    "evaluation": "SELECT rowid, record FROM evaluation ORDER BY number DESC LIMIT 1",
    "snapshot": "SELECT rowid, record FROM snapshot",
}
COLUMNS = {"study": "settings", "evaluation": "record", "snapshot": "record"}
# An algorithm with states to restore, and one without.
SEARCH = {
    "objectives": ["macs", "params"],
    "algorithm": "linas",
    "settings": {"first": 6, "inner_evals": 60},
    "seed": 1,
}


@pytest.fixture(scope="session")
def begun(folder):
    """A study that has been interrupted: its store, a connection of its own to it, and the records in it."""
    file = folder / "resumed.db"
    with Store.open(str(file)) as store:
        search(NCF, **SEARCH, evals=12, store=store, study="s")
        connection = sqlite3.connect(file, isolation_level=None)
        rows = {table: connection.execute(query).fetchone() for table, query in PLACES.items()}
        yield store, connection, rows


class Damaged:
    """The store with one record in it replaced."""

    def __init__(self, begun, table, text):
        self.store, self.connection, rows = begun
        self.table, (self.rowid, self.whole) = table, rows[table]
        self.text = text

    def put(self, text):
        update = f"UPDATE {self.table} SET {COLUMNS[self.table]} = ? WHERE rowid = ?"
        self.connection.execute(update, (text, self.rowid))

    def __enter__(self):
        self.put(self.text)
        return self.store

    def __exit__(self, *_):
        self.put(self.whole)
        self.connection.execute("DELETE FROM evaluation WHERE number >= 12")


def resumed(store):
    return search(NCF, **SEARCH, evals=12, store=store, study="s", resume=True)


def opened(store):
    """Everything else that opens a study."""
    refused_or_read(lambda: json.dumps(load(store, "s", NCF).to_json(), indent=1))
    for one in ("s#11", "s#KEY"):
        refused_or_read(lambda one=one: read_configs([one], NCF.space, supernet="ncf", store=store.name))
    # The front that it starts from is the same for every algorithm, and this one computes nothing.
    refused_or_read(lambda: search(NCF, objectives=["macs"], algorithm="random", evals=2, store=store, warm_start="s"))


@pytest.mark.slow
@fuzz
@given(data=st.data(), table=st.sampled_from(list(PLACES)))
def test_damaged_rows_of_a_study_that_goes_on(begun, data, table):
    record = json.loads(begun[2][table][1])
    parts = [record] if table != "study" else [record, {**record, "search": {**record["search"], "parallel": 2}}]
    text = data.draw(
        documents(parts).map(json.dumps) | contents([json.dumps(record).encode()]).map(lambda one: one.decode("latin1"))
    )
    with Damaged(begun, table, text) as store:
        refused_or_read(lambda: resumed(store))
        opened(store)


DEEP = "[" * 700 + "]" * 700


def changed(record, path, value):
    """Return a record that says something else in one place."""
    if not path:
        return value
    first, *rest = path
    return {**record, first: changed(record[first] if rest else None, rest, value)}


ODD = (1, "x", None, [], [1], {"a": 1}, json.loads(DEEP))
# Of each place, what may stand there: such a value may be another one, but none that is damaged.
KINDS = {
    "study": (),
    "study search": (),
    "study facts": (),
    "study search objectives": (),
    "study search initial": (list,),
    "study search contents": (),
    "study search sources": (dict,),
    "study search constraints": (list,),
    "study search parallel": (int,),
    "study search warm_start": (str, type(None)),
    "study facts reference": (),
    "evaluation": (),
    "evaluation config": (dict,),
    "evaluation key": (),
    "evaluation index": (),
    "evaluation iteration": (int,),
    "evaluation objectives": (),
    "evaluation reason": (str,),
    "evaluation beside": (),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", KINDS)
def test_what_is_damaged_is_named(begun, place):
    table, *path = place.split()
    whole = json.loads(begun[2][table][1])
    for value in ODD:
        fits = isinstance(value, KINDS[place]) and value not in ([1], ODD[-1])
        with Damaged(begun, table, json.dumps(changed(whole, path, value))) as store:
            for read in (resumed, lambda store: load(store, "s", NCF)):
                said = "" if fits else refused(read, store)
                assert fits or (store.name in said and "study 's'" in said and "damaged" in said), said
            refused_or_read(lambda store=store: resumed(store))
            opened(store)


@pytest.mark.parametrize("path", ["", "state", "under_way", "evaluations"])
def test_a_damaged_snapshot_is_none(begun, path):
    """It saves time, and without it the search is replayed."""
    whole = json.loads(begun[2]["snapshot"][1])
    for value in ODD:
        with Damaged(begun, "snapshot", json.dumps(changed(whole, path.split(), value))) as store:
            assert len(resumed(store).archive) == 12


def refused(read, store):
    with pytest.raises(HwnasError) as caught:
        read(store)
    return str(caught.value)
