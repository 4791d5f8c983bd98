"""Read user-item interactions from files of MovieLens, RecBole (``.inter``), and the split files of He et al.

Every rating counts as an interaction, whatever its value, as in He et al. (2017, arXiv 1708.05031).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hwnas.supernets.errors import DataError
from hwnas.supernets.files import is_file
from hwnas.supernets.space import FloatArray, IntArray

_TRAIN, _TEST, _NEGATIVE = ".train.rating", ".test.rating", ".test.negative"
FORMS = (
    f"PREFIX of PREFIX{_TRAIN}, PREFIX{_TEST} and PREFIX{_NEGATIVE}, "
    "MovieLens' u.data, ratings.dat or ratings.csv, or a .inter file of RecBole"
)

# File names of MovieLens' releases from 1998 to today.
_MOVIELENS = ("u.data", "ratings.dat", "ratings.csv")
_FIELDS = ("user_id", "item_id", "timestamp")
# The columns' names in MovieLens' header.
_ALIASES = {"userId": "user_id", "movieId": "item_id"}
# A longer number must be a mistake; an embedding table of so many rows would not fit into memory.
_MOST_DIGITS = 9


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """User-item interactions with their times; immutable.

    Attributes:
        file: the file they were read from.
        users: the user of each interaction, numbered from 0, ``(n,)``.
        items: the item of each interaction, numbered from 0, ``(n,)``.
        times: the time of each interaction, in any unit, ``(n,)``.
        user_names: the users' names in the file.
        item_names: the items' names in the file.
    """

    file: str
    users: IntArray
    items: IntArray
    times: FloatArray
    user_names: tuple[str, ...]
    item_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Training interactions, and for each test user a held-out item among other candidates; immutable.

    Attributes:
        n_users: the number of users, which are numbered from 0.
        n_items: the number of items, which are numbered from 0.
        users: the user of each training interaction, ``(n,)``.
        items: the item of each training interaction, ``(n,)``.
        test_users: ``(t,)``.
        candidates: the items to rank for each, the held-out one first, ``(t, c)``.
    """

    n_users: int
    n_items: int
    users: IntArray
    items: IntArray
    test_users: IntArray
    candidates: IntArray


def read(prefix: str) -> InteractionLog | Split:
    """Read the files that ``prefix`` names: already split into training and test data, or a single log.

    Raises:
        DataError: there is no such file, or a line is not of the expected form; names both.
    """
    if is_file(prefix + _TRAIN):
        return _read_split(prefix)
    folder = Path(prefix)
    inside = (folder / name for name in (*_MOVIELENS, f"{folder.name}.inter"))
    for file in (folder, Path(prefix + ".inter"), *inside):
        if is_file(file):
            return _read_log(file)
    raise DataError(f"{prefix}: no interactions there; expected {FORMS}")


# --- one file of interactions ----------------------------------------------------------------------------------------


def _read_log(file: Path) -> InteractionLog:
    """Read one of MovieLens' files or ``.inter``: their separators differ, and some have a header."""
    separator, what = _separator(file)
    rows = _rows(file, separator)
    number, first = next(rows, (0, []))
    if not first:
        raise DataError(f"{file}: is empty, expected one interaction a line")
    if ":" in first[0] or any(name in first for name in _ALIASES):
        columns, length = _columns(file, number, first), len(first)
    else:
        columns, length = (0, 1, 3), 4
        rows = itertools.chain([(number, first)], rows)
    cells: tuple[list[str], list[str]] = ([], [])
    times: list[float] = []
    for number, row in rows:
        if len(row) != length:
            raise _fault(file, number, f"expected {length} columns separated by {what}, got {len(row)}")
        for kept, column in zip(cells, columns[:2], strict=True):
            if not row[column]:
                raise _fault(file, number, f"column {column + 1} is empty")
            kept.append(row[column])
        times.append(_time(file, number, row[columns[2]]))
    if not times:
        raise DataError(f"{file}: has a header but no interactions")
    (users, user_names), (items, item_names) = map(_numbered, cells)
    return InteractionLog(str(file), users, items, np.array(times), user_names, item_names)


def _separator(file: Path) -> tuple[str, str]:
    """Return what separates the columns of a file's first line, and its name."""
    _, (first, *_) = next(_rows(file, "\n"), (0, [""]))
    if "\t" not in first and "::" in first:
        return "::", "two colons"
    return (",", "commas") if "\t" not in first and "," in first else ("\t", "tabs")


def _columns(file: Path, number: int, header: list[str]) -> tuple[int, int, int]:
    """Return the columns of user, item and time in a header of RecBole (``user_id:token ...``) or MovieLens."""
    names = [_ALIASES.get(cell, cell.partition(":")[0]) for cell in header]
    missing = [field for field in _FIELDS if field not in names]
    if missing:
        raise _fault(file, number, f"expected columns {', '.join(_FIELDS)}; {missing[0]} is missing")
    user, item, time = (names.index(field) for field in _FIELDS)
    return user, item, time


