"""``kind = "precisions"``: the same sub-networks in full and in reduced precision."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict, ConfidenceInterval, Remarks, above, below, mean_interval
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.files import platform_files
from hwnas.experiments.measured import measured
from hwnas.experiments.precision_figures import factors, gains_figure, latency_figure, quality_values
from hwnas.experiments.problem import ExperimentProblem
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.search.report.figures import (
    Cell,
    PageTable,
)
from hwnas.search.words import MISSING
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import json_number

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality.quality import Quality, Score

SUMMARY = "the same sub-networks in full and in reduced precision"


@dataclass(frozen=True)
class PrecisionClaim(Remarks):
    """That the reduced precision is faster, or loses little, on each platform.

    Attributes:
        says: the claim.
        times: how many times as fast it has to be.
        loses: how much of the quality it may lose in place of that, in the quality's unit. It is tested where the
            quality is measured by a source that runs sub-networks in this precision, such as ``images``.
    """

    says: str
    times: float = 1.0
    loses: float | None = None


@dataclass(frozen=True)
class PrecisionSettings:
    """What an experiment file says.

    Attributes:
        problem: the super-network and its quality; its platform is each of ``platforms`` in turn.
        platforms: in full precision.
        networks: random sub-networks that are measured, in addition to the smallest and the largest.
        precision: the reduced one.
        seed: of the sub-networks.
        claims: that are tested.
    """

    problem: ExperimentProblem
    platforms: tuple[str, ...]
    networks: int
    precision: str = "int8"
    seed: int = 0
    claims: tuple[PrecisionClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = PrecisionSettings


def check(settings: PrecisionSettings, where: str) -> None:
    """Raise ``UsageError`` where a number is none that serves."""
    if not settings.platforms or settings.networks < 1:
        raise UsageError(f"{where}: expected at least one of platforms and 1 of networks")


def stand_ins(settings: PrecisionSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    yield from settings.problem.resolved(environ).notes(settings.problem.supernet)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Measure everything in both precisions, platform by platform."""
    from hwnas import supernets
    from hwnas.harness.pinned import pinned
    from hwnas.harness.platform import parse

    settings: PrecisionSettings = experiment.settings
    problem = settings.problem.resolved(bench.environ)
    net = supernets.get(problem.supernet)
    X = net.space.canonical(
        np.vstack([net.space.smallest(), net.space.largest(), net.space.sample(settings.networks, settings.seed)])
    )
    X = np.array(list(dict(zip(net.space.keys(X), X, strict=True)).values()))
    decisive = {"supernet": problem.supernet, "networks": net.space.keys(X)}
    platforms = []
    source, scores = _scores(problem.quality, problem, net, X, bench)
    total = 3 * len(settings.platforms)
    for number, platform in enumerate(settings.platforms):
        reduced = f"{platform}{',' if ':' in platform else ':'}precision={settings.precision}"
        places = {"full": platform, "reduced": reduced}
        where = {name: pinned(parse(place)) for name, place in places.items()}
        rows = {}
        for half, (name, place) in enumerate(places.items()):
            bench.step(f"{len(X)} sub-networks on {place}", 3 * number + half, total)
            make = partial(measured, problem.supernet, where[name], X, bench)
            decided = decisive | {"platform": place} | platform_files(where[name]).decisive
            rows[name] = bench.parts.get("measured", decided, make)
        bench.step(f"{source.metric} on {reduced}", 3 * number + 2, total)
        found = _reduced_quality(problem, net, X, where["reduced"], bench)
        platforms.append({"platform": platform, "reduced": reduced, "rows": rows, **found})
    return {
        "supernet": net.name,
        "precision": settings.precision,
        "quality": {
            "source": source.name, "metric": source.metric, "unit": source.unit, "predicted": source.predicted,
            "note": source.note,
        },
        "keys": net.space.keys(X),
        "macs": net.macs(X).tolist(),
        "values": [json_number(one.value) for one in scores],
        "platforms": platforms,
    }  # fmt: skip


def _scores(
    spec: str | None, problem: ExperimentProblem, net: SuperNetwork, X: IntArray, bench: Workspace
) -> tuple[Quality, list[Score]]:
    """Return a quality source and the score of each sub-network; those that are stored are not evaluated again."""
    from hwnas.harness import quality
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store

    with Store.open(bench.store) as store:
        source = quality.get(spec, net, QualityOptions(problem.weights, problem.subset, store=store))
        return source, quality.scored(source, X)


