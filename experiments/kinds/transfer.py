"""``kind = "transfer"``: fronts searched on several platforms, each deployed on all the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict, ConfidenceInterval, Remarks, below, mean_interval
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.problem import ExperimentProblem, Use, check_known
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.studies import Search, run_all
from hwnas.experiments.tabulated import tabulated
from hwnas.harness.platform import parse
from hwnas.search.report.figures import Cell, PageTable
from hwnas.search.report.transfer import network_shown
from hwnas.search.report.transfer_figures import drawn_rows, front_figure, loss_figure, pair_figure
from hwnas.search.transfer.verdict import troubles
from hwnas.search.words import MISSING, letter, number
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.values import json_number

SUMMARY = "fronts of several platforms, each deployed on all of them"


@dataclass(frozen=True)
class TransferClaim(Remarks):
    """That fronts lose when they are deployed elsewhere.

    Attributes:
        says: the claim.
        between: platforms, as ``platforms`` spells them; empty: all of them.
        keeps_less_than: the share of the own front's hypervolume that another platform's front reaches.
    """

    says: str
    between: tuple[str, ...] = ()
    keeps_less_than: float = 1.0


@dataclass(frozen=True)
class TransferSettings:
    """What an experiment file says.

    Attributes:
        problem: what is searched; its platform is each of ``platforms`` in turn. With ``as_table`` a table of blocks
            is measured on each first, searches and fronts are looked up in them, and any number of seeds is free.
        platforms: two or more.
        algorithm: of the searches.
        evals: evaluations of each.
        seed: of the searches, and of the other sub-networks.
        seeds: how often all of it is done, each time with the next seed. Claims are then tested on the mean over
            them, with its interval; of a single one on the interval over its sub-networks and their noise.
        samples: other sub-networks that are measured everywhere in addition to the fronts.
        claims: that are tested.
    """

    problem: ExperimentProblem
    platforms: tuple[str, ...]
    algorithm: Use
    evals: int
    samples: int
    seed: int = 0
    seeds: int = 1
    claims: tuple[TransferClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = TransferSettings


def check(settings: TransferSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there."""
    from hwnas.search import algorithms

    algorithms.registry.provider(settings.algorithm.algorithm)
    check_known([settings.problem], [settings.algorithm], where)
    if len(settings.platforms) < 2 or len(set(settings.platforms)) < len(settings.platforms):
        raise UsageError(f"{where}: platforms: expected two or more, none twice, got {list(settings.platforms)}")
    if settings.seeds < 1:
        raise UsageError(f"{where}: seeds: expected at least 1, got {settings.seeds}")
    for claim in settings.claims:
        for name in claim.between:
            if name not in settings.platforms:
                raise UsageError(f"{where}: claims: between: unknown {name!r}{suggestion(name, settings.platforms)}")


def stand_ins(settings: TransferSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    yield from settings.problem.resolved(environ).notes(settings.problem.supernet)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Search on each platform, then measure all fronts everywhere, seed by seed."""
    settings: TransferSettings = experiment.settings
    problem = settings.problem.resolved(bench.environ)
    use, seeds = settings.algorithm, range(settings.seed, settings.seed + settings.seeds)
    problems = {place: tabulated(replace(problem, platform=place), bench) for place in settings.platforms}
    searches = [
        Search(on, use, place, seed, use.evals or settings.evals) for seed in seeds for place, on in problems.items()
    ]
    names = [study.name for study in run_all(searches, bench)]
    n, found = len(settings.platforms), []
    for place, seed in enumerate(seeds):
        studies = names[place * n : (place + 1) * n]
        decisive = {"studies": studies, "samples": settings.samples, "seed": seed}
        make = partial(_transferred, settings, list(problems.values()), studies, seed, bench)
        found.append(bench.parts.get("transferred", decisive, make))
    ratios = [one["hypervolume_ratio"] for one in found]
    # What the figures draw is the first seed's.
    return {"transfer": found[0], "given": list(settings.platforms), "hypervolume_ratios": ratios}


def _transferred(
    settings: TransferSettings,
    problems: Sequence[ExperimentProblem],
    names: Sequence[str],
    seed: int,
    bench: Workspace,
) -> dict[str, Any]:
    """Return the report of one seed as JSON values.

    Args:
        settings: of the experiment.
        problems: the problem on each platform, or on its table.
        names: of their studies, likewise.
        seed: of the other sub-networks.
        bench: where it is kept.
    """
    from hwnas import supernets
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store
    from hwnas.search.transfer import TransferProgress, transfer

    def report(event: TransferProgress) -> None:
        bench.step(f"all fronts on {event.platform}", event.step - 1, event.steps)

    problem, places = problems[0], [str(one.platform) for one in problems]
    with Store.open(bench.store) as store:
        found = transfer(
            supernets.get(problem.supernet),
            places,
            studies=names,
            quality=problem.quality,
            quality_options=QualityOptions(problem.weights, problem.subset),
            seed=seed,
            samples=settings.samples,
            store=store,
            progress=report,
        )
    named = {str(parse(there)): str(parse(given)) for there, given in zip(places, settings.platforms, strict=True)}
    shown: dict[str, Any] = _renamed(found.to_json(), named)
    return shown


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return JSON values in which a table is called what it is the table of."""
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(one, names) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(one, names) for one in value]
    return names.get(value, value) if isinstance(value, str) else value


