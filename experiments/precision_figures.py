"""The figures of experiments of the kind ``precisions``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

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
)
from hwnas.search.words import quality_title
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_number


def factors(platform: Mapping[str, Any]) -> FloatArray:
    """Return how many times as fast each sub-network is, ``(n,)``; nan where one of the two failed."""
    full, reduced = (np.array(platform["rows"][key]["latency_ms"], dtype=np.float64) for key in ("full", "reduced"))
    return np.asarray(full / reduced, dtype=np.float64)


def latency_figure(number: int, platform: Mapping[str, Any], data: Mapping[str, Any]) -> Figure:
    """Return quality against latency on a platform, in both precisions."""
    quality = data["quality"]
    traces: list[Trace] = []
    rows: list[list[Cell]] = []
    keyed = False
    for place, (key, name) in enumerate((("full", "fp32"), ("reduced", data["precision"]))):
        found = platform["rows"][key]
        there = [row for row, value in enumerate(found["latency_ms"]) if value is not None]
        values = quality_values(platform, key, data)
        x, y = [found["latency_ms"][row] for row in there], [values[row] for row in there]
        pairs = [found["interval_ms"][row] for row in there]
        bounds = [None if None in pair else pair for pair in pairs]
        unstable = [found["status"][row] == "unstable" for row in there]
        traces += by_status(
            {
                "type": "scatter", "mode": "markers", "name": name, "x": rounded(x), "y": rounded(y),
                "marker": {"color": colour(place), "symbol": symbol(place), "size": 8},
                "error_x": error_bars(x, bounds, colour(place)), "hovertemplate": "%{x} ms, %{y}<extra></extra>",
            },
            unstable,
        )  # fmt: skip
        keyed = keyed or any(unstable)
        rows += [
            [name, data["keys"][row], found["latency_ms"][row], values[row], found["status"][row]] for row in there
        ]
    title = quality_title(quality)
    return Figure(
        id=f"precisions-{number}",
        title=platform["platform"],
        says="Bars are the measurements\u2019 intervals.",
        data=[*traces, *([hollow_key()] if keyed else [])],
        layout={"xaxis": axis("latency (ms)"), "yaxis": axis(title)},
        table=PageTable(["precision", "network", "latency (ms)", title, "status"], rows),
        choice=platform["platform"],
        height=420,
    )


def quality_values(platform: Mapping[str, Any], key: str, data: Mapping[str, Any]) -> list[Any]:
    """Return the quality in full or in reduced precision; where that is not known, it is that of full precision."""
    found: list[Any] = platform.get("values", data["values"]) if key == "reduced" else data["values"]
    return found


def gains_figure(data: Mapping[str, Any]) -> Figure:
    """Return how many times as fast each sub-network is on each platform, against its MACs."""
    macs = [count / 1e6 for count in data["macs"]]
    traces: list[Trace] = []
    columns, keyed = [], False
    for place, platform in enumerate(data["platforms"]):
        columns.append([json_number(one) for one in factors(platform)])
        unstable = [
            "unstable" in pair for pair in zip(*(one["status"] for one in platform["rows"].values()), strict=True)
        ]
        traces += by_status(
            {
                "type": "scatter", "mode": "markers", "name": platform["platform"], "x": rounded(macs),
                "y": rounded(columns[-1]), "marker": {"color": colour(place), "symbol": symbol(place), "size": 8},
                "hovertemplate": "%{x} M MACs: %{y} times<extra></extra>",
            },
            unstable,
        )  # fmt: skip
        keyed = keyed or any(unstable)
    rows: list[list[Cell]] = [[key, *(column[row] for column in columns)] for row, key in enumerate(data["keys"])]
    return Figure(
        id="gains",
        title=f"{data['precision']} against fp32",
        says="Latency in fp32 over that of the same sub-network in reduced precision.",
        data=[*traces, *([hollow_key()] if keyed else [])],
        layout={"xaxis": axis("MACs (M)"), "yaxis": axis("times as fast")},
        table=PageTable(["network", *(platform["platform"] for platform in data["platforms"])], rows),
    )
