"""What is known of each kind of database that can be a store, without a server."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from stored_record import RECORD

from hwnas.harness.store import Store
from hwnas.harness.store.kinds import kind_of
from hwnas.harness.store.postgresql import PostgreSQL
from hwnas.harness.store.sqlite import SQLite, _log_is_out_of_reach, _read_only, _write_ahead
from hwnas.supernets.errors import StoreError, StoreFaultError


def test_a_path_is_a_file_of_sqlite(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for location, database in ((":memory:", ":memory:"), ("a.db", f"{tmp_path}/a.db"), ("~/b.db", f"{tmp_path}/b.db")):
        url, kind = kind_of(location)
        assert (url.drivername, url.database) == ("sqlite", database)
        assert isinstance(kind, SQLite)
    with pytest.raises(StoreError, match="the store '~nobody-is-called-so/x': "):
        kind_of("~nobody-is-called-so/x")


def test_a_url_says_its_kind():
    for location in ("postgresql://h/d", "postgresql+psycopg://h/d"):
        url, kind = kind_of(location)
        assert (url.drivername, url.host, url.database) == ("postgresql+psycopg", "h", "d")
        assert isinstance(kind, PostgreSQL)
    assert kind_of("postgresql+psycopg2://h/d")[0].drivername == "postgresql+psycopg2"
    assert isinstance(kind_of("sqlite:///x.db")[1], SQLite)
    expected = "expected a path, or a URL like sqlite:///my.db or postgresql"
    for location, shown in (
        ("mysql://me:hidden@h/d?x=a://b", " mysql://...:"),
        ("://", " ://...:"),
        ("postgresql://me:hidden@h:port/d", " postgresql://...:"),
        ("host=h password=hidden", ":"),
    ):
        with pytest.raises(StoreError, match=expected) as caught:
            kind_of(location)
        assert str(caught.value).startswith(f"the store{shown} {expected}")
        assert "hidden" not in str(caught.value)


def test_an_at_too_many_is_refused_where_it_would_end_a_password():
    for location in ("postgresql://me:a@b@h/d", "postgresql+psycopg2://me:a@b@h/d"):
        with pytest.raises(StoreError, match="has an @ too many"):
            kind_of(location)
    assert kind_of("sqlite:////folder/a@b@c.db")[0].database == "/folder/a@b@c.db"


def test_postgresql_is_asked_as_libpq_wants_it():
    kind, plain = PostgreSQL(), sa.make_url("postgresql://h/d")
    options = kind.options(plain)
    assert options["pool_pre_ping"] is True
    assert options["connect_args"] == {
        "application_name": "hwnas",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    given = kind.options(sa.make_url("postgresql://h/d?connect_timeout=3"))["connect_args"]
    assert "connect_timeout" not in given
    assert len(given) == 5


def test_which_driver_is_missing():
    def missing(name):
        return PostgreSQL().missing(ImportError(name=name))

    assert missing("psycopg") == "needs the package psycopg: python -m pip install 'hwnas[postgresql]'"
    assert missing(None) == missing("psycopg")
    assert missing("psycopg_binary") == "needs the package psycopg_binary: python -m pip install 'hwnas[postgresql]'"
    assert missing("psycopg2") == "needs the package psycopg2: python -m pip install psycopg2"
    assert missing("asyncpg") == "needs the package asyncpg: python -m pip install asyncpg"
    assert SQLite().missing(ImportError(name="pysqlcipher3")) == (
        "needs the package pysqlcipher3: python -m pip install pysqlcipher3"
    )


def test_a_driver_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    needed = r"needs the package psycopg: python -m pip install 'hwnas\[postgresql\]'"
    with pytest.raises(StoreError, match=rf"^the store postgresql\+psycopg://here/db: {needed}$"):
        Store.open("postgresql+psycopg://here/db")


@pytest.mark.parametrize(
    ("state", "passes"),
    [
        ("08006", True),
        ("57P01", True),
        ("53300", True),
        ("40001", True),
        ("40P01", True),
        ("53100", False),
        ("23505", False),
    ],
)
def test_what_passes_by_itself_says_its_state(state, passes):
    error = sa.exc.OperationalError("SELECT", {}, SimpleNamespace(sqlstate=state))
    assert PostgreSQL().passes(error) is passes
    assert SQLite().passes(error) is False


def test_what_has_no_state_passes_where_the_connection_was_lost():
    plain = Exception("no state")
    assert PostgreSQL().passes(sa.exc.OperationalError("SELECT", {}, plain))
    assert not PostgreSQL().passes(sa.exc.ProgrammingError("SELECT", {}, plain))
    assert PostgreSQL().passes(sa.exc.ProgrammingError("SELECT", {}, plain, connection_invalidated=True))


def test_what_to_do_about_it():
    locked = "another process has held it for 60 s: let it finish, then go on (--resume)"
    full = "what was put before is safe: make room, then go on (--resume)"
    assert SQLite().advice("database is locked") == locked
    assert SQLite().advice("database or disk is full") == full
    assert SQLite().advice("attempt to write a readonly database") == (
        "it or its folder may not be written by this user; copy it to a folder of your own"
    )
    assert SQLite().advice("disk I/O error") == "is the disk full? What was put before is safe"
    assert SQLite().advice("no such table") == ""
    assert PostgreSQL().advice("canceling statement due to lock timeout") == locked
    assert PostgreSQL().advice("could not extend file: No space left on device") == full
    assert PostgreSQL().advice("permission denied for schema public") == (
        "let the user own a database: createdb --owner USER DATABASE"
    )
    assert PostgreSQL().advice("syntax error") == ""


def test_the_advisory_lock_ends_with_the_transaction():
    said = []
    PostgreSQL().lock(SimpleNamespace(execute=said.append))
    (statement,) = said
    compiled = statement.compile(compile_kwargs={"literal_binds": True})
    assert str(compiled).split() == ["SELECT", "pg_advisory_xact_lock(448680321395)", "AS", "pg_advisory_xact_lock_1"]


def test_a_store_in_memory_is_one_connection():
    for database in (":memory:", None, ""):
        options = SQLite().options(sa.URL.create("sqlite", database=database))
        assert options["poolclass"] is sa.QueuePool
        assert (options["pool_size"], options["max_overflow"], options["pool_timeout"]) == (1, 0, 60.0)
        assert options["connect_args"] == {"check_same_thread": False}
    assert SQLite().options(sa.make_url("sqlite:///x.db")) == {}


def test_a_store_in_memory_is_the_same_for_every_thread():
    with Store.open(":memory:") as store, ThreadPoolExecutor(1) as other:
        other.submit(store.put_measurement, RECORD).result()
        assert len(store.measurements()) == 1


def test_a_driver_that_nobody_knows_is_a_wrong_argument():
    with pytest.raises(StoreError, match=r"^the store postgresql\+nosuch://here/db: ") as caught:
        Store.open("postgresql+nosuch://here/db")
    assert not isinstance(caught.value, StoreFaultError)


def test_a_file_is_set_up_to_lose_nothing(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:

        def pragma(name):
            return opened._database.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar_one())

        assert [pragma(name) for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")] == [
            "wal",
            1,
            1,  # NORMAL
            60_000,
        ]


def test_what_is_wrong_with_a_path_is_said(tmp_path):
    for path, fault in (
        (tmp_path, "is a folder; expected a file, or a file's name in it"),
        (tmp_path / "none" / "s.db", f"there is no folder {tmp_path}/none"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(StoreError, match=f"^the store {tmp_path}.*: {fault}"):
            Store.open(str(path))
    with pytest.raises(StoreError, match="there is none; 'hwnas search' and 'hwnas profile' make one"):
        Store.open(str(tmp_path / "s.db"), create=False)


def test_what_is_no_file_is_not_looked_for():
    for database in (None, "", ":memory:", "file:nowhere/s.db?mode=memory&uri=true"):
        url = sa.URL.create("sqlite", database=database)
        SQLite().check(url, "it", create=False)
    assert SQLite().options(url) == {}
    assert SQLite().name(sa.make_url("sqlite://me:hidden@")) == "sqlite://me:***@"
    with pytest.raises(StoreError, match=r"^the store 'a\\x00b': no file can be called so$"):
        SQLite().check(sa.URL.create("sqlite", database="a\0b"), "a\0b", create=True)


def test_a_writer_holds_others_off_from_its_first_moment_and_readers_never(tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.harness.store.sqlite._BUSY_S", 0.05)
    with Store.open(str(tmp_path / "s.db")) as one, Store.open(str(tmp_path / "s.db")) as other:

        def work(_connection):
            assert other.measurements() == []
            with pytest.raises(StoreFaultError, match="is locked; another process has held it for 0 s: let it finish"):
                other.put_measurement(RECORD)

        one._database.write(work)
        other.put_measurement(RECORD)


def test_what_is_only_read_is_read_from_any_thread_with_what_is_in_the_log(tmp_path):
    path = tmp_path / "s.db"
    with Store.open(str(path)) as store:
        store.create_study("in the log", {})
        reading = [_read_only(path)]
    reading.append(_read_only(path))  # by now all is in the file
    for connection in reading:
        with ThreadPoolExecutor(1) as other, contextlib.closing(connection):
            found = other.submit(lambda one=connection: one.execute("SELECT name FROM study").fetchall()).result()
            assert found == [("in the log",)]
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute("DELETE FROM study")


def test_a_file_is_read_by_a_uri_however_sqlite_is_built(tmp_path, monkeypatch):
    """Debian's reads one without being asked; elsewhere a file of that name would be looked for."""
    asked = []
    monkeypatch.setattr(sqlite3, "connect", lambda name, **options: asked.append((name, options["uri"])))
    _read_only(tmp_path / "s.db")
    assert asked == [(f"{(tmp_path / 's.db').as_uri()}?mode=ro&immutable=1", True)]


