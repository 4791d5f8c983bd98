"""The page of a study: its front, how it came about, and what it was made with."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.hypervolume import hypervolume, non_dominated
from search.objectives import Directions
from search.report.figures import SCALE, Cell, Figure, Table, Trace, axis, error_bars, points, staircase, text
from search.report.page import render
from search.words import MISSING, facts, listed, number, spelled
from supernets.space import FloatArray

# Lines that can still be told apart; of a larger front every so many-th is drawn.
_MAX_LINES = 60


def search_page(result: Mapping[str, Any]) -> str:
    """Return the page of a study.

    Args:
        result: as ``hwnas search --json`` writes it.
    """
    seen = _Seen(result)
    fronts = [_projection(seen, a, b) for a, b in _pairs(seen)]
    parallel = [_parallel(seen)] if len(seen.objectives) > 2 else []
    growth = [_growth(seen)]
    return render(
        "search.html",
        [*fronts, *parallel, *growth],
        [_network(seen, one) for one in seen.evaluations],
        title=f"{result['study'] or 'Search'}: front of {result['supernet']}",
        result=result,
        constraints=list(result.get("constraints") or []),
        quality=seen.quality,
        predicted=bool(seen.quality["predicted"]),
        objectives=seen.objectives,
        verdict=list(_words(seen)),
        fronts=fronts,
        parallel=parallel,
        growth=growth,
        front_table=_front_table(seen),
        chosen=[_chosen(seen.evaluations[index]) for index in seen.front],
        settings=facts(_settings(result)),
        environment=facts(dict(result.get("environment") or {})),
        notes=_notes(seen),
    )


class _Seen:
    """A study's JSON, with its values as arrays."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.objectives: list[dict[str, Any]] = list(result["objectives"])
        self.evaluations: list[dict[str, Any]] = list(result["evaluations"])
        self.names = [one["name"] for one in self.objectives]
        self.quality = result.get("quality") or {"metric": "", "predicted": False, "note": "", "source": "", "unit": ""}
        # By quality, so that lines and tables run from one end of the front to the other.
        self.front = sorted(result["front"], key=self._order)
        self.directions = Directions([one["maximise"] for one in self.objectives])
        values = [[_float(one["objectives"].get(name)) for name in self.names] for one in self.evaluations]
        self.values: FloatArray = np.array(values, dtype=np.float64).reshape(len(self.evaluations), len(self.names))
        self.feasible = [one["status"] != "failed" and not one.get("violation", 0) for one in self.evaluations]
        # No number at all: it misses the constraints by an amount that cannot be told.
        self.feasible = [
            ok and one.get("violation", 0) is not None for ok, one in zip(self.feasible, self.evaluations, strict=True)
        ]

    def title(self, column: int) -> str:
        """Name an objective with its unit, and say where it is a prediction."""
        one = self.objectives[column]
        predicted = "predicted " if self.quality["predicted"] and one["name"] == self.quality["metric"] else ""
        return f"{predicted}{one['name']}" + (f" ({one['unit']})" if one["unit"] else "")

    def column(self, column: int, rows: Sequence[int]) -> list[Cell]:
        """Return an objective's values of some evaluations."""
        return [_cell(self.values[row, column]) for row in rows]

    def bounds(self, column: int, rows: Sequence[int]) -> list[Any]:
        """Return the intervals of an objective's values, ``None`` where there is none."""
        return [(self.evaluations[row].get("intervals") or {}).get(self.names[column]) for row in rows]

    def _order(self, index: int) -> float:
        first = self.evaluations[index]["objectives"].get(self.names[0])
        return _float(first)


# --- figures ---------------------------------------------------------------------------------------------------------


def _pairs(seen: _Seen) -> list[tuple[int, int]]:
    """Return the columns to draw against each other, the minimised one of two across."""
    found = list(itertools.combinations(range(len(seen.objectives)), 2))
    return [
        (b, a) if seen.objectives[a]["maximise"] and not seen.objectives[b]["maximise"] else (a, b) for a, b in found
    ]


