"""The pace of the host at one network's visits, and a network's statistics once it is divided out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from hwnas.harness.measurement.protocol import STATISTICS, TimingProtocol
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import Summary, statistic_of, summarise
from hwnas.supernets.space import BoolArray, FloatArray, IntArray
from hwnas.supernets.values import number

_PER_UNIT = 1e6  # records hold logarithms in whole millionths
_LARGEST = 50.0
# A batch tells one standard error for all its networks, whose own differ. A distribution with heavier tails than the
# normal one allows for that: Student's.
_FREEDOM = 8


@dataclass(frozen=True, eq=False)
class Pace:
    """By how much the host slowed each visit to a network, as ``estimate`` finds it for a batch.

    Attributes:
        slower: (v,) logarithm of the factor by which each visit was slower than at the host's calm end; zeros where the
            host's pace is not divided out.
        statistic: the value of the network's samples once it is divided out.
        error: standard error of the value's logarithm, beside the values of its batch.
    """

    slower: FloatArray
    statistic: str
    error: float

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON-able numbers; no pace at all is an empty list."""
        millionths = np.round(_PER_UNIT * self.slower).astype(np.int64)
        slower = millionths.tolist() if millionths.any() else []
        return {"slower_ppm": slower, "statistic": self.statistic, "error": self.error}

    @classmethod
    def from_record(cls, record: Mapping[str, Any], visits: int) -> Pace:
        """Read what ``to_record`` wrote; raises ``LookupError``, ``TypeError`` or ``ValueError`` of others.

        Args:
            record: what it wrote.
            visits: how many visits there are.
        """
        millionths = np.asarray(record["slower_ppm"])
        if millionths.size and (millionths.dtype.kind != "i" or millionths.shape != (visits,)):
            raise ValueError(f"slower_ppm: expected {visits} whole numbers, got {record['slower_ppm']!r:.80}")
        slower = millionths / _PER_UNIT if millionths.size else np.zeros(visits)
        error = number(record["error"])
        if not (np.abs(slower) <= _LARGEST).all() or not 0 <= error <= _LARGEST:
            raise ValueError(f"slower_ppm, error: expected logarithms of factors up to {math.exp(_LARGEST):.0e}")
        if record["statistic"] not in STATISTICS:
            raise ValueError(f"statistic: expected one of {', '.join(STATISTICS)}, got {record['statistic']!r:.40}")
        return cls(slower, record["statistic"], error)


@dataclass(frozen=True, eq=False)
class Calm:
    """The samples of a network as they would have been at the host's calm end.

    Attributes:
        seconds: (n,) of one inference, without the host's pace.
        clean: (n,) whether each is undisturbed.
        rounds: (n,) the round of each.
        statistic: which of them the network's value is.
    """

    seconds: FloatArray
    clean: BoolArray
    rounds: IntArray
    statistic: str

    @classmethod
    def of(cls, samples: Samples, protocol: TimingProtocol, threads: int, pace: Pace | None) -> Calm:
        """Return them; without a pace, the samples as they were taken."""
        seconds = samples.seconds if pace is None else samples.seconds * np.exp(-pace.slower)[samples.visit]
        chosen = protocol.statistic if pace is None else pace.statistic
        return cls(seconds, clean(samples, protocol, threads), samples.rounds, chosen)

    @property
    def halves(self) -> tuple[float, float]:
        """The value of the even rounds alone and of the odd ones alone."""
        return self.parts(self.rounds % 2 == 0)

    def parts(self, first: BoolArray) -> tuple[float, float]:
        """Return the value of the samples in ``first``, (n,), and of the others; nan for no samples."""
        one, other = (statistic_of(self.seconds[part], self.clean[part], self.statistic) for part in (first, ~first))
        return one, other


def clean(samples: Samples, protocol: TimingProtocol, threads: int) -> BoolArray:
    """Return which samples are undisturbed, (n,)."""
    return ~samples.disturbed(protocol.disturbed, threads)


def summary(samples: Samples, protocol: TimingProtocol, threads: int, pace: Pace | None) -> Summary:
    """Return a network's statistics: value and interval without the host's pace, the others of the samples as taken.

    The interval is that of the network's own samples, and at least what its batch says of all values.
    """
    calm, visit = Calm.of(samples, protocol, threads, pace), samples.visit
    taken = summarise(samples.seconds, calm.clean, protocol.statistic, protocol.confidence, visit)
    if pace is None or not samples.n:
        return taken
    as_taken = calm.statistic == protocol.statistic and not pace.slower.any()
    own = taken if as_taken else summarise(calm.seconds, calm.clean, calm.statistic, protocol.confidence, visit)
    low, high = _widened(own, protocol, pace)
    return replace(taken, value=own.value, low=low, high=high)


def stage_summary(samples: Samples, stage: int, protocol: TimingProtocol, threads: int, pace: Pace | None) -> Summary:
    """Return the statistics of one stage in each sample, without the host's pace, as ``summary`` does of all stages."""
    calm = Calm.of(samples, protocol, threads, pace)
    # The host slows all stages of a visit by as much.
    seconds = samples.stage_ns[:, stage] / samples.group / 1e9 * (calm.seconds / samples.seconds)
    own = summarise(seconds, calm.clean, calm.statistic, protocol.confidence, samples.visit)
    if pace is None or not samples.n:
        return own
    low, high = _widened(own, protocol, pace)
    return replace(own, low=low, high=high)


def _widened(own: Summary, protocol: TimingProtocol, pace: Pace) -> tuple[float, float]:
    """Return an interval that is at least as wide as what its batch says of all values."""
    either_way = math.exp(_student((1 + protocol.confidence) / 2) * pace.error)
    return min(own.low, own.value / either_way), max(own.high, own.value * either_way)


@lru_cache
def _student(level: float) -> float:
    """Return a quantile of Student's distribution, by its expansion about the normal one (Fisher and Cornish, 1960)."""
    z = NormalDist().inv_cdf(level)
    return z + (z**3 + z) / (4 * _FREEDOM) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * _FREEDOM**2)