def test_a_log_is_out_of_reach_where_it_has_records_and_no_index_may_be_made(tmp_path, monkeypatch):
    path, log, index = (tmp_path / name for name in ("s.db", "s.db-wal", "s.db-shm"))
    found = []
    for may in (False, True):
        monkeypatch.setattr("hwnas.harness.store.sqlite._may_be_written", lambda _, may=may: may)
        for step in (lambda: None, log.touch, lambda: log.write_bytes(bytes(32)), index.touch):
            step()
            found.append(_log_is_out_of_reach(path))
        log.unlink()
        index.unlink()
    assert found == [False, False, True, False] + [False] * 4


class Opening:
    """A connection to a file that others open at the same moment: it has these modes, and fails to switch so often."""

    OperationalError = sqlite3.OperationalError

    def __init__(self, monkeypatch, modes, failures=(), now=lambda: 0.0):
        self.modes, self.failures, self.switched, self.slept = iter(modes), list(failures), 0, []
        clock = SimpleNamespace(sleep=self.slept.append, monotonic=now)
        monkeypatch.setattr("hwnas.harness.store.sqlite.time", clock)

    def execute(self, statement):
        if statement == "PRAGMA journal_mode":
            return SimpleNamespace(fetchone=lambda: (next(self.modes),))
        assert statement == "PRAGMA journal_mode = WAL"
        if self.failures:
            raise sqlite3.OperationalError(self.failures.pop(0))
        self.switched += 1
        return None


