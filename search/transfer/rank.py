"""Rank correlations between platforms, over the columns of a latency table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray

# Beyond this many rows, comparing all pairs at once takes longer than counting inversions column by column.
_FEW_ROWS = 200
# Pairs that are held at once.
_MOST_PAIRS = 4_000_000


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
    return RankCorrelations(
        kendall_tau=_pairwise(latency, _tau),
        spearman=spearman(latency),
        n_pairs=counts(latency),
    )


def spearman(latency: FloatArray) -> FloatArray:
    """Return Spearman's rho of every pair of columns, as ``rank_correlations`` does, ``(n_platforms, n_platforms)``."""
    from scipy.stats import rankdata

    if not len(latency) or not np.isfinite(latency).all() or not np.ptp(latency, axis=0).all():
        return _pairwise(latency, _rho)
    # Where all have an order, one ranking of each column serves all pairs.
    rho = np.atleast_2d(np.corrcoef(rankdata(latency, axis=0), rowvar=False))
    np.fill_diagonal(rho, 1.0)
    return np.asarray(rho, dtype=np.float64)


def kendall_taus(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return tau-b of many pairs of columns at once, ``(n_draws,)``, as ``rank_correlations`` does of one.

    Args:
        a: one column per draw, ``(n_draws, n_rows)``; rows with a nan on either side drop out of their draw.
        b: likewise.
    """
    n_draws, n_rows = a.shape
    if n_rows > _FEW_ROWS:
        return np.array([_pairwise(np.column_stack(pair), _tau)[0, 1] for pair in zip(a, b, strict=True)])
    step = max(1, _MOST_PAIRS // max(1, n_rows**2))
    parts = [_taus(a[start : start + step], b[start : start + step]) for start in range(0, n_draws, step)]
    return np.concatenate(parts) if parts else np.empty(0)


def _taus(a: FloatArray, b: FloatArray) -> FloatArray:
    i, j = np.triu_indices(a.shape[1], 1)
    one, other = (np.sign(values[:, i] - values[:, j]) for values in (a, b))
    missing = np.isnan(one) | np.isnan(other)
    if missing.any():
        one[missing] = other[missing] = 0.0
    agreeing, *ordered = (np.einsum("dp,dp->d", *pair) for pair in ((one, other), (one, one), (other, other)))
    pairs = np.sqrt(ordered[0] * ordered[1])
    taus: FloatArray = np.divide(agreeing, pairs, out=np.full(len(a), np.nan), where=pairs > 0)
    return taus


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


def _tau(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(a, b).statistic)


def _rho(a: FloatArray, b: FloatArray) -> float:
    from scipy.stats import rankdata

    # What scipy's spearmanr does, without its p-value, which takes several times as long.
    return float(np.corrcoef(np.column_stack((rankdata(a), rankdata(b))), rowvar=False)[1, 0])