def _reduced_quality(
    problem: ExperimentProblem, net: SuperNetwork, X: IntArray, where: Platform, bench: Workspace
) -> dict[str, Any]:
    """Return the quality in the reduced precision, and what it loses, one number each; nothing where it cannot be."""
    from hwnas.harness import quality

    spec = quality.deployed(problem.quality, where.backend, where.settings.precision)
    if spec is None:
        return {}
    _, scores = _scores(spec, problem, net, X, bench)
    lost = [one.others.get("loss", math.nan) for one in scores]
    return {"values": [json_number(one.value) for one in scores], "lost": [json_number(one) for one in lost]}


def _lost(platform: Mapping[str, Any]) -> ConfidenceInterval:
    """Return the mean of what the sub-networks lose."""
    return mean_interval(np.array([one for one in platform["lost"] if one is not None], dtype=np.float64))


def _speedup(platform: Mapping[str, Any]) -> ConfidenceInterval:
    """Return the geometric mean of the factors."""
    each = factors(platform)
    logs = mean_interval(np.log(each[np.isfinite(each)]))
    return ConfidenceInterval(*(float(np.exp(end)) for end in (logs.value, logs.low, logs.high)))


def verdicts(settings: PrecisionSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims."""
    made = []
    for claim in settings.claims:
        for platform in data["platforms"]:
            if claim.loses is None:
                interval, statistic = _speedup(platform), f"latency in fp32 over that in {data['precision']}"
                verdict, needed = above(interval, claim.times), f"above {claim.times:g}"
            elif "lost" in platform:
                interval = _lost(platform)
                statistic = f"{data['quality']['metric']} in fp32 less that in {data['precision']}"
                verdict, needed = below(interval, claim.loses), f"below {claim.loses:g}"
            else:
                continue
            value, low, high = (json_number(end) for end in (interval.value, interval.low, interval.high))
            made.append(ClaimVerdict(claim.says, platform["platform"], verdict, statistic, value, low, high, needed))
    return made


def sections(_experiment: Experiment, data: Mapping[str, Any], _published: PublishedFigures | None) -> list[Section]:
    """Return quality against latency in both precisions, and the factors."""
    figures = [latency_figure(number, platform, data) for number, platform in enumerate(data["platforms"])]
    metric, reduced = data["quality"]["metric"], data["precision"]
    lead = (
        f"The same sub-networks in both precisions; {metric} is that of fp32 in both: what {reduced} costs in accuracy "
        "was not measured."
    )
    if all("lost" in platform for platform in data["platforms"]):
        lead = f"The same sub-networks in both precisions, each with its {metric} in that precision."
    return [
        Section("Latency in both precisions", lead, figures, label="Platform"),
        Section(
            "How many times as fast",
            "Sub-network by sub-network.",
            [gains_figure(data)],
        ),
    ]


def table(data: Mapping[str, Any]) -> PageTable:
    """Return every measurement, one row each."""
    rows: list[list[Cell]] = []
    for platform in data["platforms"]:
        for key, name in (("full", "fp32"), ("reduced", data["precision"])):
            found = platform["rows"][key]
            columns = (
                data["keys"],
                found["latency_ms"],
                found["interval_ms"],
                found["status"],
                quality_values(platform, key, data),
            )
            rows += [
                [platform["platform"], name, network, value, *interval, status, quality]
                for network, value, interval, status, quality in zip(*columns, strict=True)
            ]
    return PageTable(
        ["platform", "precision", "key", "latency_ms", "low_ms", "high_ms", "status", data["quality"]["metric"]], rows
    )


def gist(data: Mapping[str, Any]) -> str:
    """Return the geometric mean of the factors, and what is lost, platform by platform."""
    return "; ".join(
        f"{one['platform']}: {data['precision']} {_said(_speedup(one))}{_loses(one, data)}" for one in data["platforms"]
    )


def _loses(platform: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    if "lost" not in platform:
        return ""
    return f", loses {_lost(platform).value:.2f} of {data['quality']['metric']} in the mean"


def _said(interval: ConfidenceInterval) -> str:
    if not np.isfinite(interval.value):
        return MISSING
    ends: Sequence[float] = (interval.low, interval.high)
    sure = f" (95 % interval {ends[0]:.2f} to {ends[1]:.2f})" if np.isfinite(ends).all() else ""
    return f"{interval.value:.2f} times as fast{sure}"
