"""How far measured latencies are from what measuring again would give: the noise of shared rows.

A value has two kinds of noise. Its own is what its interval says; where the two halves of the samples (even and odd
rounds, which are of different sessions) lie further apart than the intervals allow, all of the platform are widened to
what the halves show. The other kind moves a whole batch: a machine that is slower for minutes. It is what the anchors,
which are measured with every batch, differ by from batch to batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Self

import numpy as np

from hwnas.harness.measurement.intervals import CONFIDENCE, standard_error
from hwnas.supernets.space import FloatArray, IntArray

if TYPE_CHECKING:
    from hwnas.harness.measurement.measurement import Measurement

_NORMAL = NormalDist()
# The noise of a value whose samples are too few for an interval: it may be half or twice as large.
_UNBOUNDED = 0.5
# The least noise of a value, as a share of the median of its platform.
_BEST = 0.5


@dataclass(frozen=True)
class Noise:
    """The noise of latencies, as standard deviations of their logarithms.

    Attributes:
        own: of each value by itself, ``(n_rows, n_platforms)``; 0: it is exact.
        batch: the batch that each value is of, numbered from 0 on each platform, likewise.
        shared: of what all values of a batch have in common, ``(n_platforms,)``; 0 where there is one batch only.
    """

    own: FloatArray
    batch: IntArray
    shared: FloatArray

    @classmethod
    def of_intervals(cls, low: FloatArray, high: FloatArray) -> Self:
        """Return the noise that intervals tell of, ``(n_rows, n_platforms)``; values without one are exact."""
        own = np.nan_to_num(_errors(low, high, CONFIDENCE))
        return cls(own, np.zeros(own.shape, dtype=np.int64), np.zeros(own.shape[1]))

    @classmethod
    def of_measurements(cls, measured: Sequence[Sequence[Measurement]]) -> Self:
        """Return the noise of the measurements of the same sub-networks on one platform after the other."""
        batches = [_batches(column) for column in measured]
        return cls(
            own=np.column_stack([_own(column) for column in measured]),
            batch=np.column_stack([batch for batch, _ in batches]),
            shared=np.array([shared for _, shared in batches]),
        )

    def of_part(self, low: FloatArray, high: FloatArray) -> Self:
        """Return the noise of a part of each inference, of which these are the bounds, ``(n_rows, n_platforms)``.

        What moves whole batches moves their parts alike, and no part is known better than the whole.
        """
        own = np.where(self.own > 0, np.fmax(_errors(low, high, CONFIDENCE), self.own), 0.0)
        return type(self)(own, self.batch, self.shared)

    @property
    def exact(self) -> bool:
        """Whether there is none."""
        return not self.own.any() and not self.shared.any()

    @property
    def run_to_run(self) -> FloatArray:
        """By which fraction two runs typically differ in a sub-network's latency, the median, ``(n_platforms,)``."""
        own = np.array([np.median(column[column > 0]) if (column > 0).any() else 0.0 for column in self.own.T])
        return np.asarray(np.expm1(_NORMAL.inv_cdf(0.75) * np.sqrt(2) * np.hypot(own, self.shared)))

    def errors(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw errors of the logarithms ``n`` times, ``(n, n_rows, n_platforms)``."""
        drawn = rng.normal(size=(n, *self.own.shape)) * self.own
        for platform, spread in enumerate(self.shared):
            if spread:
                batch = self.batch[:, platform]
                drawn[:, :, platform] += spread * rng.normal(size=(n, int(batch.max()) + 1))[:, batch]
        return drawn


def _errors(low: FloatArray, high: FloatArray, confidence: float) -> FloatArray:
    """Return the standard error that an interval stands for, of logarithms; nan where there is no interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        error = standard_error(np.log(low), np.log(high), confidence)
    # An interval from below 0, or without an end, tells that the value is hardly known.
    unbounded = ~np.isnan(low) & ~np.isnan(high) & ~((low > 0) & (error <= _UNBOUNDED))
    return np.where(unbounded, _UNBOUNDED, error)


def _own(measured: Sequence[Measurement]) -> FloatArray:
    """Return the standard error of each value on one platform, ``(n_rows,)``; 0 where it is a table's or failed."""
    known = np.array([one.protocol is not None and one.status != "failed" for one in measured], dtype=bool)
    bounds = np.array([one.interval for one in measured], dtype=np.float64).reshape(len(measured), 2)
    confidence = next((one.protocol.confidence for one in measured if one.protocol is not None), CONFIDENCE)
    error = np.where(known, np.nan_to_num(_errors(bounds[:, 0], bounds[:, 1], confidence), nan=_UNBOUNDED), 0.0)
    halves = np.array([one.halves for one in measured], dtype=np.float64).reshape(len(measured), 2)
    apart = np.abs(np.log(halves[:, 0] / halves[:, 1]))
    # A few samples may happen to lie close together: nothing is known so much better than the rest of its platform.
    error = np.where(known, np.maximum(error, _BEST * np.median(error[known])) if known.any() else error, 0.0)
    told = known & (error > 0) & (error < _UNBOUNDED) & np.isfinite(apart)
    if not told.any():
        return error
    # Halves of independent samples differ by twice the whole's standard error; of its size, half are above 0.67.
    widened = float(np.median(apart[told] / (2 * error[told]))) / _NORMAL.inv_cdf(0.75)
    return np.asarray(np.minimum(error * max(1.0, widened), _UNBOUNDED))


def _batches(measured: Sequence[Measurement]) -> tuple[IntArray, float]:
    """Return each value's batch, and the spread between batches that the anchors show; 0 where they show none."""
    anchors = [tuple(sorted(one.context.get("anchors", {}).items())) for one in measured]
    number = {one: place for place, one in enumerate(dict.fromkeys(anchors))}
    batch = np.array([number[one] for one in anchors], dtype=np.int64)
    tables = [dict(one) for one in number if one]
    keys = set.intersection(*(set(one) for one in tables)) if tables else set()
    if len(tables) < 2 or not keys:
        return batch, 0.0
    logs = np.log([[one[key] for key in sorted(keys)] for one in tables])
    # One anchor may be disturbed by itself: what a batch has in common is their median.
    offsets = np.median(logs - np.median(logs, axis=0), axis=1)
    return batch, float(np.std(offsets, ddof=1))
