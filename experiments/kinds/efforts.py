"""``kind = "efforts"``: searches that measure with more or less effort, compared at equal time on the clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.experiments import effort_figures
from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict, Remarks, above, mean_interval
from hwnas.experiments.effort_figures import mean_hypervolume, over_seeds
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.files import platform_files
from hwnas.experiments.measured import measured
from hwnas.experiments.naming import check_within
from hwnas.experiments.problem import ExperimentProblem
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.timed import OWN, TimedSearch, for_evaluations, for_seconds
from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.search.report.figures import Cell, PageTable
from hwnas.search.words import number
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import BoolArray, FloatArray
from hwnas.supernets.values import json_number

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform

SUMMARY = "searches that measure with more or less effort, at equal time on the clock"

# Hypervolume is measured from a little beyond the slowest sub-network of all fronts.
_MARGIN = 1.01


@dataclass(frozen=True)
class EffortClaim(Remarks):
    """That one search is ahead of another after the same time.

    Attributes:
        says: the claim.
        order: two of ``searches``, the better one first.
    """

    says: str
    order: tuple[str, str]


@dataclass(frozen=True)
class EffortSettings:
    """What an experiment file says.

    Attributes:
        problem: what is searched, on a platform that measures.
        searches: by the name that figures use. The first one has as long as ``evals`` take it, its final front
            included; each of the others has as long as that took.
        evals: evaluations of the first search: one comparison for each number.
        seeds: how often each is done.
        claims: that are tested, after each of ``evals``.
    """

    problem: ExperimentProblem
    searches: Mapping[str, TimedSearch]
    evals: tuple[int, ...]
    seeds: int
    claims: tuple[EffortClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = EffortSettings


def check(settings: EffortSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there, or a number is none that serves."""
    names = tuple(settings.searches)
    check_within(names, f"{where}: searches")
    for name, one in settings.searches.items():
        one.check(f"{where}: searches: {name}")
    if len(names) < 2 or settings.searches[names[0]].measuring != OWN:
        raise UsageError(f"{where}: searches: expected two or more, the first one with measuring = {OWN!r}")
    for name in (name for claim in settings.claims for name in claim.order):
        if name not in names:
            raise UsageError(f"{where}: claims: order: unknown {name!r}{suggestion(name, names)}")
    if not settings.evals or min(settings.evals) < 1 or settings.seeds < 1:
        raise UsageError(f"{where}: expected at least 1 of each of evals and of seeds")
    if settings.problem.platform is None or settings.problem.objectives or settings.problem.as_table:
        raise UsageError(
            f"{where}: problem: expected a platform to measure on, and neither objectives (they are latency and the "
            "quality) nor as_table"
        )


