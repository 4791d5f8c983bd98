"""Read CSV as spreadsheets write it: separated by commas, semicolons or tabs, with decimal points or commas."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

_DELIMITERS = (",", ";", "\t")
# The first line of some spreadsheets' files, which names the separator.
_NOTE = re.compile(r"sep=(.)", re.IGNORECASE)

_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+")
_DECIMAL_POINT = re.compile(r"[-+]?\d*\.\d+(?:[eE][-+]?\d+)?")


class Row(NamedTuple):
    """A row of cells and the line on which it ends, counted from 1."""

    line: int
    cells: list[str]


def rows(lines: Iterable[str]) -> tuple[str, Iterator[Row]]:
    """Return the delimiter of a CSV file, and its rows, the header first.

    Args:
        lines: of the file, with their ends.

    Raises:
        csv.Error: while a row is read, if its quotes are malformed.
    """
    given = iter(lines)
    first = next(given, "")
    note = _NOTE.fullmatch(first.strip('"\r\n '))
    if note:
        delimiter, before = note[1], 1
    else:
        delimiter, before = _delimiter(first), 0
        given = itertools.chain([first], given)
    reader = csv.reader(given, strict=True, delimiter=delimiter)
    return delimiter, (Row(before + reader.line_num, cells) for cells in reader)


def _delimiter(header: str) -> str:
    """Return the usual delimiter that is most frequent in the header, quoted text not counted."""
    return max(_DELIMITERS, key=re.sub(r'"[^"]*"', "", header).count)


def with_points(cells: Sequence[str], delimiter: str) -> Sequence[str]:
    """Return a column's cells with points for decimal commas.

    Raises:
        AmbiguousError: a comma can be a decimal comma or separate thousands; names the cell.
    """
    commas = [number for number, cell in enumerate(cells) if _DECIMAL_COMMA.fullmatch(cell.strip())]
    if not commas:
        return cells
    first = commas[0]
    # If semicolons separate cells, commas are decimal commas. Otherwise 1,234 may be more than a thousand.
    if delimiter != ";" and all(_THOUSANDS.fullmatch(cells[number].strip()) for number in commas):
        raise AmbiguousError(first, "can be a decimal comma or thousands; write decimals with a point")
    point = next((cell for cell in cells if _DECIMAL_POINT.fullmatch(cell.strip())), None)
    if point is not None:
        raise AmbiguousError(first, f"has a decimal comma, and {point.strip()!r} in the same column a point; use one")
    return [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell.strip()) else cell for cell in cells]


class AmbiguousError(ValueError):
    """A number that can be read in two ways.

    Args:
        position: of the cell in its column.
        reason: why it is ambiguous.
    """

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
