"""``kind = "objectives"``: the front of one objective, judged by another: what do MACs say of latency?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.experiments import objectives_figures
from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict, Remarks, above, below, difference_interval, mean_interval
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.objectives_figures import mean_of_known, reached_by
from hwnas.experiments.problem import ExperimentProblem, Use, check_known
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.studies import Search, facts_of, run_all
from hwnas.experiments.tabulated import tabulated
from hwnas.search.comparison.together import at_one_pace
from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.search.objectives import Directions, Sources, admitted, make
from hwnas.search.report.figures import Cell, PageTable
from hwnas.search.study.result import Study
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.values import json_number

SUMMARY = "the front of one objective, judged by another"

# What a claim may be about.
FRONT, WARM = "front", "warm-start"


@dataclass(frozen=True)
class ObjectivesClaim(Remarks):
    """A claim.

    Attributes:
        says: the claim.
        about: "front": the front of the searched objective reaches less than the whole hypervolume in the judged one.
            "warm-start": a search that starts from that front has the larger hypervolume than one that does not, after
            ``after`` evaluations.
        after: see there.
    """

    says: str
    about: str
    after: int = 0

    def __post_init__(self) -> None:
        if self.about not in {FRONT, WARM}:
            raise ValueError(f"about: expected {FRONT} or {WARM}, got {self.about!r}")
        if self.about == WARM and self.after < 1:
            raise ValueError("after: expected how many evaluations, for a claim about a warm start")


@dataclass(frozen=True)
class ObjectivesSettings:
    """What an experiment file says.

    Attributes:
        problems: what is searched, by name; their ``objectives`` are set here.
        searched: the objective in front ("macs").
        judged: the one that counts ("latency").
        algorithm: of all searches.
        evals: evaluations of each.
        seeds: of each.
        claims: that are tested.
    """

    problems: Mapping[str, ExperimentProblem]
    algorithm: Use
    evals: int
    seeds: int
    searched: str = "macs"
    judged: str = "latency"
    claims: tuple[ObjectivesClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = ObjectivesSettings


def check(settings: ObjectivesSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there, or a number is none that serves."""
    from hwnas.search import algorithms

    algorithms.registry.provider(settings.algorithm.algorithm)
    check_known(settings.problems.values(), [settings.algorithm], where)
    if settings.evals < 1 or settings.seeds < 1:
        raise UsageError(f"{where}: expected at least 1 of evals and of seeds")
    for claim in settings.claims:
        if claim.after > settings.evals:
            raise UsageError(f"{where}: claims: after: expected at most {settings.evals} (evals), got {claim.after}")


