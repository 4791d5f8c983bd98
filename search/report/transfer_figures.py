"""The figures of a transfer result: fronts on other platforms, losses at budgets, latencies of pairs of platforms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

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
    points,
    rounded,
    staircase,
    symbol,
    text,
)
from hwnas.search.transfer.sentence import ceiling_of, run_to_run
from hwnas.search.transfer.verdict import KINDS
from hwnas.search.words import MISSING, letter, listed, quality_title, units

# Points per figure that a laptop draws at once, and in all figures of a kind, of which there may be dozens; beyond it,
# those that are on no front are thinned.
_MAX_POINTS, _MAX_POINTS_OF_A_KIND = 1500, 24_000
_MIN_POINTS = 150


def drawn_rows(result: Mapping[str, Any]) -> frozenset[int]:
    """Return the numbers of the rows that figures draw: those on a front, and of the others as many as can be drawn.

    All figures draw the same ones, so that the page needs to know no others.
    """
    rows, n_platforms = result["rows"], len(result["platforms"])
    n_figures = max(1, n_platforms * (n_platforms - 1) // 2)
    most = max(_MIN_POINTS, min(_MAX_POINTS, _MAX_POINTS_OF_A_KIND // n_figures))
    others = [number for number, row in enumerate(rows) if not row["front_of"]]
    thinned = others[:: max(1, -(-len(others) // most))]
    return frozenset(thinned) | {number for number, row in enumerate(rows) if row["front_of"]}


def front_figure(
    result: Mapping[str, Any], quality: Mapping[str, Any], target: int, drawn: frozenset[int] | None = None
) -> Figure:
    """Every platform's front on ``target`` (the paper's Fig. 10 and 11)."""
    rows, platforms = result["rows"], result["platforms"]
    drawn = drawn_rows(result) if drawn is None else drawn
    data: list[Trace] = [*_others(rows, target, drawn)]
    table: list[list[Cell]] = []
    # The own front is drawn last, on top.
    for source in sorted(range(len(platforms)), key=lambda index: index == target):
        numbers = [n for n, row in enumerate(rows) if source in row["front_of"] and _both(row, target)]
        data += _front_traces(rows, numbers, source, target, quality["maximise"])
        shown = sorted((rows[n]["latency_ms"][target], rows[n]["quality"], n) for n in numbers)
        table += [[letter(source), latency, value, rows[n]["key"]] for latency, value, n in shown]
    here = letter(target)
    data += [hollow_key()] if any(_unstable(rows, sorted(drawn), target)) else []
    return Figure(
        id=f"front-{target}",
        title=f"On {here}",
        says=f"Each front with its latencies on {here}, {platforms[target]}. "
        f"The solid line is {here}\u2019s own front.",
        data=data,
        layout={
            "xaxis": axis(f"latency on {here} (ms)"),
            "yaxis": axis(quality_title(quality)),
        },
        table=PageTable(
            ["front of", f"latency on {here} (ms)", quality_title(quality), "network"],
            sorted(table, key=lambda row: str(row[0])),
        ),
        choice=f"{here} \u00b7 {platforms[target]}",
        height=440,
        platforms=(target,),
    )


def _front_traces(
    rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], source: int, target: int, maximise: bool
) -> Iterator[Trace]:
    """Yield the front of ``source``, which is the rows of these numbers, as it was measured on ``target``."""
    x, y = [rows[n]["latency_ms"][target] for n in numbers], [rows[n]["quality"] for n in numbers]
    bounds = [rows[n]["interval_ms"][target] for n in numbers]
    shade, name, own = colour(source), f"front of {letter(source)}", source == target
    marker = {
        "color": shade,
        "size": 9 if own else 7,
        "symbol": symbol(source),
        "opacity": 1 if own else 0.75,
    }
    bound = staircase(x, y, shade, y_up=maximise, legendgroup=name, meta={"platform": source})
    bound["line"] |= {"dash": "solid" if own else "dot", "width": 2 if own else 1.2}
    yield bound
    shown = {"error_x": error_bars(x, bounds, shade)} if any(bounds) else {}
    drawn = points(name, x, y, numbers, marker=marker, legendgroup=name, meta={"platform": source}, **shown)
    yield from by_status(drawn, _unstable(rows, numbers, target))


def _unstable(rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], *targets: int) -> list[bool]:
    """Tell of each row whether one of its measurements on these platforms did not converge."""
    return [any(rows[n]["status"][target] == "unstable" for target in targets) for n in numbers]


def _others(rows: Sequence[Mapping[str, Any]], target: int, drawn: frozenset[int]) -> Iterator[Trace]:
    numbers = [n for n in sorted(drawn) if not rows[n]["front_of"] and _both(rows[n], target)]
    x, y = [rows[n]["latency_ms"][target] for n in numbers], [rows[n]["quality"] for n in numbers]
    trace = points("on no front", x, y, numbers, marker={"color": "@faint", "size": 5})
    yield from by_status(trace, _unstable(rows, numbers, target))


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
            data += _loss_traces(source, of_source)
    table = [
        [
            r["budget_ms"],
            letter(platforms.index(r["searched_on"])),
            r["own"],
            "nothing fits" if r["transferred"] is None else r["transferred"],
            r["lost"],
            _span(r),
        ]
        for r in regrets
    ]
    return Figure(
        id=f"loss-{target}",
        title=f"Deployed on {here}",
        says=f"Zero is {here}\u2019s own front, {platforms[target]}; "
        "above it the other front is worse, below it is better."
        + (" Error bars are what the noise of the measurements leaves open." if any(map(_spread, regrets)) else ""),
        data=[*data, *([hollow_key("hollow: noise could explain it")] if any(map(_explained, regrets)) else [])],
        layout={
            "xaxis": axis(f"latency budget on {here} (ms)"),
            "yaxis": axis(lost, zeroline=True, zerolinecolor=colour(target), zerolinewidth=2),
        },
        table=PageTable(
            [
                "budget (ms)",
                "front of",
                f"own front ({quality['unit']})",
                f"that front ({quality['unit']})",
                lost,
                "with noise",
            ],
            table,
        ),
        choice=f"{here} \u00b7 {platforms[target]}",
        height=320,
        platforms=(target,),
    )


def _loss_traces(source: int, regrets: Sequence[Mapping[str, Any]]) -> Iterator[Trace]:
    name, lost = f"front of {letter(source)}", [regret["lost"] for regret in regrets]
    line: Trace = {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "x": [regret["budget_ms"] for regret in regrets],
        "y": lost,
        "meta": {"platform": source},
        "line": {"color": colour(source), "width": 2},
        "hoverinfo": "skip",
    }
    marks = line | {
        "mode": "markers",
        "showlegend": True,
        "marker": {"color": colour(source), "size": 8, "symbol": symbol(source)},
        "hoverinfo": "x+y",
        "hovertemplate": "%{x} ms: %{y:.2f} lost<extra></extra>",
    }
    if any(map(_spread, regrets)):
        marks["error_y"] = error_bars(lost, [regret["lost_interval"] for regret in regrets], colour(source))
    yield line
    yield from by_status(marks, [_explained(regret) for regret in regrets])


def _spread(regret: Mapping[str, Any]) -> bool:
    """Tell whether noise leaves open what is lost."""
    low, high = regret.get("lost_interval") or (0.0, 0.0)
    return bool(low < high)


def _explained(regret: Mapping[str, Any]) -> bool:
    """Tell whether noise alone could be all that is lost, or gained."""
    low, high = regret.get("lost_interval") or (0.0, 0.0)
    return bool(low < high and low <= 0 <= high)


def _span(regret: Mapping[str, Any]) -> str | None:
    low, high = regret.get("lost_interval") or (0.0, 0.0)
    return f"{low:.2f} to {high:.2f}" if low < high else None


def pair_figure(
    result: Mapping[str, Any], i: int, j: int, drawn: frozenset[int] | None = None, stage: str = ""
) -> Figure:
    """Latencies, platform against platform; of one stage where it is named and ``result`` is the stage's own."""
    rows, platforms, tau = result["rows"], result["platforms"], result["kendall_tau"][i][j]
    drawn = drawn_rows(result) if drawn is None else drawn
    a, b, what = letter(i), letter(j), stage or "latency"
    apart = f", {stage}" if stage else ""
    here = [n for n, row in enumerate(rows) if row["latency_ms"][i] is not None and row["latency_ms"][j] is not None]
    kinds: tuple[tuple[str, str, str, Callable[[Sequence[int]], bool]], ...] = (
        ("on no front of these", "@faint", "circle", lambda of: i not in of and j not in of),
        (f"front of {a}", colour(i), symbol(i), lambda of: i in of and j not in of),
        (f"front of {b}", colour(j), symbol(j), lambda of: j in of and i not in of),
        ("front of both", "@ink", "star", lambda of: i in of and j in of),
    )
    data: list[Trace] = []
    for name, shade, mark, belongs in kinds:
        numbers = [n for n in here if n in drawn and belongs(rows[n]["front_of"])]
        x, y = [rows[n]["latency_ms"][i] for n in numbers], [rows[n]["latency_ms"][j] for n in numbers]
        trace = points(
            name, x, y, numbers, marker={"color": shade, "symbol": mark, "size": 5 if shade == "@faint" else 8}
        )
        data += by_status(trace, _unstable(rows, numbers, i, j))
    data += [hollow_key()] if any(_unstable(rows, here, i, j)) else []
    return Figure(
        id=f"pair-{i}-{j}{f'-{stage}' if stage else ''}",
        title=f"{a} against {b}{apart}",
        says=f"{len(here)} sub-networks measured on both; Kendall tau {MISSING if tau is None else f'{tau:.3f}'}"
        f"{_allowed(result, i, j)}.",
        data=data,
        layout={"xaxis": axis(f"{what} on {a} (ms)"), "yaxis": axis(f"{what} on {b} (ms)")},
        table=PageTable(
            [f"{what} on {a} (ms)", f"{what} on {b} (ms)", "front of", "network"],
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
        choice=f"{a} against {b}{apart} \u00b7 {platforms[i]} against {platforms[j]}",
        height=400,
        platforms=(i, j),
    )


def _allowed(result: Mapping[str, Any], i: int, j: int) -> str:
    """Say what noise allows, where there is noise."""
    return f", where noise allows {ceiling_of(result, i, j):.3f}" if run_to_run(result, (i, j)) else ""


def effect_figure(result: Mapping[str, Any]) -> Figure | None:
    """What each kind of choice costs, platform by platform."""
    effects, platforms = result.get("effects"), result["platforms"]
    # Of few sub-networks no effect is known, and bars without a height would be an empty figure.
    if not effects or all(one is None for percents in effects["percent"] for one in percents):
        return None
    interval = (result.get("intervals") or {}).get("effects")
    kinds = [KINDS.get(name, name) for name in effects["names"]]
    data: list[Trace] = []
    for place in range(len(platforms)):
        heights = [percents[place] for percents in effects["percent"]]
        bounds = [_pair(interval, number, place) for number in range(len(kinds))]
        trace: Trace = {
            "type": "bar",
            "name": letter(place),
            "x": [text(kind) for kind in kinds],
            "y": rounded(heights),
            "meta": {"platform": place},
            "marker": {"color": colour(place)},
            "hovertemplate": f"{letter(place)}: %{{y:.1f}} % for %{{x}}<extra></extra>",
        }
        data.append(trace | ({"error_y": error_bars(heights, bounds, "@muted")} if any(bounds) else {}))
    rows = [[kind, *percents] for kind, percents in zip(kinds, effects["percent"], strict=True)] + [
        ["explained variance (%)", *(None if share is None else 100 * share for share in effects["explained"])]
    ]
    return Figure(
        id="effects",
        title="What a choice costs",
        says="Taking all choices of a kind from the smallest to the largest value, the rest being equal: what it adds, "
        "in percent of the platform\u2019s mean latency.",
        data=data,
        layout={"yaxis": axis("% of the mean latency"), "barmode": "group"},
        table=PageTable(["kind of choice", *map(letter, range(len(platforms)))], rows),
        height=360,
    )


def _pair(interval: Mapping[str, Any] | None, number: int, place: int) -> tuple[float, float] | None:
    if interval is None or interval["low"][number][place] is None:
        return None
    return interval["low"][number][place], interval["high"][number][place]


def _both(row: Mapping[str, Any], target: int) -> bool:
    return row["latency_ms"][target] is not None and row["quality"] is not None
