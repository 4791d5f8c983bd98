"""The figures of a comparison experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.search.report.compare import curves_figure, surface_figures
from hwnas.search.report.figures import (
    SCALE,
    Cell,
    Figure,
    PageTable,
    Trace,
    axis,
    colour,
    rounded,
    staircase,
    symbol,
    text,
)
from hwnas.search.words import MISSING, number, objective_title


def curves(data: Mapping[str, Any]) -> Section:
    """Hypervolume over evaluations, a figure per problem."""
    figures = [
        replace(curves_figure(problem), id=f"curves-{name}", title=problem["title"], choice=problem["title"])
        for name, problem in data["problems"].items()
    ]
    lead = "An evaluation is one sub-network with its objectives known, never a prediction of the search\u2019s own."
    return Section("Hypervolume over evaluations", lead, figures, label="Problem")


def surfaces(data: Mapping[str, Any]) -> Section | None:
    """Attainment surfaces, a figure per problem and pair of objectives."""
    figures = [
        replace(figure, id=f"{figure.id}-{name}", title=f"{problem['title']}: {figure.choice}", choice=problem["title"])
        for name, problem in data["problems"].items()
        for figure in surface_figures(problem, _quality(problem))
    ]
    lead = "A point is attained by a run that found something at least as good in every objective."
    return Section("What a run can be expected to find", lead, figures, label="Problem") if figures else None


def progress(data: Mapping[str, Any]) -> Section:
    """Where each algorithm's evaluations lie in objective space, by iteration."""
    figures = []
    for name, problem in data["problems"].items():
        x, y = _across_and_up(problem)
        ranges = _ranges(problem, x, y)
        figures += [
            _progress(f"{name}-{place}", problem, one, x, y, ranges) for place, one in enumerate(problem["algorithms"])
        ]
    lead = "One search of each algorithm, its first seed; the axes are the same for all. The line bounds its front."
    return Section("Progress in objective space", lead, figures, label="Search")


def _progress(
    key: str,
    problem: Mapping[str, Any],
    one: Mapping[str, Any],
    x: Mapping[str, Any],
    y: Mapping[str, Any],
    ranges: Sequence[Sequence[float]],
) -> Figure:
    run = one["progress"]
    xs, ys = run["values"][x["name"]], run["values"][y["name"]]
    last = max(run["iteration"], default=0)
    marker = {
        "color": run["iteration"], "colorscale": SCALE, "cmin": 0, "cmax": max(last, 1), "size": 6, "opacity": 0.85,
        "showscale": last > 0,
        "colorbar": {
            "title": {"text": "iteration", "side": "right", "font": {"size": 12, "color": "@muted"}}, "thickness": 9,
            "outlinewidth": 0, "len": 0.9, "tickfont": {"size": 11, "color": "@muted"},
        },
    }  # fmt: skip
    front = [place for place, on in enumerate(run["front"]) if on]
    line = staircase([xs[i] for i in front], [ys[i] for i in front], "@ink", x_up=x["maximise"], y_up=y["maximise"])
    dots: Trace = {
        "type": "scatter", "mode": "markers", "name": "evaluation", "x": rounded(xs), "y": rounded(ys),
        "marker": marker, "showlegend": False, "hovertemplate": "%{x}, %{y}<extra></extra>",
    }  # fmt: skip
    rows: list[list[Cell]] = [[xs[i], ys[i], run["iteration"][i]] for i in sorted(front, key=lambda i: xs[i])]
    quality = _quality(problem)
    return Figure(
        id=f"progress-{key}",
        title=f"{problem['title']}: {one['name']}",
        says=f"{len(xs)} evaluations of seed {run['seed']}, by the iteration that proposed them.",
        data=[dots, line],
        layout={
            "xaxis": axis(objective_title(x, quality), range=list(ranges[0])),
            "yaxis": axis(objective_title(y, quality), range=list(ranges[1])),
            "showlegend": False,
        },
        table=PageTable([objective_title(x, quality), objective_title(y, quality), "iteration"], rows, "The front."),
        choice=f"{problem['title']}: {one['name']}",
        height=360,
    )


def thresholds(data: Mapping[str, Any], published: PublishedFigures | None) -> Section | None:
    """Evaluations to thresholds, ours and the published ones."""
    rows = [row for name, problem in data["problems"].items() for row in _threshold_rows(name, problem, published)]
    if not rows:
        return None
    names = list(data["algorithms"])
    drawn = [_threshold_trace(name, place, rows, ours) for place, name in enumerate(names) for ours in (True, False)]
    traces = [trace for trace in drawn if trace["x"]]
    figure = Figure(
        id="thresholds",
        title="Evaluations to a hypervolume",
        says="Filled: ours, until the mean over the seeds is there; bars: from the quickest seed to the slowest. "
        + ("Open: the paper\u2019s. " if published and published.thresholds else "")
        + "What is missing was not reached.",
        data=traces,
        layout={
            "xaxis": axis("evaluations", type="log", dtick=1),
            "yaxis": {
                "type": "category",
                "autorange": "reversed",
                "title": {"text": ""},
                "categoryorder": "array",
                "categoryarray": [text(row["label"]) for row in rows],
            },
        },
        height=130 + 46 * len({row["label"] for row in rows}),
    )
    lead = (
        "Until the mean over the seeds is there. A threshold is what the named algorithm\u2019s mean reached"
        f"{_after(data)}. Seconds are those on the clock until then, evaluating and the search\u2019s own work."
    )
    if published and published.thresholds:
        lead += f" The paper\u2019s: {published.source}. {published.left_out}"
    held = PageTable(
        ["", "normalised hypervolume", *names],
        [[row["label"], f"{row['value']:.3f}", *(_reached(row, name) for name in names)] for row in rows],
        f"{published.source}: {published.says}" if published and published.thresholds else "",
    )
    return Section("Evaluations to reach a hypervolume", lead, [figure], held)


