"""The figures of an experiment on objectives: both fronts in the judged objective, and the warm start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.experiments.section import Section
from hwnas.search.report.figures import Cell, Figure, PageTable, Trace, axis, colour, rounded, staircase, symbol
from hwnas.search.words import objective_title


def sections(data: Mapping[str, Any]) -> list[Section]:
    """Return, problem by problem, both fronts in the judged objective, both objectives, and the warm start."""
    made = []
    for name, problem in data["problems"].items():
        lead = (
            f"The front by {data['searched']} and the front by {data['judged']}, both judged by {data['judged']}: the "
            f"first keeps {mean_of_known(problem['ratio']):.3f} of the second\u2019s hypervolume, and "
            f"{mean_of_known(problem['standing']):.0%} of it are dominated by nothing of the two."
        )
        figures = [_fronts(name, problem, data), _against(name, problem, data), _starts(name, problem, data)]
        made.append(Section(problem["title"], lead, figures))
    return made


def mean_of_known(values: Sequence[float | None]) -> float:
    """Return the mean of what is known; nan where nothing is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def reached_by(curve: Sequence[float], evaluations: int) -> float:
    """Return what a search had after so many evaluations; one that ended early stays at its last value."""
    return float(curve[min(evaluations, len(curve)) - 1]) if curve else 0.0


def _fronts(name: str, problem: Mapping[str, Any], data: Mapping[str, Any]) -> Figure:
    titles = [objective_title(one, problem["quality"]) for one in problem["objectives"]]
    up = bool(problem["objectives"][2]["maximise"])
    traces: list[Trace] = []
    rows: list[list[Cell]] = []
    for place, (key, searched) in enumerate((("direct_front", data["judged"]), ("proxy_front", data["searched"]))):
        points = [problem["networks"][number] for number in problem[key][0]]
        x, y = [point[1] for point in points], [point[2] for point in points]
        line = staircase(x, y, colour(place), y_up=up, legendgroup=key)
        line["line"] |= {"dash": "solid" if place == 0 else "dot"}
        marker = {"color": colour(place), "symbol": symbol(place), "size": 8}
        dots = {
            "type": "scatter", "mode": "markers", "name": f"searched by {searched}", "x": rounded(x), "y": rounded(y),
            "marker": marker, "legendgroup": key, "hovertemplate": "%{x}, %{y}<extra></extra>",
        }  # fmt: skip
        traces += [line, dots]
        rows += [[searched, *point] for point in points]
    return Figure(
        id=f"fronts-{name}",
        title=f"Judged by {data['judged']}",
        says="The fronts of the first seed.",
        data=traces,
        layout={"xaxis": axis(titles[1]), "yaxis": axis(titles[2])},
        table=PageTable(["searched by", *titles], rows),
        height=440,
    )


def _against(name: str, problem: Mapping[str, Any], data: Mapping[str, Any]) -> Figure:
    titles = [objective_title(one, problem["quality"]) for one in problem["objectives"]]
    x, y = [row[0] for row in problem["networks"]], [row[1] for row in problem["networks"]]
    dots = {
        "type": "scatter", "mode": "markers", "x": rounded(x), "y": rounded(y), "showlegend": False,
        "marker": {"color": "@p2", "size": 6, "opacity": 0.7}, "hovertemplate": "%{x}, %{y}<extra></extra>",
    }  # fmt: skip
    return Figure(
        id=f"against-{name}",
        title=f"{data['judged']} against {data['searched']}",
        says=f"The {len(x)} sub-networks of all fronts, the smallest and the largest.",
        data=[dots],
        layout={"xaxis": axis(titles[0]), "yaxis": axis(titles[1]), "showlegend": False},
    )


def _starts(name: str, problem: Mapping[str, Any], data: Mapping[str, Any]) -> Figure:
    best = max(max(curve, default=0.0) for curves in problem["curves"].values() for curve in curves) or 1.0
    traces: list[Trace] = []
    means = {}
    for place, (start, curves) in enumerate(problem["curves"].items()):
        n = max(len(curve) for curve in curves)
        values = np.array([[reached_by(curve, at) / best for at in range(1, n + 1)] for curve in curves])
        means[start] = values.mean(axis=0)
        traces.append(
            {
                "type": "scatter", "mode": "lines", "x": list(range(1, n + 1)), "y": np.round(means[start], 5).tolist(),
                "name": "from nothing" if start == "cold" else f"from the {data['searched']} front",
                "line": {"color": colour(place), "width": 2.2, "dash": "solid" if start == "cold" else "dash"},
                "hovertemplate": "%{y:.4f}",
            }
        )  # fmt: skip
    n = min(len(mean) for mean in means.values())
    shown = sorted({*range(0, n, max(1, n // 12)), n - 1})
    rows: list[list[Cell]] = [[at + 1, *(round(float(mean[at]), 4) for mean in means.values())] for at in shown]
    return Figure(
        id=f"starts-{name}",
        title=f"{data['judged']}: a front by {data['searched']} to start from",
        says=f"Mean over {len(problem['curves']['cold'])} seeds; 1 is the best of all.",
        data=traces,
        layout={"xaxis": axis("evaluations"), "yaxis": axis("normalised hypervolume"), "hovermode": "x unified"},
        table=PageTable(["evaluations", *means], rows),
    )
