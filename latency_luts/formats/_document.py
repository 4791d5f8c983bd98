"""Read a YAML mapping and the numbers of a table's entry, with errors that name the file, the block and the field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwnas.latency_luts.table import Entry
from hwnas.supernets.documents import parse_yaml, read_text
from hwnas.supernets.errors import TableError
from hwnas.supernets.values import fault

# YAML 1.1, which PyYAML implements, reads 1e-3 as text; other tools read it as a number.
_NUMBER = re.compile(r"[-+]?(\d++(\.\d*+)?|\.\d++)([eE][-+]?\d++)?")


def load(file: str | Path) -> dict[str, Any]:
    """Return the mapping in a YAML (or JSON) file; raises ``TableError`` if it has none."""
    try:
        text = read_text(file)
    except FileNotFoundError:
        raise TableError(f"{file}: no such lookup table") from None
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        raise TableError(f"{file}: cannot be read as a lookup table ({error})") from error
    try:
        document = parse_yaml(text)
    except ValueError as error:
        raise TableError(f"{file}: is not YAML ({error})") from error
    if not isinstance(document, dict) or not document:
        what = "empty" if document in (None, {}) else f"a {type(document).__name__}"
        raise TableError(f"{file}: expected a mapping of blocks to their latencies, got {what}")
    bad = [name for name in document if not isinstance(name, str)]
    if bad:
        raise TableError(f"{file}: expected block names as keys, got {bad[0]!r}")
    return document


def entry(document: object, file: str, name: str, second: float) -> Entry:
    """Read ``{count, mean, std}`` (or ``var`` instead of ``std``) of the block ``name``.

    Args:
        document: the value of ``name``.
        file: for messages.
        name: for messages.
        second: how many of the table's units make a second.
    """
    with _faults(file, name):
        if not isinstance(document, Mapping):
            raise ValueError(f"expected count, mean and std, got {document!r}")  # noqa: TRY004 -- reworded by _faults
        unknown = [field for field in document if field not in ("count", "mean", "std", "var")]
        if unknown:
            raise ValueError(f"unknown field {unknown[0]!r} (known: count, mean, std, var)")
        if "mean" not in document:
            raise ValueError("mean is missing")
        if "std" in document and "var" in document:
            raise ValueError("has both std and var, expected one of them")
        mean = number(document["mean"], "mean")
        if mean == 0:
            raise ValueError("mean is 0: not measured")
        return Entry(mean / second, _variance(document) / second**2, _count(document))


def number(value: object, what: str) -> float:
    """Return a finite number that is not negative; raises ``ValueError`` for other values."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    # bool is an int to Python and true would pass for 1.
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{what}: expected a number, got {value!r}")  # noqa: TRY004 -- reworded by _faults
    if fault(value) is not None or value < 0:
        raise ValueError(f"{what}: expected a finite number that is not negative, got {value!r}")
    return float(value)


def _variance(document: Mapping[str, Any]) -> float:
    if "var" in document:
        return number(document["var"], "var")
    if "std" not in document:
        return math.nan
    std = number(document["std"], "std")
    return number(std * std, "the square of std")


def _count(document: Mapping[str, Any]) -> int:
    count = number(document.get("count", 0), "count")
    if count != int(count):
        raise ValueError(f"count: expected a whole number, got {document['count']!r}")
    return int(count)


@contextmanager
def _faults(file: str, name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise TableError(f"{file}: {name}: {error}") from error
