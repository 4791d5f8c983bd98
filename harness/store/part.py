"""What the parts of a store share: the database, and how records are read out of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hwnas.harness.store.database import Database
from hwnas.supernets.errors import MALFORMED, StoreFaultError

Record = dict[str, Any]

# SQLite takes 32,766 values in a statement, PostgreSQL's drivers 32,767.
_AT_ONCE = 10_000


class Part:
    """A part of a store: methods over some of the tables of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = database.metadata.tables

    @property
    def name(self) -> str:
        """The store's path, or its URL without a password."""
        return self._database.name


@contextmanager
def decoded(store: str, what: str = "a record in it") -> Iterator[None]:
    """Name the store, and what in it does not read: a file may be damaged and still be a database.

    Raises:
        StoreFaultError: what is inside raised what reading a damaged record raises.
    """
    try:
        yield
    except (*MALFORMED, zlib.error) as error:
        # A LookupError's own text is the key alone.
        said = repr(error) if isinstance(error, LookupError) else str(error) or type(error).__name__
        raise StoreFaultError(f"the store {store}: {what} is damaged: {said}") from error


def parts(values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Yield the distinct values in order, as many at a time as a statement takes."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
