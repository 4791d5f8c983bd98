"""``kind = "predictors"``: the error of predictors against the number of their training examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import ClaimVerdict, ConfidenceInterval, Remarks, above, below, mean_interval
from hwnas.experiments.experiment import Experiment
from hwnas.experiments.files import Files
from hwnas.experiments.original import stand_in_notes
from hwnas.experiments.published import PublishedFigures
from hwnas.experiments.section import Section
from hwnas.experiments.target import Target
from hwnas.search.processes import side_by_side
from hwnas.search.report.figures import Cell, Figure, PageTable
from hwnas.search.report.predictors import curve_figure
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_number

SUMMARY = "the error of predictors against the number of training examples"

MEASURES = {"mape": ("Error", "MAPE (%)"), "tau": ("Rank correlation", "Kendall tau")}


@dataclass(frozen=True)
class PredictorClaim(Remarks):
    """What is claimed of a predictor: against others, or against a bound.

    Attributes:
        says: the claim.
        predictor: of which.
        measure: "mape" or "tau".
        against: the others; it is not worse than the best of them, size by size.
        margin: what counts as no worse: a factor of the error less 1, or a difference of tau.
        at_most: a bound on the worst mean over the sizes.
        at_least: likewise.
    """

    says: str
    predictor: str
    measure: str
    against: tuple[str, ...] = ()
    margin: float = 0.0
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise ValueError(f"measure: expected {' or '.join(MEASURES)}, got {self.measure!r}")
        given = [bool(self.against), self.at_most is not None, self.at_least is not None]
        if sum(given) != 1:
            raise ValueError("expected one of against, at_most and at_least")


@dataclass(frozen=True)
class PredictorSettings:
    """What an experiment file says.

    Attributes:
        targets: what is predicted, by name.
        predictors: kinds of predictors.
        sizes: numbers of training examples.
        test: examples held out, the same for all.
        trials: how often training examples are drawn.
        seed: of all draws.
        claims: that are tested.
    """

    targets: Mapping[str, Target]
    predictors: tuple[str, ...]
    sizes: tuple[int, ...]
    test: int
    trials: int
    seed: int = 0
    claims: tuple[PredictorClaim, ...] = field(default_factory=tuple)


# Every kind offers its settings under this name; see ``ExperimentKind``.
Settings = PredictorSettings


def check(settings: PredictorSettings, where: str) -> None:
    """Raise ``UsageError`` where a name is of nothing that is there, or a target has no source or several."""
    from hwnas.search import predictors

    for name in settings.predictors:
        predictors.registry.provider(name)
    for claim in settings.claims:
        for name in (claim.predictor, *claim.against):
            if name not in settings.predictors:
                raise UsageError(f"{where}: claims: unknown predictor {name!r}{suggestion(name, settings.predictors)}")
    for name, target in settings.targets.items():
        sources = [source for source in ("files", "data", "quality", "platform") if getattr(target, source)]
        if len(sources) != 1:
            given = " and ".join(sources) or "none"
            raise UsageError(f"{where}: targets.{name}: expected one of files, data, quality and platform, got {given}")
    if not settings.sizes or min(settings.sizes) < 2 or settings.test < 2 or settings.trials < 1:
        raise UsageError(f"{where}: expected sizes and a test of at least 2 examples, and 1 of trials")


def stand_ins(settings: PredictorSettings, environ: Mapping[str, str]) -> Iterator[str]:
    """Say what stands in for the paper's data."""
    for name, given in settings.targets.items():
        target = given.resolved(environ)
        yield from stand_in_notes(target.title or name, target.stands_in, target.original)


