"""The store's tables: what is written today is read by versions to come, and what was written by older ones today."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest
import sqlalchemy as sa
from stored_record import RECORD

from hwnas.harness.store import Store, schema
from hwnas.harness.store.sqlite import SQLite
from hwnas.supernets.errors import StoreError


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


TABLES = {
    "hwnas_schema": ["version INTEGER not null"],
    "measurement": [
        "id INTEGER not null primary",
        "supernet TEXT not null",
        "key TEXT not null",
        "platform TEXT not null",
        "fingerprint TEXT not null",
        "protocol TEXT not null",
        "status TEXT not null",
        "latency_s DOUBLE",
        "measured_at TEXT not null",
        "record TEXT not null",
    ],
    "measurement_samples": [
        "measurement_id INTEGER not null primary -> measurement.id CASCADE",
        "samples BLOB not null",
    ],
    "study": [
        "id INTEGER not null primary",
        "name TEXT not null",
        "settings TEXT not null",
        "created_at TEXT not null",
    ],
    "evaluation": [
        "study_id INTEGER not null primary -> study.id CASCADE",
        "number INTEGER not null primary",
        "key TEXT not null",
        "record TEXT not null",
    ],
    "snapshot": ["study_id INTEGER not null primary -> study.id CASCADE", "record TEXT not null"],
    "quality": [
        "supernet TEXT not null primary",
        "source TEXT not null primary",
        "key TEXT not null primary",
        "record TEXT not null",
    ],
}


def described(inspector, table):
    """Say what each column of a table is, as the database has it."""
    primary = inspector.get_pk_constraint(table)["constrained_columns"]
    foreign = {one["constrained_columns"][0]: one for one in inspector.get_foreign_keys(table)}
    for column in inspector.get_columns(table):
        words = [column["name"], str(column["type"])]
        words += ["not null"] if not column["nullable"] or column["name"] in primary else []
        words += ["primary"] if column["name"] in primary else []
        if target := foreign.get(column["name"]):
            words += [
                "->",
                f"{target['referred_table']}.{target['referred_columns'][0]}",
                target["options"]["ondelete"],
            ]
        yield " ".join(words)


def test_the_tables_are_what_they_were(store):
    inspector = sa.inspect(store._database._engine)
    assert {table: list(described(inspector, table)) for table in inspector.get_table_names()} == TABLES
    (index,) = inspector.get_indexes("measurement")
    assert (index["name"], index["column_names"]) == (
        "measurement_of",
        ["supernet", "platform", "key", "status", "measured_at"],
    )
    assert [one["column_names"] for one in inspector.get_unique_constraints("study")] == [["name"]]
    assert [one["column_names"] for one in inspector.get_unique_constraints("evaluation")] == [["study_id", "key"]]
    columns = schema.tables().tables["evaluation"].c
    assert columns["number"].autoincrement is False


def file_of(tmp_path, *statements):
    path = tmp_path / "s.db"
    Store.open(str(path)).close()
    with sqlite3.connect(path) as raw:
        for statement in statements:
            raw.execute(statement)
    raw.close()
    return str(path)


def test_a_store_of_the_first_version_gets_the_tables_of_this_one(tmp_path):
    old = file_of(
        tmp_path,
        "DROP TABLE snapshot",
        "DROP TABLE quality",
        "DROP INDEX measurement_of",
        "CREATE INDEX measurement_of ON measurement (supernet, platform, key)",
        "UPDATE hwnas_schema SET version = 1",
    )
    with Store.open(old) as migrated:
        inspector = sa.inspect(migrated._database._engine)
        assert {table: list(described(inspector, table)) for table in inspector.get_table_names()} == TABLES
        assert inspector.get_indexes("measurement")[0]["column_names"][-2:] == ["status", "measured_at"]
    with sqlite3.connect(old) as raw:
        assert raw.execute("SELECT version FROM hwnas_schema").fetchall() == [(schema.VERSION,)]
    raw.close()


@pytest.mark.parametrize("version", [schema.VERSION + 1, 99])
def test_a_newer_version_is_refused_before_anything_is_read(tmp_path, version):
    path = file_of(tmp_path, f"UPDATE hwnas_schema SET version = {version}")
    for create in (True, False):
        fault = rf"has schema {version}, this version of hwnas reads up to {schema.VERSION}; update hwnas"
        with pytest.raises(StoreError, match=f"^the store {path}: {fault}"):
            Store.open(path, create=create)
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT version FROM hwnas_schema").fetchall() == [(version,)]
    raw.close()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM hwnas_schema", "nothing"),
        ("INSERT INTO hwnas_schema VALUES (5), (6), (7)", f"{schema.VERSION}, 5, 6"),
        ("UPDATE hwnas_schema SET version = 'x'", "'x'"),
        ("UPDATE hwnas_schema SET version = x'00'", r"b'\\x00'"),
        ("UPDATE hwnas_schema SET version = 1e300", r"1e\+300"),
        ("UPDATE hwnas_schema SET version = -1", "-1"),
        ("UPDATE hwnas_schema SET version = 0", "0"),
    ],
)
def test_a_store_that_does_not_say_its_version_is_damaged(tmp_path, statement, said):
    path = file_of(tmp_path, statement)
    for create in (True, False):
        fault = rf"is damaged: of its schema it says {said}, expected one number from 1"
        with pytest.raises(StoreError, match=rf"^the store {path}: {fault}"):
            Store.open(path, create=create)


def test_another_programs_tables_are_named_and_left_alone(tmp_path):
    path = file_of(tmp_path, *(f"DROP TABLE {name}" for name in ("hwnas_schema", "quality", "snapshot")))
    with pytest.raises(
        StoreError, match=r"it has evaluation, measurement, measurement_samples\); give hwnas one of its own"
    ):
        Store.open(path)


def test_an_empty_database_is_filled_only_where_it_may_be(tmp_path):
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreError, match=rf"^the store {path}: is empty; 'hwnas search' and 'hwnas profile' fill one"):
        Store.open(str(path), create=False)
    Store.open(str(path)).close()
    Store.open(str(path), create=False).close()


def test_the_tables_are_made_and_migrated_under_the_lock(tmp_path, monkeypatch):
    held = []

    def lock(_self, connection):
        held.append((connection.in_transaction(), sa.inspect(connection).get_table_names()))

    monkeypatch.setattr(SQLite, "lock", lock)
    path = file_of(tmp_path, "UPDATE hwnas_schema SET version = 3", "DROP TABLE snapshot")
    Store.open(path).close()
    assert held == [(True, []), (True, sorted(set(TABLES) - {"snapshot"}))]
    Store.open(path).close()
    assert len(held) == 2  # who finds them as they should be waits for nobody


def test_what_another_process_made_of_it_meanwhile_is_looked_at_again(tmp_path, monkeypatch):
    path = file_of(tmp_path, "UPDATE hwnas_schema SET version = 99")
    monkeypatch.setattr(schema, "is_current", lambda *_: False)
    with pytest.raises(StoreError, match=rf"^the store {path}: has schema 99"):
        Store.open(path)


def test_an_older_schema_is_migrated_once(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    with Store.open(str(path)) as opened:
        opened.put_measurement(RECORD)
    ran = []

    def migrate(connection):
        ran.append(1)
        connection.execute(sa.text("ALTER TABLE study ADD COLUMN note TEXT"))

    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    monkeypatch.setattr(schema, "MIGRATIONS", {**schema.MIGRATIONS, schema.VERSION - 1: migrate})
    for _ in range(2):
        with Store.open(str(path)) as opened:
            assert len(opened.measurements()) == 1
    assert ran == [1]


def test_a_failing_migration_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    Store.open(str(path)).close()

    def migrate(connection):
        connection.execute(sa.text("ALTER TABLE study ADD COLUMN note TEXT"))
        connection.execute(sa.text("ALTER TABLE nothing ADD COLUMN note TEXT"))

    with monkeypatch.context() as patch:
        patch.setattr(schema, "VERSION", schema.VERSION + 1)
        patch.setattr(schema, "MIGRATIONS", {schema.VERSION - 1: migrate})
        with pytest.raises(StoreError, match="nothing") as caught:
            Store.open(str(path))
        assert caught.value.exit_code == 2
    with contextlib.closing(sqlite3.connect(path)) as raw:
        assert "note" not in {row[1] for row in raw.execute("PRAGMA table_info(study)")}
    Store.open(str(path)).close()
