"""The transfer page: fronts of one platform, measured on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwnas.search.report.figures import PageTable
from hwnas.search.report.page import render
from hwnas.search.report.transfer_figures import (
    drawn_rows,
    effect_figure,
    front_figure,
    loss_figure,
    pair_figure,
)
from hwnas.search.transfer.sentence import ceiling_of, run_to_run, was_searched
from hwnas.search.transfer.stages import stage_result
from hwnas.search.transfer.verdict import KINDS, troubles, verdict
from hwnas.search.words import MISSING, against, facts, letter, listed, percent, quality_title, spelled
from hwnas.supernets.shown import counted

# A table of more rows serves nobody on screen; the page's JSON has them all.
_MAX_TABLE_ROWS = 200

_MATRICES = (
    # name in the JSON, title, what a cell says, the value that is shown palest
    ("kendall_tau", "Kendall tau", "How alike two platforms order the shared sub-networks: 1 alike, 0 unrelated.", 0.5),
    ("spearman", "Spearman", "The same question, asked of ranks: 1 alike, 0 unrelated.", 0.5),
    (
        "hypervolume_ratio",
        "Hypervolume ratio",
        "The row\u2019s front on the column\u2019s platform, over that platform\u2019s own front.",
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
    drawn = drawn_rows(result) if rows else frozenset()
    fronts = [front_figure(result, quality, target, drawn) for target in targets]
    losses = [figure for target in targets if (figure := loss_figure(result, quality, target))]
    effects = [figure for figure in (effect_figure(result),) if figure]
    stages = {stage["stage"]: stage_result(result, stage) for stage in result.get("stages") or ()}
    parts = {"": result, **stages}
    pairs = [pair_figure(part, i, j, drawn, name) for j in targets for i in range(j) for name, part in parts.items()]
    return render(
        "transfer.html",
        [*fronts, *losses, *effects, *pairs],
        {number: network_shown(rows[number], platforms, quality) for number in sorted(drawn)},
        title=f"What carries over: {listed([letter(i) for i in range(len(platforms))])}",
        supernet=result.get("supernet"),
        n_shared=result["n_shared"],
        searched=_searched(result),
        was_searched=was_searched(result),
        sure=bool(result.get("intervals")),
        measured=any(bounds for row in rows for bounds in row["interval_ms"]),
        fresh=(result.get("settings") or {}).get("fresh"),
        quality=quality,
        platforms=_letters(platforms),
        verdict=verdict(result),
        unstable=[line for line in troubles(result) if " unstable" in line],
        measurements=_measurements(result),
        noise=_run_to_run(result),
        matrices=[
            _matrix(result, *_MATRICES[0]),
            *_stage_matrices(stages),
            *(_matrix(result, *one) for one in _MATRICES[1:]),
        ],
        fronts=fronts,
        losses=losses,
        effects=effects,
        stage_effects=_stage_effects(result),
        adapting=_adapting(result),
        pairs=pairs,
        front_networks=_network_table(rows, platforms, quality),
        chosen=[_chosen(row, platforms, quality) for row in rows if row["front_of"]],
        settings=facts(dict(result.get("settings") or {})),
        searches=result.get("searches") or [],
        environment=facts(dict(result.get("environment") or {})),
        troubles=_troubles(rows, platforms),
        reference=[_reference(point, quality) for point in result.get("reference") or []],
    )


def _matrix(result: Mapping[str, Any], name: str, title: str, says: str, palest: float) -> dict[str, Any]:
    places = range(len(result[name]))
    cells = [[_cell(result, name, palest, i, j) for j in places] for i in places]
    return {
        "name": name,
        "title": title,
        "says": says,
        "cells": cells,
        "directed": name in {"hypervolume_ratio", "front_overlap"},
    }


def _stage_matrices(stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return Kendall's tau of each stage of an inference."""
    name, title, _, palest = _MATRICES[0]
    says = "The same, by the latency of one run of {} alone."
    return [_matrix(part, name, f"{title}, {stage}", says.format(stage), palest) for stage, part in stages.items()]