def run(experiment: Experiment, bench: Workspace) -> dict[str, Any]:
    """Fit every predictor to every target."""
    from hwnas import supernets

    settings: PredictorSettings = experiment.settings
    numbers = (settings.sizes, settings.test, settings.trials, settings.seed)
    targets = {name: one.resolved(bench.environ) for name, one in settings.targets.items()}
    files = {name: target.files_of(supernets.get(target.supernet)) for name, target in targets.items()}
    decisive = {
        f"{name}, {kind}": {"target": target.decisive(files[name]), "kind": kind, "numbers": numbers}
        for name, target in targets.items()
        for kind in settings.predictors
    }
    found = {what: bench.parts.find("fits", one) for what, one in decisive.items()}
    tasks = {
        f"{name}, {kind}": (target, files[name], kind, numbers)
        for name, target in targets.items()
        for kind in settings.predictors
        if found[f"{name}, {kind}"] is None
    }
    total = len(found)
    bench.step("", total - len(tasks), total)
    for done, (what, fits) in enumerate(side_by_side(_fits, tasks, bench.workers), total - len(tasks) + 1):
        bench.parts.put("fits", decisive[what], fits)
        found[what] = fits
        bench.step(what, done, total)
    return {"targets": {name: _assembled(name, target, settings, found) for name, target in targets.items()}}


def _assembled(name: str, target: Target, settings: PredictorSettings, found: Mapping[str, Any]) -> dict[str, Any]:
    first = found[f"{name}, {settings.predictors[0]}"]
    return {
        "title": target.title or name,
        "supernet": target.supernet,
        "target": first["target"],
        "source": first["source"],
        "n_test": settings.test,
        "sizes": list(settings.sizes),
        "predictors": [
            {"kind": kind, **{measure: found[f"{name}, {kind}"][measure] for measure in MEASURES}}
            for kind in settings.predictors
        ],
    }


def _fits(target: Target, files: Files, kind: str, numbers: tuple[tuple[int, ...], int, int, int]) -> dict[str, Any]:
    """Return the errors of one predictor; with one seed, all of them see the same draws.

    Raises:
        ChangedError: a file was changed since it was looked at.
    """
    from hwnas import supernets
    from hwnas.search.predictors.study import predictor_study

    sizes, test, trials, seed = numbers
    net = supernets.get(target.supernet)
    examples = target.examples(net, seed)
    files.check(target.files_of(net).contents)
    study = predictor_study(net.space.one_hot(examples.X), examples.y, (kind,), sizes, test, trials, seed)
    # A predictor that says the same of all orders nothing: its correlation is none.
    errors = {"mape": study.mape[0].tolist(), "tau": np.nan_to_num(study.tau[0]).tolist()}
    return {"target": examples.name, "source": examples.source, **errors}


# --- claims ----------------------------------------------------------------------------------------------------------


def verdicts(settings: PredictorSettings, data: Mapping[str, Any]) -> list[ClaimVerdict]:
    """Test the claims."""
    return [_verdict(claim, target) for claim in settings.claims for target in data["targets"].values()]


def _verdict(claim: PredictorClaim, target: Mapping[str, Any]) -> ClaimVerdict:
    errors = {one["kind"]: np.array(one[claim.measure]) for one in target["predictors"]}
    if claim.against:
        return _against(claim, target, errors)
    own = errors[claim.predictor]
    most = claim.at_most is not None
    means = own.mean(axis=1)
    worst = int(means.argmax() if claim.measure == "mape" else means.argmin())
    interval = mean_interval(own[worst])
    level = float(claim.at_most if claim.at_most is not None else claim.at_least or 0.0)
    return _said(
        claim,
        f"{target['title']}, {target['sizes'][worst]} examples",
        f"{MEASURES[claim.measure][1]} of {claim.predictor}",
        interval,
        below(interval, level) if most else above(interval, level),
        f"{'below' if most else 'above'} {level:g}",
    )