def stand_ins(settings: EffortSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    yield from settings.problem.resolved(environ).notes(settings.problem.supernet)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Search seed by seed, then measure all fronts of a seed side by side."""
    from hwnas.harness.pinned import pinned
    from hwnas.harness.platform import parse

    settings: EffortSettings = experiment.settings
    problem = settings.problem.resolved(bench.environ)
    where = pinned(parse(str(problem.platform)))
    total, done = settings.seeds * (len(settings.evals) * len(settings.searches) + 1), 0
    runs: list[dict[str, Any]] = []
    fronts = []
    for seed in range(settings.seeds):
        of_seed: list[dict[str, Any]] = []
        for evals in settings.evals:
            seconds = None
            for name, how in settings.searches.items():
                bench.step(f"{name}, seed {seed}", done, total)
                found = _part(problem, where, how, seed, evals, seconds, bench)
                seconds = found["seconds"] if seconds is None else seconds
                of_seed.append({"search": name, "seed": seed, "evals": evals, **found})
                done += 1
        bench.step(f"all fronts of seed {seed}", done, total)
        shared, volumes, quality = _compared(problem, where, seed, [one["front"] for one in of_seed], bench)
        done += 1
        runs += [one | {"hypervolume": volume} for one, volume in zip(of_seed, volumes, strict=True)]
        fronts.append({"seed": seed, **shared})
    return {
        "supernet": problem.supernet,
        "platform": problem.platform,
        "quality": quality,
        "searches": list(settings.searches),
        "evals": list(settings.evals),
        "runs": runs,
        "fronts": fronts,
    }


def _part(
    problem: ExperimentProblem,
    where: Platform,
    how: TimedSearch,
    seed: int,
    evals: int,
    seconds: float | None,
    bench: Workspace,
) -> dict[str, Any]:
    """Return what a search finds in so many seconds; ``None``: in so many evaluations."""
    decisive = {"problem": problem.decisive(), "search": asdict(how), "seed": seed, "evals": evals, "seconds": seconds}
    decisive |= platform_files(where).decisive
    make = (
        partial(for_evaluations, problem, how, seed, evals)
        if seconds is None
        else partial(for_seconds, problem, how, seed, seconds)
    )
    found: dict[str, Any] = bench.parts.get("searched", decisive, lambda: make().to_json())
    return found


def _compared(
    problem: ExperimentProblem, where: Platform, seed: int, fronts: Sequence[Sequence[str]], bench: Workspace
) -> tuple[dict[str, Any], list[float | None], dict[str, Any]]:
    """Measure all sub-networks of some fronts in full; return that, each front's hypervolume, and what quality is.

    A hypervolume is relative to that of all fronts together, from a little beyond the slowest of their sub-networks and
    from the quality of the smallest sub-network of all.
    """
    from hwnas import supernets
    from hwnas.harness import quality
    from hwnas.harness.quality import QualityOptions

    net = supernets.get(problem.supernet)
    source = quality.get(problem.quality, net, QualityOptions(problem.weights, problem.subset))
    keys = sorted({key for front in fronts for key in front})
    X = np.array([net.space.from_key(key) for key in keys], dtype=np.int64).reshape(len(keys), net.space.n_var)
    decisive = {"supernet": problem.supernet, "platform": problem.platform, "seed": seed, "networks": keys}
    decisive |= platform_files(where).decisive
    found = bench.parts.get("measured", decisive, lambda: measured(problem.supernet, where, X, bench))
    ends = quality.qualities(source, np.concatenate([X, net.space.smallest()]))
    sign = -1.0 if source.maximise else 1.0
    F = np.column_stack([np.array(found["latency_ms"], dtype=np.float64), sign * ends[:-1]])
    volumes = _volumes(F, sign * float(ends[-1]), [[keys.index(key) for key in front] for front in fronts])
    values = [json_number(one) for one in ends[:-1]]
    label = {name: getattr(source, name) for name in ("metric", "unit", "predicted", "note")} | {"source": source.name}
    return {"keys": keys, "values": values, **found}, volumes, label


def _volumes(F: FloatArray, worst: float, fronts: Sequence[Sequence[int]]) -> list[float | None]:
    """Return the hypervolume of each front over that of all rows together; ``None``: nothing of it was measured.

    Args:
        F: latency and cost of each sub-network, ``(n, 2)``; nan where it failed.
        worst: the cost that hypervolume is measured from.
        fronts: rows of ``F``.
    """
    there: BoolArray = np.asarray(np.isfinite(F).all(axis=1), dtype=np.bool_)
    if not there.any():
        return [None] * len(fronts)
    reference = np.array([_MARGIN * F[there, 0].max(), worst])

    def volume(rows: Sequence[int]) -> float:
        found = F[[row for row in rows if there[row]]]
        return hypervolume(found[non_dominated(found)], reference) if len(found) else 0.0

    whole = volume(range(len(F)))
    return [json_number(volume(rows) / whole) if whole else None for rows in fronts]


def verdicts(settings: EffortSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims, seed by seed: both searches had the same time on the same machine."""
    made = []
    for claim in settings.claims:
        first, second = claim.order
        for evals in data["evals"]:
            interval = mean_interval(
                over_seeds(data, first, evals, "hypervolume") - over_seeds(data, second, evals, "hypervolume")
            )  # fmt: skip
            value, low, high = (json_number(end) for end in (interval.value, interval.low, interval.high))
            seconds = float(np.mean(over_seeds(data, data["searches"][0], evals, "seconds")))
            place = f"{data['platform']}, after {seconds:.0f} s ({evals} evaluations of {data['searches'][0]})"
            statistic = f"hypervolume of {first} less that of {second}"
            made.append(ClaimVerdict(claim.says, place, above(interval, 0.0), statistic, value, low, high, "above 0"))
    return made


def sections(_experiment: Experiment, data: Mapping[str, Any], _published: PublishedFigures | None) -> list[Section]:
    """Return hypervolume against time on the clock, with a table of it, and the fronts of the first seed."""
    return effort_figures.sections(data)


def table(data: Mapping[str, Any]) -> PageTable:
    """Return every search, one row each."""
    rows: list[list[Cell]] = [
        [one["search"], one["seed"], one["evals"], one["seconds"], one["evaluations"], one["hypervolume"]]
        for one in data["runs"]
    ]
    return PageTable(["search", "seed", "of_evaluations", "seconds", "evaluations", "hypervolume"], rows)


def gist(data: Mapping[str, Any]) -> str:
    """Return the hypervolumes after the longest time."""
    evals = data["evals"][-1]
    seconds = float(np.mean(over_seeds(data, data["searches"][0], evals, "seconds")))
    reached = (f"{name} {number(mean_hypervolume(data, name, evals).value, 3)}" for name in data["searches"])
    return f"after {seconds:.0f} s: {', '.join(reached)}"
