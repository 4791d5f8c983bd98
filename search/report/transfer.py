"""The transfer page: what is found on one platform, shown on the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from search.report.figures import Cell, Figure, Table, Trace, axis, colour, error_bars, points, staircase, symbol
from search.report.page import render
from search.transfer.verdict import verdict
from search.words import MISSING, facts, letter, listed, spelled, units

# A table of more rows serves nobody on screen; the page's JSON has them all.
_MAX_TABLE_ROWS = 200

# Points per figure that a laptop draws at once; beyond it, those that are on no front are thinned.
_MAX_POINTS = 1500

_MATRICES = (
    # name in the JSON, title, what a cell says, the value that is shown palest
    ("kendall_tau", "Kendall tau", "How alike two platforms order the shared sub-networks: 1 alike, 0 unrelated.", 0.5),
    ("spearman", "Spearman", "The same question, asked of ranks: 1 alike, 0 unrelated.", 0.5),
    (
        "hypervolume_ratio",
        "Hypervolume ratio",
        "The row\u2019s front, re-measured on the column\u2019s platform, over that platform\u2019s own front.",
        0.8,
    ),
    (
        "front_overlap",
        "Front overlap",
        "The share of the row\u2019s front that is still worth choosing on the column\u2019s platform.",
        0.0,
    ),
)


def transfer_page(result: Mapping[str, Any]) -> str:
    """Return the page of a transfer result.

    Args:
        result: as ``hwnas transfer --json`` writes it.
    """
    rows, platforms = result.get("rows") or [], result["platforms"]
    quality = result.get("quality") or {
        "metric": "quality",
        "unit": "",
        "predicted": False,
        "note": "",
        "source": "",
        "maximise": True,
    }
    targets = range(len(platforms)) if rows else ()
    fronts = [_front_figure(result, quality, target) for target in targets]
    losses = [figure for target in targets if (figure := _loss_figure(result, quality, target))]
    pairs = [_pair_figure(result, i, j) for j in targets for i in range(j)]
    return render(
        "transfer.html",
        [*fronts, *losses, *pairs],
        [_network(row, platforms, quality) for row in rows],
        title=f"What carries over: {listed([letter(i) for i in range(len(platforms))])}",
        supernet=result.get("supernet"),
        n_shared=result["n_shared"],
        searched=_searched(result),
        sure=bool(result.get("intervals")),
        measured=any(bounds for row in rows for bounds in row["interval_ms"]),
        fresh=(result.get("settings") or {}).get("fresh"),
        quality=quality,
        platforms=_letters(platforms),
        verdict=verdict(result),
        matrices=[_matrix(result, *matrix) for matrix in _MATRICES],
        fronts=fronts,
        losses=losses,
        pairs=pairs,
        front_networks=_network_table(rows, platforms, quality),
        chosen=[_chosen(row, platforms, quality) for row in rows if row["front_of"]],
        settings=facts(dict(result.get("settings") or {})),
        searches=result.get("searches") or [],
        environment=facts(dict(result.get("environment") or {})),
        troubles=_troubles(rows, platforms),
        reference=[_reference(point, quality) for point in result.get("reference") or []],
    )


# --- figures ---------------------------------------------------------------------------------------------------------


def _front_figure(result: Mapping[str, Any], quality: Mapping[str, Any], target: int) -> Figure:
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
            "yaxis": axis(_quality_title(quality)),
        },
        table=Table(
            ["searched on", f"latency on {here} (ms)", _quality_title(quality), "network"],
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


def _loss_figure(result: Mapping[str, Any], quality: Mapping[str, Any], target: int) -> Figure | None:
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


def _pair_figure(result: Mapping[str, Any], i: int, j: int) -> Figure:
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


# --- tables and words ------------------------------------------------------------------------------------------------


def _matrix(result: Mapping[str, Any], name: str, title: str, says: str, palest: float) -> dict[str, Any]:
    values, interval = result[name], (result.get("intervals") or {}).get(name)
    counts = result.get("n_pairs" if name in {"kendall_tau", "spearman"} else "n_members")
    cells = [
        [
            {
                "value": value,
                "shade": 0 if value is None else round(100 * min(max((value - palest) / (1 - palest), 0), 1)),
                "low": interval and interval["low"][i][j],
                "high": interval and interval["high"][i][j],
                "count": counts and counts[i][j],
            }
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(values)
    ]
    return {
        "name": name,
        "title": title,
        "says": says,
        "cells": cells,
        "directed": name in {"hypervolume_ratio", "front_overlap"},
    }


def _network(row: Mapping[str, Any], platforms: Sequence[str], quality: Mapping[str, Any]) -> dict[str, Any]:
    """What the hover shows of a network."""
    value = MISSING if row["quality"] is None else f"{row['quality']:.2f}"
    lines = [f"{quality['metric']} {value} {quality['unit']}{' (predicted)' if quality['predicted'] else ''}"]
    for index in range(min(len(platforms), 6)):
        latency, bounds = row["latency_ms"][index], row["interval_ms"][index]
        shown = (
            "failed"
            if latency is None
            else f"{latency:.3g} ms" + (f" [{bounds[0]:.3g}, {bounds[1]:.3g}]" if bounds else "")
        )
        lines.append(f"{letter(index)}: {shown}{' unstable' if row['status'][index] == 'unstable' else ''}")
    return {"lines": lines, "config": spelled(row["config"])}


def _network_table(rows: Sequence[Mapping[str, Any]], platforms: Sequence[str], quality: Mapping[str, Any]) -> Table:
    chosen = sorted((row for row in rows if row["front_of"]), key=lambda row: (row["quality"] is None, row["quality"]))
    shown = chosen[:_MAX_TABLE_ROWS]
    return Table(
        [_quality_title(quality), *(f"{letter(i)} (ms)" for i in range(len(platforms))), "front of", "config"],
        [
            [
                row["quality"],
                *row["latency_ms"],
                listed([letter(i) for i in row["front_of"]]),
                "; ".join(spelled(row["config"])),
            ]
            for row in shown
        ],
        "" if len(shown) == len(chosen) else f"The first {len(shown)} of {len(chosen)}.",
    )


def _chosen(row: Mapping[str, Any], platforms: Sequence[str], quality: Mapping[str, Any]) -> dict[str, Any]:
    """A front's network as the page offers it for download."""
    return {
        "config": row["config"],
        "key": row["key"],
        quality["metric"]: row["quality"],
        "latency_ms": dict(zip(platforms, row["latency_ms"], strict=True)),
        "front_of": [platforms[index] for index in row["front_of"]],
    }


