"""Read lookup tables of several file layouts, with one module per layout.

A layout is registered by being a file of this package, or an installed package's entry point in
``hwnas.table_formats``; see ``TableLayout``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from hwnas.latency_luts.formats._document import load
from hwnas.latency_luts.table import LatencyTable
from hwnas.supernets.errors import PlugInError, TableError
from hwnas.supernets.registry import Registry

__all__ = ["names", "read", "registry"]


class TableLayout(Protocol):
    """The protocol of a registered module."""

    def matches(self, document: dict[str, Any]) -> bool:
        """Return whether a parsed document has this layout."""
        ...

    def read(self, document: dict[str, Any], file: str) -> LatencyTable:
        """Return the table in a document; raises ``TableError`` if a value is malformed."""
        ...


registry = Registry("table layout", "hwnas.latency_luts.formats", "hwnas.table_formats", offers=TableLayout)


def names() -> list[str]:
    """Return the names of all layouts."""
    return registry.names()


def read(file: str | Path) -> LatencyTable:
    """Read the lookup table in ``file``, whichever of the known layouts it has.

    Raises:
        TableError: there is no such file, it is not a YAML mapping, its layout is unknown, or a value is malformed.
    """
    document = load(file)
    faults = []
    for name in registry.working():
        layout = registry.provider(name)
        try:
            with registry.at_work(name):
                mine = layout.matches(document)
        except PlugInError as error:  # the other layouts are tried all the same
            faults.append(f"; {error}")
            continue
        if mine:
            return _read(name, document, file)
    first = next(iter(document), None)
    raise TableError(
        f"{file}: unknown layout of a lookup table; its first key is {first!r}; known layouts: {', '.join(names())}"
        + "".join(faults)
    )


def _read(name: str, document: dict[str, Any], file: str | Path) -> LatencyTable:
    with registry.at_work(name):
        table = registry.provider(name).read(document, str(file))
        if not isinstance(table, LatencyTable):
            raise TypeError(f"read gave no LatencyTable but a {type(table).__name__}")
    return table
