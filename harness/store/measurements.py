"""Store and query measurements: their records in one table, their raw samples in another."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.harness.store.part import Part, Record, decoded, parts
from hwnas.supernets.documents import parse_json
from hwnas.supernets.values import json_number

if TYPE_CHECKING:
    import sqlalchemy as sa

# The fields that can be queried; the rest of a record is stored as it is.
_COLUMNS = ("supernet", "key", "platform", "fingerprint", "protocol", "status", "latency_s", "measured_at")
# Fields of a record that begin like this hold raw samples.
_SAMPLES = "samples"
# Bytes of the samples of one measurement, written out: three million numbers.
_LONGEST_SAMPLES = 1 << 26


class Measurements(Part):
    """The part of a store that holds measurements."""

    def put_measurement(self, record: Mapping[str, Any], *, replaces: int | None = None) -> int:
        """Store a measurement; it is committed on return.

        Args:
            record: JSON values, among them supernet, key, platform, fingerprint, protocol, status, latency_s (nan:
                failed) and measured_at (ISO 8601, UTC). Fields whose names begin with "samples" are stored apart.
            replaces: the number of a measurement that it replaces, if that is still there; ``None``: of none.

        Returns:
            Its number in the store.
        """
        import sqlalchemy as sa

        missing = [column for column in _COLUMNS if column not in record]
        if missing:
            raise ValueError(f"record: lacks {', '.join(missing)}")
        samples = {name: value for name, value in record.items() if name.startswith(_SAMPLES)}
        rest = {name: value for name, value in record.items() if name not in samples and name != "id"}
        row = {**{column: record[column] for column in _COLUMNS}, "record": json.dumps(rest)}
        row["latency_s"] = _or_null(row["latency_s"])
        packed = zlib.compress(json.dumps(samples).encode(), level=1) if samples else None
        measurement, kept = self._tables["measurement"], self._tables["measurement_samples"]

        def insert(connection: sa.Connection) -> int:
            number = replaces
            if number is not None:
                connection.execute(kept.delete().where(kept.c.measurement_id == number))
                updated = connection.execute(measurement.update().where(measurement.c.id == number).values(**row))
                number = number if updated.rowcount else None
            if number is None:
                statement = measurement.insert().values(**row).returning(measurement.c.id)
                number = int(connection.execute(statement).scalar_one())
            if packed is not None:
                connection.execute(kept.insert().values(measurement_id=number, samples=packed))
            return number

        def inserted(connection: sa.Connection) -> int | None:
            same = (measurement.c[column] == row[column] for column in ("supernet", "platform", "key", "record"))
            latest = sa.select(sa.func.max(measurement.c.id)).where(*same)
            found: int | None = connection.execute(latest).scalar_one()
            return found

        return self._database.write(insert, inserted)

    def measurements(  # noqa: PLR0913 - what can be asked for, by name
        self,
        *,
        supernet: str | None = None,
        platform: str | Collection[str] | None = None,
        fingerprint: str | None = None,
        protocol: str | None = None,
        keys: Iterable[str] | None = None,
        status: str | Collection[str] | None = None,
        since: str | None = None,
        before: str | None = None,
        latest: int | None = None,
        samples: bool = True,
    ) -> list[Record]:
        """Return the measurements that match all conditions, oldest first, each with its number as "id".

        Args:
            supernet: the super-network's name.
            platform: the platform's string, or several.
            fingerprint: of the environment.
            protocol: the protocol's name.
            keys: the sub-networks' keys.
            status: "ok", "unstable" or "failed", or several.
            since: taken at this moment or later, ISO 8601, UTC, or a beginning of it.
            before: taken before this moment, ISO 8601, UTC, or a beginning of it, like 2026-01-31.
            latest: only this many of the latest ones.
            samples: with the raw samples; without them, long listings are much faster.
        """
        import sqlalchemy as sa

        measurement, kept = self._tables["measurement"], self._tables["measurement_samples"]
        wanted = self._wanted(
            before,
            supernet=supernet,
            platform=platform,
            fingerprint=fingerprint,
            protocol=protocol,
            status=status,
        )
        if since is not None:
            wanted.append(measurement.c.measured_at >= since)
        query = sa.select(measurement.c.id, measurement.c.record).where(*wanted)
        if samples:
            query = query.add_columns(kept.c.samples).outerjoin_from(measurement, kept)
        query = query.order_by(measurement.c.id.desc()).limit(latest)
        queries = [query] if keys is None else [query.where(measurement.c.key.in_(part)) for part in parts(keys)]

        def select(connection: sa.Connection) -> list[Any]:
            return [row for query in queries for row in connection.execute(query)]

        rows = sorted(self._database.read(select), key=lambda row: int(row[0]))
        with decoded(self.name):
            return [_record(*row) for row in (rows if latest is None else rows[-latest:])]

    def count_measurements(
        self,
        *,
        supernet: str | None = None,
        platform: str | None = None,
        status: str | None = None,
        before: str | None = None,
    ) -> int:
        """Return how many measurements match all conditions, see ``measurements``; reads no record."""
        import sqlalchemy as sa

        wanted = self._wanted(before, supernet=supernet, platform=platform, status=status)
        query = sa.select(sa.func.count()).select_from(self._tables["measurement"]).where(*wanted)
        return self._database.read(lambda connection: int(connection.execute(query).scalar_one()))

    def delete_measurements(self, ids: Iterable[int]) -> int:
        """Delete measurements and their samples by number; returns how many there were."""
        measurement, numbers = self._tables["measurement"], list(parts(ids))

        def delete(connection: sa.Connection) -> int:
            # Their samples are deleted with them, by the table's foreign key.
            statements = (measurement.delete().where(measurement.c.id.in_(part)) for part in numbers)
            return sum(connection.execute(statement).rowcount for statement in statements)

        return self._database.write(delete)

    def platforms(self, supernet: str) -> list[str]:
        """Return the platforms that a super-network was measured on, sorted; reads no record."""
        import sqlalchemy as sa

        measurement = self._tables["measurement"]
        query = sa.select(measurement.c.platform).where(measurement.c.supernet == supernet).distinct()
        return sorted(self._database.read(lambda connection: [str(row[0]) for row in connection.execute(query)]))

    def _wanted(self, before: str | None, **columns: str | Collection[str] | None) -> list[sa.ColumnElement[bool]]:
        measurement = self._tables["measurement"]
        wanted = [
            measurement.c[column] == value if isinstance(value, str) else measurement.c[column].in_(value)
            for column, value in columns.items()
            if value is not None
        ]
        return wanted if before is None else [*wanted, measurement.c.measured_at < before]


def _record(number: int, text: str, samples: bytes | None = None) -> Record:
    record: Record = {"id": number, **parse_json(text)}
    if samples is not None:
        record |= parse_json(_inflated(samples).decode())
    return record


def _inflated(samples: bytes) -> bytes:
    """Decompress samples; raises ``ValueError`` if they are longer than samples can be (damaged data may be)."""
    reading = zlib.decompressobj()
    content = reading.decompress(samples, _LONGEST_SAMPLES)
    if not reading.eof:
        raise ValueError(f"samples: are cut off, or longer than {_LONGEST_SAMPLES:,} bytes")
    return content


def _or_null(value: float | None) -> float | None:
    return None if value is None else json_number(value)
