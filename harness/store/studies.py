"""Store and query studies, with their evaluations and snapshots."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hwnas.harness.store.part import Part, Record, decoded
from hwnas.supernets.documents import parse_json
from hwnas.supernets.errors import MALFORMED, StoreError
from hwnas.supernets.values import of_kind

if TYPE_CHECKING:
    import sqlalchemy as sa


@dataclass(frozen=True)
class StudyRecord:
    """A study as it is stored.

    Attributes:
        id: the store's own number for it.
        name: unique in the store.
        settings: everything that decides which sub-networks it evaluates, as JSON values.
        created_at: ISO 8601, UTC.
        evaluations: how many there are.
    """

    id: int
    name: str
    settings: Mapping[str, Any]
    created_at: str
    evaluations: int


class Studies(Part):
    """The part of a store that holds studies."""

    def create_study(self, name: str | None, settings: Mapping[str, Any], *, prefix: str = "study") -> StudyRecord:
        """Create a study.

        Args:
            name: unique in the store; ``None``: ``prefix`` and a number that is free.
            settings: everything that decides which sub-networks it evaluates, as JSON values.
            prefix: of the automatic name.

        Raises:
            StoreError: there is a study of this name already.
        """
        import sqlalchemy as sa

        values = {"settings": json.dumps(settings), "created_at": datetime.now(tz=UTC).isoformat(timespec="seconds")}
        number = 1 if name else 1 + self._begun(f"{prefix}-")
        while True:
            chosen = name or f"{prefix}-{number}"
            try:
                self._create(values | {"name": chosen})
            except sa.exc.IntegrityError:
                if name:
                    raise StoreError(f"the store {self.name}: there is a study {name!r} already") from None
                number += 1
                continue
            return self._studies(chosen)[0]

    def _create(self, values: Mapping[str, str]) -> None:
        import sqlalchemy as sa

        study = self._tables["study"]
        same = sa.select(study.c.id).where(*(study.c[column] == value for column, value in values.items()))

        def insert(connection: sa.Connection) -> bool:
            connection.execute(study.insert().values(**values))
            return True

        self._database.write(insert, lambda connection: connection.execute(same).first() is not None or None)

    def _begun(self, prefix: str) -> int:
        """Return how many studies have names with this prefix."""
        import sqlalchemy as sa

        study = self._tables["study"]
        query = sa.select(study.c.name).where(study.c.name.startswith(prefix, autoescape=True))
        names = self._database.read(lambda connection: connection.execute(query).scalars().all())
        return sum(name.startswith(prefix) for name in names)

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
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [self._record(*row) for row in rows]

    def _record(self, number: int, name: Any, settings: Any, created_at: Any, evaluations: int) -> StudyRecord:
        with decoded(self.name, f"the study {name!r}"):
            of_kind("name", name, str)
            of_kind("created_at", created_at, str)
            return StudyRecord(number, name, parse_json(settings), created_at, evaluations)

    def delete_study(self, name: str) -> None:
        """Delete a study and its evaluations, but not its measurements; raises ``StoreError`` if there is none."""
        study, found = self._tables["study"], self.study(name)
        if found is None:
            raise StoreError(f"the store {self.name}: there is no study {name!r}")

        def delete(connection: sa.Connection) -> None:
            # Evaluations and the snapshot are deleted with it, by the tables' foreign keys.
            connection.execute(study.delete().where(study.c.id == found.id))

        self._database.write(delete)

    def add_evaluations(self, study: StudyRecord, first: int, records: Sequence[Mapping[str, Any]]) -> None:
        """Store evaluations; all of them are committed on return.

        Args:
            study: the study.
            first: the number of the first of ``records`` in the study; the others follow.
            records: JSON values, among them "key".

        Raises:
            StoreError: the study has an evaluation of that number or sub-network already, or has been deleted.
        """
        import sqlalchemy as sa

        rows = [
            {"study_id": study.id, "number": first + offset, "key": record["key"], "record": json.dumps(record)}
            for offset, record in enumerate(records)
        ]
        if not rows:
            return
        evaluation = self._tables["evaluation"]
        query = sa.select(evaluation.c.record).where(evaluation.c.study_id == study.id)
        query = query.where(evaluation.c.number.between(first, first + len(rows) - 1)).order_by(evaluation.c.number)

        def insert(connection: sa.Connection) -> bool:
            connection.execute(evaluation.insert(), rows)
            return True

        def inserted(connection: sa.Connection) -> bool | None:
            return list(connection.execute(query).scalars()) == [row["record"] for row in rows] or None

        with self._collisions(study):
            self._database.write(insert, inserted)

    def evaluations(self, study: StudyRecord) -> list[Record]:
        """Return the evaluations of a study by number."""
        import sqlalchemy as sa

        evaluation = self._tables["evaluation"]
        query = sa.select(evaluation.c.record).where(evaluation.c.study_id == study.id).order_by(evaluation.c.number)
        texts = self._database.read(lambda connection: connection.execute(query).scalars().all())
        with decoded(self.name, f"an evaluation of the study {study.name!r}"):
            # One parse of a long list takes a third of the time of many of short ones.
            records: list[Record] = parse_json(f"[{','.join(texts)}]")
        return records

    def put_snapshot(self, study: StudyRecord, record: Mapping[str, Any]) -> None:
        """Store the snapshot from which a study is resumed, in place of an earlier one; it is committed on return.

        Args:
            study: the study.
            record: JSON values.

        Raises:
            StoreError: the study has been deleted, or another process is writing it.
        """
        snapshot, text = self._tables["snapshot"], json.dumps(record)

        def replace(connection: sa.Connection) -> None:
            connection.execute(snapshot.delete().where(snapshot.c.study_id == study.id))
            connection.execute(snapshot.insert().values(study_id=study.id, record=text))

        with self._collisions(study):
            self._database.write(replace)

    def snapshot(self, study: StudyRecord) -> Any:
        """Return the latest snapshot of a study, or ``None``.

        A damaged snapshot is ignored: it only saves time, and has nothing that the study's evaluations and the
        measurements lack.
        """
        import sqlalchemy as sa

        snapshot = self._tables["snapshot"]
        query = sa.select(snapshot.c.record).where(snapshot.c.study_id == study.id)
        text = self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
        try:
            return None if text is None else parse_json(text)
        except MALFORMED:
            return None

    @contextmanager
    def _collisions(self, study: StudyRecord) -> Iterator[None]:
        import sqlalchemy as sa

        try:
            yield
        except sa.exc.IntegrityError as error:
            if self.study(study.name) is None:
                raise StoreError(f"the store {self.name}: the study {study.name!r} has been deleted") from error
            raise StoreError(
                f"the store {self.name}: another process is writing the study {study.name!r}; let one of them finish"
            ) from error
