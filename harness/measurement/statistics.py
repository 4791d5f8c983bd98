"""Statistics of samples: percentiles with distribution-free confidence intervals, and rank correlation with ties.

Nothing here assumes a distribution: timings are skewed, and often have several modes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from hwnas.supernets.space import BoolArray, FloatArray, IntArray

_QUANTILES = {"p10": 0.1, "p15": 0.15, "median": 0.5, "p95": 0.95, "p99": 0.99}
# The smallest of n samples is a quantile too, of a level that shrinks with n. Its interval reaches up to the upper
# bound of this one: the fastest runs must be a mode of their own and not a few lucky samples.
_FLOOR = 0.05
# The 15th percentile is the mean of what lies so far on either side of it, the fastest 30 %.
_BANDWIDTH = 0.15
# Undisturbed samples count alone as long as they are this share. Where a batch is half disturbed, a share of a half
# would let some networks' values rest on the undisturbed ones and some on all, which are a percent apart.
_LEAST_CLEAN = 0.2


@dataclass(frozen=True)
class Summary:
    """The statistics of a network's samples, in seconds.

    Attributes:
        statistic: "min", "p10", "p15", "median", "p95" or "p99", which ``value`` is; "p15" by a smooth estimate, within
            ``low`` and ``high``.
        value: the statistic.
        low: lower end of the statistic's interval.
        high: upper end.
        min: of all samples.
        p10: their 10th percentile.
        median: their median.
        p90: their 90th percentile.
        n: how many samples there are.
        n_clean: how many of them the statistic is taken over.
    """

    statistic: str
    value: float
    low: float
    high: float
    min: float
    p10: float
    median: float
    p90: float
    n: int
    n_clean: int

    @property
    def width(self) -> float:
        """The interval's width relative to the value; infinite where there is none."""
        return (self.high - self.low) / self.value if self.value > 0 else math.inf


def summarise(
    samples: FloatArray,
    clean: BoolArray,
    statistic: str,
    confidence: float = 0.95,
    visit: IntArray | None = None,
) -> Summary:
    """Summarise samples, ``(n,)`` seconds.

    Args:
        samples: of one network.
        clean: (n,) those that the statistic is taken over. Where they are fewer than a fifth, all count: what is left
            would be a selection, not a sample.
        statistic: "min", "p10", "p15", "median", "p95" or "p99".
        confidence: of the interval.
        visit: (n,) the visit that each sample belongs to; ``None``: all samples are independent.
    """
    if not samples.size:
        nan = math.nan
        return Summary(statistic, nan, -math.inf, math.inf, nan, nan, nan, nan, 0, 0)
    chosen = counted(clean)
    kept = np.sort(samples[chosen])
    worth = len(kept)
    if visit is not None:
        level = quantile(kept, _QUANTILES.get(statistic, _FLOOR))
        worth = observations(samples[chosen] <= level, visit[chosen])
    low, high = interval(kept, statistic, confidence, worth)
    # A few lucky samples pull a mean, and not an order statistic's bounds.
    value = min(max(_value(kept, statistic), low), high)
    everything = np.sort(samples)
    p10, median, p90 = (quantile(everything, q) for q in (0.1, 0.5, 0.9))
    return Summary(statistic, value, low, high, float(everything[0]), p10, median, p90, len(samples), len(kept))


def observations(below: BoolArray, visit: IntArray) -> int:
    """Return how many independent observations samples are worth, between their number and that of their visits.

    A host that is slow for a tenth of a second slows all samples of a visit. What counts for a percentile is whether a
    sample lies below it; the intraclass correlation of that (one-way analysis of variance) says how much the samples of
    a visit repeat each other, and the design effect 1 + (m - 1) rho (Kish, Survey Sampling, 1965) what that costs.

    Args:
        below: (n,) whether each sample lies below the percentile.
        visit: (n,) the visit it belongs to.
    """
    n, groups = len(below), np.unique(visit, return_inverse=True)[1]
    sizes = np.bincount(groups)
    k = len(sizes)
    if k in (1, n):
        return k
    sums = np.bincount(groups, weights=below)
    between = float((sums**2 / sizes).sum() - sums.sum() ** 2 / n) / (k - 1)
    within = float(sums.sum() - (sums**2 / sizes).sum()) / (n - k)
    m = (n - float((sizes**2).sum()) / n) / (k - 1)
    spread = between + (m - 1) * within
    rho = min(1.0, max(0.0, (between - within) / spread)) if spread > 0 else 0.0
    return max(k, math.floor(n / (1 + (m - 1) * rho)))


def statistic_of(samples: FloatArray, clean: BoolArray, statistic: str) -> float:
    """Return the value of ``summarise`` without its interval, and so without being clipped to it."""
    return _value(np.sort(samples[counted(clean)]), statistic) if samples.size else math.nan


def counted(clean: BoolArray) -> BoolArray:
    """Return which samples count, (n,): the undisturbed ones, or all where these are too few."""
    return clean if int(clean.sum()) >= _LEAST_CLEAN * len(clean) else np.ones_like(clean)


