"""How alike platforms order sub-networks, beside how alike measuring twice would order them on one platform.

Noise lowers the rank correlation of two platforms even where they order sub-networks alike. What noise leaves possible
is the *ceiling*: the tau between two runs of one platform, or, for two platforms, between two runs of networks that
both order alike. A tau that is as high as the ceiling tells of no difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.search.transfer.bootstrap import MatrixBounds, quantiles
from hwnas.search.transfer.fronts import mean_of_known
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.rank import counts, kendall_taus
from hwnas.supernets.space import FloatArray, IntArray

# Draws of noise that the ceiling is the mean of: of all rows, and of each resample.
_DRAWS, _DRAWS_OF_RESAMPLE = 50, 5
# Values that are held at once.
_MOST_VALUES = 1_000_000


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau between platforms and its ceiling, ``(n_platforms, n_platforms)`` each.

    Attributes:
        tau: bounds of the tau that was measured, for other sub-networks and for other runs; ``None``: not asked for.
        ceiling: the tau that noise leaves possible; on the diagonal that of measuring one platform twice.
        ceiling_bounds: of the ceiling, likewise.
    """

    tau: MatrixBounds | None
    ceiling: FloatArray
    ceiling_bounds: MatrixBounds | None


def agreement(
    latency: FloatArray, noise: Noise, rng: np.random.Generator, resamples: int, level: float = 0.95
) -> Agreement:
    """Compare the platforms' orders with what noise allows.

    The bootstrap draws sub-networks with replacement and each value's noise. Values already have the noise of one run,
    and drawing it once more lowers every tau: by how much is taken out again, so that noise widens an interval and does
    not shift it.

    Args:
        latency: ``(n_rows, n_platforms)``, any unit; nan where a measurement failed.
        noise: of the same.
        rng: draws rows and noise.
        resamples: how often; 0: no bounds.
        level: the share of resamples inside the bounds.
    """
    n = len(latency)
    ceiling = _between(_retest(latency, noise, np.arange(n)[None], _DRAWS, rng))[0]
    if not resamples:
        return Agreement(None, ceiling, None)
    drawn = rng.integers(0, n, (resamples, n))
    taus = _tau(latency, noise, drawn, rng)
    ceilings = _between(_retest(latency, noise, drawn, _DRAWS_OF_RESAMPLE, rng))
    # What resampling does to a tau by itself (a network that is drawn twice is tied with itself) is taken out.
    moved = mean_of_known(ceilings) - ceiling
    bounds = _widened(_bounds(taus, level), latency, level)
    return Agreement(bounds, ceiling, _bounds(np.maximum(ceilings - moved, 0.0), level))


def retest_tau(twice: FloatArray, four_times: FloatArray) -> FloatArray:
    """Return the tau between two runs, from the taus between runs of twice and of four times the noise's variance.

    Where noise is small, the pairs that change their order are as many as its standard deviation is large; so tau is
    extrapolated along that (SIMEX: Cook and Stefanski, 1994). Sub-networks that noise cannot tell apart stay so: their
    tau is 0 at any noise. The Spearman-Brown formula would raise it.
    """
    root = np.sqrt(2)
    return np.asarray(np.clip(twice + (twice - four_times) * (root - 1) / (2 - root), 0.0, 1.0))


