"""Opening the database: paths and URLs, SQLite's settings, and errors that name the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.store import schema
from supernets.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa

# How long a writer waits for another process's transaction, which takes milliseconds.
_BUSY_S = 60.0


class Database:
    """An open database with the store's tables in it.

    Args:
        location: a file's path, or an SQLAlchemy URL.
        create: make it where there is none.

    Raises:
        StoreError: it cannot be opened or written, is no store, or is of a newer version; names it.
    """

    def __init__(self, location: str, create: bool = True) -> None:
        import sqlalchemy as sa

        url = _url(location)
        self.name = url.database if _is_sqlite(url) and url.database else url.render_as_string(hide_password=True)
        _check_file(url, self.name, create)
        with self._errors():
            try:
                self._engine = sa.create_engine(url, **_pool(url))
            except ModuleNotFoundError as error:
                message = f"the store {self.name}: needs the package {error.name}: python -m pip install {error.name}"
                raise StoreError(message) from error
            if _is_sqlite(url):
                _set_up_sqlite(self._engine)
        self._writer = self._engine.execution_options(hwnas_writes=True)
        self.metadata = schema.tables()
        self._bring_up_to_date()

    def _bring_up_to_date(self) -> None:
        import sqlalchemy as sa

        # SQLite lets one process at a time through. Elsewhere two may both find the database empty; the one that comes
        # second fails, and finds the tables when it looks again.
        with self._errors():
            try:
                with self._writer.begin() as connection:
                    schema.bring_up_to_date(connection, self.metadata, self.name)
            except (sa.exc.IntegrityError, sa.exc.ProgrammingError):
                with self._writer.begin() as connection:
                    schema.bring_up_to_date(connection, self.metadata, self.name)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Lend a connection that sees one state of the database."""
        with self._errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Lend a connection whose work is committed as a whole at the end."""
        with self._errors(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.IntegrityError:
            raise  # the caller knows what it means
        except sa.exc.SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise StoreError(f"the store {self.name}: cannot be opened, read or written: {reason}") from error


def _url(location: str) -> sa.URL:
    import sqlalchemy as sa

    if "://" not in location:
        database = location if location == ":memory:" else str(Path(location).expanduser().absolute())
        return sa.URL.create("sqlite", database=database)
    try:
        return sa.make_url(location)
    except sa.exc.ArgumentError as error:
        raise StoreError(f"the store {location!r}: expected a path or a URL like sqlite:///my.db: {error}") from error


def _is_sqlite(url: sa.URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _pool(url: sa.URL) -> dict[str, Any]:
    """Return how connections are pooled: a database in memory is one connection, whichever thread asks."""
    import sqlalchemy as sa

    if not _is_sqlite(url) or url.database not in {None, "", ":memory:"}:
        return {}
    one = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": _BUSY_S}
    return {**one, "connect_args": {"check_same_thread": False}}


def _check_file(url: sa.URL, name: str, create: bool) -> None:
    # SQLite's own message is "unable to open database file", whatever is wrong with it.
    if not _is_sqlite(url) or not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    if path.is_dir():
        raise StoreError(f"the store {name}: is a folder; expected a file, or a file's name in it")
    if not path.parent.is_dir():
        raise StoreError(f"the store {name}: there is no folder {path.parent}")
    if not create and not path.exists():
        raise StoreError(f"the store {name}: there is none; 'hwnas search' and 'hwnas profile' make one")


def _set_up_sqlite(engine: sa.Engine) -> None:
    import sqlalchemy as sa

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # Otherwise the driver opens transactions by itself, late, and a reader that turns writer fails at once
        # ("database is locked") instead of waiting.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_S * 1000)}")
        connection.execute("PRAGMA foreign_keys = ON")
        _write_ahead(connection)
        # With a write-ahead log, NORMAL loses nothing when a process dies and cannot corrupt when the power does.
        connection.execute("PRAGMA synchronous = NORMAL")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("hwnas_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


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
