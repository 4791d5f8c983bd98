"""hwnas's own layout: a header that says how the blocks were measured, and the blocks under once-for-all's keys.

::

    hwnas_latency_table:
      schema: 2
      supernet: ofa-mbv3-w1.0
      platform: onnxruntime:threads=1
      unit: ms
      environment: {...}
      protocol: {...}
      built: {at: 2026-11-24T08:12:00+00:00, seconds: 118.2, ...}
      correction: {terms: {...}, facts: {...}}
    Conv-input:224x224x3-output:112x112x16: {count: 500, mean: 0.31, std: 0.012}

Beside the header it is a table that once-for-all's own tools read: milliseconds, one key per block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.latency_luts.correction import Correction
from hwnas.latency_luts.formats._document import entry, number
from hwnas.latency_luts.table import LatencyTable
from hwnas.supernets.errors import TableError

# 1: the first; the header's fields at the top, the blocks under "blocks", by default in seconds.
# 2: the header under the mark and the blocks at the top, as other tools read them; built, correction.
SCHEMA = 2
MARK = "hwnas_latency_table"
UNITS_PER_S = {"s": 1.0, "ms": 1e3, "us": 1e6}

_TEXTS = ("supernet", "platform", "unit")
_MAPPINGS = ("environment", "protocol")
_OPTIONAL = ("built", "correction")


def matches(document: Mapping[str, Any]) -> bool:
    """Return whether the document bears our mark."""
    return MARK in document


def read(document: Mapping[str, Any], file: str) -> LatencyTable:
    """Return the table; raises ``TableError`` naming the file and the key of what is malformed."""
    header, blocks = _parts(document, file)
    _check(header, file)
    if not isinstance(blocks, Mapping):
        raise TableError(f"{file}: blocks: expected a mapping, got {blocks!r}")
    if not blocks:
        raise TableError(f"{file}: blocks: is empty")
    second = UNITS_PER_S[header["unit"]]
    entries = {str(name): entry(value, file, str(name), second) for name, value in blocks.items()}
    return LatencyTable(file, entries, (header["supernet"],), header, _correction(header.get("correction"), file))


def _parts(document: Mapping[str, Any], file: str) -> tuple[dict[str, Any], Any]:
    """Return the header and the blocks, of either schema."""
    mark = document[MARK]
    if isinstance(mark, Mapping):
        schema = mark.get("schema")
        header = {name: value for name, value in mark.items() if name != "schema"}
        blocks: Any = {name: value for name, value in document.items() if name != MARK}
        supported = schema == SCHEMA and not isinstance(schema, bool)
    else:
        schema = mark
        header = {name: value for name, value in document.items() if name not in (MARK, "blocks")}
        blocks = document.get("blocks", {})
        supported = schema == 1 and not isinstance(schema, bool)
    if not supported:
        raise TableError(f"{file}: {MARK}: this version reads schemas 1 to {SCHEMA}, got {schema!r}")
    if "schema" in header:
        raise TableError(f"{file}: unknown key 'schema'; {MARK} says the schema")
    return {"schema": schema, **header}, blocks


def _check(header: Mapping[str, Any], file: str) -> None:
    needed, optional = ("schema", *_TEXTS, *_MAPPINGS), _OPTIONAL if header["schema"] > 1 else ()
    unknown = [name for name in header if name not in (*needed, *optional)]
    missing = [name for name in needed if name not in header]
    if unknown or missing:
        fault = f"unknown key {unknown[0]!r}" if unknown else f"{missing[0]} is missing"
        raise TableError(f"{file}: {fault}; a table's header has {', '.join((*needed, *optional))}")
    wanted = ((_TEXTS, str, "text"), ((*_MAPPINGS, *(name for name in optional if name in header)), dict, "a mapping"))
    for names, kind, what in wanted:
        for name in names:
            if not isinstance(header[name], kind):
                raise TableError(f"{file}: {name}: expected {what}, got {header[name]!r}")
    if header["unit"] not in UNITS_PER_S:
        raise TableError(f"{file}: unit: expected one of {', '.join(UNITS_PER_S)}, got {header['unit']!r}")


def _correction(record: Any, file: str) -> Correction | None:
    """Read the correction; its coefficients are in seconds whatever the unit of the blocks."""
    if record is None:
        return None
    terms, facts = record.get("terms"), record.get("facts", {})
    if not isinstance(terms, Mapping) or not isinstance(facts, Mapping):
        raise TableError(f"{file}: correction: expected terms and facts, got {record!r}")
    try:
        # Coefficients may be negative, which a latency may not.
        return Correction({str(name): _signed(value, str(name)) for name, value in terms.items()}, facts)
    except (ValueError, TableError) as error:
        raise TableError(f"{file}: correction: {error}") from None


def _signed(value: Any, name: str) -> float:
    negative = isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0
    return -number(-value, name) if negative else number(value, name)
