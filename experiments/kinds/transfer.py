"""``kind = "transfer"``: fronts searched on several platforms, each deployed on all the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import UNDECIDED, ClaimVerdict, ConfidenceInterval, below
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.problem import ExperimentProblem, Use
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.studies import Search, run_all
from hwnas.search.report.figures import Cell, PageTable
from hwnas.search.report.transfer import network_shown
from hwnas.search.report.transfer_figures import drawn_rows, front_figure, loss_figure, pair_figure
from hwnas.search.transfer.verdict import troubles
from hwnas.search.words import MISSING, letter, number
from hwnas.supernets.errors import UsageError, suggestion

SUMMARY = "fronts of several platforms, each deployed on all of them"


@dataclass(frozen=True)
class TransferClaim:
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
        problem: what is searched; its platform is each of ``platforms`` in turn.
        platforms: two or more.
        algorithm: of the searches.
        evals: evaluations of each.
        seed: of the searches, and of the other sub-networks.
        samples: other sub-networks that are measured everywhere in addition to the fronts.
        claims: that are tested.
    """

    problem: ExperimentProblem
    platforms: tuple[str, ...]
    algorithm: Use
    evals: int
    samples: int
    seed: int = 0
    claims: tuple[TransferClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = TransferSettings


def check(settings: TransferSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there."""
    from hwnas.search import algorithms

    algorithms.registry.provider(settings.algorithm.algorithm)
    if len(settings.platforms) < 2 or len(set(settings.platforms)) < len(settings.platforms):
        raise UsageError(f"{where}: platforms: expected two or more, none twice, got {list(settings.platforms)}")
    for claim in settings.claims:
        for name in claim.between:
            if name not in settings.platforms:
                raise UsageError(f"{where}: claims: between: unknown {name!r}{suggestion(name, settings.platforms)}")


def stand_ins(settings: TransferSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    yield from settings.problem.resolved(environ).notes(settings.problem.supernet)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Search on each platform, then measure all fronts everywhere."""
    settings: TransferSettings = experiment.settings
    problem = settings.problem.resolved(bench.environ)
    use = settings.algorithm
    searches = [
        Search(replace(problem, platform=place), use, place, settings.seed, use.evals or settings.evals)
        for place in settings.platforms
    ]
    names = [study.name for study in run_all(searches, bench)]
    decisive = {"studies": names, "samples": settings.samples, "seed": settings.seed}
    found = bench.parts.get("transferred", decisive, partial(_transferred, settings, problem, names, bench))
    return {"transfer": found, "given": list(settings.platforms)}


def _transferred(
    settings: TransferSettings, problem: ExperimentProblem, names: Sequence[str], bench: Workspace
) -> dict[str, Any]:
    from hwnas import supernets
    from hwnas.harness.quality import QualityOptions
    from hwnas.harness.store import Store
    from hwnas.search.transfer import TransferProgress, transfer

    def report(event: TransferProgress) -> None:
        bench.step(f"all fronts on {event.platform}", event.step - 1, event.steps)

    with Store.open(bench.store) as store:
        found = transfer(
            supernets.get(problem.supernet),
            settings.platforms,
            studies=names,
            quality=problem.quality,
            quality_options=QualityOptions(problem.weights, problem.subset),
            seed=settings.seed,
            samples=settings.samples,
            store=store,
            progress=report,
        )
    return found.to_json()


def verdicts(settings: TransferSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims, pair by pair."""
    found = data["transfer"]
    spelled = dict(zip(data["given"], found["platforms"], strict=True))
    made = []
    for claim in settings.claims:
        places = [found["platforms"].index(spelled[name]) for name in claim.between or settings.platforms]
        made += [_verdict(claim, found, i, j) for i in places for j in places if i != j]
    return made


def _verdict(claim: TransferClaim, found: Mapping[str, Any], i: int, j: int) -> ClaimVerdict:
    bounds = found["intervals"].get("hypervolume_ratio")
    value = found["hypervolume_ratio"][i][j]
    low, high = (bounds[end][i][j] if bounds else None for end in ("low", "high"))
    verdict = UNDECIDED
    if value is not None and low is not None and high is not None:
        verdict = below(ConfidenceInterval(value, low, high), claim.keeps_less_than)
    return ClaimVerdict(
        claim=claim.says,
        where=f"searched on {found['platforms'][i]}, deployed on {found['platforms'][j]}",
        verdict=verdict,
        statistic="hypervolume over that of the own front",
        value=value,
        low=low,
        high=high,
        needed=f"below {claim.keeps_less_than:g}",
    )


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
                share = _sure(found, "hypervolume_ratio", i, j)
                parts.append(f"{searched} on {deployed} keeps {share}, tau {number(found['kendall_tau'][i][j], 3)}")
    return "; ".join(parts)
