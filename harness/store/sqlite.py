"""Open SQLite files as stores, with a write-ahead log, so that several processes can read and write."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.supernets.errors import StoreError
from hwnas.supernets.files import is_file

if TYPE_CHECKING:
    import sqlalchemy as sa

# How long a writer waits for another process's transaction, which takes milliseconds.
_BUSY_S = 60.0


class SQLite:
    """SQLite's ``hwnas.harness.store.kinds.DatabaseKind``."""

    reading: Mapping[str, Any] = MappingProxyType({})  # "BEGIN" sees one state as it is

    def name(self, url: sa.URL) -> str:
        """Return the file's path."""
        return url.database or url.render_as_string(hide_password=True)

    def check(self, url: sa.URL, name: str, create: bool) -> None:
        """Raise ``StoreError`` that says what is wrong with the path; SQLite's own message never does."""
        path = _file(url)
        if path is None:
            return
        if "\0" in str(path):
            raise StoreError(f"the store {name!r}: no file can be called so")
        try:
            if path.is_dir():
                raise StoreError(f"the store {name}: is a folder; expected a file, or a file's name in it")
            if not path.parent.is_dir():
                raise StoreError(f"the store {name}: there is no folder {path.parent}")
            if not create and not path.exists():
                raise StoreError(f"the store {name}: there is none; 'hwnas search' and 'hwnas profile' make one")
            if create and not path.exists() and not _may_write(path.parent):
                raise StoreError(f"the store {name}: there is none, and this user may not make a file in {path.parent}")
            if create and path.exists() and not _may_be_written(path):
                raise StoreError(f"the store {name}: may not be written by this user")
            if _log_is_out_of_reach(path):
                raise StoreError(
                    f"the store {name}: its latest records are in {path.name}-wal, which SQLite does not read where "
                    "nothing may be written; copy both files to a folder of your own"
                )
        except OSError as error:  # a name that is too long, a folder that may not be entered
            raise StoreError(f"the store {name}: {error.strerror or error}") from error

    def options(self, url: sa.URL) -> dict[str, Any]:
        """Return how connections are pooled: a database in memory has one connection for all threads."""
        import sqlalchemy as sa

        if (path := _only_read(url)) is not None:
            return {"creator": lambda: _read_only(path)}
        if url.database not in {None, "", ":memory:"}:
            return {}
        one = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": _BUSY_S}
        return {**one, "connect_args": {"check_same_thread": False}}

    def missing(self, error: ImportError) -> str:
        """Return a message about the driver, which is another one than Python's own."""
        return f"needs the package {error.name}: python -m pip install {error.name}"

    def set_up(self, engine: sa.Engine) -> None:
        """Take transactions over from the driver, and switch to the write-ahead log."""
        import sqlalchemy as sa

        writable = _only_read(engine.url) is None

        @sa.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            # Otherwise the driver opens transactions by itself, late, and a reader that turns writer fails at once
            # ("database is locked") instead of waiting.
            connection.isolation_level = None
            connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_S * 1000)}")
            connection.execute("PRAGMA foreign_keys = ON")
            if writable:
                _write_ahead(connection)
            # With a write-ahead log, NORMAL loses nothing when a process dies and cannot corrupt when the power does.
            connection.execute("PRAGMA synchronous = NORMAL")

        @sa.event.listens_for(engine, "begin")
        def _on_begin(connection: sa.Connection) -> None:
            writes = connection.get_execution_options().get("hwnas_writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def lock(self, connection: sa.Connection) -> None:
        """Do nothing: SQLite lets one process write at a time."""

    def passes(self, error: sa.exc.DBAPIError) -> bool:  # noqa: ARG002
        """Return false: SQLite itself has waited while other processes write."""
        return False

    def advice(self, reason: str) -> str:
        """Return what to do if the database was locked, or the disk is full."""
        if "locked" in reason:
            return f"another process has held it for {_BUSY_S:.0f} s: let it finish, then go on (--resume)"
        if "readonly" in reason:
            return "it or its folder may not be written by this user; copy it to a folder of your own"
        if "disk is full" in reason:
            return "what was put before is safe: make room, then go on (--resume)"
        if "disk I/O error" in reason:
            return "is the disk full? What was put before is safe"
        return ""


# --- stores that may only be read -------------------------------------------------------------------------------------


def _file(url: sa.URL) -> Path | None:
    """Return the database's file; ``None`` if it is in memory, or named by a URI of SQLite."""
    name = url.database
    return None if not name or name == ":memory:" or name.startswith("file:") else Path(name)


def _only_read(url: sa.URL) -> Path | None:
    """Return the database's file if it exists and this user may not write it, or not write into its folder."""
    path = _file(url)
    return None if path is None or not is_file(path) or _may_be_written(path) else path


def _may_be_written(path: Path) -> bool:
    return _may_write(path) and _may_write(path.parent)


def _may_write(path: Path) -> bool:
    # The rights of the effective user, if the system can check them.
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def _log_is_out_of_reach(path: Path) -> bool:
    """Return whether the write-ahead log has records but no index, which a reader needs and may not create."""
    log, index = (path.with_name(f"{path.name}-{part}") for part in ("wal", "shm"))
    return is_file(log) and log.stat().st_size > 0 and not is_file(index) and not _may_be_written(path)


def _read_only(path: Path) -> sqlite3.Connection:
    """Connect to a file without writing anything beside it."""
    # Without a log no process has the file open for writing, and it can be read as an immutable file.
    unchanging = "" if is_file(path.with_name(f"{path.name}-wal")) else "&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro{unchanging}", uri=True, check_same_thread=False)


def _write_ahead(connection: Any) -> None:
    """Switch to the write-ahead log: readers and a writer do not wait for each other."""
    deadline = time.monotonic() + _BUSY_S
    while connection.execute("PRAGMA journal_mode").fetchone()[0] not in {"wal", "memory"}:
        try:
            # The switch does not honour busy_timeout when several processes open a new file at once.
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except connection.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
