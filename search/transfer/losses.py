"""What fronts lose on other platforms, with bounds: how far noise could move each loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hwnas.search.transfer.bootstrap import MatrixBounds, quantiles
from hwnas.search.transfer.fronts import Regret, default_budgets, hypervolume_ratio, mean_of_known, regrets
from hwnas.search.transfer.noise import Noise
from hwnas.supernets.space import BoolArray, FloatArray

_MS = 1e3
# A loss that this share of the draws does not know (nothing fits the budget) has no bounds.
_MISSING = 0.05


def bounded_regrets(
    latency: FloatArray, loss: FloatArray, fronts: BoolArray, draws: FloatArray, level: float = 0.95
) -> list[Regret]:
    """Return the losses at latency budgets in seconds, with what noise could make of each.

    Budgets are rounded in milliseconds, the unit that people read.

    Args:
        latency: see ``hwnas.search.transfer.fronts``; seconds.
        loss: likewise.
        fronts: likewise.
        draws: the latencies with noise drawn, ``(n_draws, n_rows, n_platforms)``; none: the latencies are exact.
        level: the share of the draws inside the bounds.
    """
    budgets = default_budgets(latency * _MS, loss, fronts)
    found = regrets(latency * _MS, loss, fronts, budgets)
    if not len(draws):
        return [replace(one, budget=one.budget / _MS, low=one.lost, high=one.lost) for one in found]
    place = {_case(one): number for number, one in enumerate(found)}
    drawn = np.full((len(draws), len(found)), np.nan)
    for row, values in enumerate(draws):
        for one in regrets(values * _MS, loss, fronts, budgets):
            if _case(one) in place:
                drawn[row, place[_case(one)]] = one.lost
    bounds = quantiles(drawn, ((1 - level) / 2, (1 + level) / 2))
    bounds[:, np.isnan(drawn).mean(axis=0) > _MISSING] = np.nan
    return [
        replace(one, budget=one.budget / _MS, low=float(low), high=float(high))
        for one, low, high in zip(found, *bounds, strict=True)
    ]


def _case(one: Regret) -> tuple[int, int, float]:
    return one.searched_on, one.deployed_on, one.budget


def hypervolume_bounds(
    latency: FloatArray,
    loss: FloatArray,
    fronts: BoolArray,
    draws: FloatArray,
    reference: FloatArray,
    level: float = 0.95,
) -> MatrixBounds:
    """Return what noise could make of the hypervolume ratio; the ratio itself where there are no draws.

    Args:
        latency: see ``hwnas.search.transfer.fronts``.
        loss: likewise.
        fronts: likewise.
        draws: the latencies with noise drawn, ``(n_draws, n_rows, n_platforms)``.
        reference: each platform's reference point, ``(n_platforms, 2)``.
        level: the share of the draws inside the bounds.
    """
    ratio = hypervolume_ratio(latency, loss, fronts, reference)
    if not len(draws):
        return MatrixBounds(ratio, ratio)
    drawn = np.array([hypervolume_ratio(values, loss, fronts, reference) for values in draws])
    # Measured values have noise already: drawing it again widens, and is not to shift.
    drawn += ratio - mean_of_known(drawn)
    return MatrixBounds(*quantiles(drawn, ((1 - level) / 2, (1 + level) / 2)))


def noisy(latency: FloatArray, noise: Noise, draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw latencies with noise, ``(draws, n_rows, n_platforms)``; none where there is no noise."""
    if noise.exact:
        return np.empty((0, *latency.shape))
    return np.asarray(latency * np.exp(noise.errors(draws, rng)))
