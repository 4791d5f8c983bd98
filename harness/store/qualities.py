"""Qualities in the store: what a sub-network reached, by all that decides it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hwnas.harness.store.part import Part, Record, decoded, parts
from hwnas.supernets.documents import parse_json

if TYPE_CHECKING:
    import sqlalchemy as sa


class Qualities(Part):
    """The part of a store that keeps qualities."""

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
        text = json.dumps(record)

        def replace(connection: sa.Connection) -> None:
            connection.execute(quality.delete().where(*(quality.c[column] == value for column, value in this.items())))
            connection.execute(quality.insert().values(**this, record=text))

        # Where another process keeps the same value at the same moment, one of the two is enough.
        with contextlib.suppress(sa.exc.IntegrityError):
            self._database.write(replace)

    def qualities(self, supernet: str, source: str, keys: Iterable[str]) -> dict[str, Record]:
        """Return what is kept of the sub-networks ``keys``, by key."""
        import sqlalchemy as sa

        quality = self._tables["quality"]
        query = sa.select(quality.c.key, quality.c.record)
        query = query.where(quality.c.supernet == supernet, quality.c.source == source)
        wanted = list(parts(keys))

        def select(connection: sa.Connection) -> list[Any]:
            return [row for part in wanted for row in connection.execute(query.where(quality.c.key.in_(part)))]

        rows = self._database.read(select)
        with decoded(self.name):
            return {key: parse_json(text) for key, text in rows}
