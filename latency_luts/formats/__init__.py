"""Layouts of lookup tables; one file here per layout.

A layout is registered by being a file of this package, or an installed package's entry point in
``hwnas.table_formats``. It has ``matches(document)``, whether a parsed document is laid out so, and
``read(document, file)``, the table in it.
"""

from __future__ import annotations

from pathlib import Path

from latency_luts.formats._document import load
from latency_luts.table import LatencyTable
from supernets.errors import TableError
from supernets.registry import Registry

__all__ = ["names", "read", "registry"]

registry = Registry("table layout", "latency_luts.formats", "hwnas.table_formats")


def names() -> list[str]:
    """Return the names of all layouts."""
    return registry.names()


def read(file: str | Path) -> LatencyTable:
    """Read the lookup table in ``file``, whichever of the known layouts it has.

    Raises:
        TableError: there is no such file, it is no YAML mapping, its layout is unknown, or a value in it is malformed.
    """
    document = load(file)
    for name in names():
        layout = registry.provider(name)
        if layout.matches(document):
            table: LatencyTable = layout.read(document, str(file))
            return table
    first = next(iter(document), None)
    raise TableError(
        f"{file}: unknown layout of a lookup table; its first key is {first!r}; known layouts: {', '.join(names())}"
    )