def _cell(result: Mapping[str, Any], name: str, palest: float, i: int, j: int) -> dict[str, Any]:
    value, bounds = result[name][i][j], (result.get("intervals") or {}).get(name) if i != j else None
    counts = result.get("n_pairs" if name in {"kendall_tau", "spearman"} else "n_members")
    noisy = name == "kendall_tau" and run_to_run(result, (i, j)) > 0
    if noisy and i == j:
        value, bounds = ceiling_of(result, i, i), result["ceiling"]
    return {
        "value": value,
        "shade": 0 if value is None else round(100 * min(max((value - palest) / (1 - palest), 0), 1)),
        "low": bounds["low"][i][j] if bounds and "low" in bounds else None,
        "high": bounds["high"][i][j] if bounds and "high" in bounds else None,
        "count": counts and counts[i][j],
        "ceiling": ceiling_of(result, i, j) if noisy and i != j else None,
    }


def _measurements(result: Mapping[str, Any]) -> dict[str, int] | None:
    """Return how many measurements there are, and how many of them are unstable; ``None`` where nothing is noisy."""
    noise = result.get("noise")
    noisy = [place for place in range(len(result["platforms"])) if run_to_run(result, (place,)) > 0]
    if not noise or not noisy:
        return None
    return {name: sum(noise[of][place] for place in noisy) for name, of in (("total", "measured"), ("unstable",) * 2)}


def _run_to_run(result: Mapping[str, Any]) -> str:
    """Spell by how much two runs of the noisiest platform differ; empty where nothing is noisy."""
    differing = run_to_run(result, range(len(result["platforms"])))
    return f"differing by {percent(differing)}" if differing else ""


def _stage_effects(result: Mapping[str, Any]) -> PageTable | None:
    effects = result.get("stage_effects")
    if not effects or not effects["names"]:
        return None
    rows = [[_kind(name), *percents] for name, percents in zip(effects["names"], effects["percent"], strict=True)]
    return PageTable(["kind of choice, stage", *(letter(i) for i in range(len(result["platforms"])))], rows)


def _kind(name: str) -> str:
    """Spell a kind of choice with its stage: "ks 2" is the kernel size in stage 2."""
    kind, _, stage = name.partition(" ")
    return f"{KINDS.get(kind, kind)}, stage {stage}" if stage else KINDS.get(kind, kind)


def _adapting(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """How few measurements are enough, as a matrix: what is known along the left, the target along the top."""
    found = result.get("samples_to_adapt") or {}
    if not found.get("adapted"):
        return None
    most = f"> {found['most_tried']}"
    cells = [
        [None if i == j else most if value is None else value for j, value in enumerate(row)]
        for i, row in enumerate(found["adapted"])
    ]
    several = len(cells) > 2 and "from_all" in found
    ends = found.get("reached") or [None] * len(cells)
    return {
        "cells": cells,
        "alone": [most if value is None else value for value in found["alone"]],
        "all": [most if value is None else value for value in found["from_all"]] if several else [],
        "reached": [None if end is None else against(end, found["target_tau"]) for end in ends],
        "most": found["most_tried"],
        "tau": found["target_tau"],
        "held_out": found["held_out"],
    }


def network_shown(row: Mapping[str, Any], platforms: Sequence[str], quality: Mapping[str, Any]) -> dict[str, Any]:
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


def _network_table(
    rows: Sequence[Mapping[str, Any]], platforms: Sequence[str], quality: Mapping[str, Any]
) -> PageTable:
    chosen = sorted((row for row in rows if row["front_of"]), key=lambda row: (row["quality"] is None, row["quality"]))
    shown = chosen[:_MAX_TABLE_ROWS]
    return PageTable(
        [quality_title(quality), *(f"{letter(i)} (ms)" for i in range(len(platforms))), "front of", "config"],
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
    """Per platform, the measurements that did not converge or failed, with the reasons."""
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
    evals = f", {counted(settings['evals'], 'evaluation')}" if settings.get("evals") else ""
    return f"{settings['algorithm']}{evals}" if settings.get("algorithm") else ""