def _letters(platforms: Sequence[str]) -> list[dict[str, Any]]:
    """Return what the page shows platforms by: a letter, the name and the number of a colour."""
    return [{"index": index, "letter": letter(index), "name": name} for index, name in enumerate(platforms)]


def _troubles(rows: Sequence[Mapping[str, Any]], platforms: Sequence[str]) -> list[dict[str, Any]]:
    """Per platform, what did not settle or failed, with the reasons."""
    found = []
    for index in range(len(platforms)):
        bad = [(row["status"][index], row["reason"][index]) for row in rows if row["status"][index] != "ok"]
        if bad:
            counts = {status: sum(s == status for s, _ in bad) for status in ("unstable", "failed")}
            found.append({"platform": index, **counts, "reasons": _by_weight(bad)})
    return found


def _by_weight(bad: Sequence[tuple[str, str]]) -> list[str]:
    """Return the distinct reasons, those of failures first."""
    return list(dict.fromkeys(reason for _, reason in sorted(bad, key=lambda pair: pair[0] != "failed") if reason))


def _reference(point: Mapping[str, Any], quality: Mapping[str, Any]) -> dict[str, Any]:
    return {"latency_ms": point["latency_ms"], "quality": point[quality["metric"]]}


def _searched(result: Mapping[str, Any]) -> str:
    """Tell how the fronts were found, as far as it is known."""
    settings = result.get("settings") or {}
    evals = f", {settings['evals']} evaluations" if settings.get("evals") else ""
    return f"{settings['algorithm']}{evals}" if settings.get("algorithm") else ""


def _quality_title(quality: Mapping[str, Any]) -> str:
    predicted = "predicted " if quality["predicted"] else ""
    return f"{predicted}{quality['metric']} ({quality['unit']})"


def _both(row: Mapping[str, Any], target: int) -> bool:
    return row["latency_ms"][target] is not None and row["quality"] is not None


def _thinned(numbers: list[int]) -> list[int]:
    return numbers[:: max(1, -(-len(numbers) // _MAX_POINTS))]
