"""From what was asked for to what is done: objectives, constraints, the problem, and what to remember of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from hwnas.harness.measurement.protocol import THOROUGH
from hwnas.harness.project_file import asked_of
from hwnas.search import algorithms
from hwnas.search.algorithm import Algorithm, Known, Problem
from hwnas.search.objectives import DEFAULT, Directions, Objective, Repeatable, Sources, check_distinct, make, values_of
from hwnas.search.objectives.latency import MeasuredLatency
from hwnas.search.objectives.quality import QualityObjective
from hwnas.search.objectives.sources import Used
from hwnas.search.study import limits
from hwnas.search.study.archive import Archive
from hwnas.search.study.constraints import Constraint, name_of, total_violation
from hwnas.search.study.drift import Drift
from hwnas.search.study.own import own_objective
from hwnas.search.study.request import Request
from hwnas.search.study.result import ObjectiveLabel
from hwnas.search.study.stopping import Reference, reference_default, reference_given
from hwnas.search.study.task import EvaluationTask
from hwnas.search.study.transfer_from import TransferFrom
from hwnas.supernets.contents import Content, to_records
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import is_time, json_number


@dataclass(frozen=True)
class Preview:
    """A problem, looked at before anything takes time.

    Attributes:
        costs_nothing: no objective and no constraint has to be measured.
        used: the platform and the quality source that it reads from.
    """

    costs_nothing: bool
    used: Used


def preview(net: SuperNetwork, options: Mapping[str, Any]) -> Preview:
    """Look at a problem.

    Args:
        net: the super-network.
        options: those of ``hwnas.search.study.run.search`` that make the problem: objectives, constraints, reference,
            platform, quality and quality_options.

    Raises:
        UsageError: it asks for what cannot be.
    """
    request = Request("", 0, options["objectives"], options["constraints"], reference=options["reference"])
    with Sources(net, options["platform"], options["quality"], quality_options=options["quality_options"]) as sources:
        plan = Plan(request, sources)
        return Preview(all(one.costs_nothing for one in (*plan.objectives, *plan.limited)), sources.used)


class Plan:
    """What a search is going to do.

    Args:
        request: what was asked for.
        sources: what the objectives read from, open.

    Raises:
        UsageError: something was asked for that cannot be.
    """

    def __init__(self, request: Request, sources: Sources) -> None:
        if request.seed < 0:
            raise UsageError(f"seed: expected 0 or more, got {request.seed}")
        self.request = request
        self._sources = sources
        self.net = sources.net
        self.space = sources.net.space
        self.objectives = self._made(request.objectives or DEFAULT)
        self.limited = self._limited()
        everything = (*self.objectives, *self.limited)
        self.constraints = limits.read(request.constraints, everything)
        self.directions = Directions([one.maximise for one in self.objectives])
        begun = request.transfer_known, request.transfer_until
        self.transfer = TransferFrom(request.transfer_from, *begun, sources, self.objectives)

    def _made(self, spelled: Sequence[str]) -> tuple[Objective, ...]:
        """Make the objectives in the order given, those that the caller evaluates among them."""
        own = {text: one for text in spelled if (one := own_objective(text)) is not None}
        others = [text for text in spelled if text not in own]
        made = dict(zip(others, make(others, self._sources), strict=True)) if others else {}
        objectives = tuple(own.get(text) or made[text] for text in spelled)
        check_distinct([one.name for one in objectives])
        return objectives

    def _limited(self) -> tuple[Objective, ...]:
        """Return what is constrained and no objective."""
        names = dict.fromkeys(name_of(text) for text in self.request.constraints)
        others = [name for name in names if name not in {one.name for one in self.objectives}]
        limited = make(others, self._sources) if others else ()
        for one in limited:
            # What is read from measurements that are taken anyway takes none of its own.
            if not one.costs_nothing and not (isinstance(one, MeasuredLatency) and self._measured()):
                raise UsageError(f"constraint on {one.name}: it has to be measured, so it must be an objective too")
        return limited

    @property
    def task(self) -> EvaluationTask:
        """What the loop evaluates."""
        return EvaluationTask(self.space, self.objectives, self.limited, self.constraints)

    @cached_property
    def reference(self) -> Reference:
        """Where hypervolume is measured from."""
        if self.request.reference is not None:
            return reference_given(self.request.reference, self.objectives, self.directions)
        return reference_default(self.space, self.objectives, self.directions)

    def problem(self) -> Problem:
        """Return the problem as the algorithm sees it."""
        net, names = self._sources.net, [one.name for one in self.objectives]
        known = [_known(count) for name, count in (("macs", net.macs), ("params", net.params)) if name not in names]
        return Problem(
            space=self.space,
            names=tuple(names),
            exact=tuple(_exact(one) if one.exact else None for one in self.objectives),
            bounds=tuple(_bound(one.name, self.constraints) for one in self.objectives),
            known=tuple(known),
            noise=tuple(self._noise(one) for one in self.objectives),
            priors=tuple(self.transfer.prior if is_time(one.unit) else None for one in self.objectives),
            evaluated=tuple(self.transfer.evaluated(one) for one in self.objectives),
            violation=self._violation(),
            places=tuple(slot.columns for slot in net.slots),
        )

    @cached_property
    def drifts(self) -> dict[str, Drift]:
        """What is learned of the drift of measured objectives, by name."""
        brief = self._sources.effort not in (None, THOROUGH)
        return {one.name: Drift(brief=brief) for one in self.objectives if isinstance(one, Repeatable)}

    @property
    def from_measurements(self) -> list[str]:
        """The names of what is read from measurements on a platform: objectives, and what is only constrained."""
        limited = [one.name for one in self.limited if isinstance(one, MeasuredLatency)]
        return list(dict.fromkeys([*self.drifts, *limited]))

    @cached_property
    def brief(self) -> frozenset[str]:
        """The objectives whose values are found with less effort than can be: measured briefly, or on few examples."""
        measured = self.drifts if self._sources.effort not in (None, THOROUGH) else ()
        sampled = [one.name for one in self.objectives if isinstance(one, QualityObjective)]
        return frozenset({*measured, *(sampled if sampled and self._sources.brief_quality else ())})

    def _noise(self, objective: Objective) -> float | Callable[[], float | None] | None:
        if objective.name in self.drifts:
            drift = self.drifts[objective.name]
            return lambda: drift.noise
        return 0.0 if objective.costs_nothing else None

    def _violation(self) -> Known | None:
        """Return the violation of the constraints on what is exactly known and no objective."""
        known = {one.name: one for one in self.limited if one.exact}
        constraints = [one for one in self.constraints if one.name in known]
        if not constraints:
            return None

        def violation(X: IntArray) -> FloatArray:
            values = {name: values_of(one, X) for name, one in known.items()}
            return total_violation(constraints, values, len(X))

        return violation

    def algorithm(self, evals: int) -> Algorithm:
        """Make the algorithm, for so many evaluations at most."""
        rng = np.random.default_rng(self.request.seed)
        return algorithms.create(self.request.algorithm, self.problem(), evals, rng, self._algorithm_settings())

    def archive(self) -> Archive:
        """Return an empty archive of the objectives."""
        return Archive([one.name for one in self.objectives], self.directions)

    def _algorithm_settings(self) -> dict[str, Any]:
        given = dict(self.request.settings)
        if self.request.preset is not None:
            given["preset"] = self.request.preset
        if self.request.initial:
            given["initial"] = np.array([[int(digit, 36) for digit in key] for key in self.request.initial])
        return given

    def settings(self) -> dict[str, Any]:
        """Return what decides which sub-networks are evaluated and what their values mean, as JSON values.

        A study is only resumed where all of it is the same.
        """
        request, sources = self.request, self._sources
        return {
            "supernet": sources.net.name,
            "space": _digest(self.space),
            "platform": None if sources.platform is None else str(sources.where),
            "algorithm": request.algorithm,
            "preset": request.preset,
            "settings": dict(request.settings),
            "seed": request.seed,
            "objectives": [asdict(ObjectiveLabel(one.name, one.unit, one.maximise)) for one in self.objectives],
            "constraints": [str(one) for one in self.constraints],
            "sources": {one.name: one.source for one in (*self.objectives, *self.limited)},
            "reference": None if request.reference is None else dict(request.reference),
            "warm_start": request.warm_start,
            "initial": list(request.initial),
            "transfer_from": request.transfer_from,
            "contents": to_records(self._contents()),
            **self.transfer.settings(),
            **self._protocol(),
            **self._effort(),
        }

    def _effort(self) -> dict[str, Any]:
        """Return the effort of measuring; studies from before there were efforts are thorough ones, and say nothing."""
        return {"effort": self._sources.effort} if self.brief else {}

    def _contents(self) -> dict[str, Content]:
        """Return what the files hold that decide values, or which sub-networks are evaluated, and what was observed."""
        return {**self._sources.contents, **self.transfer.contents}

    def _protocol(self) -> dict[str, Any]:
        """Return what is asked of the timing protocol; nothing where nothing is asked, or nothing is measured."""
        found = asked_of(self._sources.protocol) if self._measured() else {}
        return {"protocol": found} if found else {}

    def _measured(self) -> bool:
        return any(isinstance(one, MeasuredLatency) for one in self.objectives)

    @property
    def timings(self) -> dict[str, float]:
        """Where the time of measuring has gone so far, in seconds, by phase."""
        return self._sources.timings

    def facts(self) -> dict[str, Any]:
        """Return what else is to be known about the values, as JSON values."""
        shown = self.directions.shown(self.reference.point)
        reference = {one.name: json_number(value) for one, value in zip(self.objectives, shown, strict=True)}
        limited = self._facts_of_limits()
        return {"reference": reference, "quality": self._quality(), "environment": self._environment(), **limited}

    def _facts_of_limits(self) -> dict[str, list[str]]:
        """Return what is to be said of the constraints, and which of them only evaluations are held against."""
        everything = (*self.objectives, *self.limited)
        said = limits.remarks(self.request.constraints, self.constraints, everything, self.space)
        measured = limits.measured(self.constraints, everything)
        return {**({"remarks": said} if said else {}), **({"measured_constraints": measured} if measured else {})}

    def _quality(self) -> dict[str, Any] | None:
        if not any(isinstance(one, QualityObjective) for one in (*self.objectives, *self.limited)):
            return None
        quality = self._sources.quality
        return {
            "source": quality.name,
            "metric": quality.metric,
            "unit": quality.unit,
            "maximise": quality.maximise,
            "predicted": quality.predicted,
            "note": quality.note,
        }

    def _environment(self) -> dict[str, Any]:
        return dict(self._sources.measurer.environment) if self._measured() else {}


def _exact(objective: Objective) -> Known:
    directions = Directions([objective.maximise])

    def minimised(X: IntArray) -> FloatArray:
        return directions.minimised(values_of(objective, X)[:, None])[:, 0]

    return minimised


def _known(count: Callable[[IntArray], IntArray]) -> Known:
    return lambda X: count(X).astype(np.float64)


def _bound(name: str, constraints: Sequence[Constraint]) -> float | None:
    return min((one.bound for one in constraints if one.name == name), default=None)


def _digest(space: SearchSpace) -> str:
    """Name a space: keys of another one mean other sub-networks."""
    labels = [] if space.ordered.all() else np.flatnonzero(~space.ordered).tolist()
    spelled = repr((space.choices, sorted(space.fixed.items()), *labels))
    return hashlib.sha256(spelled.encode()).hexdigest()[:16]
