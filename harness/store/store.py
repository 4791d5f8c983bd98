"""What is kept: measurements with their raw samples, studies with their evaluations."""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from harness.store.database import Database
from supernets.errors import StoreError

Record = dict[str, Any]

# What can be asked for; the rest of a record is kept but not looked at.
_COLUMNS = ("supernet", "key", "platform", "fingerprint", "protocol", "status", "latency_s", "measured_at")
# Fields of a record that begin so hold raw samples.
_SAMPLES = "samples"
# SQLite takes 32,766 values in a statement, PostgreSQL's drivers 32,767.
_AT_ONCE = 10_000


@dataclass(frozen=True)
class StudyRecord:
    """A study as it is kept.

    Attributes:
        id: the store's own number for it.
        name: unique in the store.
        settings: everything that decides what it evaluates, as JSON values.
        created_at: ISO 8601, UTC.
        evaluations: how many there are.
    """

    id: int
    name: str
    settings: Mapping[str, Any]
    created_at: str
    evaluations: int


class Store:
    """An open store; a context manager. ``Store.open`` makes one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables = database.metadata.tables

    @classmethod
    def open(cls, location: str, *, create: bool = True) -> Self:
        """Open the store at a file's path or a database URL.

        Args:
            location: the path or URL.
            create: make a file that is not there; otherwise it is an error.

        Raises:
            StoreError: it cannot be opened or written, is no store, or is of a newer version; names it.
        """
        return cls(Database(str(location), create))

    @property
    def name(self) -> str:
        """Its path, or its URL without a password."""
        return self._database.name

    def close(self) -> None:
        """Release the connections; what was put is kept in any case."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- measurements ------------------------------------------------------------------------------------------------

    def put_measurement(self, record: Mapping[str, Any]) -> int:
        """Keep a measurement; it is committed on return.

        Args:
            record: JSON values, among them supernet, key, platform, fingerprint, protocol, status, latency_s (nan:
                failed) and measured_at (ISO 8601, UTC). Fields whose names begin with "samples" are kept apart.

        Returns:
            Its number in the store.
        """
        missing = [column for column in _COLUMNS if column not in record]
        if missing:
            raise ValueError(f"record: lacks {', '.join(missing)}")
        samples = {name: value for name, value in record.items() if name.startswith(_SAMPLES)}
        rest = {name: value for name, value in record.items() if name not in samples and name != "id"}
        columns = {column: record[column] for column in _COLUMNS}
        columns["latency_s"] = _or_null(columns["latency_s"])
        with self._database.writing() as connection:
            insert = self._tables["measurement"].insert().values(**columns, record=json.dumps(rest))
            number = int(connection.execute(insert.returning(self._tables["measurement"].c.id)).scalar_one())
            if samples:
                packed = zlib.compress(json.dumps(samples).encode(), level=1)
                into = self._tables["measurement_samples"].insert()
                connection.execute(into.values(measurement_id=number, samples=packed))
        return number

    def measurements(
        self,
        *,
        supernet: str | None = None,
        platform: str | None = None,
        fingerprint: str | None = None,
        protocol: str | None = None,
        keys: Iterable[str] | None = None,
        status: str | None = None,
        samples: bool = True,
    ) -> list[Record]:
        """Return the measurements that match everything given, oldest first, each with its number as "id".

        Args:
            supernet: the super-network's name.
            platform: the platform's string.
            fingerprint: of the environment.
            protocol: the protocol's name.
            keys: the sub-networks' keys.
            status: "ok", "unstable" or "failed".
            samples: with the raw samples; without them, long listings are much faster.
        """
        import sqlalchemy as sa

        measurement, kept = self._tables["measurement"], self._tables["measurement_samples"]
        wanted = {
            "supernet": supernet,
            "platform": platform,
            "fingerprint": fingerprint,
            "protocol": protocol,
            "status": status,
        }
        query = sa.select(measurement.c.id, measurement.c.record)
        if samples:
            query = query.add_columns(kept.c.samples).outerjoin_from(measurement, kept)
        for column, value in wanted.items():
            if value is not None:
                query = query.where(measurement.c[column] == value)
        records = []
        with self._database.reading() as connection:
            for part in [None] if keys is None else _parts(sorted(set(keys))):
                chosen = query if part is None else query.where(measurement.c.key.in_(part))
                records += [_record(*row) for row in connection.execute(chosen.order_by(measurement.c.id))]
        return records if keys is None else sorted(records, key=lambda record: int(record["id"]))

    def delete_measurements(self, ids: Iterable[int]) -> int:
        """Delete measurements and their samples by number; returns how many there were."""
        measurement, kept = self._tables["measurement"], self._tables["measurement_samples"]
        deleted = 0
        with self._database.writing() as connection:
            for part in _parts(sorted(set(ids))):
                connection.execute(kept.delete().where(kept.c.measurement_id.in_(part)))
                deleted += connection.execute(measurement.delete().where(measurement.c.id.in_(part))).rowcount
        return deleted

    # --- qualities ---------------------------------------------------------------------------------------------------

    def put_quality(self, supernet: str, source: str, key: str, record: Mapping[str, Any]) -> None:
        """Keep what a sub-network reached; it is committed on return, in place of what there was.

        Args:
            supernet: the super-network's name.
            source: all that decides the value beside the sub-network: the data, the weights.
            key: the sub-network's.
            record: JSON values.
        """
        import sqlalchemy as sa

        quality = self._tables["quality"]
        this = {"supernet": supernet, "source": source, "key": key}
        there = sa.and_(*(quality.c[column] == value for column, value in this.items()))
        # Where another process keeps the same value at the same moment, one of the two is enough.
        with contextlib.suppress(sa.exc.IntegrityError), self._database.writing() as connection:
            connection.execute(quality.delete().where(there))
            connection.execute(quality.insert().values(**this, record=json.dumps(record)))

    def qualities(self, supernet: str, source: str, keys: Iterable[str]) -> dict[str, Record]:
        """Return what is kept of the sub-networks ``keys``, by key."""
        import sqlalchemy as sa

        quality = self._tables["quality"]
        query = sa.select(quality.c.key, quality.c.record)
        query = query.where(quality.c.supernet == supernet, quality.c.source == source)
        found: dict[str, Record] = {}
        with self._database.reading() as connection:
            for part in _parts(sorted(set(keys))):
                rows = connection.execute(query.where(quality.c.key.in_(part)))
                found |= {key: json.loads(text) for key, text in rows}
        return found

    # --- studies -----------------------------------------------------------------------------------------------------

    def create_study(self, name: str | None, settings: Mapping[str, Any], *, prefix: str = "study") -> StudyRecord:
        """Begin a study.

        Args:
            name: unique in the store; ``None``: ``prefix`` and the first free number.
            settings: everything that decides what it evaluates, as JSON values.
            prefix: of the automatic name.

        Raises:
            StoreError: there is one of this name.
        """
        import sqlalchemy as sa

        study = self._tables["study"]
        number = 1 + sum(known.name.startswith(f"{prefix}-") for known in self.studies())
        while True:
            chosen = name or f"{prefix}-{number}"
            try:
                with self._database.writing() as connection:
                    values = {"name": chosen, "settings": json.dumps(settings), "created_at": _now()}
                    connection.execute(study.insert().values(**values))
            except sa.exc.IntegrityError:
                if name:
                    raise StoreError(f"the store {self.name}: there is a study {name!r} already") from None
                number += 1
                continue
            return self._studies(chosen)[0]

    def study(self, name: str) -> StudyRecord | None:
        """Return the study called ``name``, or ``None``."""
        found = self._studies(name)
        return found[0] if found else None

    def studies(self) -> list[StudyRecord]:
        """Return all studies, oldest first."""
        return self._studies(None)

    def _studies(self, name: str | None) -> list[StudyRecord]:
        import sqlalchemy as sa

        study, evaluation = self._tables["study"], self._tables["evaluation"]
        of_study = sa.select(sa.func.count()).select_from(evaluation).where(evaluation.c.study_id == study.c.id)
        count = of_study.scalar_subquery()
        query = sa.select(study.c.id, study.c.name, study.c.settings, study.c.created_at, count).order_by(study.c.id)
        if name is not None:
            query = query.where(study.c.name == name)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [StudyRecord(row[0], row[1], json.loads(row[2]), row[3], row[4]) for row in rows]

    def delete_study(self, name: str) -> None:
        """Delete a study and its evaluations; the measurements stay. Raises ``StoreError`` where there is none."""
        study, evaluation = self._tables["study"], self._tables["evaluation"]
        found = self.study(name)
        if found is None:
            raise StoreError(f"the store {self.name}: there is no study {name!r}")
        with self._database.writing() as connection:
            connection.execute(evaluation.delete().where(evaluation.c.study_id == found.id))
            connection.execute(study.delete().where(study.c.id == found.id))

    # --- evaluations -------------------------------------------------------------------------------------------------

    def add_evaluations(self, study: StudyRecord, first: int, records: Sequence[Mapping[str, Any]]) -> None:
        """Keep evaluations; they are committed, all of them, on return.

        Args:
            study: as it is kept.
            first: the number of the first of ``records`` in the study; the others follow.
            records: JSON values, among them "key".

        Raises:
            StoreError: the study has one of that number, or of that sub-network, already.
        """
        rows = [
            {"study_id": study.id, "number": first + offset, "key": record["key"], "record": json.dumps(record)}
            for offset, record in enumerate(records)
        ]
        if rows:
            with self._collisions(study), self._database.writing() as connection:
                connection.execute(self._tables["evaluation"].insert(), rows)

    def evaluations(self, study: StudyRecord) -> list[Record]:
        """Return the evaluations of a study by number."""
        import sqlalchemy as sa

        evaluation = self._tables["evaluation"]
        query = sa.select(evaluation.c.record).where(evaluation.c.study_id == study.id).order_by(evaluation.c.number)
        with self._database.reading() as connection:
            texts = connection.execute(query).scalars().all()
        # One parse of a long list takes a third of the time of many of short ones.
        records: list[Record] = json.loads(f"[{','.join(texts)}]")
        return records

    @contextmanager
    def _collisions(self, study: StudyRecord) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.IntegrityError as error:
            raise StoreError(
                f"the store {self.name}: another process is writing the study {study.name!r}; let one of them finish"
            ) from error


def _record(number: int, text: str, samples: bytes | None = None) -> Record:
    record: Record = {"id": number, **json.loads(text)}
    if samples is not None:
        record |= json.loads(zlib.decompress(samples))
    return record


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _or_null(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _now() -> str:
    return datetime.now(tz=UTC).isoformat(timespec="seconds")
