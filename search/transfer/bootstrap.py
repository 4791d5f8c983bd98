"""Bootstrap intervals of the transfer matrices, over the sub-networks that were measured everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray


@dataclass(frozen=True)
class MatrixBounds:
    """Bounds of a matrix, entry by entry; nan where no resample gave a value.

    Attributes:
        low: ``(n_platforms, n_platforms)``.
        high: likewise.
    """

    low: FloatArray
    high: FloatArray


def bootstrap(
    statistics: Callable[[IntArray], Mapping[str, FloatArray]],
    n_rows: int,
    rng: np.random.Generator,
    resamples: int = 200,
    level: float = 0.95,
) -> dict[str, MatrixBounds]:
    """Return percentile intervals of matrices under resampling of the rows they were computed from (Efron, 1979).

    Args:
        statistics: takes row numbers, drawn with replacement, ``(n_rows,)``, and returns named matrices.
        n_rows: the rows there are.
        rng: draws the rows.
        resamples: how often.
        level: the share of resamples inside the interval.
    """
    draws: dict[str, list[FloatArray]] = {}
    for _ in range(resamples):
        for name, matrix in statistics(rng.integers(0, n_rows, n_rows)).items():
            draws.setdefault(name, []).append(matrix)
    tails = (1 - level) / 2, (1 + level) / 2
    return {name: MatrixBounds(*_quantiles(np.stack(matrices), tails)) for name, matrices in draws.items()}


def _quantiles(draws: FloatArray, tails: tuple[float, float]) -> FloatArray:
    """Take quantiles over the first axis, ignoring nan; ``(2, n_platforms, n_platforms)``."""
    low_high = np.full((2, *draws.shape[1:]), np.nan)
    known = np.isfinite(draws).any(axis=0)  # numpy warns on columns that are all nan
    low_high[:, known] = np.nanquantile(draws[:, known], tails, axis=0)
    return low_high
