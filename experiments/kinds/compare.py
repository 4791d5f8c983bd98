"""``kind = "compare"``: algorithms on problems, over seeds: evaluations to thresholds, and progress."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hwnas.experiments import compare_figures
from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict
from hwnas.experiments.compare_claims import AlgorithmOrder, order_verdicts
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.problem import ExperimentProblem, Use, check_known
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.studies import facts_of, fronts_together, run_all, searches_of
from hwnas.experiments.tabulated import tabulated
from hwnas.search.comparison.result import Comparison
from hwnas.search.report.figures import Cell, PageTable
from hwnas.search.study.result import Study
from hwnas.search.words import number
from hwnas.supernets.errors import UsageError, suggestion

SUMMARY = "algorithms on problems, over seeds"

DRAW = ("thresholds", "curves", "surfaces", "progress", "times")


@dataclass(frozen=True)
class CompareSettings:
    """What an experiment file says.

    Attributes:
        problems: what is searched, by name.
        algorithms: by the name that figures use.
        evals: evaluations of a search.
        seeds: searches of each algorithm.
        thresholds: normalised hypervolumes to reach; empty: those that ``thresholds_by`` name.
        thresholds_by: algorithms; what their mean reaches is a threshold (as in Table 3).
        thresholds_after: after so many evaluations; ``None``: with all of them.
        draw: what the page shows, in this order: of ``DRAW``.
        claims: that are tested.
    """

    problems: Mapping[str, ExperimentProblem]
    algorithms: Mapping[str, Use]
    evals: int
    seeds: int
    thresholds: tuple[float, ...] = ()
    thresholds_by: tuple[str, ...] = ()
    thresholds_after: int | None = None
    draw: tuple[str, ...] = ("curves", "surfaces")
    claims: tuple[AlgorithmOrder, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = CompareSettings


def check(settings: CompareSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there, or a number is none that serves."""
    from hwnas.search import algorithms

    for one in settings.algorithms.values():
        algorithms.registry.provider(one.algorithm)
    check_known(settings.problems.values(), settings.algorithms.values(), where)
    known: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        "draw": (settings.draw, DRAW),
        "thresholds_by": (settings.thresholds_by, tuple(settings.algorithms)),
        "claims: order": ([name for one in settings.claims for name in one.order], tuple(settings.algorithms)),
        "claims: problems": ([name for one in settings.claims for name in one.problems], tuple(settings.problems)),
    }
    for key, (names, allowed) in known.items():
        for name in names:
            if name not in allowed:
                raise UsageError(f"{where}: {key}: unknown {name!r}{suggestion(name, allowed)}")
    if settings.evals < 1 or settings.seeds < 1:
        raise UsageError(f"{where}: expected at least 1 of evals and of seeds")
    after = settings.thresholds_after
    if after is not None and not 1 <= after <= settings.evals:
        raise UsageError(f"{where}: thresholds_after: expected 1 to {settings.evals} (evals), got {after}")


