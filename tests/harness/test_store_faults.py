"""What breaks under a store costs at most what is being written: it says so, and goes on when the reason is gone."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa
from stored_record import RECORD

from hwnas import supernets
from hwnas.harness.store import Store, database, sqlite
from hwnas.search.study.run import search
from hwnas.supernets.errors import StoreError, StoreFaultError


def keys(store):
    return [row["key"] for row in store.measurements()]


# --- SQLite -----------------------------------------------------------------------------------------------------------


def test_a_writer_waits_for_another_and_gives_up_in_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.3)
    with Store.open(str(tmp_path / "s.db")) as store:
        store.put_measurement(RECORD)
        with contextlib.closing(sqlite3.connect(store.name, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            start = time.monotonic()
            with pytest.raises(StoreFaultError, match=r"s\.db: .*locked; another process has held it") as caught:
                store.put_measurement(RECORD | {"key": "1"})
            assert 0.3 <= time.monotonic() - start < 5
            assert caught.value.exit_code == 1
            assert keys(store) == ["0"]  # who reads does not wait
            with Store.open(store.name) as second:  # nor who opens
                assert keys(second) == ["0"]
            # The other goes on within the time: so does the writer.
            threading.Timer(0.1, other.execute, ["COMMIT"]).start()
            store.put_measurement(RECORD | {"key": "2"})
        assert keys(store) == ["0", "2"]


def limit_pages(store, n):
    """Let the file grow to ``n`` pages and no further: SQLite then says what it says on a full disk."""

    @sa.event.listens_for(store._database._engine, "begin")
    def _limit(connection):
        connection.exec_driver_sql(f"PRAGMA max_page_count = {n[0]}")


def test_a_full_disk_costs_what_was_being_written(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as store:
        n = [40]
        limit_pages(store, n)
        done, caught = 0, None
        while done < 10_000 and caught is None:
            try:
                store.put_measurement(RECORD | {"key": str(done), "note": "x" * 3000})
                done += 1
            except StoreFaultError as error:
                caught = error
        assert "disk is full; what was put before is safe: make room" in str(caught)
        assert caught.exit_code == 1
        assert 0 < done < 10_000
        assert keys(store) == [str(number) for number in range(done)]
        n[0] = 1_000_000
        store.put_measurement(RECORD | {"key": "more"})
        assert len(keys(store)) == done + 1


def test_a_search_on_a_full_disk_goes_on_when_there_is_room(tmp_path):
    net = supernets.get("ncf")
    wanted = {"objectives": ["macs", "params"], "algorithm": "random", "seed": 3, "evals": 400}
    with Store.open(str(tmp_path / "s.db")) as store:
        n = [40]
        limit_pages(store, n)
        with pytest.raises(StoreFaultError, match="disk is full"):
            search(net, **wanted, store=store, study="s")
        kept = store.study("s").evaluations
        n[0] = 1_000_000
        resumed = search(net, **wanted, store=store, study="s", resume=True)
        assert store.study("s").evaluations == 400 > kept
    whole = search(net, **wanted)
    assert [one.key for one in resumed.evaluations] == [one.key for one in whole.evaluations]


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(postgresql):
    with Store.open(postgresql.database()) as opened:
        yield opened


@pytest.mark.slow
def test_a_connection_that_was_cut_is_made_again(store, postgresql):
    study = store.create_study("s", {})
    for number in range(5):
        store.put_measurement(RECORD | {"key": str(number)})
        assert postgresql.cut() >= 1
        store.add_evaluations(study, number, [{"key": str(number)}])
        postgresql.cut()
    assert keys(store) == ["0", "1", "2", "3", "4"]
    assert len(store.evaluations(study)) == 5


class CutAfter:
    """Cuts the connection as it commits: the writer cannot know whether it did."""

    def __init__(self, store, postgresql):
        self.engine, self.cluster, self.left = store._database._engine, postgresql, 1
        self.dialect = self.engine.dialect
        self.commit = self.dialect.do_commit

    def __call__(self, connection):
        if self.left:
            self.left -= 1
            self.commit(connection)
            self.cluster.cut()
            connection.execute("SELECT 1")  # finds the connection cut, as waiting for the answer would
        self.commit(connection)


@pytest.mark.parametrize("what", ["measurement", "evaluations", "study"])
def test_what_was_committed_as_the_connection_broke_is_not_written_twice(store, postgresql, monkeypatch, what):
    study = store.create_study("s", {})
    cut = CutAfter(store, postgresql)
    monkeypatch.setattr(cut.dialect, "do_commit", cut)
    if what == "measurement":
        number = store.put_measurement(RECORD)
        assert [row["id"] for row in store.measurements()] == [number]
    elif what == "evaluations":
        store.add_evaluations(study, 0, [{"key": "a"}, {"key": "b"}])
        assert store.evaluations(study) == [{"key": "a"}, {"key": "b"}]
    else:
        assert store.create_study("t", {"seed": 1}).name == "t"
        assert [one.name for one in store.studies()] == ["s", "t"]
    assert cut.left == 0


@pytest.mark.slow
def test_a_server_that_restarts_is_waited_for(store, postgresql):
    store.put_measurement(RECORD)
    postgresql.stop()
    again = threading.Timer(0.5, postgresql.start)
    again.start()
    store.put_measurement(RECORD | {"key": "1"})
    again.join()
    assert keys(store) == ["0", "1"]


@pytest.mark.slow
def test_a_server_that_stays_away_is_an_error_after_a_while(store, postgresql, monkeypatch):
    monkeypatch.setattr(database, "_WAITS", (0.01, 0.02))
    store.put_measurement(RECORD)
    postgresql.stop()
    try:
        with pytest.raises(
            StoreFaultError, match=r"postgresql\+psycopg://.*cannot be opened, read or written"
        ) as caught:
            store.put_measurement(RECORD | {"key": "1"})
        assert caught.value.exit_code == 1
        with pytest.raises(StoreError) as refused:
            Store.open(str(store._database._engine.url))
        assert refused.value.exit_code == 2
    finally:
        postgresql.start()
    assert keys(store) == ["0"]
    store.put_measurement(RECORD | {"key": "2"})


@pytest.mark.slow
def test_a_locked_table_is_given_up_after_a_while(store, postgresql, monkeypatch):
    monkeypatch.setattr("hwnas.harness.store.postgresql._BUSY_S", 1)
    with Store.open(store._database._engine.url.render_as_string(hide_password=False)) as impatient:
        blocker = sa.create_engine(store._database._engine.url)
        with blocker.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE measurement IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(StoreFaultError, match="lock timeout; another process has held it for 1 s"):
                impatient.put_measurement(RECORD)
        blocker.dispose()
        impatient.put_measurement(RECORD)
        assert keys(impatient) == ["0"]


def test_a_url_shows_no_password_and_a_missing_database_is_named(postgresql):
    url = f"postgresql://postgres:hidden@/nowhere?host={postgresql.folder}"
    with pytest.raises(StoreError, match='"nowhere" does not exist') as caught:
        Store.open(url)
    assert "hidden" not in str(caught.value)
