"""The page of a comparison: hypervolume of each algorithm by number of evaluations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwnas.search.report.figures import Cell, Figure, PageTable, Trace, axis, colour, staircase, symbol, text
from hwnas.search.report.page import render
from hwnas.search.words import MISSING, listed, objective_title, point_in_words
from hwnas.supernets.shown import counted

# Rows of a curve's table; the curve itself has one point per evaluation.
_TABLE_ROWS = 16

# What a curve is of where the fronts of all searches were measured together.
_TOGETHER = "What counts is how much of its front, as it was measured in full in the end, a search had found."

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def compare_page(result: Mapping[str, Any]) -> str:
    """Return the page of a comparison.

    Args:
        result: as ``hwnas compare --json`` writes it.
    """
    quality = result.get("quality") or {"metric": "", "unit": "", "predicted": False, "note": "", "source": ""}
    curves = [curves_figure(result)]
    surfaces = surface_figures(result, quality)
    names = [one["name"] for one in result["algorithms"]]
    return render(
        "compare.html",
        [*curves, *surfaces],
        [],
        title=f"{listed(names)} compared on {result['supernet']}",
        result=result,
        quality=quality,
        predicted=bool(quality["predicted"]),
        algorithms=[{"index": index, "letter": name, "name": name} for index, name in enumerate(names)],
        verdict=[*_words(result), *([f"{said}."] if (said := result.get("beside_load")) else [])],
        unstable=[result["unstable"]] if result.get("unstable") else [],
        curves=curves,
        surfaces=surfaces,
        thresholds=result["thresholds"],
        reference=point_in_words(result["reference"], result["objectives"]),
        constraints=list(result.get("constraints") or []),
        seeds=len(result["seeds"]),
        given=bool(result["best"]["given"]),
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def curves_figure(result: Mapping[str, Any]) -> Figure:
    """Mean hypervolume over evaluations, with its standard error as a band."""
    data: list[Trace] = []
    for index, one in enumerate(result["algorithms"]):
        data += _band(index, one)
    x = list(range(1, result["evals"] + 1))
    shown = sorted({*range(0, len(x), max(1, len(x) // _TABLE_ROWS)), len(x) - 1})
    rows: list[list[Cell]] = [[x[i], *(_plus_minus(one, i) for one in result["algorithms"])] for i in shown]
    lines = [
        {
            "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": threshold["value"], "y1": threshold["value"],
            "line": {"color": "@faint", "width": 1, "dash": "dot"}, "layer": "below",
        }
        for threshold in result["thresholds"]
    ]  # fmt: skip
    return Figure(
        id="curves",
        title="Hypervolume over evaluations",
        says=f"Mean over {counted(len(result['seeds']), 'seed')}; bands are one standard error; "
        f"dotted lines are the thresholds.{' ' + _TOGETHER if result.get('measured_together') else ''}",
        data=data,
        layout={
            "xaxis": axis("evaluations"),
            "yaxis": axis("normalised hypervolume"),
            "hovermode": "x unified",
            "shapes": lines,
        },
        table=PageTable(["evaluations", *(one["name"] for one in result["algorithms"])], rows),
        height=440,
    )


def _band(index: int, one: Mapping[str, Any]) -> Iterator[Trace]:
    mean, error = one["mean"], one["standard_error"]
    x = list(range(1, len(mean) + 1))
    common = {"type": "scatter", "mode": "lines", "legendgroup": text(one["name"])}
    if error is not None:
        outline = [m + e for m, e in zip(mean, error, strict=True)] + [m - e for m, e in zip(mean, error, strict=True)][
            ::-1
        ]
        yield {
            **common, "x": x + x[::-1], "y": [_short(value) for value in outline], "fill": "toself", "opacity": 0.22,
            "fillcolor": colour(index), "line": {"width": 0, "color": colour(index)}, "hoverinfo": "skip",
            "showlegend": False,
        }  # fmt: skip
    yield {
        **common, "x": x, "y": [_short(value) for value in mean], "name": text(one["name"]),
        "line": {"color": colour(index), "width": 2.4, "dash": _DASHES[index % len(_DASHES)]},
        "hovertemplate": "%{y:.4f}",
    }  # fmt: skip


def surface_figures(result: Mapping[str, Any], quality: Mapping[str, Any]) -> list[Figure]:
    """What can be expected of a run, objectives two by two; none where there are one or more than three."""
    return [_surface(result, quality, a, b) for a, b in _pairs(result)]


def _pairs(result: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return the objectives to draw against each other, what is minimised across."""
    up = [one["maximise"] for one in result["objectives"]]
    if not any(surface["points"] for one in result["algorithms"] for surface in one["attainment"]):
        return []
    return [(b, a) if up[a] and not up[b] else (a, b) for a, b in itertools.combinations(range(len(up)), 2)]


