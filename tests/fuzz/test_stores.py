"""What lies in a store is read, or refused by one of our errors: a file may be damaged and still be a database."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sqlite3
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from fuzzing import fuzz, put, refused_or_read
from hypothesis import given
from hypothesis import strategies as st
from mutations import contents, documents
from test_messages import KEYS, MEASUREMENT, NCF, PACE, SAMPLES

from hwnas.cli import measurements
from hwnas.harness import cache
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import Score
from hwnas.harness.store import Store
from hwnas.search.algorithm import UNREADABLE, Problem
from hwnas.search.algorithms import create
from hwnas.search.deploy.table import write_csv
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.run import search
from hwnas.search.study.stored import Snapshot, load
from hwnas.supernets.errors import StoreError
from hwnas.supernets.space import Choice, SearchSpace


@pytest.fixture(scope="session")
def store_file(folder):
    """A store's file, small, with a row of each kind."""
    file = folder / "stored.db"
    with Store.open(str(file)) as store:
        search(NCF, objectives=["macs", "params"], algorithm="random", evals=4, store=store, study="s")
        store.put_measurement(MEASUREMENT.to_record())
        store.put_quality("ncf", "source", KEYS[0], Score(75.0, 74.0, 76.0, 100, {"top5": 90.0}).record())
    return file


def read_all(store):
    """Read every kind of row as what is made of it."""
    graphs = {MEASUREMENT.key: MEASUREMENT.graph}
    wanted = cache.Criteria("ncf", MEASUREMENT.platform, MEASUREMENT.fingerprint, graphs)
    source = SimpleNamespace(options=SimpleNamespace(store=store), net=NCF, source="source", source_by_name=None)

    def study():
        found = load(store, "s")
        json.dumps(found.to_json())
        write_csv(found, io.StringIO())

    for read in (
        lambda: [measurements._study(store.name, record) for record in store.studies()],
        lambda: measurements._table(store.name, store.measurements(samples=False)),
        lambda: [Measurement.from_record(one).to_json(samples=True) for one in store.measurements()],
        lambda: cache.candidates(store, wanted, MEASUREMENT.protocol),
        lambda: cache.taken_since(store, wanted, "2020-01-01T00:00:00"),
        lambda: EvaluatedQuality.stored(source, KEYS),
        study,
    ):
        refused_or_read(read)


@fuzz
@given(data=st.data())
def test_files_of_stores(folder, store_file, data):
    for old in folder.glob("s.db*"):
        old.unlink(missing_ok=True)  # SQLite may be about to remove it itself
    file = put(folder, "s.db", data.draw(contents([store_file.read_bytes()])))

    def read():
        with Store.open(str(file), create=False) as store:
            read_all(store)

    refused_or_read(read)


def packed(value):
    return zlib.compress(json.dumps(value).encode())


# A column with a record, and how that is written.
RECORDS = {
    ("measurement", "record"): json.dumps,
    ("measurement_samples", "samples"): packed,
    ("study", "settings"): json.dumps,
    ("evaluation", "record"): json.dumps,
    ("quality", "record"): json.dumps,
}


@pytest.fixture(scope="session")
def rows(store_file):
    """The records in a store of its own, how each is written, and that store."""
    file = store_file.with_name("rows.db")
    file.write_bytes(store_file.read_bytes())
    connection = sqlite3.connect(file, isolation_level=None)
    found = {}
    for table, column in RECORDS:
        (content,) = connection.execute(f"SELECT {column} FROM {table} LIMIT 1").fetchone()
        found[table, column] = json.loads(zlib.decompress(content) if isinstance(content, bytes) else content)
    with Store.open(str(file)) as store:
        yield found, connection, store


@pytest.mark.slow
@fuzz
@given(data=st.data(), place=st.sampled_from(list(RECORDS)))
def test_rows_of_stores(rows, data, place):
    found, connection, store = rows
    table, column = place
    written = RECORDS[place](found[place])
    as_bytes = written if isinstance(written, bytes) else written.encode()
    damaged = data.draw(documents([found[place]]).map(RECORDS[place]) | contents([as_bytes]))
    update = f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT min(rowid) FROM {table})"
    connection.execute(update, (damaged,))
    try:
        read_all(store)
    finally:
        connection.execute(update, (written,))


SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (1, 2, 3, 4)) for column in range(5)))