def _retest(latency: FloatArray, noise: Noise, rows: IntArray, draws: int, rng: np.random.Generator) -> FloatArray:
    """Return the tau between two runs of each platform, ``(n_resamples, n_platforms)``, the mean over draws of noise.

    A measured value plus and minus an error of its own size are two independent values of twice the variance (data
    fission: Rasines and Young, 2022; Leiner et al., 2023): two runs of half the length, made from one.

    Args:
        latency: ``(n_rows, n_platforms)``.
        noise: of the same.
        rows: the rows of each resample, ``(n_resamples, n_rows)``.
        draws: of noise, for each resample.
        rng: draws them.
    """
    if noise.exact:
        return np.ones((len(rows), latency.shape[1]))
    drawn = np.repeat(rows, draws, axis=0)
    n_parts = -(-drawn.size * latency.shape[1] // _MOST_VALUES)
    parts = [_half_runs(np.log(latency), noise, part, rng) for part in np.array_split(drawn, n_parts)]
    taus = [np.concatenate(each).reshape(len(rows), draws, -1) for each in zip(*parts, strict=True)]
    return retest_tau(*(mean_of_known(each.swapaxes(0, 1)) for each in taus))


def _half_runs(values: FloatArray, noise: Noise, rows: IntArray, rng: np.random.Generator) -> list[FloatArray]:
    """Return the tau between two runs of twice and of four times the noise's variance, ``(n_draws, n_platforms)`` each.

    Args:
        values: logarithms of latencies, ``(n_rows, n_platforms)``.
        noise: of the same.
        rows: the rows of each draw, ``(n_draws, n_rows)``.
        rng: draws noise.
    """
    n_draws, (n_rows, n_platforms) = len(rows), values.shape
    error, one, other = noise.errors(3 * n_draws, rng).reshape(3, n_draws, n_rows, n_platforms)
    twice = np.stack([values + error, values - error])
    four_times = twice + np.sqrt(2) * np.stack([one, other])
    chosen = (slice(None), np.arange(n_draws)[:, None], rows)
    return [_within(runs[chosen].swapaxes(0, 1)) for runs in (twice, four_times)]


def _within(runs: FloatArray) -> FloatArray:
    """Return tau between two runs of each platform, ``(n_draws, n_platforms)``.

    Args:
        runs: ``(n_draws, 2, n_rows, n_platforms)``.
    """
    return np.column_stack([kendall_taus(*runs[..., place].swapaxes(0, 1)) for place in range(runs.shape[-1])])


def _between(retest: FloatArray) -> FloatArray:
    """Return the ceiling of every pair, ``(..., p, p)``, from each platform's own, ``(..., p)``.

    The correlation of two noisy measures of one thing is the geometric mean of their reliabilities (Spearman, 1904);
    tau is turned into a correlation, and back, by Greiner's relation (Kruskal, 1958).
    """
    reliability = np.sin(np.pi / 2 * retest)
    pairs = np.sqrt(reliability[..., :, None] * reliability[..., None, :])
    return np.asarray(2 / np.pi * np.arcsin(np.clip(pairs, 0.0, 1.0)))


def undiluted(tau: float, ceiling: float) -> float:
    """Return the tau that two platforms would show without noise (Spearman's correction for attenuation, 1904)."""
    if ceiling <= 0:
        return float("nan")
    return float(2 / np.pi * np.arcsin(np.clip(np.sin(np.pi / 2 * tau) / np.sin(np.pi / 2 * ceiling), -1.0, 1.0)))


def _tau(latency: FloatArray, noise: Noise, rows: IntArray, rng: np.random.Generator) -> FloatArray:
    """Return the platforms' tau for each draw of rows and of noise, ``(n_draws, n_platforms, n_platforms)``."""
    quiet = latency[rows]
    found = _pairs(quiet)
    if noise.exact:
        return found
    errors = noise.errors(len(rows), rng)[np.arange(len(rows))[:, None], rows]
    noisy = _pairs(quiet * np.exp(errors))
    # The mean over the draws; where a pair has no tau at all, nothing is to be taken out.
    lowered = mean_of_known(noisy) - mean_of_known(found)
    return np.asarray(np.clip(noisy - lowered, -1.0, 1.0))


def _pairs(latency: FloatArray) -> FloatArray:
    """Return tau-b between all columns, ``(n_draws, n_platforms, n_platforms)``.

    Args:
        latency: ``(n_draws, n_rows, n_platforms)``.
    """
    n_platforms = latency.shape[-1]
    found = np.full((len(latency), n_platforms, n_platforms), np.nan)
    for i in range(n_platforms):
        found[:, i, i] = 1.0
        for j in range(i + 1, n_platforms):
            found[:, i, j] = found[:, j, i] = kendall_taus(latency[..., i], latency[..., j])
    return found


def _widened(bounds: MatrixBounds, latency: FloatArray, level: float) -> MatrixBounds:
    """Return bounds of tau that are as far from it as so few pairs leave open.

    Where all pairs are ordered alike, so are those of every resample, and an interval from resamples has no width. But
    of five sub-networks, all ten pairs are ordered alike with a chance of 0.4 where in general one in ten is not. So
    many pairs as are ordered differently are about a number of Poisson's, whose exact bounds (Garwood, 1936) these are.
    """
    from scipy.stats import chi2

    n, tau = counts(latency), _pairs(latency[None])[0]
    pairs = np.maximum(n * (n - 1) / 2, 1.0)
    # As many as are ordered in the rarer of the two ways, and as many as there might be in general.
    rare = (1 - np.abs(tau)) / 2 * pairs
    farthest = np.maximum(1 - chi2.ppf((1 + level) / 2, 2 * (rare + 1)) / pairs, -1.0)
    others = ~np.eye(len(n), dtype=bool)
    low = np.where(others & (tau > 0), np.fmin(bounds.low, farthest), bounds.low)
    high = np.where(others & (tau < 0), np.fmax(bounds.high, -farthest), bounds.high)
    return MatrixBounds(low, high)


def _bounds(draws: FloatArray, level: float) -> MatrixBounds:
    return MatrixBounds(*quantiles(np.clip(draws, -1.0, 1.0), ((1 - level) / 2, (1 + level) / 2)))