def _surface(result: Mapping[str, Any], quality: Mapping[str, Any], a: int, b: int) -> Figure:
    """What a quarter, half and three quarters of the runs attain."""
    x, y = result["objectives"][a], result["objectives"][b]
    flat = len(result["objectives"]) == 2
    data: list[Trace] = []
    table: list[list[Cell]] = []
    for index, one in enumerate(result["algorithms"]):
        for surface in one["attainment"]:
            points = [(point[x["name"]], point[y["name"]]) for point in surface["points"]]
            data.append(_attained(index, one["name"], surface["level"], points, (x["maximise"], y["maximise"]), flat))
            if surface["level"] == 0.5:
                table += [[one["name"], *point] for point in points]
    median = "Solid: what half of the runs reach; dotted: a quarter (better) and three quarters (worse)."
    return Figure(
        id=f"surface-{a}-{b}",
        title=f"Attained: {y['name']} against {x['name']}",
        says=median if flat else "Corners of the surface that half of the runs reach, projected.",
        data=data,
        layout={"xaxis": axis(objective_title(x, quality)), "yaxis": axis(objective_title(y, quality))},
        table=PageTable(
            ["algorithm", objective_title(x, quality), objective_title(y, quality)],
            table,
            "The surfaces that half of the runs reach.",
        ),
        choice=f"{y['name']} against {x['name']}",
        height=460,
    )


def _attained(
    index: int, name: str, level: float, points: Sequence[tuple[float, float]], up: tuple[bool, bool], flat: bool
) -> Trace:
    shade, median = colour(index), level == 0.5
    if flat:
        x, y = [px for px, _ in points], [py for _, py in points]
        line = staircase(
            x, y, shade, x_up=up[0], y_up=up[1], legendgroup=text(name), name=text(name), showlegend=median
        )
        line["line"] |= {"width": 2.4 if median else 1, "dash": "solid" if median else "dot"}
        return line | {"hoverinfo": "x+y" if median else "skip"}
    return {
        "type": "scatter", "mode": "markers", "name": text(name), "legendgroup": text(name), "showlegend": median,
        "visible": median, "x": [px for px, _ in points], "y": [py for _, py in points],
        "marker": {"color": shade, "symbol": symbol(index), "size": 7},
    }  # fmt: skip


# --- words -----------------------------------------------------------------------------------------------------------


def nothing_found(result: Mapping[str, Any]) -> str:
    """Say that no search found a sub-network that meets the constraints; "" where one did.

    Then every hypervolume is 0, and what is equal says nothing of the algorithms.
    """
    if any(run["front"] for one in result["algorithms"] for run in one["runs"]):
        return ""
    limits = ", ".join(result.get("constraints") or [])
    return f"no search found a sub-network that meets {limits}" if limits else "no sub-network could be evaluated"