@pytest.fixture(scope="session")
def snapshot():
    """A snapshot of LINAS in its third batch, the second on its way; how it is restored."""
    made, again = (
        create("linas", Problem(SPACE, ("a",)), 90, np.random.default_rng(0), {"inner_evals": 200, "first": 6})
        for _ in range(2)
    )
    made.tell(X := made.ask(), X.sum(axis=1, keepdims=True).astype(float))
    record = Snapshot(len(X), (made.ask(),), made.state()).to_json()

    def restored(damaged):
        found = Snapshot.from_json(damaged, SPACE)
        again.restore(found.state, np.concatenate([X, *found.under_way]))

    record = json.loads(json.dumps(record))
    restored(record)  # the whole one is understood
    return record, restored


@fuzz
@given(data=st.data())
def test_snapshots(snapshot, data):
    record, restored = snapshot
    # What else is raised would end a study that is resumed; these cost it the time that the snapshot saves.
    with contextlib.suppress(*UNREADABLE):
        restored(data.draw(documents([record, record["state"], {**record, "state": {}}])))


WHOLE = {
    "search": {
        "supernet": "ncf",
        "platform": None,
        "algorithm": "random",
        "seed": 0,
        "preset": None,
        "settings": {},
        "constraints": [],
        "warm_start": None,
        "objectives": [{"name": "macs", "unit": "M", "maximise": False}],
    },
    "facts": {"reference": {"macs": None}, "quality": None, "environment": {}},
}


def damaged(part, **changes):
    return {**WHOLE, part: {**WHOLE[part], **changes}}


@pytest.mark.parametrize(
    "settings",
    [
        1,
        {},
        {"search": {}, "facts": {}},
        damaged("search", objectives=[1]),
        damaged("search", objectives=[{"name": "macs", "unit": "M", "maximise": [False]}]),
        damaged("search", settings=None),
        damaged("search", seed="x"),
        damaged("search", platform=1),
        damaged("facts", reference={}),
        damaged("facts", reference={"macs": "x"}),
        damaged("facts", reference={"macs": 10**400}),
        damaged("facts", reference={"macs": math.inf}),
        damaged("facts", reference={"macs": True}),
        damaged("facts", quality={"predicted": True}),
        damaged("facts", environment=None),
    ],
)
def test_a_study_that_is_damaged_is_named(tmp_path, settings):
    with Store.open(str(tmp_path / "s.db")) as store:
        store.create_study("s", settings)
        with pytest.raises(StoreError, match="the study 's' is damaged"):
            load(store, "s")


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "x"},
        {"latency_s": "x"},
        {"latency_s": 10**400},
        {"latency_s": 0},
        {"latency_s": -46},
        {"latency_s": math.inf},
        {"latency_s": "0.002"},
        {"latency_s": True},
        {"latency_s": None},
        {"status": "great"},
        {"status": "failed"},
        {"context": {"anchors": []}},
        {"context": {"anchors": {"a": "x"}}},
        {"context": {"anchors": {"a": -1.0}}},
        {"context": {"anchors": {"a": math.inf}}},
        {"status": None},
        {"threads": 10**400},
        {"protocol_numbers": {**MEASUREMENT.protocol.to_record(), "disturbed": 2**64}},
        {"config": []},
        {"samples": {}},
        {"samples": {**SAMPLES, "visit": [0, 2]}},
        {"samples": {**SAMPLES, "group": [0, 1]}},
        {"samples": {**SAMPLES, "cpu_ns": [5]}},
        {"protocol_numbers": {"x": 1}},
        {"pace": []},
        {"pace": {}},
        {"pace": {**PACE, "slower_ppm": [1, 2, 3]}},
        {"pace": {**PACE, "slower_ppm": [1, 2**70]}},
        {"pace": {**PACE, "slower_ppm": [1, 10**9]}},
        {"pace": {**PACE, "slower_ppm": [1, None]}},
        {"pace": {**PACE, "slower_ppm": [[1, 2]]}},
        {"pace": {**PACE, "slower_ppm": [0.5, 1]}},
        {"pace": {**PACE, "statistic": "mean"}},
        {"pace": {**PACE, "statistic": ["median"]}},
        {"pace": {**PACE, "error": -0.1}},
        {"pace": {**PACE, "error": math.nan}},
        {"pace": {**PACE, "error": math.inf}},
        {"pace": {**PACE, "error": "0.1"}},
        {"pace": {**PACE, "error": True}},
        {"pace": {**PACE, "error": 10**400}},
        {"pace": {**PACE, "error": 1000.0}},
    ],
)
def test_a_measurement_that_is_damaged_is_an_error(changes):
    with pytest.raises(StoreError, match="the record of a measurement is damaged"):
        Measurement.from_record({**MEASUREMENT.to_record(), **changes})


