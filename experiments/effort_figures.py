"""The figures of an experiment on the effort of measuring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.experiments.claims import ConfidenceInterval, mean_interval
from hwnas.experiments.section import Section
from hwnas.search.report.figures import (
    Cell,
    Figure,
    PageTable,
    Trace,
    axis,
    by_status,
    colour,
    error_bars,
    hollow_key,
    rounded,
    symbol,
    text,
)
from hwnas.search.words import MISSING, number, quality_title
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_number


def sections(data: Mapping[str, Any]) -> list[Section]:
    """Return what the page shows of the data of ``hwnas.experiments.kinds.efforts.run``."""
    lead = (
        f"{data['supernet']} on {data['platform']}. Each search had the time that {data['searches'][0]} took for its "
        "evaluations and its final front. All fronts of a seed were then measured in full, side by side; 1 is the "
        "hypervolume of all of them together."
    )
    found = "What the first seed's searches had found after the longest time, measured in full side by side."
    return [
        Section("Hypervolume after the same time", lead, [_over_time(data)], _summary(data)),
        Section("The fronts", found, [_fronts(data)]),
    ]


def _over_time(data: Mapping[str, Any]) -> Figure:
    traces = []
    for place, name in enumerate(data["searches"]):
        every = [(evals, mean_hypervolume(data, name, evals)) for evals in data["evals"]]
        x = [float(np.mean(over_seeds(data, name, evals, "seconds"))) for evals, _ in every]
        bounds = [None if np.isnan(one.low) else (one.low, one.high) for _, one in every]
        y = [json_number(one.value) for _, one in every]
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": text(name), "x": rounded(x), "y": rounded(y),
                "marker": {"color": colour(place), "symbol": symbol(place), "size": 9},
                "line": {"color": colour(place), "width": 1}, "error_y": error_bars(y, bounds, colour(place)),
                "hovertemplate": "%{x} s: %{y}<extra></extra>",
            }
        )  # fmt: skip
    return Figure(
        id="efforts",
        title="Hypervolume against time",
        says=f"Means over the seeds; bars: 95 % intervals of the mean. {_unstable(data)}",
        data=traces,
        layout={"xaxis": axis("seconds on the clock", rangemode="tozero"), "yaxis": axis("hypervolume of the front")},
        table=_summary(data),
        height=380,
    )


def _unstable(data: Mapping[str, Any]) -> str:
    every = [status for one in data["fronts"] for status in one["status"]]
    return (
        f"Of {len(every)} sub-networks that were measured for it, {every.count('unstable') or 'none'} did not converge."
    )


def _fronts(data: Mapping[str, Any]) -> Figure:
    """Draw the fronts of the first seed by what was measured in the end."""
    shared, title = data["fronts"][0], quality_title(data["quality"])
    row_of = {key: row for row, key in enumerate(shared["keys"])}
    last = [one for one in data["runs"] if (one["seed"], one["evals"]) == (shared["seed"], data["evals"][-1])]
    traces: list[Trace] = []
    rows: list[list[Cell]] = []
    for place, one in enumerate(last):
        drawn = [row for row in (row_of[key] for key in one["front"]) if shared["latency_ms"][row] is not None]
        drawn.sort(key=lambda row: float(shared["latency_ms"][row]))
        x, y, status = ([shared[name][row] for row in drawn] for name in ("latency_ms", "values", "status"))
        trace: Trace = {
            "type": "scatter", "mode": "markers", "name": text(one["search"]), "x": rounded(x), "y": rounded(y),
            "marker": {"color": colour(place), "symbol": symbol(place), "size": 8},
            "hovertemplate": "%{x} ms, %{y}<extra></extra>",
        }  # fmt: skip
        traces += by_status(trace, [each == "unstable" for each in status])
        rows += [
            [one["search"], shared["keys"][row], *row_cells]
            for row, *row_cells in zip(drawn, x, y, status, strict=True)
        ]
    hollow = [hollow_key()] if any(row[-1] == "unstable" for row in rows) else []
    return Figure(
        id="fronts",
        title="What each has found",
        says="Values of one batch, by the search that found the sub-network.",
        data=[*traces, *hollow],
        layout={"xaxis": axis("latency (ms)"), "yaxis": axis(title)},
        table=PageTable(["search", "network", "latency (ms)", title, "status"], rows),
        height=420,
    )


def mean_hypervolume(data: Mapping[str, Any], search: str, evals: int) -> ConfidenceInterval:
    """Return the mean over the seeds of the hypervolume of a search's fronts, with its interval."""
    return mean_interval(over_seeds(data, search, evals, "hypervolume"))


def _summary(data: Mapping[str, Any]) -> PageTable:
    rows: list[list[Cell]] = []
    for evals in data["evals"]:
        for name in data["searches"]:
            found = mean_hypervolume(data, name, evals)
            seconds, evaluations = (
                float(np.mean(over_seeds(data, name, evals, one))) for one in ("seconds", "evaluations")
            )
            sure = "" if np.isnan(found.low) else f" ({found.low:.3f} to {found.high:.3f})"
            value = MISSING if np.isnan(found.value) else f"{found.value:.3f}{sure}"
            rows.append([name, f"{seconds:.0f}", number(evaluations, 3), value])
    return PageTable(["search", "seconds", "evaluations", "hypervolume of its front"], rows, "Means over the seeds.")


def over_seeds(data: Mapping[str, Any], search: str, evals: int, what: str) -> FloatArray:
    """Return a quantity of a search over the seeds, ``(n_seeds,)``."""
    return np.array(
        [one[what] for one in data["runs"] if one["search"] == search and one["evals"] == evals], dtype=np.float64
    )
