"""The figures of a transfer result: fronts shown elsewhere, losses at budgets, latencies platform against platform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from search.report.figures import Cell, Figure, Table, Trace, axis, colour, error_bars, points, staircase, symbol
from search.words import MISSING, letter, listed, units

# Points per figure that a laptop draws at once; beyond it, those that are on no front are thinned.
_MAX_POINTS = 1500


def front_figure(result: Mapping[str, Any], quality: Mapping[str, Any], target: int) -> Figure:
    """Every platform's front, re-measured on ``target`` (the paper's Fig. 10 and 11)."""
    rows, platforms = result["rows"], result["platforms"]
    data: list[Trace] = [_others(rows, target)]
    table: list[list[Cell]] = []
    # The own front is drawn last, on top.
    for source in sorted(range(len(platforms)), key=lambda index: index == target):
        numbers = [n for n, row in enumerate(rows) if source in row["front_of"] and _both(row, target)]
        x, y = [rows[n]["latency_ms"][target] for n in numbers], [rows[n]["quality"] for n in numbers]
        data += _front_traces(
            source, source == target, x, y, [rows[n]["interval_ms"][target] for n in numbers], numbers, quality
        )
        table += [[letter(source), *point, rows[n]["key"]] for *point, n in sorted(zip(x, y, numbers, strict=True))]
    here = letter(target)
    return Figure(
        id=f"front-{target}",
        title=f"On {here}",
        says=f"Each front as measured on {here}, {platforms[target]}. "
        f"The solid line bounds what {here}\u2019s own search reached.",
        data=data,
        layout={
            "xaxis": axis(f"latency on {here} (ms)"),
            "yaxis": axis(quality_title(quality)),
        },
        table=Table(
            ["searched on", f"latency on {here} (ms)", quality_title(quality), "network"],
            sorted(table, key=lambda row: str(row[0])),
        ),
        choice=f"{here} \u00b7 {platforms[target]}",
        height=440,
    )


def _front_traces(
    source: int,
    own: bool,
    x: Sequence[float],
    y: Sequence[float],
    bounds: Sequence[Any],
    numbers: Sequence[int],
    quality: Mapping[str, Any],
) -> Iterator[Trace]:
    shade, name = colour(source), f"searched on {letter(source)}"
    marker = {
        "color": shade,
        "size": 8 if own else 7.5,
        "symbol": symbol(source) + ("" if own else "-open"),
        "line": {"width": 1.6, "color": shade},
    }
    bound = staircase(x, y, shade, y_up=quality["maximise"], legendgroup=name)
    bound["line"] |= {"dash": "solid" if own else "dot", "width": 2 if own else 1.2}
    yield bound
    yield points(name, x, y, numbers, marker=marker, error_x=error_bars(x, bounds, shade), legendgroup=name)


def _others(rows: Sequence[Mapping[str, Any]], target: int) -> Trace:
    numbers = _thinned([n for n, row in enumerate(rows) if not row["front_of"] and _both(row, target)])
    x, y = [rows[n]["latency_ms"][target] for n in numbers], [rows[n]["quality"] for n in numbers]
    return points("on no front", x, y, numbers, marker={"color": "@faint", "size": 5})


def loss_figure(result: Mapping[str, Any], quality: Mapping[str, Any], target: int) -> Figure | None:
    """What the other platforms' fronts lose on ``target`` at each latency budget."""
    platforms = result["platforms"]
    regrets = [regret for regret in result["regret"] if regret["deployed_on"] == platforms[target]]
    if not regrets:
        return None
    lost = f"{quality['metric']} lost ({units(dict(quality))})"
    here = letter(target)
    data: list[Trace] = []
    for source, name in enumerate(platforms):
        of_source = [regret for regret in regrets if regret["searched_on"] == name]
        if source != target and of_source:
            data.append(_loss_trace(source, of_source))
    table = [
        [
            r["budget_ms"],
            letter(platforms.index(r["searched_on"])),
            r["own"],
            "nothing fits" if r["transferred"] is None else r["transferred"],
            r["lost"],
        ]
        for r in regrets
    ]
    return Figure(
        id=f"loss-{target}",
        title=f"Deployed on {here}",
        says=f"Zero is {here}\u2019s own front, {platforms[target]}; "
        "above it the other front is worse, below it is better.",
        data=data,
        layout={
            "xaxis": axis(f"latency budget on {here} (ms)"),
            "yaxis": axis(lost, zeroline=True, zerolinecolor=colour(target), zerolinewidth=2),
        },
        table=Table(
            ["budget (ms)", "searched on", f"own front ({quality['unit']})", f"that front ({quality['unit']})", lost],
            table,
        ),
        choice=f"{here} \u00b7 {platforms[target]}",
        height=320,
    )


