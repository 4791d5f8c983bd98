"""Figures of reports as Plotly's Python figures, in the colours of the pages' light theme."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from hwnas.search.report.figures import (
    Figure,
    Trace,
    axis,
    by_status,
    colour,
    error_bars,
    points,
    symbol,
    text,
)
from hwnas.search.report.search import networks_shown
from hwnas.search.report.search_figures import pairs, projection
from hwnas.search.report.study_view import StudyView
from hwnas.search.report.transfer import network_shown
from hwnas.search.report.transfer_figures import drawn_rows, front_figure
from hwnas.search.words import shortened
from hwnas.supernets.errors import UsageError, suggestion

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Of one network of a page: what its hover says.
Network = Mapping[str, Any]


def plotly_figure(figure: Figure, networks: Sequence[Network] | Mapping[int, Network]) -> go.Figure:
    """Return a figure that can be shown, changed and saved.

    Args:
        figure: of a page.
        networks: what the hover shows, by row number; see ``hwnas.search.report.page.render``.
    """
    import plotly.graph_objects as go

    traces = [_with_hover(_painted(trace), networks) for trace in figure.data]
    layout = {"title": {"text": text(figure.title)}, "height": figure.height, **_painted(dict(figure.layout))}
    return go.Figure(data=traces, layout={"template": "plotly_white", "hovermode": "closest", **layout})


def _with_hover(trace: dict[str, Any], networks: Sequence[Network] | Mapping[int, Network]) -> dict[str, Any]:
    if "customdata" not in trace:
        return trace
    hover = ["<br>".join(text(line) for line in networks[row]["lines"]) for row in trace["customdata"]]
    return {**trace, "text": hover, "hovertemplate": "%{text}<extra></extra>"}


def _painted(value: Any, key: str = "") -> Any:
    """Return a part of a figure with colours in place of roles, as the page's script does."""
    if isinstance(value, Mapping):
        return {name: _painted(entry, name) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_painted(entry, key) for entry in value]
    expected = key.endswith("color") or key == "colorscale"
    return _roles()[value[1:]] if expected and isinstance(value, str) and value.startswith("@") else value


@cache
def _roles() -> dict[str, str]:
    """Return the colours of the light theme, which the style sheet gives first, by role."""
    style = resources.files("hwnas.search.report").joinpath("assets", "page.css").read_text(encoding="utf-8")
    light = style.partition("@media")[0]
    return dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", light))


def study_figure(result: Mapping[str, Any], x: str | None = None, y: str | None = None) -> go.Figure:
    """Return the evaluations and the front of a study, two objectives against each other.

    Args:
        result: as ``hwnas search --json`` writes it.
        x: the objective across; ``None``: the first that is minimised.
        y: the objective upwards; ``None``: another.

    Raises:
        UsageError: the study has no such objective, or only one.
    """
    seen = StudyView(result)
    for name in (x, y):
        if name is not None and name not in seen.names:
            raise UsageError(f"plot: unknown objective {name!r}{suggestion(name, seen.names)}")
    wanted = [(a, b) for a, b in _both_ways(pairs(seen)) if x in {None, seen.names[a]} and y in {None, seen.names[b]}]
    if not wanted:
        raise UsageError(f"plot: expected two different objectives of {', '.join(seen.names)}, got {x!r} and {y!r}")
    return plotly_figure(projection(seen, *wanted[0]), networks_shown(seen))


def _both_ways(found: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [*found, *((b, a) for a, b in found)]


def transfer_figure(result: Mapping[str, Any], platform: str | None = None) -> go.Figure:
    """Return every platform's front as it was measured on one of them.

    Args:
        result: as ``hwnas transfer --json`` writes it.
        platform: on which; ``None``: the first.

    Raises:
        UsageError: the result has no such platform.
    """
    platforms = list(result["platforms"])
    if platform is not None and platform not in platforms:
        raise UsageError(f"plot: unknown platform {platform!r}{suggestion(platform, platforms)}")
    target = 0 if platform is None else platforms.index(platform)
    rows, quality = result["rows"], result["quality"]
    networks = {number: network_shown(rows[number], platforms, quality) for number in drawn_rows(result)}
    return plotly_figure(front_figure(result, quality, target), networks)


def profile_figure(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Return the latency of each network on each platform, with its interval.

    Args:
        rows: ``measurements`` of what ``hwnas profile --json`` writes.
    """
    short = shortened(str(row["key"]) for row in rows)
    keys = list(dict.fromkeys(str(row["key"]) for row in rows))
    traces: list[Trace] = []
    for number, platform in enumerate(dict.fromkeys(row["platform"] for row in rows)):
        here = [row for row in rows if row["platform"] == platform and row["latency_ms"]["value"] is not None]
        values = [row["latency_ms"]["value"] for row in here]
        bounds = [_bounds(row["latency_ms"]) for row in here]
        trace = points(
            platform,
            [short[str(row["key"])] for row in here],
            values,
            [keys.index(str(row["key"])) for row in here],
            marker={"color": colour(number), "symbol": symbol(number), "size": 8},
            error_y=error_bars(values, bounds, colour(number)),
        )
        traces += by_status(trace, [row["status"] == "unstable" for row in here])
    networks = {number: {"lines": [key]} for number, key in enumerate(keys)}
    layout = {"xaxis": axis("sub-network", type="category"), "yaxis": axis("latency (ms)", rangemode="tozero")}
    return plotly_figure(Figure("latency", "Latency", "", traces, layout), networks)


def _bounds(latency: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = latency.get("ci_low"), latency.get("ci_high")
    return None if low is None or high is None else (low, high)
