"""Connect to PostgreSQL as a store, which many processes on many machines can write to at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hwnas.harness.store import secrets

if TYPE_CHECKING:
    import sqlalchemy as sa

# How long a writer waits for another's transaction, which takes milliseconds.
_BUSY_S = 60
# Settings of libpq, unless the URL gives them: a host that is gone is noticed within a minute, not hours.
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
# The key of an advisory lock, "hwnas" in ASCII, which is held while tables are changed.
_LOCK = 0x68776E6173
# SQLSTATEs after which the same may work in a moment: connection exceptions, a server that stops or starts, too many
# connections, serialisation failures and deadlocks. https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = ("08", "57P", "53300", "40001", "40P01")
_DISK_FULL, _LOCKED = "No space left on device", "lock timeout"


class PostgreSQL:
    """PostgreSQL's ``hwnas.harness.store.kinds.DatabaseKind``."""

    reading: Mapping[str, Any] = MappingProxyType({"isolation_level": "REPEATABLE READ", "postgresql_readonly": True})

    def name(self, url: sa.URL) -> str:
        """Return the URL without a password."""
        return secrets.shown(url)

    def check(self, url: sa.URL, name: str, create: bool) -> None:
        """Check nothing: only the server knows."""

    def options(self, url: sa.URL) -> dict[str, Any]:
        """Return libpq's settings; a pooled connection is tested before use, since it may have been cut while idle."""
        arguments = {key: value for key, value in _CONNECTION.items() if key not in url.query}
        return {"pool_pre_ping": True, "connect_args": arguments}

    def missing(self, error: ImportError) -> str:
        """Return how to install the driver."""
        package = error.name or "psycopg"
        install = "'hwnas[postgresql]'" if package.startswith("psycopg") and package != "psycopg2" else package
        return f"needs the package {package}: python -m pip install {install}"

    def set_up(self, engine: sa.Engine) -> None:
        """Limit how long a statement waits for a lock."""
        import sqlalchemy as sa

        @sa.event.listens_for(engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{_BUSY_S}s'")
            connection.commit()

    def lock(self, connection: sa.Connection) -> None:
        """Hold the advisory lock until the transaction ends, for two processes may find the database empty at once."""
        import sqlalchemy as sa

        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

    def passes(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the connection was lost, or the server reports a temporary error."""
        import sqlalchemy as sa

        state = getattr(error.orig, "sqlstate", None)
        if state is not None:
            return str(state).startswith(_PASSING)
        # Errors of libpq itself have no SQLSTATE: the server cannot be reached, or the connection was lost.
        return error.connection_invalidated or isinstance(error, sa.exc.OperationalError)

    def advice(self, reason: str) -> str:
        """Return what to do if the database was locked, the disk is full, or tables may not be created."""
        if _LOCKED in reason:
            return f"another process has held it for {_BUSY_S} s: let it finish, then go on (--resume)"
        if _DISK_FULL in reason:
            return "what was put before is safe: make room, then go on (--resume)"
        if "permission denied for schema" in reason:
            return "let the user own a database: createdb --owner USER DATABASE"
        return ""