def _projection(seen: _Seen, a: int, b: int) -> Figure:
    """All evaluations by iteration and the front, two objectives against each other."""
    on_front = set(seen.front)
    drawn = [row for row in range(len(seen.evaluations)) if np.isfinite(seen.values[row, [a, b]]).all()]
    good = [row for row in drawn if seen.feasible[row] and row not in on_front]
    beyond = [row for row in drawn if not seen.feasible[row]]
    data: list[Trace] = [_by_iteration(seen, a, b, good)]
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
    data.append(_front_points(seen, a, b))
    return Figure(
        id=f"front-{a}-{b}",
        title=f"{seen.names[b]} against {seen.names[a]}",
        says=f"{len(drawn)} evaluations, coloured by the iteration that proposed them; "
        f"the {len(seen.front)} of the front are outlined.",
        data=data,
        layout={"xaxis": axis(seen.title(a)), "yaxis": axis(seen.title(b))},
        table=_values(seen, a, b),
        choice=f"{seen.names[b]} against {seen.names[a]}",
        height=500 if len(seen.objectives) == 2 else 420,
    )


def _values(seen: _Seen, *columns: int) -> Table:
    """Return the front's values, for a figure's table."""
    rows: list[list[Cell]] = [[row, *(_cell(seen.values[row, c]) for c in columns)] for row in seen.front]
    return Table(
        ["evaluation", *(seen.title(c) for c in columns)], rows, "The front; the other evaluations are drawn only."
    )


def _by_iteration(seen: _Seen, a: int, b: int, rows: Sequence[int]) -> Trace:
    iterations = [seen.evaluations[row]["iteration"] for row in rows]
    last = max((one["iteration"] for one in seen.evaluations), default=0)
    bar = {
        "title": {"text": "iteration", "side": "right", "font": {"size": 12, "color": "@muted"}},
        "thickness": 9, "outlinewidth": 0, "len": 0.9, "tickformat": "d", "nticks": min(last + 1, 6),
        "tickfont": {"size": 11, "color": "@muted"},
    }  # fmt: skip
    marker = {
        "color": iterations, "colorscale": SCALE, "cmin": 0, "cmax": max(last, 1), "size": 6.5, "opacity": 0.85,
        "showscale": last > 0, "colorbar": bar,
    }  # fmt: skip
    return points("evaluation", seen.column(a, rows), seen.column(b, rows), rows, marker=marker)


def _front_points(seen: _Seen, a: int, b: int) -> Trace:
    rows = seen.front
    last = max((one["iteration"] for one in seen.evaluations), default=0)
    marker = {
        "color": [seen.evaluations[row]["iteration"] for row in rows], "colorscale": SCALE,
        "cmin": 0, "cmax": max(last, 1), "size": 10, "line": {"width": 1.6, "color": "@ink"},
    }  # fmt: skip
    x, y = seen.column(a, rows), seen.column(b, rows)
    bars = {
        "error_x": error_bars(x, seen.bounds(a, rows), "@ink"),  # type: ignore[arg-type]
        "error_y": error_bars(y, seen.bounds(b, rows), "@ink"),  # type: ignore[arg-type]
    }
    return points("front", x, y, rows, marker=marker, **bars)


def _parallel(seen: _Seen) -> Figure:
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
                "line": {"width": 1.5, "color": shade},
                "marker": {"size": 6, "color": shade},
                "showlegend": False,
            }
        )
    worst_to_best = zip(seen.directions.shown(high), seen.directions.shown(low), seen.objectives, strict=True)
    ends = [f"{number(_cell(worst))} to {number(_cell(best))} {one['unit']}" for worst, best, one in worst_to_best]
    return Figure(
        id="parallel",
        title="The front over all objectives",
        says=f"One line per network, from worst (below) to best (above) on the front; colours follow {seen.names[0]}."
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


def _growth(seen: _Seen) -> Figure:
    """Hypervolume after each evaluation."""
    values = _hypervolumes(seen)
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
        table=Table(["evaluations", "hypervolume"], [[x[i], float(values[i])] for i in sampled]),
        height=320,
    )


def _hypervolumes(seen: _Seen) -> list[float]:
    """Return the hypervolume after each evaluation, from the study's reference point."""
    stored = seen.result["hypervolume"]["reference"]
    reference = seen.directions.minimised(np.array([_float(stored[name]) for name in seen.names]))
    if np.isnan(reference).any():
        return []
    minimised = seen.directions.minimised(seen.values)
    front, found = np.empty((0, len(seen.names))), [0.0]
    for row, feasible in zip(minimised, seen.feasible, strict=True):
        joint = np.vstack([front, row])
        kept = non_dominated(joint) if feasible else np.zeros(len(joint), dtype=bool)
        if kept[-1]:
            front = joint[kept]
            found.append(hypervolume(front, reference))
        else:
            found.append(found[-1])
    return found[1:]


