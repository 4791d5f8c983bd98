"""Summarise all experiments that were run in one Markdown document, such as ``docs/reproduction.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hwnas.experiments import experiment, published
from hwnas.experiments.claims import FAILED, HELD, UNDECIDED, counted
from hwnas.experiments.summary_claims import cell, changed, claims_table
from hwnas.search.words import listed, number
from hwnas.supernets.documents import parse_json, read_text
from hwnas.supernets.errors import MALFORMED, UsageError
from hwnas.supernets.values import of_kind, one_of
from hwnas.supernets.writing import make_folder, write_file

# The scales that a reader compares.
_SIDE_BY_SIDE = ("small", "full")
# What is said of the machine that ran an experiment.
_OF_MACHINE = ("cpu", "allowed_cpus")

_HEAD = """# The paper's experiments, run here

A claim of the paper *held* where the whole 95 % interval of its statistic says so, *did not hold* where it says the
opposite, and is *undecided* between.
"""

_HOW = """Written by `hwnas reproduce summary --keep docs/results --markdown docs/reproduction.md` from the results of
the runs, which `docs/results` keeps without their data; not by hand. How to write an experiment of your own:
[experiments.md](experiments.md).

The paper is Cummings et al., [arXiv 2205.10358](https://arxiv.org/abs/2205.10358). What an experiment took is time on
the clock, beside whatever else the machine did; in brackets, the processor time of its own processes; then the day on
which it ended. "Measured here" is what this machine's runtimes say where published tables of real devices stand first.
"""


def keep(folder: Path, kept: Path) -> None:
    """Put the results in a folder into another one, without their data: all that a summary shows.

    So experiments may be run at different times and on different machines. What is kept already of one that the folder
    has is replaced.

    Raises:
        UsageError: a file in the folder is no result.
        OSError: nothing can be written.
    """
    make_folder(kept)
    for scale in _SIDE_BY_SIDE:
        for result in _results(folder, scale):
            facts = {name: value for name, value in result.items() if name != "data"}
            facts["environment"] = {name: result["environment"].get(name) for name in _OF_MACHINE}
            text = json.dumps(facts, indent=1, ensure_ascii=False)
            write_file(kept / f"{result['experiment']}-{scale}.json", f"{text}\n".encode())


def summary(folder: Path, scale: str) -> str:
    """Return the table of what was run at a scale, as Markdown; small and full scale stand side by side.

    Raises:
        UsageError: nothing was, or there is no such scale.
    """
    experiment.check_scale(scale)
    results = list(_results(folder, scale))
    if not results:
        raise UsageError(
            f"{folder}: has no results at scale {scale!r}; 'hwnas reproduce all --scale {scale}' makes them"
        )
    others = {one: list(_results(folder, one)) for one in _SIDE_BY_SIDE if one != scale and scale in _SIDE_BY_SIDE}
    shown = {scale: results} | {one: found for one, found in others.items() if found}
    lines = [
        _HEAD,
        *claims_table(shown),
        "",
        "## What was run",
        "",
        _HOW,
        *(line for one, found in shown.items() for line in _runs(one, found)),
        *_missing(results),
        "",
        "## What stands in",
        "",
        *(line for one in results for line in _stand_ins(one)),
        "",
        "## Claims, one by one",
        *(line for one, found in shown.items() for line in _claims(one, found)),
    ]
    return "\n".join(lines) + "\n"


def _runs(scale: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    minutes = sum(one["seconds"] for one in results) / 60
    machines = listed(list(dict.fromkeys(_machine(one["environment"]) for one in results)))
    return [
        f"Scale: **{scale}**; {len(results)} experiments in {minutes:.0f} minutes, on {machines}.",
        "",
        "| experiment | the paper | ours | claims | took | command |",
        "| --- | --- | --- | --- | --- | --- |",
        *(_row(one) for one in results),
        "",
    ]


def _claims(scale: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        "",
        f"Scale: **{scale}**.",
        "",
        "| experiment | claim | on | verdict | statistic | value | 95 % interval |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_claim(one["experiment"], claim) for one in results for claim in one["claims"]),
    ]


def _results(folder: Path, scale: str) -> Iterator[dict[str, Any]]:
    for name in experiment.names():
        file = folder / f"{name}-{scale}.json"
        if file.is_file():
            yield _read(file)


def _read(file: Path) -> dict[str, Any]:
    """Read a result, and check that everything the summary shows is in it."""
    try:
        result: dict[str, Any] = parse_json(read_text(file))
        _row(result), _machine(result["environment"]), list(_stand_ins(result))
        for claim in result["claims"]:
            one_of("verdict", claim["verdict"], (HELD, FAILED, UNDECIDED))
            for name in ("claim", "where", "statistic"):
                of_kind(name, claim[name], str)
            for name in ("value", "low", "high"):
                of_kind(name, claim[name], int | float | None)
        claims_table({result["scale"]: [result]})
    except (OSError, *MALFORMED) as error:
        raise UsageError(f"{file}: is no result of an experiment ({error!r}); run it again") from error
    return result


def _missing(results: Sequence[Mapping[str, Any]]) -> list[str]:
    there = {one["experiment"] for one in results}
    left = [name for name in experiment.names() if name not in there]
    return [f"Not run: {listed(left)}."] if left else []


def _row(result: Mapping[str, Any]) -> str:
    name = result["experiment"]
    cells = [
        f"**{name}**: {result['title']}",
        f"{result['paper'] or 'not in the paper'}{_published(name)}",
        result["gist"],
        counted(result["claims"]) or "none is known",
        _spent(result["seconds"]) + _worked(result) + _when(result),
        f"`hwnas reproduce {name} --scale {result['scale']}`",
    ]
    return f"| {' | '.join(cell(one) for one in cells)} |"


def _published(name: str) -> str:
    head = experiment.shipped(name).head
    if not head.published:
        return ""
    numbers = published.load(head.published)
    parts = [
        f"{problem}: " + "; ".join(f"{one.hypervolume:.3f} by {_listed(one.evaluations)}" for one in thresholds)
        for problem, thresholds in numbers.thresholds.items()
    ]
    parts += [
        f"{measure} at {'most' if one.is_most else 'least'} {one.value:g}{' ' * bool(one.unit)}{one.unit}"
        for measure, one in numbers.bounds.items()
    ]
    return ": " + "; ".join(parts)


def _listed(evaluations: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in evaluations.items())


def _stand_ins(result: Mapping[str, Any]) -> Iterator[str]:
    if result["stands_in"]:
        yield f"- **{result['experiment']}**: {' '.join(result['stands_in'])}"


def _claim(name: str, claim: Mapping[str, Any]) -> str:
    value, low, high = (number(claim[key], 3) for key in ("value", "low", "high"))
    verdict = claim["verdict"] if claim["verdict"] == HELD else f"*{claim['verdict']}*"
    cells = [name, claim["claim"], claim["where"], verdict, claim["statistic"], value, f"{low} to {high}"]
    return f"| {' | '.join(cell(one) for one in cells)} |"


def _worked(result: Mapping[str, Any]) -> str:
    """Return the processor time; results of earlier versions have none."""
    return f" ({_spent(result['processor_s'])} of processors)" if "processor_s" in result else ""


def _when(result: Mapping[str, Any]) -> str:
    """Return the day on which it ended, and whether it would be run otherwise today, as far as the result says so."""
    day = str(result.get("finished_at", ""))[:10]
    return (f", {day}" if day else "") + (", with other settings than its file has now" if changed(result) else "")


def _spent(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _machine(environment: Mapping[str, Any]) -> str:
    model, count = environment.get("cpu"), environment.get("allowed_cpus")
    return f"{model or 'this machine'} ({count} CPUs)" if count else str(model or "this machine")
