"""The database under a store: opening it, reading, and writing what survives whatever happens next."""

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

# Seconds before each attempt to go on after a connection was lost: 31 in all, longer than a server takes to restart.
_WAITS: Sequence[float] = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# What is no mistake of the user's, also when a store is opened: it passes.
_PASSING = ("disk is full", "disk I/O error", "No space left on device", "database is locked")


class Database:
    """An open database with the store's tables in it.

    Args:
        location: a file's path, or an SQLAlchemy URL.
        create: make it where there is none.

    Raises:
        StoreError: it cannot be opened or written, is no store, or is of a newer version; names it.
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
        # The first look is a reader's: opening a store waits for no writer where nothing has to be done.
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
        """Return what ``work`` reads through a connection that sees one state of the database.

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
        """Return what ``work`` returns of a transaction that is committed as a whole.

        Args:
            work: writes through the connection; it is called again where the connection was lost.
            done: a connection that breaks while it commits leaves open whether it did. Before another attempt this
                looks for what ``work`` writes: what it returns is returned, unless it is ``None``. Not needed where
                writing twice is as good as once.

        Raises:
            StoreFaultError: it cannot be written; nothing of it was.
            sqlalchemy.exc.IntegrityError: it contradicts what is there.
        """

        def attempt(again: bool) -> Result:
            with self._writer.begin() as connection:
                found = done(connection) if again else None
                return work(connection) if found is None else found

        return self._persistently(attempt)

    def _persistently(self, attempt: Callable[[bool], Result]) -> Result:
        """Call ``attempt`` until it gets through: what takes a connection away is often over in seconds."""
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
            raise  # the caller knows what it means
        except sa.exc.SQLAlchemyError as error:
            said = _words(self._kind, error)
            # A traceback shows the driver's own error too, unless there is a secret in it.
            cause = error if without(str(error), self._url) == str(error) else None
            failed = StoreFaultError if any(word in said for word in _PASSING) else kind
            raise failed(f"the store {self.name}: {without(said, self._url)}") from cause
        except UnicodeDecodeError as error:
            # What SQLite says of a damaged file may repeat what is in it, which is no text.
            raise kind(f"the store {self.name}: is damaged: {error}") from error
        except UnicodeEncodeError as error:
            # Names from the command line may hold bytes that are no text.
            raise StoreError(f"the store {self.name}: {error.object!r} is no text that can be kept") from error


def _words(kind: DatabaseKind, error: Exception) -> str:
    # PostgreSQL goes on with the statement, which says nothing to a user.
    reason = " ".join(str(getattr(error, "orig", None) or error).partition("\nLINE ")[0].split())
    advice = kind.advice(reason)
    return f"cannot be opened, read or written: {shortened(reason)}{f'; {advice}' if advice else ''}"
