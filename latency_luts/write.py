"""Write a lookup table in our own layout."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from latency_luts.formats.hwnas import MARK, SCHEMA
from latency_luts.table import Entry
from supernets.errors import TableError


def write_table(
    file: str | Path,
    blocks: Mapping[str, Entry],
    *,
    supernet: str,
    platform: str,
    environment: Mapping[str, Any],
    protocol: Mapping[str, Any],
) -> None:
    """Write ``blocks`` to ``file``, whole or not at all; ``latency_luts.read`` gives the same latencies back exactly.

    Args:
        file: where to; what is there is replaced.
        blocks: what was measured, by key (see ``latency_luts.keys``).
        supernet: whose blocks they are.
        platform: the platform string they were measured on.
        environment: of the machine, as measurements record it; plain data.
        protocol: the settings of the measuring; plain data.

    Raises:
        TableError: there is nothing to write, or the file cannot be written.
    """
    if not blocks:
        raise TableError(f"{file}: there are no blocks to write")
    document = {
        MARK: SCHEMA,
        "supernet": supernet,
        "platform": platform,
        # Seconds, so that what is read back is the very number; a factor of 1000 would round it.
        "unit": "s",
        "environment": dict(environment),
        "protocol": dict(protocol),
        "blocks": {name: _fields(entry) for name, entry in blocks.items()},
    }
    text = yaml.safe_dump(document, sort_keys=False, width=200, allow_unicode=True)
    try:
        _replace(Path(file), text)
    except OSError as error:
        raise TableError(f"{file}: cannot be written ({error.strerror})") from error


def _fields(entry: Entry) -> dict[str, float | int]:
    fields: dict[str, float | int] = {"count": int(entry.count), "mean": float(entry.mean_s)}
    return fields if math.isnan(entry.variance_s2) else {**fields, "var": float(entry.variance_s2)}


def _replace(file: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
