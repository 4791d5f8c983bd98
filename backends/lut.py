"""The backend ``lut``: look up a sub-network's latency as the sum of its blocks' in a lookup table."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hwnas import latency_luts
from hwnas.backends.backend import Option, Settings
from hwnas.latency_luts import BindableTable, LatencySum, published
from hwnas.latency_luts.folders import Folder, open_folder
from hwnas.supernets.contents import content_digest, holding
from hwnas.supernets.errors import PlatformError, TableError
from hwnas.supernets.files import expanded
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import SuperNetwork

_SOURCES = ("table", "file", "dir")


def create(name: str) -> LutBackend:
    """Make the backend."""
    return LutBackend(name)


class LutBackend:
    """Looks up latencies in published lookup tables (``table=NAME``), a file (``file=``) or a folder (``dir=``)."""

    # A table was measured with one batch size, thread count and precision, so these are not settings.
    keys: frozenset[str] = frozenset()
    devices = ("cpu",)
    precisions = ("fp32",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.options = (
            Option("table", "a published table", allowed=tuple(published.names())),
            Option("file", "a YAML file of block latencies", holds="file"),
            Option("dir", "a folder of such files, one per input resolution: 160.yaml, 224.yaml", holds="tables"),
        )

    def why_not(self) -> str | None:
        """Return ``None``: tables work everywhere."""
        return None

    def versions(self) -> dict[str, str]:
        """Return nothing: no library influences the sums."""
        return {}

    def latency(self, net: SuperNetwork, X: npt.ArrayLike, settings: Settings) -> FloatArray:
        """Return the latency of each sub-network in seconds, ``(n,)``.

        Raises:
            PlatformError: none of ``table``, ``file`` and ``dir`` is given, or more than one is.
            TableError: the table lacks a block; lists the nearest, and what the table serves.
        """
        # The protocol does not declare __hash__, but all its implementations are hashed by identity.
        table: Any = _opened(self.name, settings)
        known_net: Any = net
        return _bound(table, known_net).latency(X)


def _opened(name: str, settings: Settings) -> BindableTable:
    given = {key: value for key, value in settings.options.items() if key in _SOURCES}
    if len(given) != 1:
        raise PlatformError(
            f"{name}: expected one of {', '.join(_SOURCES)}, got {' and '.join(given) or 'none'}; "
            f"say {name}:table={published.names()[-1]}, {name}:file=PATH or {name}:dir=FOLDER"
        )
    ((source, value),) = given.items()
    if source == "table":
        return _published(value)
    digest = settings.contents.get(source)
    return _file(value, digest) if source == "file" else _folder(value, digest)


def _folder(folder: str, digest: str | None) -> BindableTable:
    """Return the tables in a folder, and check their digest if one is given."""
    try:
        return _digested(Folder.at(folder)) if digest is None else _read_folder(folder, digest)
    except OSError as error:
        raise TableError(f"{folder}: cannot be read ({error.strerror})") from error


def _file(file: str, digest: str | None) -> BindableTable:
    """Return the table in a file, and check its digest if one is given."""
    path = expanded(file)
    try:
        found = digest or content_digest(path)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise TableError(f"{file}: no such lookup table ({getattr(error, 'strerror', None) or error})") from error
    return _read(path, found)


# A search uses the same table thousands of times. It is cached by its content, and the super-network's identity.
@lru_cache(maxsize=8)
def _published(name: str) -> BindableTable:
    return published.get(name).open()


@lru_cache(maxsize=8)
def _read(path: Path, digest: str) -> BindableTable:
    with holding(path, digest):
        return latency_luts.read(path)


@lru_cache(maxsize=8)
def _read_folder(folder: str, digest: str) -> BindableTable:
    return open_folder(folder, digest)


@lru_cache(maxsize=8)
def _digested(folder: Folder) -> BindableTable:
    return folder.open()


@lru_cache(maxsize=8)
def _bound(table: BindableTable, net: SuperNetwork) -> LatencySum:
    return table.bind(net)
