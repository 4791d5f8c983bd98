"""How good a front is on another platform: fronts searched on one, re-measured on another.

Everything here takes the *shared rows*: the sub-networks that were measured on every platform.

- ``latency``: ``(n_rows, n_platforms)``, one unit throughout; nan where a measurement failed.
- ``loss``: ``(n_rows,)``, the quality, minimised (``-top1``); nan where it has no value.
- ``fronts``: ``(n_rows, n_platforms)`` booleans: the row was on the front that was found on that platform.

In every matrix the row is the platform that was searched on and the column the platform that is deployed on. A row of
the table without a value on the deployed-on platform drops out there; ``members`` counts what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.supernets.space import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Regret:
    """What is lost at one latency budget by deploying another platform's front.

    Attributes:
        searched_on: index of the platform whose front is used.
        deployed_on: index of the platform it is used on.
        budget: the latency allowed on ``deployed_on``, in ``latency``'s unit.
        own: the least loss within the budget on ``deployed_on``'s own front.
        transferred: the same on ``searched_on``'s front, nan when nothing of it fits the budget.
        low: lower bound of what is lost, as far as noise is concerned; nan: not known.
        high: upper bound, likewise.
    """

    searched_on: int
    deployed_on: int
    budget: float
    own: float
    transferred: float
    low: float = np.nan
    high: float = np.nan

    @property
    def lost(self) -> float:
        """Quality lost, positive when the other platform's front is worse."""
        return self.transferred - self.own


def references(latency: FloatArray, loss: FloatArray) -> FloatArray:
    """Return each platform's reference point, ``(n_platforms, 2)``: the worst latency and the worst loss of all rows.

    With the super-network's smallest and largest sub-networks among the rows, it depends little on the searches.
    """
    worst_latency = np.array([_worst(column) for column in latency.T])
    return np.column_stack([worst_latency, np.full(latency.shape[1], _worst(loss))])


def hypervolume_ratio(
    latency: FloatArray, loss: FloatArray, fronts: BoolArray, reference: FloatArray | None = None
) -> FloatArray:
    """Return the row's front's hypervolume on the column's platform over the column's own.

    Both are taken from the same measurements and the same reference point (``references`` when not given), so the
    diagonal of the result, ``(n_platforms, n_platforms)``, is 1. Above 1, the other platform's front is the better one
    here: the own search missed something. nan: the own front has no volume.
    """
    reference = references(latency, loss) if reference is None else reference
    volumes = np.array(
        [
            [_volume(_points(latency[:, j], loss, fronts[:, i]), reference[j]) for j in range(fronts.shape[1])]
            for i in range(fronts.shape[1])
        ]
    )
    own = np.diag(volumes)
    ratio: FloatArray = np.divide(volumes, own, out=np.full_like(volumes, np.nan), where=own > 0)
    return ratio


def front_overlap(latency: FloatArray, loss: FloatArray, fronts: BoolArray) -> FloatArray:
    """Return how much of the row's front is still worth having on the column's platform.

    The share of the row's front that nothing of the two fronts together dominates there. When every platform was
    searched exhaustively over the same networks, it is the share of the row's front that is on the column's front too.
    nan: nothing of the row's front has a value there.
    """
    return mean_of_known(standing(latency, loss, fronts))


def standing(latency: FloatArray, loss: FloatArray, fronts: BoolArray) -> FloatArray:
    """Tell of each row whether it stands where another front is deployed, ``(n_rows, n_platforms, n_platforms)``.

    1: it is on the front searched on ``[1]``, and on ``[2]`` nothing of the two fronts together dominates it; 0:
    something does; nan: it is not on that front or has no value there.
    """
    n_platforms = fronts.shape[1]
    stands = np.full((len(loss), n_platforms, n_platforms), np.nan)
    for j in range(n_platforms):
        here = np.isfinite(latency[:, j]) & np.isfinite(loss)
        for i in range(n_platforms):
            joint = np.flatnonzero((fronts[:, i] | fronts[:, j]) & here)
            efficient = non_dominated(np.column_stack([latency[joint, j], loss[joint]]))
            from_i = fronts[joint, i]
            stands[joint[from_i], i, j] = efficient[from_i]
    return stands


def mean_of_known(values: FloatArray) -> FloatArray:
    """Return the mean over the first axis, leaving nan out; nan where there is nothing else."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean: FloatArray = np.divide(
        np.where(known, values, 0).sum(axis=0), count, out=np.full(count.shape, np.nan), where=count > 0
    )
    return mean


def members(latency: FloatArray, loss: FloatArray, fronts: BoolArray) -> IntArray:
    """Count the row's front's networks that have a value on the column's platform, ``(n_platforms, n_platforms)``."""
    valid = np.isfinite(loss)[:, None]
    return (fronts & valid).astype(np.int64).T @ np.isfinite(latency).astype(np.int64)


def regrets(
    latency: FloatArray, loss: FloatArray, fronts: BoolArray, budgets: Sequence[Sequence[float]] | None = None
) -> list[Regret]:
    """Return what each platform's front loses on each other platform, at each latency budget.

    Args:
        latency: see the module.
        loss: see the module.
        fronts: see the module.
        budgets: for each platform, the latencies allowed there; ``default_budgets`` when not given. Budgets that the
            platform's own front cannot meet are left out.
    """
    budgets = default_budgets(latency, loss, fronts) if budgets is None else budgets
    found = []
    for j, allowed in enumerate(budgets):
        for budget in allowed:
            own = _least_loss(_points(latency[:, j], loss, fronts[:, j]), budget)
            others = (i for i in range(fronts.shape[1]) if i != j and np.isfinite(own))
            found += [
                Regret(i, j, float(budget), own, _least_loss(_points(latency[:, j], loss, fronts[:, i]), budget))
                for i in others
            ]
    return found


def default_budgets(latency: FloatArray, loss: FloatArray, fronts: BoolArray, n: int = 5) -> list[list[float]]:
    """Return up to ``n`` readable budgets for each platform, evenly over the latencies of its own front."""
    budgets: list[list[float]] = []
    for j in range(fronts.shape[1]):
        points = _points(latency[:, j], loss, fronts[:, j])
        # Strictly inside the front: at its ends either nothing fits or everything does.
        spread = np.quantile(points[:, 0], np.arange(1, n + 1) / (n + 1)) if len(points) else np.empty(0)
        budgets.append(sorted({two_digits_up(value) for value in spread}))
    return budgets


def two_digits_up(value: float) -> float:
    """Round up to two significant digits: 18.23 to 19, 0.0712 to 0.072."""
    if value <= 0:
        return value
    exponent = int(np.floor(np.log10(value))) - 1
    # Through the shortest decimal: 72 * 10**-3 is 0.07200000000000001; -1e-9 undoes the division's rounding noise.
    return float(f"{np.ceil(value / 10.0**exponent - 1e-9):.0f}e{exponent}")


def _points(latency: FloatArray, loss: FloatArray, member: BoolArray) -> FloatArray:
    rows = member & np.isfinite(latency) & np.isfinite(loss)
    return np.column_stack([latency[rows], loss[rows]])


def _volume(points: FloatArray, reference: FloatArray) -> float:
    return hypervolume(points, reference) if len(points) else 0.0


def _least_loss(points: FloatArray, budget: float) -> float:
    within = points[points[:, 0] <= budget, 1]
    return float(within.min()) if within.size else float("nan")


def _worst(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else float("nan")