EVALUATION = Evaluation(
    0, 0, (0,) * 9, {}, "0" * 9, {"macs": 1.0}, "ok", "", {"macs": (0.9, 1.1)}, {"macs": {"a": 1.0}}
).to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "great"},
        {"status": ["ok"]},
        {"status": None},
        {"objectives": {"macs": math.inf}},
        {"objectives": {"macs": -math.inf}},
        {"objectives": {"macs": math.nan}},
        {"objectives": {"macs": None}},
        {"objectives": {"macs": "1"}},
        {"objectives": {"macs": True}},
        {"objectives": {"macs": 10**400}},
        {"status": "failed", "objectives": {"macs": math.inf}},
        {"objectives": {"macs": 1.0, "limited": math.inf}},
        {"intervals": {"macs": [1.1, 0.9]}},
        {"intervals": {"macs": [math.nan, 0.9]}},
        {"intervals": {"macs": [0.9, math.inf]}},
        {"intervals": {"macs": ["0.9", 1.1]}},
        {"beside": {"macs": {"a": math.inf}}},
        {"beside": {"macs": {"a": "1"}}},
        {"violation": math.nan},
        {"violation": -1},
        {"measure_s": math.inf},
        {"search_s": -1},
        {"total_s": "1"},
    ],
)
def test_an_evaluation_that_can_be_none_is_named(tmp_path, changes):
    with Store.open(str(tmp_path / "s.db")) as store:
        study = store.create_study("s", WHOLE)
        store.add_evaluations(study, 0, [EVALUATION | changes])
        with pytest.raises(StoreError, match="the study 's' is damaged"):
            load(store, "s")


@pytest.mark.parametrize("value", [0.0, -46.0])
def test_a_stored_time_that_is_none_is_named(tmp_path, value):
    latency = damaged("search", objectives=[{"name": "latency", "unit": "ms", "maximise": False}])
    latency["facts"] = {**WHOLE["facts"], "reference": {"latency": None}}
    with Store.open(str(tmp_path / "s.db")) as store:
        study = store.create_study("s", latency)
        record = EVALUATION | {"objectives": {"latency": value}, "intervals": {}, "beside": {}}
        store.add_evaluations(study, 0, [record])
        with pytest.raises(StoreError, match=f"expected a finite number above 0, got {value:g}"):
            load(store, "s")


def test_a_whole_evaluation_is_none_of_them(tmp_path):
    failed = {"key": "1" * 9, "index": 1, "status": "failed", "objectives": {"macs": None}, "violation": None}
    with Store.open(str(tmp_path / "s.db")) as store:
        store.add_evaluations(store.create_study("s", WHOLE), 0, [EVALUATION, EVALUATION | failed])
        assert [one.status for one in load(store, "s").archive] == ["ok", "failed"]


@pytest.mark.parametrize(
    "changes",
    [
        None,
        {"value": math.inf},
        {"value": "75"},
        {"value": True},
        {"low": 80.0},
        {"high": math.inf},
        {"low": "74"},
        {"reason": 1},
    ],
)
def test_a_quality_that_is_damaged_names_the_store(tmp_path, changes):
    source = SimpleNamespace(options=None, net=NCF, source="source", source_by_name=None)
    record = {} if changes is None else Score(75.0, 74.0, 76.0, 100).record() | changes
    with Store.open(str(tmp_path / "s.db")) as store:
        store.put_quality("ncf", "source", KEYS[0], record)
        source.options = SimpleNamespace(store=store)
        with pytest.raises(StoreError, match=r"s\.db: a quality from source is damaged"):
            EvaluatedQuality.stored(source, KEYS)


def test_a_whole_study_is_none_of_them(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as store:
        store.create_study("s", WHOLE)
        assert load(store, "s").to_json()["evaluations"] == []


def test_a_damaged_study_can_be_listed_by_nobody(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as store:
        store.create_study("s", {})
        with pytest.raises(StoreError, match="is damaged"):
            measurements._study(store.name, store.studies()[0])
