"""Store and query the quality of sub-networks, identified by super-network, quality source and sub-network."""

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
    """The part of a store that holds qualities."""

    def put_quality(self, supernet: str, source: str, key: str, record: Mapping[str, Any]) -> None:
        """Store the quality of a sub-network, in place of an earlier one; it is committed on return.

        Args:
            supernet: the super-network's name.
            source: everything but the sub-network that decides the value: the data, the weights.
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

        # If another process stores the same value at the same moment, one of the two is enough.
        with contextlib.suppress(sa.exc.IntegrityError):
            self._database.write(replace)

    def qualities(self, supernet: str, source: str, keys: Iterable[str]) -> dict[str, Record]:
        """Return the stored qualities of the sub-networks ``keys``, by key."""
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