def _time(file: Path, number: int, text: str) -> float:
    try:
        time = float(text)
    except ValueError:
        time = math.nan
    if not math.isfinite(time):
        raise _fault(file, number, f"expected a time as a number, got {text!r}")
    return time


def _numbered(names: Sequence[str]) -> tuple[IntArray, tuple[str, ...]]:
    """Number names from 0, in numeric order if all are numbers, so that all formats of a data set agree."""
    distinct = set(names)
    digits = all(name.isascii() and name.isdigit() for name in distinct)
    ordered = sorted(distinct, key=_as_number if digits else None)
    index = {name: position for position, name in enumerate(ordered)}
    return np.array([index[name] for name in names], dtype=np.int64), tuple(ordered)


def _as_number(name: str) -> tuple[int, str, str]:
    plain = name.lstrip("0")
    return len(plain), plain, name


# --- He et al.'s split files -----------------------------------------------------------------------------------------


def _read_split(prefix: str) -> Split:
    train, test, negative = (Path(prefix + ending) for ending in (_TRAIN, _TEST, _NEGATIVE))
    _, learned = _pairs(train)
    n_users, n_items = (int(count) for count in learned.max(axis=0) + 1)
    lines, tested = _pairs(test)
    known = np.isin(tested[:, 0], learned[:, 0])
    if not known.all():
        row = int(np.argmin(known))
        raise _fault(test, lines[row], f"user {tested[row, 0]} has no line in {train.name}")
    _known_items(test, lines, tested[:, 1:], n_items, train)
    lines, candidates = _candidates(negative, test, tested)
    _known_items(negative, lines, candidates, n_items, train)
    return Split(n_users, n_items, learned[:, 0], learned[:, 1], tested[:, 0], candidates)


def _pairs(file: Path) -> tuple[list[int], IntArray]:
    """Return line numbers, and users and items, ``(n, 2)``."""
    lines, pairs = [], []
    for number, row in _rows(file):
        if len(row) < 2:
            raise _fault(file, number, "expected a user and an item separated by a tab")
        lines.append(number)
        pairs.append([_id(file, number, cell) for cell in row[:2]])
    if not pairs:
        raise DataError(f"{file}: is empty, expected a user and an item a line")
    return lines, np.array(pairs, dtype=np.int64)


def _candidates(file: Path, test: Path, tested: IntArray) -> tuple[list[int], IntArray]:
    """Return line numbers, and the items to rank, ``(t, c)``: the held-out one, then those of the file."""
    lines: list[int] = []
    candidates: list[list[int]] = []
    for number, row in _rows(file):
        if len(candidates) == len(tested):
            raise _fault(file, number, f"is one line more than {test.name} has")
        user, item = tested[len(candidates)].tolist()
        if row[0] != f"({user},{item})":
            raise _fault(file, number, f"expected ({user},{item}) as in {test.name}, got {row[0]!r}")
        found = [item, *(_id(file, number, cell) for cell in row[1:])]
        if len(found) < 2 or (candidates and len(found) != len(candidates[0])):
            wanted = len(candidates[0]) - 1 if candidates else "at least 1"
            raise _fault(file, number, f"expected {wanted} items to rank beside it, got {len(found) - 1}")
        if set(found) == {item}:
            raise _fault(file, number, f"expected items to rank beside {item}, got nothing else")
        lines.append(number)
        candidates.append(found)
    if len(candidates) != len(tested):
        raise DataError(f"{file}: has {len(candidates)} lines, {test.name} has {len(tested)}")
    return lines, np.array(candidates, dtype=np.int64)


def _known_items(file: Path, lines: list[int], items: IntArray, n_items: int, train: Path) -> None:
    """Raise ``DataError`` at the first of ``items``, ``(n, c)``, that is not in the training data."""
    unknown = items >= n_items
    if unknown.any():
        row, column = (int(place) for place in np.argwhere(unknown)[0])
        raise _fault(file, lines[row], f"item {items[row, column]} is unknown; {train.name} has 0 to {n_items - 1}")


def _id(file: Path, number: int, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise _fault(file, number, f"expected a whole number from 0, got {text!r}")
    return int(text)


# --- lines -----------------------------------------------------------------------------------------------------------


def _rows(file: Path, separator: str = "\t") -> Iterator[tuple[int, list[str]]]:
    """Yield the number, from 1, and the cells of each line; blank lines are allowed only at the end."""
    try:
        # utf-8-sig: some editors put a byte-order mark before the first column.
        with file.open(encoding="utf-8-sig", newline="\n") as stream:
            blank = 0
            for number, line in enumerate(stream, 1):
                text = line.rstrip("\r\n")
                if not text.strip():
                    blank = blank or number
                    continue
                if blank:
                    raise _fault(file, blank, "is empty")
                yield number, [cell.strip() for cell in text.split(separator)]
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as text ({error})") from error


def _fault(file: Path, number: int, what: str) -> DataError:
    return DataError(f"{file}: line {number}: {what}")
