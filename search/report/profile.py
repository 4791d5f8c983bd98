"""The page of a profile: every latency with its interval, and the samples over time that they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.harness.measurement.beside_load import beside_load, status_shown
from hwnas.harness.measurement.percentiles import PERCENTILES
from hwnas.search.report.figures import (
    Figure,
    PageTable,
    Trace,
    axis,
    by_status,
    colour,
    error_bars,
    hollow_key,
    points,
    symbol,
    text,
)
from hwnas.search.report.page import render
from hwnas.search.report.precisions import gains
from hwnas.search.words import facts, number, shortened, spelled, troubled
from hwnas.supernets.shown import counted

_COUNTS = (("macs", "MACs"), ("params", "parameters"))


def profile_page(result: Mapping[str, Any]) -> str:
    """Return the page of a profile.

    Args:
        result: as ``hwnas profile --json --samples`` writes it.
    """
    short = shortened(str(row["key"]) for row in result["measurements"])
    rows = [row | {"label": short[str(row["key"])]} for row in result["measurements"]]
    platforms = list(dict.fromkeys(row["platform"] for row in rows))
    # What a table knows was not measured here: there are no samples of it.
    measured = list(dict.fromkeys(row["platform"] for row in rows if _measured(row)))
    over_time = [_over_time(index, name, rows) for index, name in enumerate(measured)]
    side_by_side = _side_by_side(rows, platforms)
    return render(
        "profile.html",
        [side_by_side, *over_time],
        [{"config": spelled(row["config"]), "lines": _said(row)} for row in rows],
        title=f"Latency of {rows[0]['supernet']}",
        supernet=rows[0]["supernet"],
        verdict=[*_words(rows, platforms), *(f"{gain}." for gain in gains(rows, result["environment"]))],
        over_time=over_time,
        side_by_side=side_by_side,
        table=_table(rows),
        unstable=_unstable(rows),
        n_unstable=sum(row["status"] == "unstable" for row in rows),
        total=len(rows),
        reasons=[f"{row['label']} on {row['platform']}: {row['reason']}" for row in rows if row["reason"]],
        environment=facts(dict(result["environment"])),
        protocols=[(f"{row['platform']}", facts(row["protocol"])) for row in _first_of_each(rows) if row["protocol"]],
    )


def _measured(row: Mapping[str, Any]) -> bool:
    """Tell whether a latency was measured, or tried to be, and not looked up in a table."""
    return bool(row["latency_ms"]["statistic"] != "table")


def _said(row: Mapping[str, Any]) -> list[str]:
    """Return what the hover says of a measurement, above the config."""
    latency = row["latency_ms"]
    value, low, high = (number(latency[name]) for name in ("value", "ci_low", "ci_high"))
    return [row["label"], f"{row['platform']}: {value} ms [{low}, {high}]", *_counts(row)]


def _counts(row: Mapping[str, Any]) -> list[str]:
    return [f"{number(row[name] / 1e6)} M {called}" for name, called in _COUNTS if row.get(name)]


def _side_by_side(rows: list[dict[str, Any]], platforms: list[str]) -> Figure:
    """Every network on every platform, with the interval of its latency."""
    networks = list(dict.fromkeys(row["label"] for row in rows))
    data: list[Trace] = []
    for place, platform in enumerate(platforms):
        here = [(number, row) for number, row in enumerate(rows) if row["platform"] == platform]
        found = [row["latency_ms"] for _, row in here]
        values = [one["value"] for one in found]
        bars = error_bars(values, [_bounds(one) for one in found], colour(place))
        marker = {"color": colour(place), "symbol": symbol(place), "size": 9}
        labels = [text(row["label"]) for _, row in here]
        trace = points(platform, values, labels, [number for number, _ in here], marker=marker, error_x=bars)
        data += by_status(trace, [row["status"] == "unstable" for _, row in here])
    data += [hollow_key()] if any(row["status"] == "unstable" for row in rows) else []
    order = [text(label) for label in reversed(networks)]
    counts = {row["label"]: _counts(row) for row in rows}
    ticks = ["<br>".join([text(label), *counts[label]]) for label in reversed(networks)]
    return Figure(
        id="side-by-side",
        title="Networks by platforms",
        says="Each network's latency on each platform, with its 95 % interval. Below its name stand its MACs "
        "and parameters; point at one to see its config.",
        data=data,
        layout={
            "xaxis": axis("latency (ms)", rangemode="tozero"),
            "yaxis": axis(
                "", type="category", categoryorder="array", categoryarray=order, tickvals=order, ticktext=ticks
            ),
            "showlegend": True,
        },
        height=190 + 52 * len(networks),
    )


def _bounds(latency: Mapping[str, Any]) -> tuple[float, float] | None:
    low, high = latency["ci_low"], latency["ci_high"]
    return None if low is None or high is None else (low, high)


def _over_time(index: int, platform: str, rows: list[dict[str, Any]]) -> Figure:
    here = [(number, row) for number, row in enumerate(rows) if row["platform"] == platform]
    data: list[Trace] = []
    for place, (row_number, row) in enumerate(here):
        data += _samples(place, row_number, row)
    return Figure(
        id=f"samples{index}",
        title=f"Samples on {platform}",
        says="Every sample at its time, as the rounds visit the networks in turn. Crosses were disturbed: something "
        "else ran meanwhile. The line is the reported latency, dashed where it is unstable.",
        data=data,
        layout={"xaxis": axis("seconds since the first warm-up"), "yaxis": axis("latency (ms)", rangemode="tozero")},
        choice=platform,
        height=440,
    )


def _samples(place: int, row_number: int, row: Mapping[str, Any]) -> Iterator[Trace]:
    raw = row.get("samples")
    named = {
        "type": "scatter",
        "mode": "markers",
        "name": text(row["label"] + (f" ({row['status']})" if row["status"] != "ok" else "")),
        "legendgroup": row["key"],
        "showlegend": True,
    }
    if not raw or not raw["at_ns"]:
        # Every network is in the legend, one that failed too.
        yield {**named, "x": [None], "y": [None], "marker": {"color": colour(place), "symbol": symbol(place)}}
        return
    seconds = [round(at / 1e9, 4) for at in raw["at_ns"]]
    for disturbed in (False, True):
        shown = [i for i, marked in enumerate(row["samples_disturbed"]) if marked is disturbed]
        marker = {"color": colour(place), "size": 5, "symbol": "x-thin" if disturbed else symbol(place)}
        marker |= {"line": {"width": 1, "color": colour(place)}} if disturbed else {}
        yield {
            **named,
            "showlegend": not disturbed,
            # A trace of no points is in no legend.
            "x": [seconds[i] for i in shown] or [None],
            "y": [round(row["samples_ms"][i], 5) for i in shown] or [None],
            "customdata": [row_number] * max(len(shown), 1),
            "marker": marker,
            "opacity": 0.5 if disturbed else 0.9,
        }
    value = row["latency_ms"]["value"]
    if value is not None:
        ends = [seconds[0], seconds[-1]]
        dash = "dash" if row["status"] == "unstable" else "solid"
        line = {"color": colour(place), "width": 1.5, "dash": dash}
        shared = {"legendgroup": row["key"], "showlegend": False, "hoverinfo": "skip"}
        yield {"type": "scatter", "mode": "lines", "x": ends, "y": [value, value], "line": line, **shared}


def _table(rows: list[dict[str, Any]]) -> PageTable:
    asked = any("percentiles_ms" in row for row in rows)
    columns = ["sub-network", "platform", "latency (ms)", "statistic", "from", "to"]
    columns += [f"{name} (ms)" for name in PERCENTILES] if asked else []
    columns += ["MACs (M)", "parameters (M)", "samples", "disturbed (%)", "status"]
    cells = []
    for row in rows:
        latency = row["latency_ms"]
        disturbed = None if row["disturbed"] is None else round(100 * row["disturbed"], 1)
        known = [latency["value"], latency["statistic"], latency["ci_low"], latency["ci_high"]]
        more = [row["percentiles_ms"][name]["value"] for name in PERCENTILES] if asked else []
        counts = [row[name] / 1e6 if row.get(name) else None for name, _ in _COUNTS]
        cells.append([row["label"], row["platform"], *known, *more, *counts, latency["n"], disturbed, _status(row)])
    return PageTable(columns, cells, _caption(rows, asked))


def _caption(rows: list[dict[str, Any]], percentiles: bool) -> str:
    """Say what the values of the table are."""
    # Profiles of earlier versions do not say it in words.
    said = dict.fromkeys(row.get("statistic_in_words", "") for row in rows if row["status"] != "failed")
    statistics = [one for one in said if one]
    what = f"The latency is {'; '.join(statistics)}. " if statistics else ""
    bounds = "From and to bound it at 95 % confidence."
    return f"{what}{bounds}{' Percentiles are of all samples, disturbed ones too.' * percentiles}"


def _unstable(rows: list[dict[str, Any]]) -> list[str]:
    """Return how many measurements did not converge, and why; nothing where all did."""
    reasons = [row["reason"] for row in rows if row["status"] == "unstable"]
    return [troubled("unstable", reasons, len(rows))] if reasons else []


def _status(row: Mapping[str, Any]) -> str:
    return status_shown(row["status"], (row.get("context") or {}).get("load"))


def _words(rows: list[dict[str, Any]], platforms: list[str]) -> Iterator[str]:
    measured = [row for row in rows if _measured(row)]
    if measured:
        converged = sum(row["status"] == "ok" for row in measured)
        yield f"{converged} of {counted(len(measured), 'measurement')} converged."
    marked = beside_load((row.get("context") or {}).get("load") for row in rows)
    if marked:
        yield f"{marked}."
    for name in platforms:
        values = [row["latency_ms"]["value"] for row in rows if row["platform"] == name]
        known = [value for value in values if value is not None]
        if known:
            between = f"{number(min(known))} to {number(max(known))} ms" if len(known) > 1 else f"{number(known[0])} ms"
            yield f"{name}: {between}."


def _first_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({row["platform"]: row for row in reversed(rows)}.values())[::-1]
