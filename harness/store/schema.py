"""Define the store's tables and their version, and migrate older stores to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hwnas.supernets.errors import StoreError

if TYPE_CHECKING:
    import sqlalchemy as sa

# History:
# 1 (hwnas 0.1): measurements, their raw samples, studies, evaluations.
# 2 (hwnas 0.1): qualities.
# 3 (hwnas 0.1): the index of measurements has the columns that a listing counts by.
# 4 (hwnas 0.1): snapshots of studies.
VERSION = 4


def tables() -> sa.MetaData:
    """Return the tables as they are in ``VERSION``."""
    import sqlalchemy as sa

    metadata = sa.MetaData()
    sa.Table("hwnas_schema", metadata, sa.Column("version", sa.Integer, nullable=False))
    _measurement_tables(metadata)
    _study_tables(metadata)
    _snapshot_table(metadata)
    _quality_table(metadata)
    return metadata


def _measurement_tables(metadata: sa.MetaData) -> None:
    import sqlalchemy as sa

    sa.Table(
        "measurement",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("supernet", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("protocol", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("latency_s", sa.Double),  # null: failed
        sa.Column("measured_at", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),  # the whole record in JSON, but for its raw samples
        # The columns that are looked up come first. The last two let measurements be counted without their records.
        sa.Index("measurement_of", "supernet", "platform", "key", "status", "measured_at"),
    )
    # Raw samples are most of the bytes and seldom needed; in a table of their own they do not slow down listings.
    sa.Table(
        "measurement_samples",
        metadata,
        sa.Column("measurement_id", sa.ForeignKey("measurement.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("samples", sa.LargeBinary, nullable=False),  # deflated JSON
    )


def _study_tables(metadata: sa.MetaData) -> None:
    import sqlalchemy as sa

    sa.Table(
        "study",
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("settings", sa.Text, nullable=False),  # JSON
        sa.Column("created_at", sa.Text, nullable=False),
    )
    sa.Table(
        "evaluation",
        metadata,
        sa.Column("study_id", sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),  # JSON
        # No sub-network is evaluated twice in a study; two processes that resume the same one collide here.
        sa.UniqueConstraint("study_id", "key"),
    )


def _snapshot_table(metadata: sa.MetaData) -> sa.Table:
    import sqlalchemy as sa

    return sa.Table(
        "snapshot",
        metadata,
        sa.Column("study_id", sa.ForeignKey("study.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("record", sa.Text, nullable=False),  # JSON
    )


def _quality_table(metadata: sa.MetaData) -> sa.Table:
    import sqlalchemy as sa

    return sa.Table(
        "quality",
        metadata,
        sa.Column("supernet", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, primary_key=True),  # what decides the value beside the sub-network
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("record", sa.Text, nullable=False),  # JSON
    )


def _add_qualities(connection: sa.Connection) -> None:
    import sqlalchemy as sa

    _quality_table(sa.MetaData()).create(connection)


def _widen_index(connection: sa.Connection) -> None:
    import sqlalchemy as sa

    connection.execute(sa.text("DROP INDEX measurement_of"))
    connection.execute(
        sa.text("CREATE INDEX measurement_of ON measurement (supernet, platform, key, status, measured_at)")
    )


def _add_snapshots(connection: sa.Connection) -> None:
    import sqlalchemy as sa

    metadata = sa.MetaData()
    _study_tables(metadata)
    _snapshot_table(metadata).create(connection)


# By version, the statements that migrate to the next one; they run in one transaction.
MIGRATIONS: Mapping[int, Callable[[sa.Connection], None]] = {
    1: _add_qualities,
    2: _widen_index,
    3: _add_snapshots,
}


def is_current(connection: sa.Connection, metadata: sa.MetaData, name: str, create: bool) -> bool:
    """Return whether the tables are there in this version; if not, ``bring_up_to_date`` has to be called.

    Args:
        connection: to the database.
        metadata: the tables, see ``tables``.
        name: of the store, for messages.
        create: tables may be created in an empty database.

    Raises:
        StoreError: the database belongs to something else, is of a newer version, or is empty and has to stay so.
    """
    version = _version(connection, metadata, name)
    if version is None and not create:
        raise StoreError(f"the store {name}: is empty; 'hwnas search' and 'hwnas profile' fill one")
    return version == VERSION


def bring_up_to_date(connection: sa.Connection, metadata: sa.MetaData, name: str) -> None:
    """Create the tables in an empty database, or migrate those of an older version; one transaction.

    Raises:
        StoreError: the database belongs to something else, or is of a newer version.
    """
    schema = metadata.tables["hwnas_schema"]
    version = _version(connection, metadata, name)
    if version is None:
        metadata.create_all(connection)
        connection.execute(schema.insert().values(version=VERSION))
        return
    for older in range(version, VERSION):
        MIGRATIONS[older](connection)
    if version < VERSION:
        connection.execute(schema.update().values(version=VERSION))


def _version(connection: sa.Connection, metadata: sa.MetaData, name: str) -> int | None:
    """Return the version of the tables in the database; ``None`` if it is empty."""
    import sqlalchemy as sa

    schema = metadata.tables["hwnas_schema"]
    present = sa.inspect(connection).get_table_names()
    if schema.name not in present:
        if present:
            raise StoreError(
                f"the store {name}: is a database of something else (it has {', '.join(present[:3])}); give hwnas one "
                "of its own"
            )
        return None
    versions = connection.execute(sa.select(schema.c.version)).scalars().all()
    if len(versions) != 1 or not isinstance(versions[0], int) or versions[0] < 1:
        said = ", ".join(repr(one) for one in versions[:3]) or "nothing"
        raise StoreError(
            f"the store {name}: is damaged: of its schema it says {said}, expected one number from 1 to {VERSION}"
        )
    version = versions[0]
    if version > VERSION:
        raise StoreError(
            f"the store {name}: has schema {version}, this version of hwnas reads up to {VERSION}; update hwnas"
        )
    return version
