"""The base class of the parts of a store, and how stored records are decoded."""

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
    """Turn every error of decoding a record into one that names the store: a damaged file may still be a database.

    Raises:
        StoreFaultError: the ``with`` block raised an error of decoding.
    """
    try:
        yield
    except (*MALFORMED, zlib.error) as error:
        # The text of a LookupError is only the key.
        said = repr(error) if isinstance(error, LookupError) else str(error) or type(error).__name__
        raise StoreFaultError(f"the store {store}: {what} is damaged: {said}") from error


def parts(values: Iterable[Any]) -> Iterator[Sequence[Any]]:
    """Yield the distinct values in order, in chunks that fit into one SQL statement."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), _AT_ONCE):
        yield ordered[start : start + _AT_ONCE]
