"""The backend ``table``: look up the measured latency of whole sub-networks in a CSV file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hwnas.backends.backend import Option, Settings
from hwnas.latency_luts.lookup import Lookup
from hwnas.latency_luts.measured import MeasuredTable
from hwnas.supernets.contents import content_digest, holding
from hwnas.supernets.errors import PlatformError, TableError
from hwnas.supernets.files import expanded
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import SuperNetwork

_COLUMN = "latency"


def create(name: str) -> TableBackend:
    """Make the backend."""
    return TableBackend(name)


class TableBackend:
    """Looks up latencies in a CSV file; a sub-network that is not in the file has none (nan)."""

    # A column was measured with one thread count and precision, so these are not settings. With which batch size, only
    # the user knows; it makes a latency of a throughput, and a throughput of a latency.
    keys = frozenset({"batch"})
    devices = ("cpu",)
    precisions = ("fp32",)
    options = (
        Option("file", "a CSV file of measured sub-networks", holds="file"),
        Option("column", "its column of latencies or of samples per second, with or without the unit", default=_COLUMN),
    )

    def __init__(self, name: str) -> None:
        self.name = name

    def why_not(self) -> str | None:
        """Return ``None``: tables work everywhere."""
        return None

    def versions(self) -> dict[str, str]:
        """Return nothing: no library influences the values."""
        return {}

    def latency(self, net: SuperNetwork, X: npt.ArrayLike, settings: Settings) -> FloatArray:
        """Return the latency of each sub-network in seconds, ``(n,)``; nan where the table has none.

        Several rows of one sub-network are averaged.

        Raises:
            PlatformError: no file is given.
            TableError: the file lacks the column, or has an invalid sub-network of ``net`` or an invalid latency.
        """
        return self.lookup(net, settings)(X)

    def lookup(self, net: SuperNetwork, settings: Settings) -> Lookup:
        """Return the measured sub-networks of ``net`` and their latencies in seconds; raises as ``latency``."""
        file = settings.options.get("file")
        if not file:
            raise PlatformError(f"{self.name}: expected a file; say {self.name}:file=measured.csv,column={_COLUMN}_ms")
        path, column = expanded(file), settings.options.get("column", _COLUMN)
        try:
            digest = settings.contents.get("file") or content_digest(path)
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            raise TableError(f"{file}: no such measured table ({getattr(error, 'strerror', None) or error})") from error
        known_net: Any = net  # a protocol does not promise a hash; every super-network has the one by identity
        return _latencies(known_net, path, column, settings.batch, digest)


# A search uses the same column thousands of times; it is cached by the table's content.
@lru_cache(maxsize=8)
def _latencies(net: SuperNetwork, path: Path, column: str, batch: int, digest: str) -> Lookup:
    with holding(path, digest):
        table = MeasuredTable.read(path)
    seconds = table.seconds(table.metric(column), batch)
    return Lookup.averaged(net.space, table.vectors(net.space), seconds)
