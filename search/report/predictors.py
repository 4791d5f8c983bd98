"""The page of a predictor study: error and rank correlation over the number of examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from hwnas.harness.measurement.intervals import half_width_of_mean
from hwnas.search.report.figures import Figure, PageTable, Trace, axis, colour, symbol, text
from hwnas.search.report.page import render
from hwnas.search.words import MISSING, listed
from hwnas.supernets.shown import counted
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_numbers

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
        bars = {"type": "data", "array": json_numbers(np.round(error, 6)), "color": colour(place), "thickness": 1}
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": text(one["kind"]), "x": sizes,
                "y": json_numbers(np.round(mean, 5)), "line": line, "marker": {"symbol": symbol(place), "size": 7},
                "error_y": bars,
                "hovertemplate": "%{y:.4f}",
            }
        )  # fmt: skip
        for row, m, e in zip(rows, mean, error, strict=True):
            row.append(f"{m:.4f} ± {e:.4f}" if np.isfinite(m) else MISSING)
    return Figure(
        id=measure,
        title=title,
        says=f"{unit} on held-out sub-networks; bars are one standard error over the trials.",
        data=data,
        layout={"xaxis": axis("training examples"), "yaxis": axis(unit), "hovermode": "x unified"},
        table=PageTable(["examples", *(one["kind"] for one in result["predictors"])], rows),
    )


def _words(result: Mapping[str, Any]) -> Iterator[str]:
    """Say which predictor ranks best with the most examples, as far as the trials tell."""
    taus = {one["kind"]: np.array(one["tau"][-1], dtype=np.float64) for one in result["predictors"]}
    known = {kind: values for kind, values in taus.items() if np.isfinite(values).all()}
    if not known:
        return
    best, *others = sorted(known, key=lambda kind: -known[kind].mean())
    level = [kind for kind in others if not _ahead(known[best] - known[kind])]
    trials = counted(len(known[best]), "trial")
    means = {kind: f"{kind} {values.mean():.3f}" for kind, values in known.items()}
    with_most = f"With {result['sizes'][-1]} examples"
    if level:
        shown = "; ".join(means[kind] for kind in (best, *level))
        yield f"{with_most}, {listed([best, *level])} cannot be told apart over {trials}: Kendall tau {shown}."
    elif others:
        yield f"{with_most}, {best} ranks best: Kendall tau {known[best].mean():.3f}."
    else:
        yield f"{with_most}, {best} comes to Kendall tau {known[best].mean():.3f}."


def _ahead(gains: FloatArray) -> bool:
    """Tell whether gains of the trials, each on the same examples, ``(n,)``, are above 0 at 95 % confidence."""
    n = len(gains)
    return n > 1 and bool(gains.mean() > half_width_of_mean(n) * gains.std(ddof=1) / np.sqrt(n))


def _mean_and_error(trials: list[list[float | None]]) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard error over the trials of each size, ``(s,)``; the error of one trial is 0."""
    values = np.array(trials, dtype=np.float64)
    n = values.shape[1]
    error = values.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(values))
    return values.mean(axis=1), error
