"""The figures of a study: evaluations and front, the front over all objectives, hypervolume over evaluations."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.search.report.figures import (
    SCALE,
    Cell,
    Figure,
    PageTable,
    Trace,
    axis,
    by_status,
    error_bars,
    hollow_key,
    points,
    staircase,
    text,
)
from hwnas.search.report.study_view import StudyView
from hwnas.search.words import number
from hwnas.supernets.shown import counted
from hwnas.supernets.values import json_numbers

# As many lines as can still be distinguished; of a larger front every so many-th is drawn.
_MAX_LINES = 60


def pairs(seen: StudyView) -> list[tuple[int, int]]:
    """Return the columns to draw against each other, the minimised one of two across."""
    found = list(itertools.combinations(range(len(seen.objectives)), 2))
    return [
        (b, a) if seen.objectives[a]["maximise"] and not seen.objectives[b]["maximise"] else (a, b) for a, b in found
    ]


def projection(seen: StudyView, a: int, b: int) -> Figure:
    """All evaluations by iteration and the front, two objectives against each other."""
    on_front = set(seen.front)
    drawn = [row for row in range(len(seen.evaluations)) if np.isfinite(seen.values[row, [a, b]]).all()]
    good = [row for row in drawn if seen.feasible[row] and row not in on_front]
    beyond = [row for row in drawn if not seen.feasible[row]]
    data: list[Trace] = list(_by_iteration(seen, a, b, good))
    if beyond:
        marker = {"color": "@faint", "symbol": "x-thin", "size": 6, "line": {"width": 1, "color": "@faint"}}
        data.append(
            points("beyond the constraints", seen.column(a, beyond), seen.column(b, beyond), beyond, marker=marker)
        )
    if len(seen.objectives) == 2 and seen.front:
        x_up, y_up = (bool(seen.objectives[column]["maximise"]) for column in (a, b))
        line = staircase(
            seen.values[seen.front, a].tolist(), seen.values[seen.front, b].tolist(), "@ink", x_up=x_up, y_up=y_up
        )
        data.append(line)
    data += _front_points(seen, a, b, scaled=not good)
    data += [hollow_key()] if any(seen.unstable(drawn)) else []
    return Figure(
        id=f"front-{a}-{b}",
        title=f"{seen.names[b]} against {seen.names[a]}",
        says=_drawn_in_words(len(drawn), len(seen.front), len(beyond)) + _models_in_words(seen, a),
        data=data,
        layout={"xaxis": axis(seen.title(a)), "yaxis": axis(seen.title(b)), **_model_lines(seen, a)},
        table=_values(seen, a, b),
        choice=f"{seen.names[b]} against {seen.names[a]}",
        height=500 if len(seen.objectives) == 2 else 420,
    )


def _drawn_in_words(drawn: int, front: int, beyond: int) -> str:
    """Say what the points are, and how those of the front and those that break a constraint look."""
    every = counted(drawn, "evaluation")
    if drawn and beyond == drawn:
        return f"{every}, none of which meets the constraints: crosses."
    outlined = f"; the {front} of the front {'is' if front == 1 else 'are'} outlined" if front else ""
    crosses = (
        f", the {beyond} beyond the constraints {'is a cross' if beyond == 1 else 'are crosses'}" if beyond else ""
    )
    return f"{every}, coloured by the iteration that proposed {'it' if drawn == 1 else 'them'}{outlined}{crosses}."


def _models(seen: StudyView, column: int) -> list[tuple[str, float]]:
    """Return the names of fixed models and their values of an objective, as far as it is known of them."""
    read: dict[str, Callable[[Mapping[str, Any]], float | None]] = {
        "latency": lambda row: row["latency_ms"]["value"],
        "macs": lambda row: row["macs"] / 1e6,
        "params": lambda row: row["params"] / 1e6,
    }
    if seen.names[column] not in read:
        return []
    found = [(str(row["key"]), read[seen.names[column]](row)) for row in seen.result.get("models") or []]
    return [(name, one) for name, one in found if one is not None]


def _model_lines(seen: StudyView, column: int) -> dict[str, Any]:
    """Return what draws a dotted line at each fixed model's value; its quality is not known, so it is no point."""
    lines = [
        {
            "type": "line",
            "x0": value,
            "x1": value,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "line": {"color": "@muted", "width": 1.5, "dash": "dot"},
        }
        for _, value in _models(seen, column)
    ]
    names = [
        {
            "x": value,
            "y": 1,
            "yref": "paper",
            "yanchor": "top",
            "xanchor": "left",
            "text": text(name),
            "showarrow": False,
            "textangle": 90,
            "font": {"size": 11, "color": "@muted"},
        }
        for name, value in _models(seen, column)
    ]
    return {"shapes": lines, "annotations": names} if lines else {}


def _models_in_words(seen: StudyView, column: int) -> str:
    named = [f"{name} at {number(value)}" for name, value in _models(seen, column)]
    return f" Dotted: {', '.join(named)}, whose quality is not known here." if named else ""


def _values(seen: StudyView, *columns: int) -> PageTable:
    """Return the front's values, for a figure's table."""
    rows: list[list[Cell]] = [[row, *(json_numbers(seen.values[row, c]) for c in columns)] for row in seen.front]
    return PageTable(
        ["evaluation", *(seen.title(c) for c in columns)], rows, "The front; the other evaluations are drawn only."
    )


