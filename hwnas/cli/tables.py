"""Tables that fit the terminal: names, platforms, values and statuses stay whole; other columns are left out in turn.

Where a table is too wide, values are first shown without what follows them in brackets, then columns are left
out, the highest rank first, and a line below says which. Long names are cut inside a path, or go on in the next line.
Where even that is too wide, each row is a list of its cells. In a file or a pipe, a table has all its columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.table import Table as Grid
from rich.text import Text

# The width of a file or a pipe: wider than any line.
UNBOUNDED = 10_000

_GAP = 2
# Long names and texts are not made narrower than this before columns are left out, and not narrower than that after.
_FIRM, _LEAST = 40, 16
# How wide a table becomes in a file or a pipe for the sake of its texts.
_PIPED = 160
# Characters of a path that are shown at least: of less than that nobody knows it again.
_PATH = 12
_CUT = "\N{HORIZONTAL ELLIPSIS}"

Cell = str | tuple[str, str]  # a tuple: as long as there is room, and in brief


class ColumnKind(Enum):
    """How a column's cells give way."""

    WHOLE = "not at all"
    NAME = "cut in the middle of a path, or folded"
    TEXT = "wrapped between words"


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        header: its header; empty in all columns: there is no line of headers.
        kind: how its cells give way.
        rank: 0: it is always there; of the others the highest is left out first.
        right: numbers are aligned at their ends.
    """

    header: str
    kind: ColumnKind = ColumnKind.WHOLE
    rank: int = 0
    right: bool = False


@dataclass
class TextTable:
    """A table; printed by a console's ``print``.

    Attributes:
        columns: in their order.
        rows: as many cells each; markup as rich has it.
    """

    columns: Sequence[Column]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def add(self, *cells: Cell) -> None:
        """Add a row."""
        self.rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bounded = options.max_width < UNBOUNDED
        parts = [_Part.of(console, column, [row[n] for row in self.rows]) for n, column in enumerate(self.columns)]
        laid = _Layout(parts, options.max_width if bounded else None)
        if not laid.fits():
            yield from _records(parts, len(self.rows))
            return
        yield laid.grid(len(self.rows))
        hidden = [part.column.header for part in parts if part not in laid.shown]
        if hidden:
            which = f"not shown at {options.max_width} columns: {', '.join(hidden)}"
            yield Text(f"{which}; COLUMNS=200 before the command shows them", style="dim")


@dataclass(eq=False)
class _Part:
    """A column with its cells, in full and in brief, and the width that it is given."""

    column: Column
    full: list[Text]
    brief: list[Text]
    is_brief: bool = False
    width: int = 0

    @classmethod
    def of(cls, console: Console, column: Column, cells: Sequence[Cell]) -> _Part:
        forms = [cell if isinstance(cell, tuple) else (cell, cell) for cell in cells]
        full, brief = ([console.render_str(form[n]) for form in forms] for n in (0, 1))
        return cls(column, full, brief)

    @property
    def cells(self) -> list[Text]:
        return self.brief if self.is_brief else self.full

    @property
    def natural(self) -> int:
        return max([cell_len(self.column.header), *map(_width, self.cells)])

    def gives_way(self) -> tuple[bool, bool, int]:
        """Return a key by which columns are left out, the highest first: before all others those that hold nothing."""
        rank = self.column.rank
        return rank > 0, not any(cell.plain for cell in self.cells), rank

    def least(self, of_kind: int) -> int:
        """Return how narrow it may be: ``of_kind`` is how narrow names and texts may be. Headers are wrapped."""
        words = max(map(cell_len, self.column.header.split()), default=0)
        content = max(map(_width, self.cells), default=0)
        return max(words, content if self.column.kind is ColumnKind.WHOLE else min(content, of_kind))

    def fitted(self) -> list[Text]:
        """Return the cells as they are shown at the width: paths are cut where all rows still differ."""
        if self.column.kind is not ColumnKind.NAME:
            return self.cells
        cut = {cell.plain: _cut_path(cell.plain, self.width) for cell in self.cells}
        if len(set(cut.values())) < len(cut):
            return self.cells
        return [Text(cut[cell.plain], cell.style) if cut[cell.plain] != cell.plain else cell for cell in self.cells]


class _Layout:
    """Which columns are shown, and how wide.

    Args:
        parts: all columns.
        limit: the terminal's width; ``None``: there is none.
    """

    def __init__(self, parts: Sequence[_Part], limit: int | None) -> None:
        self.shown = list(parts)
        self._limit = limit
        if limit is None:
            self._set(lambda part: part.least(_FIRM) if part.column.kind is ColumnKind.TEXT else part.natural)
            self._grow(_PIPED)
        elif self._total(lambda part: part.natural) <= limit:
            self._set(lambda part: part.natural)
        else:
            narrow = self._shrink(limit)
            self._set(lambda part: part.least(narrow))
            self._grow(limit)

    def fits(self) -> bool:
        """Tell whether the table is as narrow as the terminal."""
        return self._limit is None or self._total(lambda part: part.width) <= self._limit

    def grid(self, n: int) -> Grid:
        """Return the table for rich, ``n`` rows."""
        headers = any(part.column.header for part in self.shown)
        grid = Grid(box=None, pad_edge=False, header_style="bold", show_header=headers)
        for part in self.shown:
            grid.add_column(
                escape(part.column.header),
                justify="right" if part.column.right else "left",
                width=part.width,
                overflow="fold",
            )
        fitted = [part.fitted() for part in self.shown]
        for row in range(n):
            grid.add_row(*(cells[row] for cells in fitted))
        return grid

    def _shrink(self, limit: int) -> int:
        """Show values in brief and leave columns out; return how narrow names and texts have to be."""
        for part in self.shown:
            part.is_brief = True
        while self._total(lambda part: part.least(_FIRM)) > limit and any(part.column.rank for part in self.shown):
            self.shown.remove(max(self.shown, key=_Part.gives_way))
        return _FIRM if self._total(lambda part: part.least(_FIRM)) <= limit else _LEAST

    def _grow(self, limit: int) -> None:
        """Give what room is left to names, then to what was brief and to headers, and to texts at last."""
        for kind in (ColumnKind.NAME, ColumnKind.WHOLE, ColumnKind.TEXT):
            for part in self.shown:
                if part.column.kind is kind:
                    self._widen(part, limit - self._total(lambda part: part.width))

    def _widen(self, part: _Part, room: int) -> None:
        if part.is_brief:
            part.is_brief = False
            part.is_brief = part.least(_FIRM) > part.width + room
        part.width = max(part.width, min(part.natural, part.width + room))

    def _set(self, width: Callable[[_Part], int]) -> None:
        for part in self.shown:
            part.width = width(part)

    def _total(self, width: Callable[[_Part], int]) -> int:
        return sum(map(width, self.shown)) + _GAP * (len(self.shown) - 1)


def _records(parts: Sequence[_Part], n: int) -> Iterator[Text]:
    """Yield each row as lines of "header: value", for terminals that are narrower than what must be whole."""
    for row in range(n):
        if row:
            yield Text()
        for part in parts:
            if part.full[row].plain:
                header = f"{part.column.header}: " if part.column.header else ""
                yield Text.assemble((header, "bold"), part.full[row], overflow="fold")


def _width(text: Text) -> int:
    return max(map(cell_len, text.plain.split("\n")))


def _cut_path(name: str, width: int) -> str:
    """Return a name without the middle of its longest path, if that makes it fit; as it is otherwise."""
    paths = re.findall(r"[^\s,;=@]*/[^\s,;=@]*", name)
    longest = max(paths, key=len, default="")
    room = width - (cell_len(name) - cell_len(longest))
    if cell_len(name) <= width or room < _PATH:
        return name
    tail = 2 * (room - 1) // 3  # the file's name says more than the disk's
    return name.replace(longest, f"{longest[: room - 1 - tail]}{_CUT}{longest[-tail:]}", 1)
