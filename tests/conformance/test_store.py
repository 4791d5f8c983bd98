"""What every database must do as a store: SQLite, PostgreSQL; ``HWNAS_TEST_STORE=URL`` adds one, which is emptied."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest
import sqlalchemy as sa
from stored_record import RECORD

from hwnas.harness.store import Store, schema
from hwnas.supernets.errors import StoreError

OTHER = os.environ.get("HWNAS_TEST_STORE")


def emptied(url):
    engine = sa.create_engine(url)
    schema.tables().drop_all(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["file", "url", "memory", "postgresql", "other"])
def location(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql").database()
    if request.param == "other" and not OTHER:
        pytest.skip("HWNAS_TEST_STORE is not set")
    places = {"file": str(tmp_path / "s.db"), "url": f"sqlite:///{tmp_path}/s.db", "memory": ":memory:"}
    return places.get(request.param) or emptied(OTHER)


@pytest.fixture
def shared(location):
    if location == ":memory:":
        pytest.skip("a store in memory ends with its process")
    return location


@pytest.fixture
def store(location):
    with Store.open(location) as opened:
        yield opened


@pytest.mark.slow
def test_measurements(store):
    samples = {"seconds": [0.25, 0.5], "note": "ß\u0000"}
    numbers = [store.put_measurement(RECORD | {"key": str(n % 3), "samples": samples}) for n in range(6)]
    assert numbers == sorted(set(numbers))
    assert [row["id"] for row in store.measurements(keys=["0", "2"])] == [numbers[n] for n in (0, 2, 3, 5)]
    assert store.measurements(keys=["1"])[0] == RECORD | {"key": "1", "id": numbers[1], "samples": samples}
    assert store.delete_measurements(numbers[:4]) == 4
    assert len(store.measurements()) == 2


def test_a_failed_measurement(store):
    store.put_measurement(RECORD | {"status": "failed", "latency_s": None})
    assert store.measurements(status="failed")[0]["latency_s"] is None


def test_studies(store):
    study = store.create_study("s", {"seed": 1})
    store.add_evaluations(study, 0, [{"key": "a"}, {"key": "b"}])
    with pytest.raises(StoreError):
        store.add_evaluations(study, 2, [{"key": "c"}, {"key": "a"}])
    with pytest.raises(StoreError):
        store.add_evaluations(study, 1, [{"key": "d"}])
    with pytest.raises(StoreError):
        store.create_study("s", {})
    store.add_evaluations(study, 2, [{"key": "c"}])
    assert store.evaluations(study) == [{"key": "a"}, {"key": "b"}, {"key": "c"}]
    assert store.create_study(None, {}, prefix="p").name == "p-1"
    assert [(one.name, one.evaluations) for one in store.studies()] == [("s", 3), ("p-1", 0)]
    store.delete_study("s")
    assert [one.name for one in store.studies()] == ["p-1"]


def test_a_study_has_one_snapshot_and_takes_it_along(store):
    first, second = store.create_study("s", {}), store.create_study("t", {})
    assert store.snapshot(first) is None
    exact = {"n": 2**127 + 1, "x": [0.1 + 0.2, 5e-324, -0.0], "note": "ß\u0000"}
    for record in ({"n": 1}, exact):
        store.put_snapshot(first, record)
    store.put_snapshot(second, {"n": 3})
    assert repr(store.snapshot(first)) == repr(exact)
    store.delete_study("s")
    assert store.snapshot(first) is None
    assert store.snapshot(second) == {"n": 3}
    with pytest.raises(StoreError, match="'s' has been deleted"):
        store.put_snapshot(first, {"n": 4})


@pytest.mark.parametrize("text", ["", "{", '{"n": 1', "[" * 100_000])
def test_a_damaged_snapshot_counts_as_none(store, text):
    study = store.create_study("s", {})
    store.put_snapshot(study, {"n": 1})
    update = store._tables["snapshot"].update().values(record=text)
    store._database.write(lambda connection: connection.execute(update))
    assert store.snapshot(study) is None


def test_opening_again_finds_everything(shared):
    with Store.open(shared) as first:
        first.put_measurement(RECORD)
        first.create_study("s", {})
    with Store.open(shared, create=False) as second:
        assert len(second.measurements()) == 1
        assert second.study("s") is not None


@pytest.mark.slow
def test_threads_may_share_a_store(store):
    failures = []

    def work(name):
        try:
            for n in range(20):
                store.put_measurement(RECORD | {"key": f"{name}{n}"})
                store.create_study(None, {}, prefix="t")
        except Exception as error:  # noqa: BLE001 - it is reported below, in the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(store.measurements()) == 60
    assert len({one.name for one in store.studies()}) == 60


def test_a_listing_shows_the_latest_and_counts_the_rest(store):
    for day in range(1, 7):
        status = "ok" if day % 2 else "failed"
        store.put_measurement(RECORD | {"key": str(day), "status": status, "measured_at": f"2026-01-0{day}T00:00:00"})
    assert [row["key"] for row in store.measurements(latest=2)] == ["5", "6"]
    assert [row["key"] for row in store.measurements(latest=2, status="ok", before="2026-01-05")] == ["1", "3"]
    assert [row["key"] for row in store.measurements(latest=2, keys=["1", "2", "4"])] == ["2", "4"]
    assert store.count_measurements() == 6
    assert store.count_measurements(status="failed", before="2026-01-05", supernet="tiny") == 2
    assert store.count_measurements(platform="elsewhere") == 0


def test_qualities(store):
    store.put_quality("net", "s", "0", {"value": 1.0, "note": "ß\u0000"})
    store.put_quality("net", "s", "0", {"value": 2.0})
    assert store.qualities("net", "s", ["0", "1"]) == {"0": {"value": 2.0}}
    assert store.qualities("net", "other", ["0"]) == {}


@pytest.mark.parametrize("name", ["\udcff", "a\u0000b"])
def test_a_name_that_is_no_text_is_refused_or_kept(store, name):
    # From a command line, bytes that are no UTF-8 arrive as lone surrogates. SQLite keeps a zero, PostgreSQL cannot.
    try:
        store.create_study(name, {})
    except StoreError:
        assert store.studies() == []
    else:
        assert [one.name for one in store.studies()] == [name]


def test_a_search_whose_study_was_deleted_is_told_so(store):
    study = store.create_study("s", {})
    store.delete_study("s")
    with pytest.raises(StoreError, match="'s' has been deleted"):
        store.add_evaluations(study, 0, [{"key": "a"}])


# --- versions ---------------------------------------------------------------------------------------------------------


def changed(location, *statements):
    engine = sa.create_engine(location if "://" in location else f"sqlite:///{location}")
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_store_of_the_first_version_is_brought_up_to_date(shared):
    with Store.open(shared) as made:
        made.put_measurement(RECORD)
    changed(
        shared,
        "DROP TABLE snapshot",
        "DROP TABLE quality",
        "DROP INDEX measurement_of",
        "CREATE INDEX measurement_of ON measurement (supernet, platform, key)",
        "UPDATE hwnas_schema SET version = 1",
    )
    with Store.open(shared, create=False) as migrated:
        migrated.put_quality("net", "s", "0", {"value": 1.0})
        assert len(migrated.measurements()) == 1
        inspected = migrated._database.read(lambda connection: sa.inspect(connection).get_indexes("measurement"))
    expected = [column.name for index in schema.tables().tables["measurement"].indexes for column in index.columns]
    assert [index["column_names"] for index in inspected] == [expected]


def test_a_study_of_the_third_version_is_kept_and_gets_snapshots(shared):
    with Store.open(shared) as made:
        made.add_evaluations(made.create_study("s", {"seed": 1}), 0, [{"key": "a"}])
    changed(shared, "DROP TABLE snapshot", "UPDATE hwnas_schema SET version = 3")
    with Store.open(shared, create=False) as migrated:
        study = migrated.study("s")
        assert (study.settings, study.evaluations) == ({"seed": 1}, 1)
        assert migrated.snapshot(study) is None
        migrated.put_snapshot(study, {"n": 1})
        assert migrated.snapshot(study) == {"n": 1}
        migrated.delete_study("s")
        again = migrated.create_study("s", {})
        assert migrated.snapshot(again) is None
    with Store.open(shared) as opened:  # which would fail, were the version not written
        assert opened.study("s") is not None


def test_what_is_no_store_is_refused(shared):
    with pytest.raises(StoreError, match=r"is empty|there is none"):
        Store.open(shared, create=False)
    Store.open(shared).close()
    changed(shared, "UPDATE hwnas_schema SET version = 99")
    with pytest.raises(StoreError, match=r"schema 99.*update hwnas"):
        Store.open(shared)
    changed(shared, "DROP TABLE hwnas_schema")
    with pytest.raises(StoreError, match="database of something else"):
        Store.open(shared)


# --- several processes ------------------------------------------------------------------------------------------------

WRITER = f"""
import sys
from hwnas.harness.store import Store
record = {RECORD}
with Store.open(sys.argv[1]) as store:
    study = store.create_study(None, {{}}, prefix="s")
    for number in range(int(sys.argv[3])):
        key = sys.argv[2] + "-" + str(number)
        store.put_measurement(record | {{"key": key, "samples_s": [0.5] * 50}})
        store.put_quality("net", "shared", str(number), {{"value": number}})
        store.add_evaluations(study, number, [{{"key": str(number)}}])
        print(number, flush=True)