def test_the_switch_to_the_log_is_tried_until_one_process_has_made_it(monkeypatch):
    for modes, failures, switched in (
        (["delete", "delete", "delete"], 2, 1),
        (["delete", "delete", "wal"], 2, 0),  # by another process
        (["wal"], 0, 0),
        (["memory"], 0, 0),
    ):
        opening = Opening(monkeypatch, modes, ["database is locked"] * failures)
        _write_ahead(opening)
        assert (opening.switched, opening.slept) == (switched, [0.01] * failures)


def test_a_switch_that_fails_is_an_error_at_once_and_one_that_is_held_off_after_a_while(monkeypatch):
    opening = Opening(monkeypatch, ["delete"] * 2, ["disk I/O error"])
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        _write_ahead(opening)
    times = iter([100.0, 159.0, 160.0, 160.5])
    opening = Opening(monkeypatch, ["delete"] * 9, ["database is locked"] * 9, lambda: next(times))
    with pytest.raises(sqlite3.OperationalError, match="is locked"):
        _write_ahead(opening)
    assert opening.slept == [0.01] * 2


def test_postgresql_bounds_how_long_a_statement_waits():
    said = []

    class Cursor(sqlite3.Cursor):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

        def execute(self, statement, *given):
            if statement.startswith("SET"):
                said.append(statement)
                return self
            return super().execute(statement, *given)

    class Connection(sqlite3.Connection):
        def cursor(self):
            return super().cursor(Cursor)

        def commit(self):
            said.append("COMMIT")
            super().commit()

    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(":memory:", factory=Connection))
    PostgreSQL().set_up(engine)
    engine.raw_connection().close()
    engine.dispose()
    assert said == ["SET lock_timeout = '60s'", "COMMIT"]