def _by_iteration(seen: StudyView, a: int, b: int, rows: Sequence[int]) -> Iterator[Trace]:
    iterations = [seen.evaluations[row]["iteration"] for row in rows]
    last = max((one["iteration"] for one in seen.evaluations), default=0)
    marker = {
        "color": iterations, "colorscale": SCALE, "cmin": 0, "cmax": max(last, 1), "size": 6.5, "opacity": 0.85,
        "showscale": last > 0, "colorbar": _iteration_bar(last),
    }  # fmt: skip
    trace = points("evaluation", seen.column(a, rows), seen.column(b, rows), rows, marker=marker)
    yield from by_status(trace, seen.unstable(rows))


def _iteration_bar(last: int) -> dict[str, Any]:
    """Return what explains the colours; of the front too, where every evaluation is on it."""
    return {
        "title": {"text": "iteration", "side": "right", "font": {"size": 12, "color": "@muted"}},
        "thickness": 9, "outlinewidth": 0, "len": 0.9, "tickformat": "d", "nticks": min(last + 1, 6),
        "tickfont": {"size": 11, "color": "@muted"},
    }  # fmt: skip


def _front_points(seen: StudyView, a: int, b: int, *, scaled: bool) -> Iterator[Trace]:
    rows = seen.front
    last = max((one["iteration"] for one in seen.evaluations), default=0)
    marker = {
        "color": [seen.evaluations[row]["iteration"] for row in rows], "colorscale": SCALE,
        "cmin": 0, "cmax": max(last, 1), "showscale": scaled and last > 0, "colorbar": _iteration_bar(last),
        "size": 10, "line": {"width": 1.6, "color": "@ink"},
    }  # fmt: skip
    x, y = seen.column(a, rows), seen.column(b, rows)
    bars = {
        "error_x": error_bars(x, seen.bounds(a, rows), "@ink"),  # type: ignore[arg-type]
        "error_y": error_bars(y, seen.bounds(b, rows), "@ink"),  # type: ignore[arg-type]
    }
    yield from by_status(points("front", x, y, rows, marker=marker, **bars), seen.unstable(rows))


def parallel(seen: StudyView) -> Figure:
    """Every network of the front as a line over the objectives, the better end up."""
    rows = seen.front[:: max(1, -(-len(seen.front) // _MAX_LINES))]
    minimised = seen.directions.minimised(seen.values[seen.front])
    low, high = minimised.min(axis=0), minimised.max(axis=0)
    span = np.where(high > low, high - low, 1)
    shades = ["@s0", "@s1", "@s2", "@s3", "@s4"]
    data: list[Trace] = []
    for place, row in enumerate(rows):
        score = (high - seen.directions.minimised(seen.values[row])) / span
        shade = shades[place * len(shades) // len(rows)]
        line = points(
            f"network {row}",
            [text(name) for name in seen.names],
            [round(float(v), 4) for v in score],
            [row] * len(score),
        )
        data.append(
            line
            | {
                "mode": "lines+markers",
                "line": {"width": 1.5, "color": shade, "dash": "dot" if any(seen.unstable([row])) else "solid"},
                "marker": {"size": 6, "color": shade},
                "showlegend": False,
            }
        )
    worst_to_best = zip(seen.directions.shown(high), seen.directions.shown(low), seen.objectives, strict=True)
    ends = [
        f"{number(json_numbers(worst))} to {number(json_numbers(best))} {one['unit']}"
        for worst, best, one in worst_to_best
    ]
    return Figure(
        id="parallel",
        title="The front over all objectives",
        says=f"One line per network, from worst (below) to best (above) on the front; colours follow {seen.names[0]}."
        + (" Dotted lines are of unstable measurements." if any(seen.unstable(rows)) else "")
        + ("" if len(rows) == len(seen.front) else f" {len(rows)} of {len(seen.front)} are drawn."),
        data=data,
        layout={
            "xaxis": {
                "type": "category", "showgrid": True, "tickvals": [text(name) for name in seen.names],
                "ticktext": [f"<b>{text(name)}</b><br>{text(end)}" for name, end in zip(seen.names, ends, strict=True)],
            },
            "yaxis": {"title": {"text": "worse to better"}, "showticklabels": False, "range": [-0.06, 1.06]},
        },
        table=_values(seen, *range(len(seen.names))),
        height=420,
    )  # fmt: skip


def growth(seen: StudyView) -> Figure:
    """Hypervolume after each evaluation."""
    values = seen.hypervolumes()
    x = list(range(1, len(values) + 1))
    starts = [
        index
        for index in range(1, len(seen.evaluations))
        if seen.evaluations[index]["iteration"] != seen.evaluations[index - 1]["iteration"]
    ]
    step = max(1, len(x) // 20)
    sampled = sorted({*range(0, len(x), step), len(x) - 1}) if x else []
    lines = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": s + 0.5,
            "x1": s + 0.5,
            "y0": 0,
            "y1": 1,
            "line": {"color": "@faint", "width": 1, "dash": "dot"},
            "layer": "below",
        }
        for s in starts
    ]
    return Figure(
        id="growth",
        title="Hypervolume over evaluations",
        says="How much the front dominated after each evaluation; dotted lines are where an iteration begins.",
        data=[
            {
                "type": "scatter",
                "mode": "lines",
                "name": "hypervolume",
                "x": x,
                "y": [float(f"{v:.7g}") for v in values],
                "line": {"color": "@p0", "width": 2.4, "shape": "hv"},
                "hovertemplate": "after %{x} evaluations: %{y:.5g}<extra></extra>",
            }
        ],
        layout={
            "xaxis": axis("evaluations"),
            "yaxis": axis("hypervolume", rangemode="tozero"),
            "shapes": lines if len(lines) <= 60 else [],
            "showlegend": False,
        },
        table=PageTable(["evaluations", "hypervolume"], [[x[i], float(values[i])] for i in sampled]),
        height=320,
    )
