"""Choose the kind of database, SQLite or PostgreSQL, from a store's path or URL; what differs between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hwnas.harness.store import secrets
from hwnas.supernets.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa


class DatabaseKind(Protocol):
    """What differs between the kinds of databases."""

    @property
    def reading(self) -> Mapping[str, Any]:
        """Execution options of connections that only read, with which a transaction sees one state."""

    def name(self, url: sa.URL) -> str:
        """Return the store's name for messages, without a password."""

    def check(self, url: sa.URL, name: str, create: bool) -> None:
        """Raise ``StoreError`` if it is clear without connecting that it cannot be opened."""

    def options(self, url: sa.URL) -> dict[str, Any]:
        """Return arguments of ``sqlalchemy.create_engine``."""

    def missing(self, error: ImportError) -> str:
        """Return a message that says what to install if the driver cannot be imported."""

    def set_up(self, engine: sa.Engine) -> None:
        """Set up every new connection."""

    def lock(self, connection: sa.Connection) -> None:
        """Keep other processes from changing the tables until the transaction ends."""

    def passes(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether an error is temporary: the same may work soon on another connection."""

    def advice(self, reason: str) -> str:
        """Return what a user should do about an error of the database; "" if its message says so."""


def kind_of(location: str) -> tuple[sa.URL, DatabaseKind]:
    """Return a path or URL as a URL, with its kind of database.

    Raises:
        StoreError: the text is neither; says what is expected.
    """
    import sqlalchemy as sa

    from hwnas.harness.store.postgresql import PostgreSQL
    from hwnas.harness.store.sqlite import SQLite

    kinds: dict[str, DatabaseKind] = {"sqlite": SQLite(), "postgresql": PostgreSQL()}
    expected = "expected a path, or a URL like sqlite:///my.db or postgresql+psycopg://USER@HOST/DATABASE"
    if "://" not in location:
        secrets.check_path(location, expected)
        database = location if location == ":memory:" else str(_path(location))
        return sa.URL.create("sqlite", database=database), kinds["sqlite"]
    # The text may contain a password: only its beginning is shown, and not the parser's message.
    refused = StoreError(f"the store {location.partition('://')[0]}://...: {expected}")
    try:
        url = sa.make_url(location)
    except (sa.exc.ArgumentError, ValueError):
        raise refused from None
    if url.get_backend_name() not in kinds:
        raise refused
    if url.get_backend_name() == "postgresql":
        secrets.check_url(location, url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    return url, kinds[url.get_backend_name()]


def _path(location: str) -> Path:
    try:
        return Path(location).expanduser().absolute()
    except (RuntimeError, ValueError) as error:  # ~nobody-of-this-name, a null in it
        raise StoreError(f"the store {location!r}: {error}") from error
