"""Rank correlations between platforms, over the columns of a latency table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray


@dataclass(frozen=True)
class RankCorrelations:
    """Rank correlations of every platform with every other.

    Attributes:
        kendall_tau: tau-b, ``(n_platforms, n_platforms)``; nan where fewer than two rows have a value on both.
        spearman: Spearman's rho, likewise.
        n_pairs: the rows with a value on both platforms, likewise.
    """

    kendall_tau: FloatArray
    spearman: FloatArray
    n_pairs: IntArray


def rank_correlations(latency: FloatArray) -> RankCorrelations:
    """Correlate the platforms' orders of the same sub-networks.

    Args:
        latency: ``(n_rows, n_platforms)``, any unit; nan where a measurement failed. Such a row drops out of the pairs
            it has no value for, and of no other.
    """
    from scipy import stats

    return RankCorrelations(
        kendall_tau=_pairwise(latency, lambda a, b: float(stats.kendalltau(a, b).statistic)),
        spearman=_pairwise(latency, lambda a, b: float(stats.spearmanr(a, b).statistic)),
        n_pairs=counts(latency),
    )


def counts(latency: FloatArray) -> IntArray:
    """Count the rows that have a value on both platforms, ``(n_platforms, n_platforms)``."""
    present = np.isfinite(latency).astype(np.int64)
    return present.T @ present


def _pairwise(latency: FloatArray, correlate: Callable[[FloatArray, FloatArray], float]) -> FloatArray:
    n_platforms = latency.shape[1]
    matrix = np.full((n_platforms, n_platforms), np.nan)
    for i in range(n_platforms):
        for j in range(i, n_platforms):
            a, b = latency[np.isfinite(latency[:, i]) & np.isfinite(latency[:, j])][:, [i, j]].T
            # A constant column has no order to agree with; scipy would warn and return nan.
            if len(a) >= 2 and np.ptp(a) > 0 and np.ptp(b) > 0:
                matrix[i, j] = matrix[j, i] = correlate(a, b)
    return matrix
