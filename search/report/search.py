"""The page of a study: its front, how the search progressed, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.harness.measurement.beside_load import status_shown
from hwnas.harness.measurement.protocol import THOROUGH
from hwnas.search.report.figures import Cell, Command, PageTable
from hwnas.search.report.front_noise import FrontNoise, front_noise
from hwnas.search.report.page import render
from hwnas.search.report.search_figures import growth, pairs, parallel, projection
from hwnas.search.report.study_view import StudyView
from hwnas.search.study.interrupted import INTERRUPTED
from hwnas.search.words import MISSING, export_command, facts, listed, number, point_in_words, spelled, troubled
from hwnas.supernets.shown import counted
from hwnas.supernets.values import json_numbers


def search_page(result: Mapping[str, Any]) -> str:
    """Return the page of a study.

    Args:
        result: as ``hwnas search --json`` writes it.
    """
    seen = StudyView(result)
    fronts = [projection(seen, a, b) for a, b in pairs(seen)]
    together = [parallel(seen)] if len(seen.objectives) > 2 and seen.front else []
    # Where nothing meets the constraints there is no hypervolume that could grow.
    grown = [growth(seen)] if seen.front else []
    return render(
        "search.html",
        [*fronts, *together, *grown],
        networks_shown(seen),
        title=f"{result['study'] or 'Search'}: front of {result['supernet']}",
        result=result,
        constraints=list(result.get("constraints") or []),
        quality=seen.quality,
        predicted=bool(seen.quality["predicted"]),
        unstable=_troubled(seen, "unstable"),
        n_unstable=sum(one["status"] == "unstable" for one in seen.evaluations),
        objectives=seen.objectives,
        verdict=list(_words(seen)),
        fronts=fronts,
        parallel=together,
        growth=grown,
        reference=point_in_words(result["hypervolume"]["reference"], seen.objectives),
        front_table=_front_table(seen),
        unfinished=_unfinished(result),
        chosen=[_chosen(seen.evaluations[index]) for index in seen.front],
        settings=facts(_settings(result)),
        environment=facts(dict(result.get("environment") or {})),
        notes=_notes(seen),
    )


def _unfinished(result: Mapping[str, Any]) -> str:
    """Say that a study has not ended, as far as that is known of it; "" where it has."""
    done = counted(len(result["evaluations"]), "evaluation")
    if str(result.get("stopped") or "").startswith(INTERRUPTED):
        return f"It was interrupted after {done}. The same command with --resume goes on."
    if result.get("effort", THOROUGH) != THOROUGH and "final" not in result:
        return (
            f"It has {done} so far, and its front was not measured again in full: its latencies are those of "
            f"a search under way ({result['effort']} effort). The same command with --resume goes on."
        )
    return ""


def _words(seen: StudyView) -> list[str]:
    done = counted(len(seen.evaluations), "evaluation")
    if not seen.front:
        return [f"{done} found no sub-network that meets what was asked for."]
    sure = front_noise(seen.result)
    if sure.doubtful:
        sentences = [str(sure)]
    else:
        sentences = [f"{done} found a front of {counted(len(seen.front), 'sub-network')}: {_ends(seen)}."]
        if sure.run_to_run:
            sentences.append(f"With the noise of the measurements, {_certain(sure)} there for certain.")
    values = [] if sure.doubtful else seen.hypervolumes()
    if values and values[-1] > 0:
        reached = next(i for i, value in enumerate(values, 1) if value >= 0.95 * values[-1])
        sentences.append(f"95\u202f% of the final hypervolume was reached after {counted(reached, 'evaluation')}.")
    spent = seen.result.get("time_s") or {}
    if spent.get("total"):
        total, measure, own = (_duration(spent[part]) for part in ("total", "measure", "search"))
        sentences.append(f"It took {total}: {measure} evaluating, {own} searching.")
    return sentences


def _certain(sure: FrontNoise) -> str:
    n = len(sure.shares)
    return (
        "all of them are" if sure.certain == n else f"{sure.certain} of the {n} {'is' if sure.certain == 1 else 'are'}"
    )


def _ends(seen: StudyView) -> str:
    """Spell the front's two ends."""

    def point(row: int) -> str:
        values = [
            f"{number(json_numbers(seen.values[row, c]))}\u202f{one['unit']}"
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


def networks_shown(seen: StudyView) -> list[dict[str, Any]]:
    """Return what the hover says of each evaluation."""
    return [_network(seen, one) for one in seen.evaluations]


def _network(seen: StudyView, one: Mapping[str, Any]) -> dict[str, Any]:
    lines = [
        f"evaluation {one['index']}, iteration {one['iteration']}"
        + ("" if (status := status_shown(one["status"], one.get("load"))) == "ok" else f", {status}")
    ]
    for column, name in enumerate(seen.names):
        value, bounds = one["objectives"].get(name), (one.get("intervals") or {}).get(name)
        shown = MISSING if value is None else f"{value:.4g}"
        sure = f" [{bounds[0]:.4g}, {bounds[1]:.4g}]" if bounds and None not in bounds else ""
        lines.append(f"{seen.title(column)}: {shown}{sure}")
    return {"lines": lines, "config": spelled(one["config"])}


def _front_table(seen: StudyView) -> PageTable:
    study = seen.result["study"]
    measured = any((one.get("intervals") or {}) for one in seen.evaluations)
    columns = ["front", "evaluation", *(seen.title(c) for c in range(len(seen.names)))]
    columns += ["95 % interval"] * measured + ["status", "key"] + ["command"] * bool(study) + ["config"]
    rows: list[list[Cell]] = []
    for place, row in enumerate(seen.front, 1):
        one = seen.evaluations[row]
        cells: list[Cell] = [place, row, *(json_numbers(value) for value in seen.values[row])]
        cells += [_intervals(one) or None] * measured
        cells += [status_shown(one["status"], one.get("load")), one.get("key")]
        cells += [Command(export_command(study, "--front", str(place), "--onnx", f"front-{place}"))] if study else []
        rows.append([*cells, "; ".join(spelled(one["config"]))])
    return PageTable(columns, rows)


def _intervals(one: Mapping[str, Any]) -> str:
    known = {name: bounds for name, bounds in (one.get("intervals") or {}).items() if None not in bounds}
    return "; ".join(f"{name} {low:.4g}\u2013{high:.4g}" for name, (low, high) in known.items())


def _chosen(one: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one[key] for key in ("index", "key", "config", "objectives") if key in one}


def _settings(result: Mapping[str, Any]) -> dict[str, Any]:
    named = {
        key: result.get(key)
        for key in ("study", "supernet", "platform", "algorithm", "seed", "constraints", "warm_start", "stopped")
        if result.get(key) not in (None, "", [])
    }
    return {**named, "hypervolume": result["hypervolume"], **(result.get("settings") or {})}


def _notes(seen: StudyView) -> list[str]:
    """Return what the study notes of itself; what its quality is, and what is unstable, stands at the top already."""
    above = [seen.quality["note"], *_troubled(seen, "unstable")]
    sentences = [one for one in seen.result.get("notes") or [] if not any(note and note in one for note in above)]
    return sentences or _troubled(seen, "failed")


def _troubled(seen: StudyView, status: str) -> list[str]:
    """Return how many evaluations failed, or are unstable, and why; nothing where none is."""
    reasons = [one.get("reason", "") for one in seen.evaluations if one["status"] == status]
    return [troubled(status, reasons, len(seen.evaluations), "evaluations")] if reasons else []
