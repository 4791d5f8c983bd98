"""Test the paper's claims on measured data: a statistic with its interval, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hwnas.supernets.space import FloatArray

HELD, FAILED, UNDECIDED = "held", "did not hold", "undecided"

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Remarks:
    """What is said beside a claim, whatever it is about; every kind's claims have it.

    Attributes:
        paper: the paper's number, as text; empty: none is known.
        why_not: why it does not hold here, a sentence without a full stop; shown where it does not.
    """

    paper: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim, and whether it held.

    Attributes:
        claim: the sentence that is tested.
        where: on what ("MobileNetV3, 0.81").
        verdict: ``HELD``, ``FAILED`` or ``UNDECIDED``.
        statistic: what was computed ("nsga2 over linas, evaluations").
        value: the statistic; ``None``: it has none.
        low: lower end of its 95 % interval; ``None``: unbounded, or there is none.
        high: upper end; likewise.
        needed: what the interval has to lie beyond for the claim to hold ("above 1").
    """

    claim: str
    where: str
    verdict: str
    statistic: str
    value: float | None
    low: float | None
    high: float | None
    needed: str

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> ClaimVerdict:
        """Return what ``to_json`` wrote."""
        return cls(**record)


@dataclass(frozen=True)
class ConfidenceInterval:
    """A statistic with the ends of its 95 % interval; nan where there is none."""

    value: float
    low: float
    high: float


def mean_interval(sample: FloatArray) -> ConfidenceInterval:
    """Return a sample's mean with its interval (Student's t); a single value has none.

    Args:
        sample: ``(n,)``.
    """
    n = len(sample)
    if n < 2 or not np.isfinite(sample).all():
        return ConfidenceInterval(float(sample.mean()) if n else math.nan, math.nan, math.nan)
    return _student(float(sample.mean()), float(sample.var(ddof=1)) / n, n - 1)


def difference_interval(a: FloatArray, b: FloatArray) -> ConfidenceInterval:
    """Return the difference of two samples' means with its interval (Welch, 1947).

    Few seeds allow no resampling: five values drawn from five lie closer together than they ought to.

    Args:
        a: ``(n,)``.
        b: ``(m,)``; less this.
    """
    value = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2 or not np.isfinite(value):
        return ConfidenceInterval(value, math.nan, math.nan)
    parts = [float(one.var(ddof=1)) / len(one) for one in (a, b)]
    weight = sum(part**2 / (len(one) - 1) for part, one in zip(parts, (a, b), strict=True))
    return _student(value, sum(parts), sum(parts) ** 2 / weight if weight else math.inf)


def _student(value: float, variance: float, freedom: float) -> ConfidenceInterval:
    from scipy.stats import t

    half = float(t.ppf(0.5 + LEVEL / 2, freedom)) * float(np.sqrt(variance))
    return ConfidenceInterval(value, value - half, value + half)


def above(interval: ConfidenceInterval, level: float) -> str:
    """Return whether a statistic is above ``level``, as far as its interval decides it."""
    if interval.low > level:
        return HELD
    return FAILED if interval.high < level else UNDECIDED


def below(interval: ConfidenceInterval, level: float) -> str:
    """Return whether a statistic is below ``level``."""
    return above(ConfidenceInterval(-interval.value, -interval.high, -interval.low), -level)


def counted(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """Say how many of which: "7 held, 1 undecided"; empty where nothing was claimed."""
    counts = {word: sum(one["verdict"] == word for one in verdicts) for word in (HELD, FAILED, UNDECIDED)}
    return ", ".join(f"{n} {word}" for word, n in counts.items() if n)
