"""PostgreSQL as a store: many processes, on many machines, write at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.harness.store import secrets

if TYPE_CHECKING:
    import sqlalchemy as sa

# How long a writer waits for another's transaction, which takes milliseconds.
_BUSY_S = 60
# libpq's own settings, where the URL does not give them: a host that has gone is noticed within a minute, not hours.
_CONNECTION = MappingProxyType(
    {
        "application_name": "hwnas",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
)
# The key of an advisory lock, "hwnas" in ASCII: who changes the tables holds it.
_LOCK = 0x68776E6173
# SQLSTATEs after which the same may work in a moment: connection exceptions, a server that stops or starts, too many
# connections, serialisation failures and deadlocks. https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = ("08", "57P", "53300", "40001", "40P01")
_DISK_FULL, _LOCKED = "No space left on device", "lock timeout"


class PostgreSQL:
    """See ``hwnas.harness.store.kinds.DatabaseKind``."""

    reading: Mapping[str, Any] = MappingProxyType({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})

    def name(self, url: sa.URL) -> str:
        """Return the URL without a password."""
        return secrets.shown(url)

    def check(self, url: sa.URL, name: str, create: bool) -> None:
        """Nothing is known before the server has been asked."""

    def options(self, url: sa.URL) -> dict[str, Any]:
        """Return libpq's settings; a pooled connection is tried before it is lent: it may have been cut while idle."""
        arguments = {key: value for key, value in _CONNECTION.items() if key not in url.query}
        return {"pool_pre_ping": True, "connect_args": arguments}

    def missing(self, error: ImportError) -> str:
        """Return how to install the driver."""
        package = error.name or "psycopg"
        install = "'hwnas[postgresql]'" if package.startswith("psycopg") and package != "psycopg2" else package
        return f"needs the package {package}: python -m pip install {install}"

    def set_up(self, engine: sa.Engine) -> None:
        """Bound how long a statement waits for a lock."""
        import sqlalchemy as sa

        @sa.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{_BUSY_S}s'")
            connection.commit()

    def lock(self, connection: sa.Connection) -> None:
        """Hold the advisory lock until the transaction ends: two may find the database empty at the same moment."""
        import sqlalchemy as sa

        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def passes(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the connection was lost, or the server says that it was a matter of the moment."""
        import sqlalchemy as sa

        state = getattr(error.orig, "sqlstate", None)
        if state is not None:
            return str(state).startswith(_PASSING)
        # What libpq itself says has no state: the server is not reached, or was lost.
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)

    def advice(self, reason: str) -> str:
        """Return what to do where it was locked, the disk is full, or the tables may not be made."""
        if _LOCKED in reason:
            return f"another process has held it for {_BUSY_S} s: let it finish, then go on (--resume)"
        if _DISK_FULL in reason:
            return "what was put before is safe: make room, then go on (--resume)"
        if "permission denied for schema" in reason:
            return "let the user own a database: createdb --owner USER DATABASE"
        return ""
