"""How objects show themselves: one line in a shell, a small table in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

# How many digits of a key are shown at its beginning and its end.
HEAD, TAIL = 8, 7
# A notebook's cell shows as many rows; the rest is in what the object returns.
_ROWS = 20


def short_key(key: str, head: int = HEAD, tail: int = TAIL) -> str:
    """Return a sub-network's key without its middle; a name, which no key is, stays whole."""
    return (
        key if len(key) <= head + tail + 1 or not key.isalnum() else f"{key[:head]}\N{HORIZONTAL ELLIPSIS}{key[-tail:]}"
    )


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 evaluation", "20 evaluations"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def html_table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table for a notebook; what it holds is shown as it is, not as HTML, and a long table's end left out."""
    every = list(rows)
    head = "".join(f"<th>{_text(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in every[:_ROWS])
    more = f"<p>and {len(every) - _ROWS} more</p>" if len(every) > _ROWS else ""
    return (
        f"<table><caption>{_text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"
    )


def _text(cell: object) -> str:
    return html.escape("" if cell is None else str(cell))