def stand_ins(settings: ObjectivesSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    for name, problem in settings.problems.items():
        yield from problem.resolved(environ).notes(name)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Search both objectives, and the judged one from the other's front; then judge all fronts alike."""
    settings: ObjectivesSettings = experiment.settings
    found = {}
    for name, given in settings.problems.items():
        problem = tabulated(given.resolved(bench.environ), bench)
        exact = replace(problem, objectives=(settings.searched, "quality"), reference={})
        dear = replace(problem, objectives=(settings.judged, "quality"))
        seeds, use, evals = range(settings.seeds), settings.algorithm, settings.evals
        first = [Search(exact, use, f"{name}, {settings.searched}", seed, evals) for seed in seeds]
        first += [Search(dear, use, f"{name}, {settings.judged}", seed, evals) for seed in seeds]
        studies = run_all(first, bench)
        proxies, direct = studies[: len(seeds)], studies[len(seeds) :]
        label = f"{name}, {settings.judged} from {settings.searched}"
        starts = [Search(dear, use, label, seed, evals, proxies[seed].name) for seed in seeds]
        warm = run_all(starts, bench)
        decisive = {"studies": [one.name for one in (*studies, *warm)]}
        make_it = partial(_judged, problem, settings, proxies, direct, warm, bench)
        found[name] = bench.parts.get(f"judged-{name}", decisive, make_it) | {"title": problem.title or name}
    return {"problems": found, "searched": settings.searched, "judged": settings.judged}


def _judged(
    problem: ExperimentProblem,
    settings: ObjectivesSettings,
    proxies: Sequence[Study],
    direct: Sequence[Study],
    warm: Sequence[Study],
    bench: Workspace,
) -> dict[str, Any]:
    """Take both objectives of every front's sub-networks, side by side, and compare the fronts in the judged one."""
    net = supernets.get(problem.supernet)
    fronts = [_front(study, net.space.n_var) for study in (*proxies, *direct)]
    ends = net.space.canonical(np.vstack([net.space.smallest(), net.space.largest()]))
    X = np.unique(np.vstack([*fronts, ends]), axis=0)
    bench.step(f"{len(X)} sub-networks by {settings.judged}", 0, 1)
    shown, maximise, labels = _values(problem, (settings.searched, settings.judged, "quality"), X, bench)
    minimised = Directions(maximise).minimised(shown)
    corner = np.nanmax(minimised[:, 1:], axis=0)
    rows = {row.tobytes(): number for number, row in enumerate(np.ascontiguousarray(X))}
    members = [[rows[row.tobytes()] for row in np.ascontiguousarray(front)] for front in fronts]
    n = len(proxies)
    volumes = [hypervolume(minimised[of, 1:], corner) for of in members]
    curves = {
        name: [study.archive.hypervolumes(_corner(direct, warm)).tolist() for study in studies]
        for name, studies in (("cold", direct), ("warm", warm))
    }
    return {
        "supernet": net.name,
        "platform": problem.platform,
        "quality": facts_of(direct[0]),
        "objectives": labels,
        "networks": [[json_number(value) for value in row] for row in shown],
        "proxy_front": members[:n],
        "direct_front": members[n:],
        "ratio": [a / b if b else None for a, b in zip(volumes[:n], volumes[n:], strict=True)],
        "standing": [_standing(minimised[:, 1:], a, b) for a, b in zip(members[:n], members[n:], strict=True)],
        "curves": curves,
        "evals": settings.evals,
    }


def _corner(*groups: Sequence[Study]) -> FloatArray:
    """Return the worst reference of some studies, minimised: of what is measured each knows its own only."""
    return np.asarray(np.fmax.reduce([study.reference for group in groups for study in group], axis=0))


def _front(study: Study, n_var: int) -> IntArray:
    vectors = [one.vector for one in study.front]
    return np.array(vectors, dtype=np.int64).reshape(len(vectors), n_var)


def _values(
    problem: ExperimentProblem, names: Sequence[str], X: IntArray, bench: Workspace
) -> tuple[FloatArray, list[bool], list[dict[str, Any]]]:
    """Return objectives of sub-networks, ``(n, k)``, which are maximised, and their names and units."""
    from hwnas.harness.store import Store

    options = problem.options()
    net = supernets.get(problem.supernet)
    with (
        Store.open(bench.store) as store,
        Sources(
            net,
            options["platform"],
            options["quality"],
            store=store,
            # Measured anew, all side by side: the value that put a network on its front was a lucky one.
            older=False,
            quality_options=options["quality_options"],
        ) as sources,
    ):
        made, keys = make(names, sources), net.space.keys(X)
        # An objective may be a plug-in's: what it gives is checked before anything else reads it.
        outcomes = [at_one_pace(admitted(one, one.evaluate(X), len(X)), keys) for one in made]
        values = np.column_stack([one.values for one in outcomes])
        labels = [{"name": one.name, "unit": one.unit, "maximise": one.maximise} for one in made]
    return values, [one.maximise for one in made], labels


def _standing(minimised: FloatArray, proxy: Sequence[int], direct: Sequence[int]) -> float | None:
    """Return the share of the first front that nothing of both dominates; ``None`` where it is empty."""
    joint = list(dict.fromkeys([*proxy, *direct]))
    efficient = dict(zip(joint, non_dominated(minimised[joint]), strict=True))
    return float(np.mean([efficient[number] for number in proxy])) if proxy else None


# --- claims ----------------------------------------------------------------------------------------------------------


def verdicts(settings: ObjectivesSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims."""
    return [
        _about_front(claim, problem, data) if claim.about == FRONT else _about_start(claim, problem)
        for claim in settings.claims
        for problem in data["problems"].values()
    ]


def _about_front(claim: ObjectivesClaim, problem: Mapping[str, Any], data: Mapping[str, Any]) -> ClaimVerdict:
    interval = mean_interval(np.array([one for one in problem["ratio"] if one is not None]))
    value, low, high = (json_number(end) for end in (interval.value, interval.low, interval.high))
    statistic = f"hypervolume of the {data['searched']} front over that of the {data['judged']} front"
    return ClaimVerdict(claim.says, problem["title"], below(interval, 1.0), statistic, value, low, high, "below 1")


def _about_start(claim: ObjectivesClaim, problem: Mapping[str, Any]) -> ClaimVerdict:
    warm, cold = (
        np.array([reached_by(curve, claim.after) for curve in problem["curves"][name]]) for name in ("warm", "cold")
    )
    best = max(max(curve, default=0.0) for curves in problem["curves"].values() for curve in curves) or 1.0
    interval = difference_interval(warm / best, cold / best)
    value, low, high = (json_number(end) for end in (interval.value, interval.low, interval.high))
    where = f"{problem['title']}, after {claim.after} evaluations"
    statistic = "normalised hypervolume, warm less cold"
    return ClaimVerdict(claim.says, where, above(interval, 0.0), statistic, value, low, high, "above 0")


# --- what is shown ---------------------------------------------------------------------------------------------------


def sections(_experiment: Experiment, data: Mapping[str, Any], _published: PublishedFigures | None) -> list[Section]:
    """Return, problem by problem, both fronts in the judged objective, both objectives, and the warm start."""
    return objectives_figures.sections(data)


def table(data: Mapping[str, Any]) -> PageTable:
    """Return every front's sub-networks, one row each."""
    rows: list[list[Cell]] = [
        [name, seed, front.removesuffix("_front"), *problem["networks"][number]]
        for name, problem in data["problems"].items()
        for front in ("proxy_front", "direct_front")
        for seed, members in enumerate(problem[front])
        for number in members
    ]
    return PageTable(["problem", "seed", "front", data["searched"], data["judged"], "quality"], rows)


def gist(data: Mapping[str, Any]) -> str:
    """Return which share of the hypervolume the searched objective's front reaches in the judged one."""
    return "; ".join(
        f"{one['title']}: the {data['searched']} front keeps {mean_of_known(one['ratio']):.3f} of the hypervolume in "
        f"{data['judged']}, {mean_of_known(one['standing']):.0%} of it stand"
        for one in data["problems"].values()
    )
