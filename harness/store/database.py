"""Open a store's database, and run reads and committed writes on it, again after a lost connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hwnas.harness.store import schema
from hwnas.harness.store.kinds import DatabaseKind, kind_of
from hwnas.harness.store.secrets import without
from hwnas.supernets.errors import StoreError, StoreFaultError
from hwnas.supernets.quoting import shortened

if TYPE_CHECKING:
    import sqlalchemy as sa

Result = TypeVar("Result")

# Seconds before each attempt after a connection was lost: 31 in all, longer than a server takes to restart.
_WAITS: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# Errors of these classes are not the user's mistake, even when a store is opened: they may pass.
_PASSING = ("disk is full", "disk I/O error", "No space left on device", "database is locked")


class Database:
    """An open database with the store's tables in it.

    Args:
        location: a file's path, or an SQLAlchemy URL.
        create: create the database if there is none.

    Raises:
        StoreError: the database cannot be opened or written, is not a store, or is of a newer version.
    """

    def __init__(self, location: str, create: bool) -> None:
        import sqlalchemy as sa

        url, self._kind = kind_of(location)
        self._url = url
        self.name = self._kind.name(url)
        self._kind.check(url, self.name, create)
        with self._errors(StoreError):
            try:
                self._engine = sa.create_engine(url, **self._kind.options(url))
            except ImportError as error:
                raise StoreError(f"the store {self.name}: {self._kind.missing(error)}") from error
            self._kind.set_up(self._engine)
        self._reader = self._engine.execution_options(**self._kind.reading)
        self._writer = self._engine.execution_options(hwnas_writes=True)
        self.metadata = schema.tables()
        try:
            self._bring_up_to_date(create)
        except BaseException:
            self.close()
            raise

    def _bring_up_to_date(self, create: bool) -> None:
        # Only reads at first, so that opening a complete store does not wait for a writer.
        with self._errors(StoreError):
            with self._reader.connect() as connection:
                if schema.is_current(connection, self.metadata, self.name, create):
                    return
            with self._writer.begin() as connection:
                self._kind.lock(connection)
                schema.bring_up_to_date(connection, self.metadata, self.name)

    def close(self) -> None:
        """Release the connections."""
        self._engine.dispose()

    def read(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Return what ``work`` reads, in a transaction that sees one state of the database.

        Raises:
            StoreFaultError: it cannot be read.
        """

        def attempt(_again: bool) -> Result:
            with self._reader.connect() as connection:
                return work(connection)

        return self._persistently(attempt)

    def write(
        self,
        work: Callable[[sa.Connection], Result],
        done: Callable[[sa.Connection], Result | None] = lambda _: None,
    ) -> Result:
        """Run ``work`` in a transaction, commit it as a whole, and return what ``work`` returns.

        Args:
            work: writes through the connection; it is called again if the connection was lost.
            done: looks for what ``work`` writes, before ``work`` is called again: if a connection is lost during the
                commit, nobody knows whether it was committed. What ``done`` returns is returned, unless it is ``None``.
                Not needed if writing twice does no harm.

        Raises:
            StoreFaultError: it cannot be written; nothing was.
            sqlalchemy.exc.IntegrityError: it violates a constraint of the tables.
        """

        def attempt(again: bool) -> Result:
            with self._writer.begin() as connection:
                found = done(connection) if again else None
                return work(connection) if found is None else found

        return self._persistently(attempt)

    def _persistently(self, attempt: Callable[[bool], Result]) -> Result:
        """Call ``attempt`` again while the connection is lost: the reason is often over in seconds."""
        import sqlalchemy as sa

        with self._errors(StoreFaultError):
            for number, wait_s in enumerate(_WAITS):
                try:
                    return attempt(number > 0)
                except sa.exc.DBAPIError as error:
                    if not self._kind.passes(error):
                        raise
                time.sleep(wait_s)
            return attempt(True)

    @contextmanager
    def _errors(self, kind: type[StoreError]) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.IntegrityError:
            raise  # the caller handles it
        except sa.exc.SQLAlchemyError as error:
            said = _words(self._kind, error)
            # The driver's own error is shown in tracebacks, unless it contains a secret.
            cause = error if without(str(error), self._url) == str(error) else None
            failed = StoreFaultError if any(word in said for word in _PASSING) else kind
            raise failed(f"the store {self.name}: {without(said, self._url)}") from cause
        except UnicodeDecodeError as error:
            # SQLite's message about a damaged file may contain bytes of the file, which are not text.
            raise kind(f"the store {self.name}: is damaged: {error}") from error
        except UnicodeEncodeError as error:
            # Names from the command line may contain bytes that are not text.
            raise StoreError(f"the store {self.name}: {error.object!r} is not text that can be stored") from error


def _words(kind: DatabaseKind, error: Exception) -> str:
    # PostgreSQL adds the SQL statement, which means nothing to a user.
    reason = " ".join(str(getattr(error, "orig", None) or error).partition("\nLINE ")[0].split())
    advice = kind.advice(reason)
    return f"cannot be opened, read or written: {shortened(reason)}{f'; {advice}' if advice else ''}"
