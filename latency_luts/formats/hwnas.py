"""Our own layout: a header that says how the blocks were measured, and the blocks.

::

    hwnas_latency_table: 1
    supernet: ofa-mbv3-w1.0
    platform: onnxruntime:threads=1
    unit: s
    environment: {...}
    protocol: {...}
    blocks:
      Conv-input:224x224x3-output:112x112x16: {count: 500, mean: 0.00031, std: 1.2e-05}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from latency_luts.formats._document import entry
from latency_luts.table import LatencyTable
from supernets.errors import TableError

# 1: the first.
SCHEMA = 1
MARK = "hwnas_latency_table"
UNITS_PER_S = {"s": 1.0, "ms": 1e3, "us": 1e6}

_TEXTS = ("supernet", "platform", "unit")
_MAPPINGS = ("environment", "protocol", "blocks")


def matches(document: Mapping[str, Any]) -> bool:
    """Tell whether the document bears our mark."""
    return MARK in document


def read(document: Mapping[str, Any], file: str) -> LatencyTable:
    """Return the table; raises ``TableError`` naming the file and the key of what is malformed."""
    _check(document, file)
    second = UNITS_PER_S[document["unit"]]
    blocks = {str(name): entry(value, file, str(name), second) for name, value in document["blocks"].items()}
    header = {name: document[name] for name in (MARK, *_TEXTS, "environment", "protocol")}
    return LatencyTable(file, blocks, (document["supernet"],), header)


def _check(document: Mapping[str, Any], file: str) -> None:
    schema = document[MARK]
    if isinstance(schema, bool) or schema != SCHEMA:
        raise TableError(f"{file}: {MARK}: this version reads schema {SCHEMA}, got {schema!r}")
    known = (MARK, *_TEXTS, *_MAPPINGS)
    unknown = [name for name in document if name not in known]
    missing = [name for name in known if name not in document]
    if unknown or missing:
        fault = f"unknown key {unknown[0]!r}" if unknown else f"{missing[0]} is missing"
        raise TableError(f"{file}: {fault}; a table has {', '.join(known)}")
    for names, kind, what in ((_TEXTS, str, "text"), (_MAPPINGS, dict, "a mapping")):
        for name in names:
            if not isinstance(document[name], kind):
                raise TableError(f"{file}: {name}: expected {what}, got {document[name]!r}")
    if document["unit"] not in UNITS_PER_S:
        raise TableError(f"{file}: unit: expected one of {', '.join(UNITS_PER_S)}, got {document['unit']!r}")
    if not document["blocks"]:
        raise TableError(f"{file}: blocks: is empty")
