"""Read measured tables: CSV files with one measured sub-network per row, and look values up in them.

The sub-network is in a column ``config`` (a JSON object), in DyNAS-T's ``Sub-network`` (a Python literal), or in one
column per config key, with values separated by spaces. Each other column is a metric with its unit in its name:
``latency_ms``, ``v100_64_ms``, ``Latency (ms)``, ``t [µs]``, ``Top-1 Acc (%)``. Cells are separated by commas,
semicolons or tabs, see ``hwnas.latency_luts.spreadsheet``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.latency_luts import spreadsheet
from hwnas.supernets import values as allowed
from hwnas.supernets.documents import parse_object
from hwnas.supernets.errors import ConfigError, TableError
from hwnas.supernets.space import Config, FloatArray, IntArray, SearchSpace

# How many of a unit make a second (None: not a time), and its other spellings. The two signs for micro look alike.
_UNITS_PER_S: dict[str, float | None] = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "%": None}
_SPELLINGS = {
    "s": ("s", "sec", "seconds"),
    "ms": ("ms", "msec", "milliseconds"),
    "us": ("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec", "microseconds"),
    "ns": ("ns", "nsec", "nanoseconds"),
    "%": ("%",),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
# A unit at the end of a column's name.
_ANY = "|".join(_UNIT_OF)
_UNIT = re.compile(
    # Spaces are looked through from the first of them on, and at once (*+): otherwise the time grows as their square.
    rf"^(?P<stem>.*?)(?:(?<!\s)\s*+[(\[]\s*+(?P<bracketed>{_ANY})\s*+[)\]]|[_\s](?P<suffix>{_ANY}))$",
    re.IGNORECASE,
)

# Names of rates, of which more is better; they have no unit of time, even if it looks so ("images_per_s").
_RATE = re.compile(
    r"throughput|(?<![a-z])(fps|ips|qps|rps|tps|imgps)(?![a-z])|(?<![a-z])per[\s_]*(s|sec|second)s?[)\]]*$|/\s*s",
    re.IGNORECASE,
)
# Of these, names that end with what the rate is of: samples per second.
_PER_SECOND = re.compile(
    r"((?<![a-z])(fps|ips|qps|rps|tps|imgps)|(?<![a-z])per[\s_]*(s|sec|second)s?|/\s*s(ec(ond)?)?)[)\]]*$",
    re.IGNORECASE,
)

# DyNAS-T's names of metrics, and their common names.
_ALIASES = {"top1acc": "top1", "top5acc": "top5", "modelparameters": "params", "bleuscore": "bleu"}


@dataclass(frozen=True)
class Metric:
    """The metric in a column.

    Attributes:
        column: the column's name in the file.
        stem: the name without the unit, in lower-case letters and digits only ("latency", "top1").
        unit: "s", "ms", "us", "ns", "%", or "" if the name has none.
    """

    column: str
    stem: str
    unit: str

    @classmethod
    def of(cls, column: str) -> Metric:
        """Split a column's name into stem and unit."""
        match = _UNIT.match(column.strip())
        unit = _UNIT_OF[(match["bracketed"] or match["suffix"]).lower()] if match else ""
        stem = re.sub(r"[^a-z0-9]", "", (match["stem"] if match else column).lower())
        return cls(column, _ALIASES.get(stem, stem), unit)

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate per second, according to its name."""
        return "latency" not in self.stem and _RATE.search(self.column.strip()) is not None

    @property
    def is_per_second(self) -> bool:
        """Whether it is a rate of samples per second; a rate whose name ends with a unit of time says neither."""
        return self.is_rate and _PER_SECOND.search(self.column.strip()) is not None

    @property
    def is_time(self) -> bool:
        """Whether it is a time, according to its name and unit."""
        return _UNITS_PER_S.get(self.unit) is not None and not self.is_rate


@dataclass(frozen=True)
class MeasuredTable:
    """The rows of a CSV file, as text; immutable.

    Attributes:
        file: the file it was read from, for messages.
        columns: the cells by column, all of one length.
        lines: the line in the file of each row.
        delimiter: what separates its cells.
    """

    file: str
    columns: Mapping[str, tuple[str, ...]]
    lines: tuple[int, ...]
    delimiter: str = ","

    @classmethod
    def read(cls, file: str | Path) -> MeasuredTable:
        """Read a CSV file with a header; raises ``TableError`` if the file is not one."""
        try:
            # utf-8-sig: spreadsheets put a byte-order mark before the first column's name.
            with Path(file).open(newline="", encoding="utf-8-sig") as stream:
                return cls._parse(str(file), *spreadsheet.rows(stream))
        except FileNotFoundError:
            raise TableError(f"{file}: no such measured table") from None
        except (OSError, ValueError, csv.Error) as error:  # ValueError: no UTF-8, or a name that no file can have
            raise TableError(f"{file}: cannot be read as CSV ({error})") from error

    @classmethod
    def _parse(cls, file: str, delimiter: str, given: Iterator[spreadsheet.Row]) -> MeasuredTable:
        header = [name.strip() for name in next(given, spreadsheet.Row(0, [])).cells]
        if not any(header):
            raise TableError(f"{file}: is empty, expected a header and one measured sub-network a row")
        twice = {name for name in header if header.count(name) > 1}
        if twice:
            raise TableError(f"{file}: column {min(twice)!r} is there twice")
        rows, lines = [], []
        for line, row in given:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(header):
                raise TableError(f"{file}: line {line}: expected {len(header)} cells, got {len(row)}")
            rows.append(row)
            lines.append(line)
        if not rows:
            raise TableError(f"{file}: has a header but no rows")
        cells = zip(*rows, strict=True)
        return cls(file, dict(zip(header, map(tuple, cells), strict=True)), tuple(lines), delimiter)

    # --- sub-networks ------------------------------------------------------------------------------------------------

    def vectors(self, space: SearchSpace) -> IntArray:
        """Return the rows' sub-networks as canonical vectors of ``space``, ``(n, n_var)``.

        Raises:
            TableError: no column has the sub-network, or a row is not a point of the space; names its line.
        """
        configs = list(self._configs(space))
        try:
            return space.canonical(space.encode(configs))
        except ConfigError:
            self._find_bad(space, configs)
            raise

    def _find_bad(self, space: SearchSpace, configs: list[Any]) -> None:
        for line, config in zip(self.lines, configs, strict=True):
            try:
                space.encode([config])
            except ConfigError as error:
                raise TableError(f"{self.file}: line {line}: {str(error).removeprefix('config 0: ')}") from error

    def _configs(self, space: SearchSpace) -> Iterable[Any]:
        if "config" in self.columns:
            return self._parsed("config", "a JSON object")
        if "Sub-network" in self.columns:
            return self._parsed("Sub-network", "a Python dict")
        wanted = dict.fromkeys(choice.key for choice in space.choices)
        missing = [key for key in wanted if key not in self.columns]
        if missing:
            raise self._no_column(f"a column 'config', or one each of {', '.join(wanted)}; {missing[0]!r} is missing")
        return self._spread([*wanted, *(key for key in space.fixed if key in self.columns)])

    def _parsed(self, column: str, what: str) -> Iterable[Any]:
        for line, cell in zip(self.lines, self.columns[column], strict=True):
            try:
                yield parse_object(cell.strip())
            except ValueError as error:
                raise TableError(f"{self.file}: line {line}: {column}: expected {what}, got {_short(cell)}") from error

    def _spread(self, keys: list[str]) -> Iterable[Config]:
        for number, line in enumerate(self.lines):
            config: Config = {}
            for key in keys:
                cell = self.columns[key][number]
                try:
                    parts = spreadsheet.with_points(cell.split(), ";")
                    config[key] = [int(part) if part.lstrip("-").isdecimal() else float(part) for part in parts]
                except ValueError as error:
                    message = f"expected numbers separated by spaces, got {_short(cell)}"
                    raise TableError(f"{self.file}: line {line}: {key}: {message}") from error
            yield config

    # --- metrics -----------------------------------------------------------------------------------------------------

    def metric(self, name: str) -> Metric:
        """Find the column of a metric, by its name in the file or without the unit.

        Raises:
            TableError: there is none, or there are several; lists them.
        """
        if name in self.columns:
            return Metric.of(name)
        wanted = Metric.of(name)
        alike = [found for found in map(Metric.of, self.columns) if found.stem == wanted.stem]
        found = [metric for metric in alike if wanted.unit in ("", metric.unit)]
        if len(found) > 1:
            raise TableError(
                f"{self.file}: {name!r} can be any of {', '.join(metric.column for metric in found)}; spell one in full"
            )
        if not found:
            raise self._no_column(f"a column {name!r}")
        return found[0]

    def values(self, metric: Metric) -> FloatArray:
        """Return a column's numbers, ``(n,)``, in the column's unit; an empty cell is nan.

        Raises:
            TableError: a cell is not a finite number; names its line.
        """
        numbers = np.full(len(self.lines), np.nan)
        for row, (line, cell) in enumerate(zip(self.lines, self._with_points(metric.column), strict=True)):
            if cell.strip().lower() in ("", "nan"):
                continue
            try:
                numbers[row] = allowed.number(float(cell))
            except ValueError as error:
                message = f"expected a number, got {_short(cell)}"
                raise TableError(f"{self.file}: line {line}: {metric.column}: {message}") from error
        return numbers

    def _with_points(self, column: str) -> Sequence[str]:
        try:
            return spreadsheet.with_points(self.columns[column], self.delimiter)
        except spreadsheet.AmbiguousError as error:
            line, cell = self.lines[error.position], self.columns[column][error.position]
            raise TableError(f"{self.file}: line {line}: {column}: {_short(cell.strip())} {error}") from None

    def seconds(self, metric: Metric, batch: int = 1) -> FloatArray:
        """Return a latency column in seconds, ``(n,)``; nan for rows that were not measured (an empty cell or 0).

        Args:
            metric: a time, or a rate of samples per second: the latency of a batch is then its size by the rate.
            batch: the samples per inference, of a rate.

        Raises:
            TableError: the name has no unit of time, or says both a throughput and a unit of time; the column is 0
                throughout, or a value is negative.
        """
        if metric.is_per_second:
            return batch / self.measured(metric)
        if metric.is_rate:
            times = [column for column in self.columns if Metric.of(column).is_time]
            raise TableError(
                f"{self.file}: {metric.column!r} is a throughput by its name, and does not say that it is one per "
                "second (as images_per_s or imgps do); expected that, or a column of latencies"
                f"{', like ' + times[0] if times else ''}"
            )
        per_second = _UNITS_PER_S.get(metric.unit)
        if per_second is None:
            raise TableError(
                f"{self.file}: {metric.column!r} has no unit of time in its name; "
                f"name it {metric.column}_ms (or _s, _us, _ns)"
            )
        return self.measured(metric) / per_second

    def measured(self, metric: Metric) -> FloatArray:
        """Return a column's numbers, ``(n,)``; nan for rows that were not measured (an empty cell or 0).

        Raises:
            TableError: the column is 0 or empty throughout, or a value is negative or not a number.
        """
        numbers = self.values(metric)
        # Some tools write a metric that was not measured as 0; no real latency or accuracy is 0.
        numbers = np.where(numbers == 0, np.nan, numbers)
        if np.isnan(numbers).all():
            raise TableError(f"{self.file}: {metric.column!r} is 0 or empty throughout: it was not measured")
        if (numbers < 0).any():
            line = self.lines[int(np.flatnonzero(numbers < 0)[0])]
            raise TableError(f"{self.file}: line {line}: {metric.column}: cannot be negative")
        return numbers

    def _no_column(self, wanted: str) -> TableError:
        return TableError(f"{self.file}: expected {wanted}; there are: {', '.join(self.columns)}")


@dataclass(frozen=True, eq=False)
class Lookup:
    """Values of distinct sub-networks, looked up by their vectors; immutable.

    Attributes:
        space: of the vectors.
        vectors: canonical and distinct, sorted by their names, ``(m, n_var)``.
        values: one each, ``(m,)``.
    """

    space: SearchSpace
    vectors: IntArray
    values: FloatArray

    @classmethod
    def averaged(cls, space: SearchSpace, X: npt.ArrayLike, values: FloatArray) -> Lookup:
        """Return a lookup of the mean of each sub-network's values; rows with nan are left out.

        Args:
            space: of the vectors.
            X: any vectors, duplicates too, ``(n, n_var)``.
            values: one each, ``(n,)``.
        """
        kept = ~np.isnan(values)
        canonical = space.canonical(X)[kept]
        _, first, group = np.unique(_names(canonical), return_index=True, return_inverse=True)
        sums = np.bincount(group, weights=values[kept])
        return cls(space, canonical[first], sums / np.bincount(group))

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Return the values of sub-networks ``X``, ``(n,)``; nan if the table has none."""
        wanted, known = _names(self.space.canonical(X)), _names(self.vectors)
        if not len(known):
            return np.full(len(wanted), np.nan)
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, self.values[place], np.nan)


def _names(canonical: IntArray) -> npt.NDArray[np.bytes_]:
    """Return each row as one byte string, ``(n,)``: numpy sorts and compares those as a whole."""
    # numpy's byte strings lose zeros at their end, but rows of one length stay distinct.
    rows = np.ascontiguousarray(canonical, dtype=np.uint8)
    return rows.view(f"S{rows.shape[1]}").reshape(len(rows))


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")
