"""Write a lookup table in hwnas's layout, and store corrections in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from hwnas.latency_luts.correction import Correction
from hwnas.latency_luts.formats.hwnas import MARK, SCHEMA, UNITS_PER_S
from hwnas.latency_luts.table import Entry, LatencyTable
from hwnas.supernets.errors import TableError
from hwnas.supernets.writing import write_file

_UNIT = "ms"


def write_table(
    file: str | Path,
    blocks: Mapping[str, Entry],
    *,
    supernet: str,
    platform: str,
    environment: Mapping[str, Any],
    protocol: Mapping[str, Any],
    built: Mapping[str, Any] | None = None,
    correction: Correction | None = None,
) -> None:
    """Write ``blocks`` to ``file``, completely or not at all; numbers are written to fifteen digits.

    Args:
        file: the file, which is replaced if it exists.
        blocks: the measured blocks by key (see ``hwnas.latency_luts.keys``).
        supernet: the super-network of the blocks.
        platform: the platform string they were measured on.
        environment: of the machine, as measurements record it; plain data.
        protocol: the measurement protocol; plain data.
        built: when and how long it was built; plain data.
        correction: of the sums.

    Raises:
        TableError: there is nothing to write.
        OutputError: the file cannot be written.
    """
    if not blocks:
        raise TableError(f"{file}: there are no blocks to write")
    header: dict[str, Any] = {
        "schema": SCHEMA,
        "supernet": supernet,
        "platform": platform,
        "unit": _UNIT,
        "environment": dict(environment),
        "protocol": dict(protocol),
    }
    if built:
        header["built"] = dict(built)
    if correction is not None:
        header["correction"] = {"terms": dict(correction.terms), "facts": dict(correction.facts)}
    document = {MARK: header, **{name: _fields(entry) for name, entry in blocks.items()}}
    text = yaml.safe_dump(document, sort_keys=False, width=200, allow_unicode=True)
    write_file(file, text.encode())


def store_correction(file: str | Path, table: LatencyTable, correction: Correction) -> LatencyTable:
    """Write ``table``, which was read from ``file``, back with ``correction``; return the corrected table.

    Raises:
        TableError: the table is in another layout, which has no place for it.
        OutputError: the file cannot be written.
    """
    check_can_be_corrected(file, table)
    header = table.header
    write_table(
        file,
        table.entries,
        supernet=header["supernet"],
        platform=header["platform"],
        environment=header["environment"],
        protocol=header["protocol"],
        built=header.get("built"),
        correction=correction,
    )
    return replace(table, correction=correction)


def check_can_be_corrected(file: str | Path, table: LatencyTable) -> None:
    """Raise ``TableError`` if the layout of ``table`` has no place for a correction."""
    if "platform" not in table.header:
        raise TableError(f"{file}: only a table that hwnas built can hold a correction; this one has another layout")


def _fields(entry: Entry) -> dict[str, float | int]:
    per_second = UNITS_PER_S[_UNIT]
    fields: dict[str, float | int] = {"count": int(entry.count), "mean": float(entry.mean_s) * per_second}
    if not math.isnan(entry.variance_s2):
        fields["std"] = math.sqrt(entry.variance_s2) * per_second
    return fields
