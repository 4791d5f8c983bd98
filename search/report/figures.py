"""Figures as plain data: what Plotly.js draws, what is said about it, and the table that holds the same.

A figure names colours by role (``"@p0"``, ``"@ink"``) and networks by row number (``customdata``); the page's script
puts in the colours of the reader's light or dark theme and the configs for the hover text.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Trace = dict[str, Any]


class Command(str):
    """A cell that is a command line, which the reader may copy."""

    __slots__ = ()


Cell = str | float | int | None

# Twelve platforms have a colour of their own; symbols repeat at another period, so that pairs stay apart beyond that.
PALETTE_SIZE = 12
# From the first iteration to the last, readable without telling red from green.
SCALE = [[0, "@s0"], [0.25, "@s1"], [0.5, "@s2"], [0.75, "@s3"], [1, "@s4"]]

# How thick a hollow point is drawn, and the lists of a trace that have no entry per point.
_HOLLOW = 1.6
_NOT_PER_POINT = ("colorscale",)

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "pentagon", "hexagon", "triangle-down")


@dataclass(frozen=True)
class PageTable:
    """Rows under headings.

    Attributes:
        columns: the headings, units included.
        rows: one cell per column; ``None`` is shown as a dash.
        note: what is left out, if anything.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Figure:
    """One figure of a page.

    Attributes:
        id: unique within the page.
        title: shown above.
        says: one or two sentences: what is seen.
        data: Plotly traces.
        layout: what differs from the page's own layout.
        table: the same as text.
        choice: the label under which a figure of a group is chosen.
        height: pixels.
        platforms: whose figure it is; it is hidden with any of them.
    """

    id: str
    title: str
    says: str
    data: Sequence[Trace]
    layout: Mapping[str, Any] = field(default_factory=dict)
    table: PageTable | None = None
    choice: str = ""
    height: int = 400
    platforms: tuple[int, ...] = ()

    def drawn(self) -> dict[str, Any]:
        """Return what the page's script needs."""
        return {"data": list(self.data), "layout": dict(self.layout)}


def text(given: object) -> str:
    """Return ``given`` so that Plotly, which understands some HTML in its texts, shows it as it is."""
    return html.escape(str(given), quote=False)


def rounded(values: Sequence[Cell]) -> list[Cell]:
    """Return numbers to five digits: more cannot be drawn, and a page of many points stays small."""
    return [float(f"{value:.5g}") if isinstance(value, float) else value for value in values]


def colour(number: int) -> str:
    """Name the colour of platform or algorithm ``number``."""
    return f"@p{number % PALETTE_SIZE}"


def symbol(number: int) -> str:
    """Return the marker of platform or algorithm ``number``."""
    return SYMBOLS[number % len(SYMBOLS)]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with its title."""
    return {"title": {"text": text(title)}, **more}


def points(name: str, x: Sequence[Cell], y: Sequence[Cell], rows: Sequence[int], **more: Any) -> Trace:
    """Return markers whose hover shows the network of each row."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": text(name),
        "x": rounded(x),
        "y": rounded(y),
        "customdata": list(rows),
        **more,
    }


def by_status(trace: Trace, unstable: Sequence[bool]) -> Iterator[Trace]:
    """Draw points as two traces: those that are unstable are hollow. The legend names them once.

    Args:
        trace: as ``points`` makes it; its lists have one entry per point.
        unstable: of each point.
    """
    for hollow in (False, True):
        chosen = [place for place, one in enumerate(unstable) if one is hollow]
        part = _chosen(trace, chosen)
        if hollow:
            part["marker"] = {**part["marker"], "symbol": f"{part['marker'].get('symbol', 'circle')}-open"}
            part["marker"]["line"] = {"width": _HOLLOW}
        if chosen or (not hollow and not any(unstable)):
            named = not hollow or len(chosen) == len(unstable)
            group = {"legendgroup": trace.get("legendgroup", trace["name"])}
            yield part | group | ({} if named else {"showlegend": False})


def hollow_key(says: str = "hollow: unstable") -> Trace:
    """Return an entry of the legend that explains hollow points; it draws nothing."""
    marker = {"symbol": "circle-open", "color": "@muted", "size": 8, "line": {"width": _HOLLOW}}
    return {"type": "scatter", "mode": "markers", "name": says, "x": [None], "y": [None], "marker": marker}


def _chosen(value: Any, places: Sequence[int], key: str = "") -> Any:
    """Return a trace with some of its points only."""
    if isinstance(value, dict):
        return {name: _chosen(entry, places, name) for name, entry in value.items()}
    per_point = isinstance(value, list) and key not in _NOT_PER_POINT
    return [value[place] for place in places] if per_point else value


def staircase(
    x: Sequence[float], y: Sequence[float], color: str, *, x_up: bool = False, y_up: bool = True, **more: Any
) -> Trace:
    """Return the line that bounds what the points dominate; ``x_up`` and ``y_up``: more is better."""
    signs = -1 if x_up else 1, 1 if y_up else -1
    corners: list[tuple[float, float]] = []
    for px, py in sorted(zip(x, y, strict=True), key=lambda point: (signs[0] * point[0], -signs[1] * point[1])):
        if not corners or signs[1] * py > signs[1] * corners[-1][1]:
            corners.append((px, py))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [px for px, _ in corners],
        "y": [py for _, py in corners],
        "line": {"shape": "hv", "width": 1.5, "color": color},
        "hoverinfo": "skip",
        "showlegend": False,
        **more,
    }


def error_bars(values: Sequence[float | None], bounds: Sequence[Sequence[Any] | None], color: str) -> dict[str, Any]:
    """Return Plotly's error bars from absolute bounds; a point without bounds has none."""
    pairs = [
        (high - value, value - low) if value is not None else (0, 0)
        for value, (low, high) in zip(
            values, (b or (v or 0, v or 0) for v, b in zip(values, bounds, strict=True)), strict=True
        )
    ]
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(max(up, 0), 9) for up, _ in pairs],
        "arrayminus": [round(max(down, 0), 9) for _, down in pairs],
        "color": color,
        "thickness": 1,
        "width": 2,
    }