def verdicts(settings: TransferSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims, pair by pair."""
    found = data["transfer"]
    spelled = dict(zip(data["given"], found["platforms"], strict=True))
    made = []
    for claim in settings.claims:
        places = [found["platforms"].index(spelled[name]) for name in claim.between or settings.platforms]
        made += [_verdict(claim, data, i, j) for i in places for j in places if i != j]
    return made


def _verdict(claim: TransferClaim, data: Mapping[str, Any], i: int, j: int) -> ClaimVerdict:
    found, share = data["transfer"], _share(data, i, j)
    value, low, high = (json_number(end) for end in (share.value, share.low, share.high))
    return ClaimVerdict(
        claim=claim.says,
        where=f"searched on {found['platforms'][i]}, deployed on {found['platforms'][j]}",
        verdict=below(share, claim.keeps_less_than),
        statistic="hypervolume over that of the own front",
        value=value,
        low=low,
        high=high,
        needed=f"below {claim.keeps_less_than:g}",
    )


def _share(data: Mapping[str, Any], i: int, j: int) -> ConfidenceInterval:
    """Return which share of the own front's hypervolume on ``j`` the front of ``i`` has; nan where there is none."""
    every = np.array([one[i][j] for one in data["hypervolume_ratios"]], dtype=np.float64)
    if len(every) > 1 or np.isnan(every).any():
        return mean_interval(every)
    bounds = data["transfer"]["intervals"].get("hypervolume_ratio")
    ends = (bounds[end][i][j] if bounds else None for end in ("low", "high"))
    return ConfidenceInterval(float(every[0]), *(math.nan if end is None else end for end in ends))


def sections(_experiment: Experiment, data: Mapping[str, Any], _published: PublishedFigures | None) -> list[Section]:
    """Return the fronts on each platform, what is lost, and how alike the platforms are."""
    found = data["transfer"]
    quality, n = found["quality"], len(found["platforms"])
    drawn = drawn_rows(found)
    letters = "; ".join(f"{letter(place)} is {name}" for place, name in enumerate(found["platforms"]))
    fronts = [front_figure(found, quality, target, drawn) for target in range(n)]
    losses = [figure for target in range(n) if (figure := loss_figure(found, quality, target))]
    pairs = [pair_figure(found, i, j, drawn) for j in range(n) for i in range(j)]
    made = [
        Section(
            "Fronts of one platform, shown on another",
            " ".join([f"{letters}. Every network on a front was measured again on every platform.", *troubles(found)]),
            fronts,
            label="Deployed on",
        ),
        Section("What is lost", "By using another platform\u2019s front, at a latency budget.", losses, label="On"),
        Section("Platform against platform", "Kendall tau and what fronts keep.", pairs, _matrix(found), label="Pair"),
    ]
    return [one for one in made if one.figures]


def networks(data: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Return what the hover shows of each network that is drawn."""
    found = data["transfer"]
    rows, platforms, quality = found["rows"], found["platforms"], found["quality"]
    return {number: network_shown(rows[number], platforms, quality) for number in sorted(drawn_rows(found))}


def _matrix(found: Mapping[str, Any]) -> PageTable:
    rows: list[list[Cell]] = []
    for i, searched in enumerate(found["platforms"]):
        for j, deployed in enumerate(found["platforms"]):
            if i != j:
                cells = [_sure(found, name, i, j) for name in ("kendall_tau", "hypervolume_ratio", "front_overlap")]
                rows.append([searched, deployed, *cells])
    columns = ["searched on", "deployed on", "Kendall tau", "hypervolume ratio", "front overlap"]
    note = f"Bootstrap intervals (95 %) over {found['n_shared']} shared sub-networks."
    return PageTable(columns, rows, note)


def _sure(found: Mapping[str, Any], name: str, i: int, j: int) -> str:
    value, bounds = found[name][i][j], found["intervals"].get(name)
    if value is None or bounds is None or bounds["low"][i][j] is None:
        return number(value, 3) if value is not None else MISSING
    return f"{value:.3f} ({bounds['low'][i][j]:.3f} to {bounds['high'][i][j]:.3f})"


def table(data: Mapping[str, Any]) -> PageTable:
    """Return every shared sub-network with its latencies, one row each."""
    found = data["transfer"]
    rows: list[list[Cell]] = [
        [row["key"], row["quality"], *row["latency_ms"], " ".join(letter(place) for place in row["front_of"])]
        for row in found["rows"]
    ]
    return PageTable(
        ["key", found["quality"]["metric"], *(f"{name} ms" for name in found["platforms"]), "front_of"], rows
    )


def gist(data: Mapping[str, Any]) -> str:
    """Return which share of the hypervolume each front reaches elsewhere."""
    found = data["transfer"]
    parts = []
    for i, searched in enumerate(found["platforms"]):
        for j, deployed in enumerate(found["platforms"]):
            if i != j:
                share = _share(data, i, j)
                kept = f"{number(share.value, 3)} ({number(share.low, 3)} to {number(share.high, 3)})"
                parts.append(f"{searched} on {deployed} keeps {kept}, tau {number(found['kendall_tau'][i][j], 3)}")
    return "; ".join(parts)