"""


def writer(location, name, n):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, location, name, str(n)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_searches_that_open_a_new_store_and_write_at_once_lose_nothing(shared):
    running = [writer(shared, name, 30) for name in "abcd"]
    for process in running:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    with Store.open(shared) as opened:
        assert sorted(row["key"] for row in opened.measurements()) == sorted(
            f"{n}-{i}" for n in "abcd" for i in range(30)
        )
        assert sorted(study.name for study in opened.studies()) == ["s-1", "s-2", "s-3", "s-4"]
        assert {study.evaluations for study in opened.studies()} == {30}


@pytest.mark.slow
def test_what_was_put_survives_a_killed_client(shared):
    process = writer(shared, "a", 100_000)
    said = [process.stdout.readline() for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    said += process.stdout.readlines()
    process.communicate(timeout=20)
    done = len([line for line in said if line.endswith("\n")])
    with Store.open(shared) as opened:
        keys = [row["key"] for row in opened.measurements()]
        # The one under way may be there or not; none before it is lost, none is there twice.
        assert keys in ([f"a-{number}" for number in range(done)], [f"a-{number}" for number in range(done + 1)])
        assert len(opened.evaluations(opened.study("s-1"))) in {done, done + 1}
        opened.put_measurement(RECORD)


def test_a_measurement_takes_the_place_of_another(store):
    first = store.put_measurement(RECORD | {"samples_ms": [1.0, 2.0]})
    other = store.put_measurement(RECORD | {"key": "other"})
    assert store.put_measurement(RECORD | {"status": "unstable", "samples_ms": [3.0]}, replaces=first) == first
    replaced, kept = store.measurements()
    assert (replaced["id"], replaced["status"], replaced["samples_ms"]) == (first, "unstable", [3.0])
    assert (kept["id"], kept["key"]) == (other, "other")
    assert store.put_measurement(RECORD, replaces=first) == first
    assert "samples_ms" not in store.measurements()[0]


def test_a_measurement_takes_the_place_of_one_that_is_gone(store):
    first = store.put_measurement(RECORD)
    store.delete_measurements([first])
    store.put_measurement(RECORD, replaces=first)
    assert len(store.measurements()) == 1
