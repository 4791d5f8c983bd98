"""Decide of each pair of platforms whether they order sub-networks alike, as far as measurements can tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.search.transfer.agreement import Agreement, undiluted
from hwnas.search.transfer.grouping import SHARED_TAU
from hwnas.supernets.space import FloatArray

ALIKE, DIFFERENT, NOISE, FEW, UNKNOWN = "alike", "different", "noise", "few", "unknown"

# Two platforms order sub-networks alike only where the lower end of the interval is at least this: at 0.9 one pair in
# twenty is ordered differently.
_LEAST_TAU = 0.9
# However noisy it was: of a lower tau, most is the correction for noise.
_LEAST_MEASURED = 0.8

Orders = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Range:
    """A tau with its bounds."""

    value: float
    low: float
    high: float

    @classmethod
    def at(cls, matrix: FloatArray, bounds: tuple[FloatArray, FloatArray] | None, i: int, j: int) -> Range:
        """Take an entry of matrices; without bounds, or where they are nan, the value is exact."""
        value = float(matrix[i, j])
        ends = [value if bounds is None or np.isnan(end[i, j]) else float(end[i, j]) for end in bounds or (matrix,) * 2]
        return cls(value, ends[0], ends[1])


def decide(tau: Range, ceiling: Range, *, settled: bool = True) -> str:
    """Return what is known of two platforms.

    - "different": the interval of tau lies below that of its ceiling, and below the tau from which platforms share.
    - "alike": without noise, tau would be that large.
    - "noise": noise could explain what was measured, and would have to be less for an answer.
    - "few": with more sub-networks there would be an answer.
    - "unknown": there is no tau.

    Args:
        tau: of the two.
        ceiling: that noise leaves possible.
        settled: most of the measurements have converged. The intervals of those that have not promise too much.
    """
    if np.isnan(tau.value):
        return UNKNOWN
    likely, least = undiluted(tau.value, ceiling.value), undiluted(tau.low, ceiling.high)
    if tau.value >= _LEAST_MEASURED and likely >= SHARED_TAU and least >= _LEAST_TAU:
        return ALIKE
    if settled and tau.high < min(ceiling.low, SHARED_TAU):
        return DIFFERENT
    return NOISE if not settled or min(tau.high, ceiling.value) < SHARED_TAU else FEW


def orders(tau: FloatArray, agreement: Agreement, settled: tuple[bool, ...]) -> Orders:
    """Decide of every pair of platforms.

    Args:
        tau: that was measured, ``(n_platforms, n_platforms)``.
        agreement: its bounds and its ceiling.
        settled: of each platform, whether most of its measurements have converged.
    """
    of_tau, of_ceiling = (
        None if bounds is None else (bounds.low, bounds.high) for bounds in (agreement.tau, agreement.ceiling_bounds)
    )
    places = range(len(tau))
    return tuple(
        tuple(
            ALIKE
            if i == j
            else decide(
                Range.at(tau, of_tau, i, j),
                Range.at(agreement.ceiling, of_ceiling, i, j),
                settled=settled[i] and settled[j],
            )
            for j in places
        )
        for i in places
    )