def _against(claim: PredictorClaim, target: Mapping[str, Any], errors: Mapping[str, FloatArray]) -> ClaimVerdict:
    """Compare with the best of the others at each size, trial by trial, over all sizes."""
    others = np.array([errors[name] for name in claim.against])  # (k, sizes, trials)
    mean = others.mean(axis=2)
    best = mean.argmin(axis=0) if claim.measure == "mape" else mean.argmax(axis=0)
    theirs = others[best, np.arange(len(best))]
    own, rivals = errors[claim.predictor], " and ".join(claim.against)
    if claim.measure == "mape":
        logs = mean_interval(np.log(own / theirs).mean(axis=0))
        interval = ConfidenceInterval(*(float(np.exp(end)) for end in (logs.value, logs.low, logs.high)))
        level, statistic = 1.0 + claim.margin, f"error of {claim.predictor} over the least of {rivals}"
    else:
        interval = mean_interval((theirs - own).mean(axis=0))
        level, statistic = claim.margin, f"the largest tau of {rivals} less that of {claim.predictor}"
    return _said(claim, target["title"], statistic, interval, below(interval, level), f"below {level:g}")


def _said(
    claim: PredictorClaim, where: str, statistic: str, interval: ConfidenceInterval, verdict: str, needed: str
) -> ClaimVerdict:
    value, low, high = (json_number(one) for one in (interval.value, interval.low, interval.high))
    return ClaimVerdict(claim.says, where, verdict, statistic, value, low, high, needed)


# --- what is shown ---------------------------------------------------------------------------------------------------


def sections(_experiment: Experiment, data: Mapping[str, Any], published: PublishedFigures | None) -> list[Section]:
    """Return error and rank correlation of each target, with the published bounds."""
    lead = "Within a trial, more examples are the same ones and some more, and every predictor sees the same."
    return [
        Section(
            target["title"],
            f"{lead} {target['target']} from {target['source']}; {target['n_test']} held out, "
            f"{len(target['predictors'][0]['mape'][0])} trials.",
            [_figure(name, target, measure, published) for measure in MEASURES],
        )
        for name, target in data["targets"].items()
    ]


def _figure(name: str, target: Mapping[str, Any], measure: str, published: PublishedFigures | None) -> Figure:
    figure = replace(curve_figure(target, measure, *MEASURES[measure]), id=f"{measure}-{name}")
    bound = published.bounds.get(measure) if published else None
    if bound is None:
        return figure
    text = f"paper: at {'most' if bound.is_most else 'least'} {bound.value:g}{' ' * bool(bound.unit)}{bound.unit}"
    line = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": bound.value, "y1": bound.value,
        "line": {"color": "@muted", "width": 1.5, "dash": "dash"},
    }  # fmt: skip
    label = {
        "xref": "paper", "x": 1, "xanchor": "right", "y": bound.value, "yanchor": "bottom", "text": text,
        "showarrow": False, "font": {"color": "@muted", "size": 12},
    }  # fmt: skip
    return replace(
        figure,
        says=f"{figure.says} Dashed: the paper\u2019s bound.",
        layout={**figure.layout, "shapes": [line], "annotations": [label]},
    )


def table(data: Mapping[str, Any]) -> PageTable:
    """Return every trial's errors, one row each."""
    rows: list[list[Cell]] = [
        [name, one["kind"], size, trial, mape, tau]
        for name, target in data["targets"].items()
        for one in target["predictors"]
        for place, size in enumerate(target["sizes"])
        for trial, (mape, tau) in enumerate(zip(one["mape"][place], one["tau"][place], strict=True))
    ]
    return PageTable(["target", "predictor", "examples", "trial", "mape_percent", "kendall_tau"], rows)


def gist(data: Mapping[str, Any]) -> str:
    """Return, target by target, the range of each predictor's mean errors."""
    return "; ".join(f"{target['title']}: {_gist(target['predictors'])}" for target in data["targets"].values())


def _gist(predictors: Sequence[Mapping[str, Any]]) -> str:
    parts = []
    for one in predictors:
        mape, tau = (np.array(one[measure]).mean(axis=1) for measure in MEASURES)
        parts.append(
            f"{one['kind']} MAPE {mape.min():.3f} to {mape.max():.3f} %, tau {tau.min():.3f} to {tau.max():.3f}"
        )
    return ", ".join(parts)
