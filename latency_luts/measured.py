"""Read measured tables: CSV files with one measured sub-network per row.

The sub-network is in a column ``config`` (a JSON object), in DyNAS-T's ``Sub-network`` (a Python literal), or in one
column per config key, with values separated by spaces. Each other column is a metric with its unit in its name:
``latency_ms``, ``v100_64_ms``, ``Latency (ms)``, ``t [µs]``, ``Top-1 Acc (%)``. Cells are separated by commas,
semicolons or tabs, see ``hwnas.latency_luts.spreadsheet``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas.latency_luts import spreadsheet
from hwnas.latency_luts.metric import Metric
from hwnas.supernets import values as allowed
from hwnas.supernets.documents import parse_object
from hwnas.supernets.errors import ConfigError, TableError
from hwnas.supernets.space import Config, FloatArray, IntArray, SearchSpace


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
        if metric.per_second is None:
            raise TableError(
                f"{self.file}: {metric.column!r} has no unit of time in its name; "
                f"name it {metric.column}_ms (or _s, _us, _ns)"
            )
        return self.measured(metric) / metric.per_second

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


def _short(cell: str) -> str:
    return repr(cell if len(cell) <= 60 else cell[:57] + "...")
