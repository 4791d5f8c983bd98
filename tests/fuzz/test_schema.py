"""A store whose tables hold values of other kinds, or are other tables, is read, or refused by one of our errors."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import pytest
from fuzzing import fuzz, refused_or_read
from hypothesis import example, given
from hypothesis import strategies as st
from test_messages import KEYS, MEASUREMENT, NCF
from test_resuming import SEARCH, opened, resumed
from test_stores import read_all

from hwnas.harness.quality.quality import Score
from hwnas.harness.store import Store, schema
from hwnas.search.study.run import search

# What SQLite keeps in a column of whatever type.
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-2, 6),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.binary(max_size=12),
    st.sampled_from(["4", "x", "nan", "1e400", "2026-13-45", "[" * 300, "\0", "ncf", "s", "ok", "0" * 9]),
    # Text that is no UTF-8 comes from no driver, but from damage.
    st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80"]).map(lambda content: ("CAST(? AS TEXT)", content)),
)
COLUMNS = [(table.name, column.name) for table in schema.tables().sorted_tables for column in table.columns]


@pytest.fixture(scope="session")
def whole(folder):
    """A store's file with a row of each kind, and a study that was interrupted."""
    file = folder / "whole.db"
    with Store.open(str(file)) as store:
        search(NCF, **SEARCH, evals=12, store=store, study="s")
        store.put_measurement(MEASUREMENT.to_record())
        store.put_quality("ncf", "source", KEYS[0], Score(75.0, 74.0, 76.0, 100, {"top5": 90.0}).record())
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")  # all of it in one file
    return file


@pytest.fixture
def file(folder, whole):
    """Where each example has a copy of its own."""
    return folder / "schema.db"


def changed(whole, file, statements):
    """Copy the store and change it as a stranger would: what SQLite itself refuses is not done."""
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    shutil.copy(whole, file)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for statement, *values in statements:
            with contextlib.suppress(sqlite3.Error):
                connection.execute(statement, values)


def used(file):
    """Open the store and do everything with it that there is."""

    def read():
        with Store.open(str(file), create=False) as store:
            read_all(store)
            opened(store)
            refused_or_read(lambda: resumed(store))
            refused_or_read(lambda: store.delete_measurements([1]))
            refused_or_read(lambda: store.delete_study("s"))

    refused_or_read(read)


def put(table, column, value, rows):
    sql, value = value if isinstance(value, tuple) else ("?", value)
    return (f"UPDATE {table} SET {column} = {sql} WHERE rowid IN (SELECT rowid FROM {table} LIMIT {rows})", value)


@pytest.mark.slow
@fuzz
@given(cells=st.lists(st.tuples(st.sampled_from(COLUMNS), VALUES, st.sampled_from([1, 1000])), min_size=1, max_size=2))
@example(cells=[(("evaluation", "number"), -5, 1)])
@example(cells=[(("evaluation", "record"), None, 1)])
@example(cells=[(("study", "name"), b"\xff", 1)])
@example(cells=[(("measurement", "id"), -(2**63), 1)])
def test_values_of_other_kinds(whole, file, cells):
    changed(whole, file, [put(*place, value, rows) for place, value, rows in cells])
    used(file)


@fuzz
@given(versions=st.lists(VALUES, max_size=3))
@example(versions=[4, 4])
@example(versions=[b"\x04"])
@example(versions=[True])
def test_versions(whole, file, versions):
    changed(
        whole,
        file,
        [
            ("DROP TABLE hwnas_schema",),
            ("CREATE TABLE hwnas_schema (version)",),
            *[("INSERT INTO hwnas_schema VALUES (?)", one) for one in versions if not isinstance(one, tuple)],
        ],
    )
    used(file)


TABLES = sorted({table for table, _ in COLUMNS})
STATEMENTS = st.one_of(
    st.sampled_from(TABLES).map(lambda table: f"DROP TABLE {table}"),
    st.sampled_from(TABLES).map(lambda table: f"DELETE FROM {table}"),
    st.sampled_from(TABLES).map(lambda table: f"ALTER TABLE {table} ADD COLUMN x DEFAULT 'x'"),
    st.sampled_from(TABLES).map(lambda table: f"ALTER TABLE {table} RENAME TO other_{table}"),
    st.sampled_from(TABLES).map(lambda table: f"INSERT INTO {table} SELECT * FROM {table}"),
    st.sampled_from(COLUMNS).map(lambda place: f"ALTER TABLE {place[0]} RENAME COLUMN {place[1]} TO y"),
    st.sampled_from(COLUMNS).map(lambda place: f"ALTER TABLE {place[0]} DROP COLUMN {place[1]}"),
    st.tuples(st.sampled_from(TABLES), st.sampled_from(["AS SELECT 1", "AS SELECT 1 AS version", "(version)"])).map(
        lambda pair: f"CREATE VIEW {pair[0]} {pair[1]}" if "AS" in pair[1] else f"CREATE TABLE {pair[0]} {pair[1]}"
    ),
    st.integers(-1, 5).map(lambda version: f"UPDATE hwnas_schema SET version = {version}"),
    st.just("DROP INDEX measurement_of"),
    st.just("CREATE TRIGGER t BEFORE INSERT ON evaluation BEGIN SELECT RAISE(ABORT, 'no'); END"),
)


@pytest.mark.slow
@fuzz
@given(statements=st.lists(STATEMENTS, min_size=1, max_size=3))
@example(statements=["DROP INDEX measurement_of", "UPDATE hwnas_schema SET version = 2"])
@example(statements=["UPDATE hwnas_schema SET version = 1"])
@example(statements=["DROP TABLE study", "CREATE VIEW study AS SELECT 1"])
def test_tables_that_are_others(whole, file, statements):
    changed(whole, file, [(statement,) for statement in statements])
    used(file)