def _loss_trace(source: int, regrets: Sequence[Mapping[str, Any]]) -> Trace:
    name = f"searched on {letter(source)}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [regret["budget_ms"] for regret in regrets],
        "y": [regret["lost"] for regret in regrets],
        "line": {"color": colour(source), "width": 2},
        "marker": {"color": colour(source), "size": 8, "symbol": symbol(source)},
        "hovertemplate": "%{x} ms: %{y:.2f} lost<extra></extra>",
    }


def pair_figure(result: Mapping[str, Any], i: int, j: int) -> Figure:
    """Latencies, platform against platform."""
    rows, platforms, tau = result["rows"], result["platforms"], result["kendall_tau"][i][j]
    a, b = letter(i), letter(j)
    here = [n for n, row in enumerate(rows) if row["latency_ms"][i] is not None and row["latency_ms"][j] is not None]
    kinds: tuple[tuple[str, str, str, Callable[[Sequence[int]], bool]], ...] = (
        ("on no front of these", "@faint", "circle", lambda of: i not in of and j not in of),
        (f"front of {a}", colour(i), symbol(i), lambda of: i in of and j not in of),
        (f"front of {b}", colour(j), symbol(j), lambda of: j in of and i not in of),
        ("front of both", "@ink", "star", lambda of: i in of and j in of),
    )
    data = []
    for name, shade, mark, belongs in kinds:
        numbers = [n for n in here if belongs(rows[n]["front_of"])]
        numbers = _thinned(numbers) if shade == "@faint" else numbers
        x, y = [rows[n]["latency_ms"][i] for n in numbers], [rows[n]["latency_ms"][j] for n in numbers]
        data.append(
            points(name, x, y, numbers, marker={"color": shade, "symbol": mark, "size": 5 if shade == "@faint" else 8})
        )
    return Figure(
        id=f"pair-{i}-{j}",
        title=f"{a} against {b}",
        says=f"{len(here)} sub-networks measured on both; Kendall tau {MISSING if tau is None else f'{tau:.3f}'}.",
        data=data,
        layout={"xaxis": axis(f"latency on {a} (ms)"), "yaxis": axis(f"latency on {b} (ms)")},
        table=Table(
            [f"latency on {a} (ms)", f"latency on {b} (ms)", "front of", "network"],
            [
                [
                    rows[n]["latency_ms"][i],
                    rows[n]["latency_ms"][j],
                    listed([*map(letter, rows[n]["front_of"])]),
                    rows[n]["key"],
                ]
                for n in here
                if {i, j} & set(rows[n]["front_of"])
            ],
            f"Those on the front of {a} or {b}; the rest is drawn only.",
        ),
        choice=f"{a} against {b} \u00b7 {platforms[i]} against {platforms[j]}",
        height=400,
    )


def quality_title(quality: Mapping[str, Any]) -> str:
    """Name the quality with its unit, and say where it is a prediction."""
    predicted = "predicted " if quality["predicted"] else ""
    return f"{predicted}{quality['metric']} ({quality['unit']})"


def _both(row: Mapping[str, Any], target: int) -> bool:
    return row["latency_ms"][target] is not None and row["quality"] is not None


def _thinned(numbers: list[int]) -> list[int]:
    return numbers[:: max(1, -(-len(numbers) // _MAX_POINTS))]
