"""Bootstrap intervals of the transfer matrices, over the sub-networks that were measured everywhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hwnas.search.transfer.fronts import mean_of_known
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
    noisy: Callable[[IntArray], Mapping[str, FloatArray]] | None = None,
) -> dict[str, MatrixBounds]:
    """Return percentile intervals of matrices under resampling of the rows they were computed from (Efron, 1979).

    Args:
        statistics: takes row numbers, drawn with replacement, ``(n_rows,)``, and returns named matrices.
        n_rows: the rows there are.
        rng: draws the rows.
        resamples: how often.
        level: the share of resamples inside the interval.
        noisy: the same as ``statistics``, of values with noise drawn anew; ``None``: the values are exact. Measured
            values have the noise of one run already: what drawing it once more moves a statistic by is taken out, so
            that noise widens an interval and does not shift it.
    """
    exact: dict[str, list[FloatArray]] = defaultdict(list)
    drawn: dict[str, list[FloatArray]] = defaultdict(list)
    for _ in range(resamples):
        rows = rng.integers(0, n_rows, n_rows)
        for kept, compute in ((exact, statistics), (drawn, noisy)):
            for name, matrix in (compute(rows) if compute is not None else {}).items():
                kept[name].append(matrix)
    tails = (1 - level) / 2, (1 + level) / 2
    return {
        name: MatrixBounds(*quantiles(_centred(np.stack(drawn[name]), np.stack(of)) if noisy else np.stack(of), tails))
        for name, of in exact.items()
    }


def _centred(draws: FloatArray, exact: FloatArray) -> FloatArray:
    """Return draws, the mean of which is moved to that of others, within what either has; over the first axis."""
    both = np.stack([draws, exact])
    least, most = (reduce(both, axis=(0, 1)) for reduce in (np.fmin.reduce, np.fmax.reduce))
    return np.asarray(np.clip(draws - (mean_of_known(draws) - mean_of_known(exact)), least, most))


def quantiles(draws: FloatArray, tails: tuple[float, float]) -> FloatArray:
    """Return two quantiles over the first axis, ignoring nan, ``(2, ...)``; nan where there is nothing else."""
    low_high = np.full((2, *draws.shape[1:]), np.nan)
    known = np.isfinite(draws).any(axis=0)  # numpy warns on columns that are all nan
    low_high[:, known] = np.nanquantile(draws[:, known], tails, axis=0)
    return low_high