# --- tables and words ------------------------------------------------------------------------------------------------


def _words(seen: _Seen) -> list[str]:
    n = len(seen.evaluations)
    if not seen.front:
        return [f"{n} evaluations found no sub-network that meets what was asked for."]
    told = [f"{n} evaluations found a front of {len(seen.front)} sub-networks: {_ends(seen)}."]
    values = _hypervolumes(seen)
    if values and values[-1] > 0:
        reached = next(i for i, value in enumerate(values, 1) if value >= 0.95 * values[-1])
        told.append(f"95\u202f% of the final hypervolume was reached after {reached} evaluations.")
    spent = seen.result.get("time_s") or {}
    if spent.get("total"):
        total, measure, own = (_duration(spent[part]) for part in ("total", "measure", "search"))
        told.append(f"It took {total}: {measure} evaluating, {own} searching.")
    return told


def _ends(seen: _Seen) -> str:
    """Spell the front's two ends."""

    def point(row: int) -> str:
        values = [
            f"{number(_cell(seen.values[row, c]))}\u202f{one['unit']}"
            + ("" if one["name"] == "latency" else f" {one['name']}")
            for c, one in enumerate(seen.objectives)
        ]
        gains, costs = (
            [v for v, one in zip(values, seen.objectives, strict=True) if one["maximise"] is up] for up in (True, False)
        )
        return f"{listed(gains)} at {listed(costs)}" if gains and costs else listed(values)

    first, last = seen.front[0], seen.front[-1]
    return f"from {point(first)} to {point(last)}" if first != last else point(first)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _network(seen: _Seen, one: Mapping[str, Any]) -> dict[str, Any]:
    lines = [
        f"evaluation {one['index']}, iteration {one['iteration']}"
        + ("" if one["status"] == "ok" else f", {one['status']}")
    ]
    for column, name in enumerate(seen.names):
        value, bounds = one["objectives"].get(name), (one.get("intervals") or {}).get(name)
        shown = MISSING if value is None else f"{value:.4g}"
        sure = f" [{bounds[0]:.4g}, {bounds[1]:.4g}]" if bounds and None not in bounds else ""
        lines.append(f"{seen.title(column)}: {shown}{sure}")
    return {"lines": lines, "config": spelled(one["config"])}


def _front_table(seen: _Seen) -> Table:
    columns = ["evaluation", *(seen.title(c) for c in range(len(seen.names)))]
    measured = any((one.get("intervals") or {}) for one in seen.evaluations)
    rows: list[list[Cell]] = []
    for row in seen.front:
        one = seen.evaluations[row]
        intervals = "; ".join(
            f"{name} {b[0]:.4g}\u2013{b[1]:.4g}" for name, b in (one.get("intervals") or {}).items() if None not in b
        )
        rows.append(
            [
                row,
                *(_cell(value) for value in seen.values[row]),
                *([intervals or None] if measured else []),
                one["status"],
                "; ".join(spelled(one["config"])),
            ]
        )
    return Table([*columns, *(["95 % interval"] if measured else []), "status", "config"], rows)


def _chosen(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one[key] for key in ("index", "key", "config", "objectives") if key in one}


def _settings(result: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        key: result.get(key)
        for key in ("study", "supernet", "platform", "algorithm", "seed", "constraints", "warm_start", "stopped")
        if result.get(key) not in (None, "", [])
    }
    return {**named, "hypervolume": result["hypervolume"], **(result.get("settings") or {})}


def _notes(seen: _Seen) -> list[str]:
    """Return what the study notes of itself; what its quality is stands at the top of the page already."""
    told = [
        note for note in seen.result.get("notes") or [] if not seen.quality["note"] or seen.quality["note"] not in note
    ]
    return told or _failures(seen)


def _failures(seen: _Seen) -> list[str]:
    counts = {status: sum(one["status"] == status for one in seen.evaluations) for status in ("failed", "unstable")}
    return [
        f"{n} of {len(seen.evaluations)} evaluations {'is' if n == 1 else 'are'} {status}."
        for status, n in counts.items()
        if n
    ]


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _cell(value: float) -> float | None:
    return float(f"{value:.9g}") if np.isfinite(value) else None