def stand_ins(settings: CompareSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    for name, problem in settings.problems.items():
        yield from problem.resolved(environ).notes(name)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Run the searches, and compare those of each problem."""
    settings: CompareSettings = experiment.settings
    problems = {name: tabulated(one.resolved(bench.environ), bench) for name, one in settings.problems.items()}
    wanted = {
        name: searches_of(name, problem, settings.algorithms, settings.evals, settings.seeds)
        for name, problem in problems.items()
    }
    flat = [one for by_label in wanted.values() for searches in by_label.values() for one in searches]
    studies = iter(run_all(flat, bench))
    found: dict[str, Any] = {}
    for name, by_label in wanted.items():
        of_problem = {label: [next(studies) for _ in searches] for label, searches in by_label.items()}
        decisive = {
            "studies": [one.name for runs in of_problem.values() for one in runs],
            "best": problems[name].best,
            "thresholds": [settings.thresholds, settings.thresholds_by, settings.thresholds_after],
        }
        make = partial(_compared, settings, problems[name], of_problem, name, bench)
        found[name] = bench.parts.get(f"compared-{name}", decisive, make)
    return {
        "problems": found,
        "algorithms": list(settings.algorithms),
        "thresholds_after": settings.thresholds_after,
    }


def _compared(
    settings: CompareSettings,
    problem: ExperimentProblem,
    studies: Mapping[str, list[Study]],
    name: str,
    bench: Workspace,
) -> dict[str, Any]:
    """Return the comparison of a problem's studies as JSON values; fronts that were measured are measured together."""
    studies, together = fronts_together(problem, studies, bench)
    evals = max(len(study.archive) for runs in studies.values() for study in runs)
    labelled = {label: settings.algorithms[label].contestant(label) for label in studies}
    contestants = {labelled[label]: runs for label, runs in studies.items()}
    whole = Comparison.of(contestants, evals, problem.best, settings.thresholds or None, together)
    after = min(settings.thresholds_after or evals, evals)
    # Rounded down, so that the algorithm that gives the threshold has reached it.
    ends = {label: math.floor(1000 * float(whole.mean(one)[after - 1])) / 1000 for label, one in labelled.items()}
    asked = settings.thresholds or tuple({ends[label] for label in settings.thresholds_by} - {0.0})
    comparison = Comparison.of(contestants, evals, problem.best, asked, together)
    shown = comparison.to_json()
    marks = sorted({len(run.archive) for runs in studies.values() for run in runs})
    for one, (label, runs) in zip(shown["algorithms"], studies.items(), strict=True):
        own = max(len(run.archive) for run in runs)
        for curve in ("mean", "standard_error"):
            one[curve] = None if one[curve] is None else [float(f"{value:.6g}") for value in one[curve][:own]]
        for run, volumes in zip(one["runs"], comparison.curves[labelled[label]], strict=True):
            # The whole curve of each seed is long, and only what it reached by then is asked for.
            del run["hypervolume"]
            run["at"] = {str(mark): float(volumes[mark - 1]) for mark in marks if mark <= own}
        one["progress"] = _progress(runs[0])
    for threshold in shown["thresholds"]:
        threshold["by"] = [label for label in settings.thresholds_by if ends[label] == threshold["value"]]
    first = next(iter(studies.values()))[0]
    return shown | {"title": problem.title or name, "quality": facts_of(first)}


def _progress(study: Study) -> dict[str, Any]:
    """Return the evaluations of one search in the order that they came in."""
    good = [one for one in study.archive if one.status != "failed"]
    front = {one.index for one in study.front}
    return {
        "seed": study.seed,
        "iteration": [one.iteration for one in good],
        "values": {
            label.name: [float(f"{one.objectives[label.name]:.6g}") for one in good] for label in study.objectives
        },
        "front": [one.index in front for one in good],
    }


def verdicts(settings: CompareSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims."""
    return [one for claim in settings.claims for one in order_verdicts(claim, data["problems"])]


def sections(experiment: Experiment, data: Mapping[str, Any], published: PublishedFigures | None) -> list[Section]:
    """Return what the file asks to be drawn, in its order."""
    makers: dict[str, Callable[[], Section | None]] = {
        "thresholds": partial(compare_figures.thresholds, data, published),
        "curves": partial(compare_figures.curves, data),
        "surfaces": partial(compare_figures.surfaces, data),
        "progress": partial(compare_figures.progress, data),
        "times": partial(compare_figures.times, data, published),
    }
    made = (makers[name]() for name in experiment.settings.draw)
    return [one for one in made if one is not None]


def table(data: Mapping[str, Any]) -> PageTable:
    """Return the mean hypervolume and its error after each evaluation, one row each."""
    rows: list[list[Cell]] = []
    for name, problem in data["problems"].items():
        for one in problem["algorithms"]:
            errors = one["standard_error"] or [None] * len(one["mean"])
            rows += [
                [name, one["name"], place, mean, error]
                for place, (mean, error) in enumerate(zip(one["mean"], errors, strict=True), 1)
            ]
    return PageTable(["problem", "algorithm", "evaluations", "hypervolume", "standard_error"], rows)


def gist(data: Mapping[str, Any]) -> str:
    """Return, problem by problem, the evaluations to the highest threshold, or the hypervolumes at the end."""
    return "; ".join(f"{one['title']}: {_gist(one)}" for one in data["problems"].values())


def _gist(problem: Mapping[str, Any]) -> str:
    if not problem["thresholds"]:
        return ", ".join(f"{one['name']} {one['final']['mean']:.3f}" for one in problem["algorithms"])
    parts = []
    for threshold in problem["thresholds"]:
        reached = [_reached(one) for one in threshold["reached"]]
        parts.append(f"{threshold['value']:.3f} by {', '.join(reached)}")
    return "; ".join(parts)


def _reached(one: Mapping[str, Any]) -> str:
    """Return the evaluations to a threshold, and the seconds on the clock until then."""
    clock = "" if one["time_s"] is None else f" ({number(one['time_s'], 2)} s)"
    return f"{one['name']} {number(one['evaluations'])}{clock}"