def _value(ordered: FloatArray, statistic: str) -> float:
    """Return the statistic of ascending samples."""
    if statistic == "min":
        return float(ordered[0])
    q = _QUANTILES[statistic]
    return smooth_quantile(ordered, q, _BANDWIDTH) if statistic == "p15" else quantile(ordered, q)


def smooth_quantile(ordered: FloatArray, q: float, bandwidth: float) -> float:
    """Return the mean of ascending samples from the level ``q - bandwidth`` to ``q + bandwidth``.

    A kernel estimator of the quantile, with a uniform kernel (Sheather and Marron, Kernel Quantile Estimators, 1990):
    less noisy than one or two order statistics. A sample that lies across an end counts by the part of it within.
    """
    n = len(ordered)
    begin, end = max(0.0, q - bandwidth) * n, min(1.0, q + bandwidth) * n
    first, last = math.floor(begin), math.ceil(end)
    weights = np.ones(last - first)
    weights[0] -= begin - first
    weights[-1] -= last - end
    return float(weights @ ordered[first:last] / (end - begin))


def quantile(ordered: FloatArray, q: float) -> float:
    """Return the quantile of ascending samples, linear between order statistics."""
    # np.quantile does the same in thirty times as long, and the stopping rules ask often.
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


def interval(
    ordered: FloatArray, statistic: str, confidence: float = 0.95, worth: int | None = None
) -> tuple[float, float]:
    """Return the interval of a statistic of ascending samples; infinite where there is too little for one.

    For a percentile: two order statistics between which it lies with at least ``confidence``, whatever the distribution
    (David and Nagaraja, Order Statistics, 2003, section 7.1). The lower end of a low percentile is the fastest sample
    where so few observations bound it by nothing. For the minimum: from itself to the upper bound of a low percentile.

    Args:
        ordered: the samples, ascending.
        statistic: "min", "p10", "p15", "median", "p95" or "p99".
        confidence: of the interval.
        worth: how many independent observations the samples are worth; the bounds are those of so many, at the same
            levels among the samples. ``None``: every sample is one.
    """
    n = len(ordered) if worth is None else min(worth, len(ordered))
    tail = (1 - confidence) / 2
    if statistic == "min":
        return float(ordered[0]), _bound(ordered, upper_rank(n, _FLOOR, 1 - tail), n)
    q = _QUANTILES[statistic]
    low = lower_rank(n, q, 1 - tail)
    lowest = float(ordered[0]) if q < 0.5 else -math.inf
    high = _bound(ordered, upper_rank(n, q, 1 - tail), n)
    return _bound(ordered, low, n) if low >= 1 else lowest, high


def _bound(ordered: FloatArray, rank: int, n: int) -> float:
    """Return the sample at the level of ``rank`` among ``n`` observations; infinite where there is no such rank."""
    return float(ordered[math.ceil(rank * len(ordered) / n) - 1]) if rank <= n else math.inf


@lru_cache(maxsize=4096)
def upper_rank(n: int, q: float, confidence: float) -> int:
    """Return the least rank r with P(x_(r) >= quantile q) >= confidence; n + 1 where there is none.

    x_(r) lies below the quantile only if at least r of the n samples do: P(Binomial(n, q) >= r) <= 1 - confidence.
    """
    below = np.cumsum(binomial(n, q))  # below[k] = P(at most k)
    return int(np.searchsorted(below, confidence)) + 1


def lower_rank(n: int, q: float, confidence: float) -> int:
    """Return the greatest rank r with P(x_(r) <= quantile q) >= confidence; 0 where there is none."""
    return n + 1 - upper_rank(n, 1 - q, confidence)


def binomial(n: int, p: float) -> FloatArray:
    """Return P(k successes in n), ``(n + 1,)``."""
    k = np.arange(n + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log = factorials[n] - factorials[k] - factorials[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
    return np.asarray(np.exp(log), dtype=np.float64)


def tau(x: npt.ArrayLike, y: npt.ArrayLike, resolution: float = 0.0) -> float:
    """Return Kendall's tau-b between two rankings, ``(n,)`` each.

    Args:
        x: one value per network.
        y: likewise.
        resolution: values closer than this fraction of the smaller are tied. A pair tied in one ranking and ordered in
            the other is neither for nor against.

    Returns:
        1.0 for fewer than two networks, and where everything is tied in both.
    """
    order_x, order_y = orders(x, resolution), orders(y, resolution)
    agreement = float((order_x * order_y).sum())
    pairs = math.sqrt(float((order_x**2).sum()) * float((order_y**2).sum()))
    if pairs:
        return agreement / pairs
    return 1.0 if np.array_equal(order_x, order_y) else 0.0


def orders(values: npt.ArrayLike, resolution: float = 0.0) -> IntArray:
    """Return the sign of every pair's difference, (n, n); 0 where it is within ``resolution`` of the smaller."""
    v = np.asarray(values, dtype=np.float64)
    difference = v[:, None] - v[None, :]
    scale = np.minimum(np.abs(v)[:, None], np.abs(v)[None, :])
    return np.asarray(np.sign(difference) * (np.abs(difference) > resolution * scale), dtype=np.int64)
