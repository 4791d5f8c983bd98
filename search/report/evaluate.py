"""The page of an evaluation: the quality of sub-networks, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.search.report.figures import Figure, PageTable, axis, colour, error_bars, points, text
from hwnas.search.report.page import render
from hwnas.search.words import number, quality_title, shortened, spelled


def evaluate_page(result: Mapping[str, Any]) -> str:
    """Return the page of an evaluation.

    Args:
        result: as ``hwnas evaluate --json`` writes it.
    """
    short = shortened(str(row["key"]) for row in result["evaluations"])
    rows = [row | {"label": short[str(row["key"])]} for row in result["evaluations"]]
    quality = {"maximise": True, "note": "", **result["quality"]}
    figure = _figure(rows, quality)
    networks = [{"config": spelled(row["config"]), "lines": [row["label"], _said(row, quality)]} for row in rows]
    return render(
        "figures.html",
        [figure],
        networks,
        kind="evaluation",
        title=f"{quality['metric']} of {result['supernet']}",
        heading="How good, and how sure",
        verdict=_words(rows, quality),
        about=[("Super-network", result["supernet"]), ("Quality", quality["source"])],
        quality=quality,
        found="Sub-networks",
        shown=[figure],
        tables=[],
        reasons=[f"{row['label']} failed: {row['reason']}" for row in rows if row.get("reason")],
        details=[],
    )


def _said(row: Mapping[str, Any], quality: Mapping[str, Any]) -> str:
    interval = "" if row["low"] is None else f" [{number(row['low'])}, {number(row['high'])}]"
    return f"{quality['metric']} {number(row['value'])} {quality['unit']}{interval}"


def _figure(rows: list[dict[str, Any]], quality: Mapping[str, Any]) -> Figure:
    """Every sub-network's value with its interval."""
    values = [row["value"] for row in rows]
    bounds = [None if row["low"] is None else (row["low"], row["high"]) for row in rows]
    labels = [text(row["label"]) for row in rows]
    marker = {"color": colour(0), "size": 9}
    bars = {"error_x": error_bars(values, bounds, colour(0))} if any(bounds) else {}
    sure = " with its 95 % interval" if any(bounds) else ""
    return Figure(
        id="values",
        title=f"{quality['metric']} by sub-network",
        says=f"Each sub-network's {quality['metric']}{sure}; point at one to see its config.",
        data=[points(quality["metric"], values, labels, range(len(rows)), marker=marker, **bars)],
        layout={
            "xaxis": axis(quality_title(quality)),
            "yaxis": axis("", type="category", categoryorder="array", categoryarray=list(reversed(labels))),
            "showlegend": False,
        },
        table=_table(rows, quality),
        height=170 + 30 * len(rows),
    )


def _table(rows: list[dict[str, Any]], quality: Mapping[str, Any]) -> PageTable:
    others = list(dict.fromkeys(name for row in rows for name in row["others"]))
    columns = ["sub-network", quality_title(quality), "from", "to", *others, "examples", "config"]
    return PageTable(
        columns,
        [
            [
                row["label"],
                *(row[name] for name in ("value", "low", "high")),
                *(row["others"].get(name) for name in others),
                row["n"] or None,
                "; ".join(spelled(row["config"])),
            ]
            for row in rows
        ],
    )


def _words(rows: list[dict[str, Any]], quality: Mapping[str, Any]) -> list[str]:
    known = [row for row in rows if row["value"] is not None]
    if not known:
        return ["No sub-network could be evaluated."]
    best, worst = (choose(known, key=lambda row: row["value"]) for choose in (max, min))
    if not quality["maximise"]:
        best, worst = worst, best
    if len(known) == 1:
        return [f"{best['label']}: {_said(best, quality)}."]
    overlap = best["low"] is not None and _overlap(best, worst)
    unsure = ["Their intervals overlap: more examples would tell them apart."] if overlap else []
    return [f"From {_said(worst, quality)} to {_said(best, quality)}, of {len(known)} sub-networks.", *unsure]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return bool(one["low"] <= other["high"] and other["low"] <= one["high"])