def _after(data: Mapping[str, Any]) -> str:
    after = data.get("thresholds_after")
    return " with all of its evaluations" if after is None else f" with {number(after)} evaluations"


def _threshold_rows(name: str, problem: Mapping[str, Any], published: PublishedFigures | None) -> list[dict[str, Any]]:
    rows = []
    theirs = published.thresholds.get(name, ()) if published else ()
    for place, threshold in enumerate(problem["thresholds"]):
        by = f"what {' and '.join(threshold['by'])} reached" if threshold["by"] else f"{threshold['value']:.3f}"
        label = f"{problem['title']}: {by}"
        ours = {one["name"]: (one["evaluations"], one["per_seed"], one["time_s"]) for one in threshold["reached"]}
        rows.append({"label": label, "value": threshold["value"], "ours": True, "reached": ours})
        if place < len(theirs):
            reached = {one: (n, None, None) for one, n in theirs[place].evaluations.items()}
            paper = {"label": f"{label} (paper)", "value": theirs[place].hypervolume}
            rows.append({**paper, "ours": False, "reached": reached})
    return rows


def _threshold_trace(name: str, place: int, rows: Sequence[Mapping[str, Any]], ours: bool) -> Trace:
    there = [row for row in rows if row["ours"] is ours and row["reached"].get(name, (None,))[0]]
    x = [row["reached"][name][0] for row in there]
    trace: Trace = {
        "type": "scatter", "mode": "markers", "name": text(f"{name} (paper)" if not ours else name), "x": x,
        "y": [text(row["label"]) for row in there],
        "marker": {
            "color": colour(place), "symbol": symbol(place) + ("" if ours else "-open"), "size": 11,
            "line": {"width": 2, "color": colour(place)},
        },
        "hovertemplate": "%{x} evaluations<extra></extra>",
    }  # fmt: skip
    if ours:
        ends = [[n for n in row["reached"][name][1] if n] for row in there]
        trace["error_x"] = {
            "type": "data", "symmetric": False, "color": colour(place), "thickness": 1, "width": 3,
            "array": [max(0, max(seeds, default=n) - n) for seeds, n in zip(ends, x, strict=True)],
            "arrayminus": [max(0, n - min(seeds, default=n)) for seeds, n in zip(ends, x, strict=True)],
        }  # fmt: skip
    return trace


def _reached(row: Mapping[str, Any], name: str) -> Cell:
    n, seeds, time_s = row["reached"].get(name, (None, None, None))
    if n is None:
        return MISSING
    clock = "" if time_s is None else f"; {number(time_s, 2)} s"
    there = [one for one in seeds or () if one]
    if not there:
        return f"{number(n)}{clock}"
    every = "" if len(there) == len(seeds) else f", {len(there)} of {len(seeds)} seeds"
    return f"{number(n)} ({number(min(there))} to {number(max(there))}{every}){clock}"


def times(data: Mapping[str, Any], published: PublishedFigures | None) -> Section:
    """Where the time of the searches went."""
    rows: list[list[Cell]] = [
        [
            problem["title"],
            one["name"],
            max(run["evaluations"] for run in one["runs"]),
            round(one["time_s"]["measure"], 2),
            round(one["time_s"]["search"], 2),
        ]
        for problem in data["problems"].values()
        for one in problem["algorithms"]
    ]
    note = ""
    if published and published.seconds:
        listing = ", ".join(f"{name} {number(seconds)} s" for name, seconds in published.seconds.items())
        note = f"The paper: {listing} ({published.seconds_note}; {published.source})."
    columns = ["problem", "algorithm", "evaluations", "evaluating (s)", "own work (s)"]
    return Section("Time", "Means over the seeds, one thread each.", table=PageTable(columns, rows, note))


def _quality(problem: Mapping[str, Any]) -> Mapping[str, Any]:
    none = {"metric": "", "unit": "", "predicted": False, "note": "", "source": ""}
    return problem.get("quality") or none


def _across_and_up(problem: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return the first two objectives, what is minimised across."""
    a, b = (list(problem["objectives"]) * 2)[:2]
    return (b, a) if a["maximise"] and not b["maximise"] else (a, b)


def _ranges(problem: Mapping[str, Any], x: Mapping[str, Any], y: Mapping[str, Any]) -> list[list[float]]:
    """Return axes that hold every algorithm's points, with a margin."""
    ranges = []
    for objective in (x, y):
        values = [v for one in problem["algorithms"] for v in one["progress"]["values"][objective["name"]]]
        margin = 0.04 * (max(values) - min(values) or 1.0)
        ranges.append([min(values) - margin, max(values) + margin])
    return ranges
