"""How sure a front is, when the values that it was found by are noisy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from hwnas.harness.measurement.intervals import standard_error
from hwnas.harness.measurement.protocol import EFFORTS
from hwnas.search.hypervolume import non_dominated, shares_on_front
from hwnas.search.objectives import Directions
from hwnas.search.report.study_view import StudyView
from hwnas.search.words import percent, quieter
from hwnas.supernets.space import BoolArray, FloatArray

_DRAWS = 200
_LEVELS = ("", *EFFORTS)
# A member of the front is there for certain where so many draws of the noise leave it there, and doubtful below half.
_CERTAIN, _DOUBTFUL = 0.95, 0.5


@dataclass(frozen=True)
class FrontNoise:
    """How sure the members of a front are.

    Attributes:
        shares: of the draws of noise, in how many each member stays on the front, ``(k,)``; all 1: nothing is noisy;
            nan: too few samples bound one of its values.
        run_to_run: by which fraction two runs typically differ in a member's noisiest objective; 0: nothing is noisy.
        unstable: members that have not converged.
        unsettled: members that have not, or were measured while other programs kept the CPUs busy.
        effort: with which the noisiest of them were measured; ``None``: not known.
    """

    shares: FloatArray
    run_to_run: float
    unstable: int
    unsettled: int
    effort: str | None = None

    @property
    def certain(self) -> int:
        """How many members are there for certain."""
        return int((self.shares >= _CERTAIN).sum())

    @property
    def doubtful(self) -> bool:
        """Whether noise could explain most of the front, or most of it has not converged."""
        if not len(self.shares):
            return False
        return bool(np.median(np.nan_to_num(self.shares)) < _DOUBTFUL) or 2 * self.unsettled > len(self.shares)

    def __str__(self) -> str:
        """Say in one sentence that it is doubtful, and why."""
        n = len(self.shares)
        some = f", {self.unstable} of them unstable" if self.unstable else ""
        some = some or (", most of them beside other programs" if 2 * self.unsettled > n else "")
        # Of values that nothing bounds it is not known.
        differ = f", which differ by {percent(self.run_to_run)} from run to run" if self.run_to_run else ""
        return (
            f"Too noisy to tell which sub-networks are on the front: it has {n} by these measurements{some}{differ}; "
            f"{quieter(self.effort)}."
        )


def front_noise(outcome: Mapping[str, Any]) -> FrontNoise:
    """Draw the noise of a study's values, and count who stays on its front.

    Args:
        outcome: the JSON of ``hwnas search``.
    """
    evaluations, front = outcome["evaluations"], list(outcome["front"])
    names = [one["name"] for one in outcome["objectives"]]
    values = _table(evaluations, names, lambda one, name: one["objectives"].get(name))
    errors = _table(evaluations, names, _error)
    # Of what is measured, a value without an interval is one that too few samples bound, and not an exact one.
    unbounded = np.isnan(errors) & (errors > 0).any(axis=0)
    errors = np.nan_to_num(errors)
    members = [evaluations[index] for index in front]
    unstable = sum(one["status"] == "unstable" for one in members)
    unsettled = sum(one["status"] == "unstable" or bool(one.get("load")) for one in members)
    effort = min((one.get("effort") or "" for one in members), key=_LEVELS.index, default="") or None
    relative = np.divide(errors, np.abs(values), out=np.zeros_like(values), where=values != 0)
    if not front or not errors.any():
        return FrontNoise(np.ones(len(front)), 0.0, unstable, unsettled, effort)
    run_to_run = NormalDist().inv_cdf(0.75) * 2**0.5 * float(np.median(relative[front].max(axis=1)))
    minimised = Directions([one["maximise"] for one in outcome["objectives"]]).minimised(values)
    shares = _staying(minimised, errors, np.array(StudyView(outcome).counted))
    shares[unbounded.any(axis=1)] = np.nan
    return FrontNoise(shares[front], run_to_run, unstable, unsettled, effort)


def _staying(minimised: FloatArray, errors: FloatArray, counted: BoolArray) -> FloatArray:
    """Return in which share of draws each point is on the front, ``(n,)``."""
    alive = np.flatnonzero(counted & np.isfinite(minimised).all(axis=1))
    stays = np.zeros(len(minimised))
    # With one seed, one result is described in one way.
    stays[alive] = shares_on_front(minimised[alive], errors[alive], non_dominated, draws=_DRAWS, seed=0)
    return stays


def _table(evaluations: Sequence[Mapping[str, Any]], names: Sequence[str], cell: Any) -> FloatArray:
    rows = [[np.nan if (value := cell(one, name)) is None else value for name in names] for one in evaluations]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))


def _error(one: Mapping[str, Any], name: str) -> float:
    """Return the standard error of a value; nan where it has no interval."""
    low, high = (one.get("intervals") or {}).get(name) or (None, None)
    return float("nan") if low is None or high is None else float(standard_error(low, high))
