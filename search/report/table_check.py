"""The page of a table's check: its sums against sub-networks that were measured end to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.search.report.figures import Figure, PageTable, Trace, axis, colour, error_bars, points, rounded, symbol
from hwnas.search.report.page import render
from hwnas.search.words import number, shortened

_KINDS = (("plain_ms", "plain sums"), ("corrected_ms", "corrected sums"))


def table_check_page(result: Mapping[str, Any]) -> str:
    """Return the page of a check.

    Args:
        result: as ``hwnas lut check --json`` writes it.
    """
    short = shortened(str(row["key"]) for row in result["rows"])
    rows = [row | {"label": short[str(row["key"])]} for row in result["rows"]]
    figure = _figure(rows)
    correction = result["correction"]
    return render(
        "figures.html",
        [figure],
        [{"config": [], "lines": [row["label"], *_said(row)]} for row in rows],
        kind="table check",
        title=f"A table of {result['supernet']}, checked",
        heading="How well do sums of blocks predict whole networks?",
        verdict=list(_words(result)),
        about=[
            ("Super-network", result["supernet"]),
            ("Measured on", result["platform"]),
            ("Sub-networks", len(rows) - result["n_calibration"]),
        ],
        quality=None,
        found="Predicted against measured",
        shown=[figure],
        tables=[("Scores", _scores(result))],
        reasons=[f"did not converge: {reason}" for reason in result["unconverged"]],
        details=[("Correction", [(name, number(value)) for name, value in correction.items()])] if correction else [],
    )


def _said(row: Mapping[str, Any]) -> list[str]:
    low, high = row["interval_ms"]
    measured = f"measured {number(row['measured_ms'])} ms [{number(low)}, {number(high)}]"
    return [measured, *(f"{name} {number(row[key])} ms" for key, name in _KINDS if row[key] is not None)]


def _figure(rows: list[dict[str, Any]]) -> Figure:
    """Predictions against measurements; what a correction was fitted on is no prediction, and is left out."""
    held_out = [(number_, row) for number_, row in enumerate(rows) if not row["calibration"]]
    data: list[Trace] = []
    for place, (key, name) in enumerate(_KINDS):
        known = [(number_, row) for number_, row in held_out if row[key] is not None]
        if known:
            x = [row["measured_ms"] for _, row in known]
            bars = error_bars(x, [tuple(row["interval_ms"]) for _, row in known], colour(place))
            marker = {"color": colour(place), "symbol": symbol(place), "size": 7}
            y = [row[key] for _, row in known]
            data.append(points(name, x, y, [number_ for number_, _ in known], marker=marker, error_x=bars))
    values = [row[key] for _, row in held_out for key in ("measured_ms", *dict(_KINDS)) if row[key] is not None]
    ends = rounded([min(values), max(values)]) if values else []
    data.append(
        {
            "type": "scatter", "mode": "lines", "name": "as measured", "x": ends, "y": ends, "hoverinfo": "skip",
            "line": {"color": "@muted", "dash": "dot", "width": 1.5},
        }
    )  # fmt: skip
    return Figure(
        id="predicted",
        title="Predicted against measured",
        says="Each point is a sub-network that no correction was fitted on. On the dotted line the table is exact.",
        data=data,
        layout={"xaxis": axis("measured (ms)"), "yaxis": axis("predicted (ms)")},
        table=_table(rows),
        height=460,
    )


def _scores(result: Mapping[str, Any]) -> PageTable:
    kinds = [(name, result[key.removesuffix("_ms")]) for key, name in _KINDS]
    rows = [
        [name, one["n"], one["mape_percent"], one["bias_percent"], one["kendall_tau"]] for name, one in kinds if one
    ]
    return PageTable(["prediction", "sub-networks", "MAPE (%)", "bias (%)", "Kendall tau"], rows)


def _table(rows: list[dict[str, Any]]) -> PageTable:
    columns = ["sub-network", "measured (ms)", "from", "to", "plain sum (ms)", "corrected (ms)", "fitted on"]
    return PageTable(
        columns,
        [
            [
                row["label"],
                row["measured_ms"],
                *row["interval_ms"],
                row["plain_ms"],
                row["corrected_ms"],
                "yes" if row["calibration"] else "no",
            ]
            for row in rows
        ],
    )


def _words(result: Mapping[str, Any]) -> Iterator[str]:
    plain, corrected = result["plain"], result["corrected"]
    yield f"Plain sums are off by {number(plain['mape_percent'])} % in the mean{_order(plain)}."
    if corrected is None:
        yield "The table has no correction: --calibrate 20 fits one."
    else:
        yield f"Corrected, they are off by {number(corrected['mape_percent'])} %{_order(corrected)}."
    if result["unconverged"]:
        yield f"{len(result['unconverged'])} of the measurements did not converge: the errors contain their noise."


def _order(scores: Mapping[str, Any]) -> str:
    tau = scores["kendall_tau"]
    return "" if tau is None else f", and order sub-networks as measuring does with Kendall tau {tau:.3f}"
