"""The page of a predictor study: error and rank correlation over the number of examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwnas.search.report.figures import Figure, PageTable, Trace, axis, colour, symbol, text
from hwnas.search.report.page import render
from hwnas.supernets.space import FloatArray

_MEASURES = (("mape", "Error", "MAPE (%)"), ("tau", "Rank correlation", "Kendall tau"))


def predictors_page(result: Mapping[str, Any]) -> str:
    """Return the page of a predictor study.

    Args:
        result: as ``hwnas predictors --json`` writes it.
    """
    figures = [curve_figure(result, *measure) for measure in _MEASURES]
    return render(
        "predictors.html",
        figures,
        [],
        title=f"Predictors of {result['target']} on {result['supernet']}",
        result=result,
        trials=len(result["predictors"][0]["mape"][0]),
        curves=figures,
        verdict=list(_words(result)),
    )


def curve_figure(result: Mapping[str, Any], measure: str, title: str, unit: str) -> Figure:
    """Return one measure against the number of examples, a line per predictor."""
    sizes = result["sizes"]
    data: list[Trace] = []
    rows: list[list[Any]] = [[size] for size in sizes]
    for place, one in enumerate(result["predictors"]):
        mean, error = _mean_and_error(one[measure])
        line = {"color": colour(place), "width": 2.2}
        bars = {"type": "data", "array": np.round(error, 6).tolist(), "color": colour(place), "thickness": 1}
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": text(one["kind"]), "x": sizes,
                "y": np.round(mean, 5).tolist(), "line": line, "marker": {"symbol": symbol(place), "size": 7},
                "error_y": bars,
                "hovertemplate": "%{y:.4f}",
            }
        )  # fmt: skip
        for row, m, e in zip(rows, mean, error, strict=True):
            row.append(f"{m:.4f} ± {e:.4f}")
    return Figure(
        id=measure,
        title=title,
        says=f"{unit} on held-out sub-networks; bars are one standard error over the trials.",
        data=data,
        layout={"xaxis": axis("training examples"), "yaxis": axis(unit), "hovermode": "x unified"},
        table=PageTable(["examples", *(one["kind"] for one in result["predictors"])], rows),
    )


def _words(result: Mapping[str, Any]) -> Iterator[str]:
    last = [(float(_mean_and_error(one["tau"])[0][-1]), one["kind"]) for one in result["predictors"]]
    tau, kind = max(last)
    yield f"With {result['sizes'][-1]} examples, {kind} ranks best: Kendall tau {tau:.3f}."


def _mean_and_error(trials: list[list[float | None]]) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard error over the trials of each size, ``(s,)``; the error of one trial is 0."""
    values = np.array(trials, dtype=np.float64)
    n = values.shape[1]
    error = values.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(values))
    return values.mean(axis=1), error
