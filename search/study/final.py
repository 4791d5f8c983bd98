"""The front that a search reports: what may be on it is measured again, in full and side by side.

While it searches, a study measures briefly. Its front is then made of values that are too good by chance more often
than too bad (the winner's curse), and of values of different minutes. So, when the search has ended, those sub-networks
that may be on the front, by their noise, are measured once more in one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from hwnas.harness.measurement.intervals import standard_error
from hwnas.search.hypervolume import non_dominated, shares_on_front
from hwnas.search.objectives import Outcome, admitted
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.constraints import total_violation
from hwnas.search.study.drift import Drift
from hwnas.search.study.outcomes import effort_of, intervals_of, load_of, status_of
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.space import BoolArray, FloatArray

# Sub-networks of a final front where its number is not given: measured in full, they take a minute or less.
DEFAULT_SIZE = 20
# Fronts that are drawn, and the share of them that a sub-network has to be on to be worth its time.
_DRAWS, _LEAST = 400, 0.05


@dataclass(frozen=True)
class FinalFront:
    """What was measured again of a study that has ended.

    Attributes:
        effort: of the measurements.
        evaluations: how many evaluations the study had then; it is of no use once there are more.
        found: the evaluations with their new values.
        left_out: how many more may be on the front, for which there was no room.
    """

    effort: str
    evaluations: int
    found: tuple[Evaluation, ...]
    left_out: int = 0

    def facts(self) -> dict[str, Any]:
        """Return what is to be known of it beside the values, as JSON values."""
        return {"effort": self.effort, "sub_networks": len(self.found), "left_out": self.left_out}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        found = [one.to_json() for one in self.found]
        whole = {"effort": self.effort, "evaluations": self.evaluations, "found": found}
        return {**whole, "left_out": self.left_out}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """Return what ``to_json`` wrote; raises one of ``hwnas.supernets.errors.MALFORMED`` of others."""
        found = tuple(Evaluation.from_json(one) for one in record["found"])
        return cls(str(record["effort"]), int(record["evaluations"]), found, int(record["left_out"]))

    def of(self, archive: Archive) -> bool:
        """Tell whether it is of these evaluations, and of no more and no less."""
        return self.evaluations == len(archive) and all(
            one.index < len(archive) and archive[one.index].key == one.key for one in self.found
        )


def candidates(archive: Archive, task: EvaluationTask, drifts: Mapping[str, Drift], seed: int) -> list[int]:
    """Return the indices of the evaluations that may be on the front, the likeliest first.

    Values are drawn within their noise, and it is counted how often each evaluation is on the front of those drawn:
    its probability of being on the true one.

    Args:
        archive: what was evaluated.
        task: the objectives and constraints.
        drifts: of the objectives that are measured, by name; they know the noise of their values.
        seed: of the draws.
    """
    shown = [one for one in archive if one.status != "failed"]
    if not shown:
        return []
    names = [one.name for one in task.quantities]
    values = np.column_stack([[_value(each, name, drifts) for each in shown] for name in names])
    errors = np.column_stack([_errors(shown, *column, drifts) for column in zip(names, values.T, strict=True)])

    def front(drawn: FloatArray) -> BoolArray:
        return _front(dict(zip(names, drawn.T, strict=True)), len(shown), task)

    # What is on the front that was seen is always a candidate, before all others.
    chances = front(values) + shares_on_front(values, errors, front, draws=_DRAWS, seed=seed)
    return [shown[row].index for row in np.argsort(-chances, kind="stable") if chances[row] >= _LEAST]


def _front(values: Mapping[str, FloatArray], n: int, task: EvaluationTask) -> BoolArray:
    """Return which of ``n`` sub-networks with these values, by objective, are on the front, ``(n,)``."""
    feasible = total_violation(task.constraints, values, n) == 0
    F = np.stack([(-1.0 if one.maximise else 1.0) * values[one.name] for one in task.objectives], axis=1)
    # What breaks a constraint is out, and dominates nothing.
    return non_dominated(np.where(feasible[:, None], F, np.nan))


def _value(evaluation: Evaluation, name: str, drifts: Mapping[str, Drift]) -> float:
    value = evaluation.objectives[name]
    return drifts[name].value(evaluation.key, value) if name in drifts else value


def _errors(shown: Sequence[Evaluation], name: str, values: FloatArray, drifts: Mapping[str, Drift]) -> FloatArray:
    """Return the standard deviations of values, ``(n,)``: by repeated measurements, or else by their intervals."""
    noise = drifts[name].noise if name in drifts else None
    if noise is not None:
        return noise * np.abs(values)
    bounds = np.array([one.intervals.get(name, (value, value)) for one, value in zip(shown, values, strict=True)])
    return standard_error(bounds[:, 0], bounds[:, 1])


def measured_again(
    evaluations: Sequence[Evaluation], task: EvaluationTask, again: Mapping[str, Outcome]
) -> tuple[Evaluation, ...]:
    """Return evaluations with their new values.

    Args:
        evaluations: of the study.
        task: the objectives and constraints.
        again: by objective, what was found of these sub-networks, in their order. The others are as they were.
    """
    known = [one for one in task.quantities if one.name in again]
    outcomes = {one.name: admitted(one, again[one.name], len(evaluations)) for one in known}
    found = []
    for row, evaluation in enumerate(evaluations):
        values = dict(evaluation.objectives) | {name: float(one.values[row]) for name, one in outcomes.items()}
        columns = {name: np.array([value]) for name, value in values.items()}
        others = {name: bounds for name, bounds in evaluation.intervals.items() if name not in outcomes}
        status, reason = status_of(outcomes, row)
        found.append(
            replace(
                evaluation,
                objectives=values,
                status=status,
                reason=reason,
                intervals=others | intervals_of(outcomes, row),
                beside={},
                load=load_of(outcomes, row),
                violation=float(total_violation(task.constraints, columns, 1)[0]),
                effort=effort_of(outcomes, row),
                while_searching={name: evaluation.objectives[name] for name in outcomes},
            )
        )
    return tuple(found)