def _words(result: Mapping[str, Any]) -> Iterator[str]:
    nothing = nothing_found(result)
    if nothing:
        yield f"{nothing[0].upper()}{nothing[1:]}."
        return
    best, *others = sorted(result["algorithms"], key=lambda one: -one["final"]["mean"])
    behind = "; ".join([f"{one['name']} {_final(one)}" for one in others])
    seeds = len(result["seeds"])
    level = [one["name"] for one in others if not ahead(best, one, seeds)]
    after = f"After {counted(result['evals'], 'evaluation')}"
    if not others:
        yield f"{after}, the hypervolume of {best['name']} is {_final(best)} on average."
    elif not level:
        yield (f"{after}, {best['name']} has the largest hypervolume on average: {_final(best)}; {behind}.")
    else:
        yield (
            f"{after}, {listed([best['name'], *level])} cannot be told apart over "
            f"{counted(seeds, 'seed')}: {best['name']} {_final(best)}; {behind}. More seeds would."
        )
    if result["thresholds"]:
        yield from _soonest(result, result["thresholds"][-1])


def ahead(one: Mapping[str, Any], other: Mapping[str, Any], seeds: int) -> bool:
    """Tell whether an algorithm's final mean is larger than another's, at 95 % confidence.

    Welch's test, on as many seeds of each; a single seed tells nothing.
    """
    from scipy.stats import t

    errors = [each["final"]["standard_error"] for each in (one, other)]
    if None in errors or seeds < 2:
        return False
    gain, variance = one["final"]["mean"] - other["final"]["mean"], sum(error**2 for error in errors)
    if not variance:
        return bool(gain > 0)
    freedom = variance**2 / sum(error**4 / (seeds - 1) for error in errors)
    return bool(gain > t.ppf(0.975, freedom) * variance**0.5)


def _soonest(result: Mapping[str, Any], threshold: Mapping[str, Any]) -> Iterator[str]:
    """Tell who reaches the highest threshold first, and how much later the others do, as far as seeds allow."""
    there = sorted((one for one in threshold["reached"] if one["evaluations"]), key=lambda one: one["evaluations"])
    if not there:
        return
    first, *later = there
    of = {one["name"]: one for one in result["algorithms"]}
    never = [
        one["name"]
        for one in threshold["reached"]
        if not one["evaluations"] and not _could(of[one["name"]], threshold["value"])
    ]
    level = [one["name"] for one in later if _sooner(of[one["name"]], threshold) <= first["evaluations"]]
    sentence = (
        f"{threshold['value']:.3g} is reached by {listed([first['name'], *level])} "
        f"after {'about ' * bool(level)}{counted(first['evaluations'], 'evaluation')}"
    )
    slower = [
        f"{one['name']} needs {one['evaluations'] / first['evaluations']:.1f} times as many"
        for one in later
        if one["name"] not in level
    ]
    missing = [f"{listed(never)} {'does' if len(never) == 1 else 'do'} not reach it"] if never else []
    yield "; ".join([sentence, *slower, *missing]) + "."


def _could(one: Mapping[str, Any], value: float) -> bool:
    """Tell whether an algorithm's mean is below a threshold by less than its standard error."""
    return bool(one["mean"][-1] + (one["standard_error"] or [0.0])[-1] >= value)


def _sooner(one: Mapping[str, Any], threshold: Mapping[str, Any]) -> int:
    """Return after how many evaluations the mean may have reached the threshold, its standard error counted in."""
    errors = one["standard_error"] or [0.0] * len(one["mean"])
    reached = (mean + error >= threshold["value"] for mean, error in zip(one["mean"], errors, strict=True))
    return next((n for n, yes in enumerate(reached, 1) if yes), len(one["mean"]) + 1)


def _final(one: Mapping[str, Any]) -> str:
    error = one["final"]["standard_error"]
    return f"{one['final']['mean']:.4f}" + ("" if error is None else f" \u00b1 {error:.4f}")


def _plus_minus(one: Mapping[str, Any], place: int) -> str:
    if place >= len(one["mean"]):
        return MISSING
    error = one["standard_error"]
    return f"{one['mean'][place]:.4f}" + ("" if error is None else f" \u00b1 {error[place]:.4f}")


def _short(value: float) -> float:
    return float(f"{value:.6g}")
