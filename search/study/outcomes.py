"""What the outcomes of all objectives say of one sub-network of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from hwnas.harness.measurement.protocol import EFFORTS
from hwnas.search.objectives import Outcome

_Fact = TypeVar("_Fact")


def status_of(outcomes: Mapping[str, Outcome], row: int) -> tuple[str, str]:
    """Return the worst status of all objectives and the reasons of those that are not ok."""
    found = [outcome.status[row] for outcome in outcomes.values()]
    worst = next((status for status in ("failed", "unstable") if status in found), "ok")
    reasons = [f"{name}: {one.reasons[row]}" for name, one in outcomes.items() if one.status[row] != "ok"]
    return worst, "; ".join(reasons)


def effort_of(outcomes: Mapping[str, Outcome], row: int) -> str:
    """Return the least effort with which one of the objectives was measured; "" where none was."""
    found = {one.efforts[row] for one in outcomes.values() if one.efforts}
    return next((effort for effort in EFFORTS if effort in found), "")


def load_of(outcomes: Mapping[str, Outcome], row: int) -> Mapping[str, Any] | None:
    """Return what other programs did beside its measurement, if that left too few CPUs."""
    return next((one.loads[row] for one in outcomes.values() if one.loads and one.loads[row]), None)


def intervals_of(outcomes: Mapping[str, Outcome], row: int) -> dict[str, tuple[float, float]]:
    """Return the bounds on values, by objective, as far as there are finite ones."""
    return {
        name: (float(one.intervals[row, 0]), float(one.intervals[row, 1]))
        for name, one in outcomes.items()
        if one.intervals is not None
        and np.isfinite(one.intervals[row]).all()
        and one.intervals[row, 0] <= one.intervals[row, 1]
    }


def rows_of(outcome: Outcome, rows: Sequence[int]) -> Outcome:
    """Return the outcome of some of the sub-networks alone, in the order of ``rows``."""
    taken = list(rows)

    def of(facts: tuple[_Fact, ...]) -> tuple[_Fact, ...]:
        return tuple(facts[row] for row in taken) if facts else ()

    return Outcome(
        outcome.values[taken],
        of(outcome.status),
        of(outcome.reasons),
        None if outcome.intervals is None else outcome.intervals[taken],
        of(outcome.beside),
        of(outcome.loads),
        of(outcome.efforts),
    )
