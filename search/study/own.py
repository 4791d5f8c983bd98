"""Objectives that the caller of an ask/tell study evaluates: ``"top1:max"``, or with a unit ``"energy[mJ]:min"``.

They are spelled in one word, so that they stand in a list beside those that hwnas evaluates by name, and the direction
is part of it, because nothing else says it. A name without one ("latency") is always evaluated by hwnas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.harness.quality.metric import Metric
from hwnas.search.objectives import Outcome, argument_of, registry
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import IntArray
from hwnas.supernets.values import fault, is_time

_FAILED = "the caller has no value of it"


@dataclass
class OwnObjective:
    """An objective that the caller evaluates; see ``hwnas.search.objectives.Objective`` for the attributes."""

    name: str
    unit: str
    maximise: bool
    source: str = "the caller"
    costs_nothing: bool = False
    exact: bool = False
    batched: bool = True

    def outcome(self, given: Sequence[float | None]) -> Outcome:
        """Return what the caller's values say, ``None`` for an evaluation that failed.

        Raises:
            UsageError: one can be no value; names the first.
        """
        for place, one in enumerate(given):
            reason = None if one is None else fault(one, time=is_time(self.unit))
            if reason is not None:
                raise UsageError(f"{self.name}: value {place}: {reason}; None says that an evaluation failed")
        failed = [one is None for one in given]
        return Outcome(
            np.array([np.nan if one is None else float(one) for one in given], dtype=np.float64),
            tuple("failed" if one else "ok" for one in failed),
            tuple(_FAILED if one else "" for one in failed),
        )

    def evaluate(self, X: IntArray) -> Outcome:
        """Raise ``UsageError``: only the caller has values."""
        raise UsageError(f"{self.name}: expected the caller's values of {len(X)} sub-networks, got none")


def own_objective(spelled: str) -> OwnObjective | None:
    """Return the objective that is spelled so; ``None``: it is one that hwnas evaluates.

    Raises:
        UsageError: it has a colon and another form.
    """
    if ":" not in spelled or spelled in registry.names():
        return None
    metric = Metric.parse(spelled)
    if metric is None and argument_of(spelled) is not None:
        return None
    if metric is None:
        raise UsageError(
            f"objective {spelled!r}: expected NAME:min or NAME:max for one of your own, like top1:max, or with a unit "
            f"energy[mJ]:min; or one that hwnas evaluates{suggestion(spelled, registry.names())}"
        )
    return OwnObjective(metric.name, metric.unit, metric.maximise)
