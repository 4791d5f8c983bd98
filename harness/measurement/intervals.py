"""Confidence intervals: how many standard errors wide they are, what error one tells of, and that of a proportion."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import TypeVar

from hwnas.supernets.space import FloatArray

Numbers = TypeVar("Numbers", float, FloatArray)

# Of every interval that hwnas shows, unless it says otherwise.
CONFIDENCE = 0.95


@lru_cache
def half_width(confidence: float = CONFIDENCE) -> float:
    """Return half the width of a two-sided interval of normal errors, in standard errors: 1.96 at 95 %."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@lru_cache
def half_width_of_mean(n: int) -> float:
    """Return half the width of a mean's 95 % interval, in standard errors that ``n >= 2`` values tell (Student's t)."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, (1 + CONFIDENCE) / 2))


def standard_error(low: Numbers, high: Numbers, confidence: float = CONFIDENCE) -> Numbers:
    """Return the standard error of a value with the interval from ``low`` to ``high``, of numbers or arrays of them."""
    return (high - low) / (2 * half_width(confidence))


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion of ``n`` (Wilson, 1927), which is accurate near 0 and 1, too."""
    z = half_width()
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)
