"""Test and retest: how well two passes over the same sub-networks agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.measurement import Measurement


@dataclass(frozen=True)
class Retest:
    """The agreement of two passes on one platform.

    Attributes:
        platform: where.
        n: sub-networks that have a value in both.
        tau: Kendall's tau-b of the two passes' latencies; nan for fewer than two sub-networks.
        median_difference: the median of |second - first| / first.
        worst_difference: the largest of them.
        worst_key: the sub-network that differs most.
        unsettled: sub-networks that are not "ok" in one of the passes.
    """

    platform: str
    n: int
    tau: float
    median_difference: float
    worst_difference: float
    worst_key: str
    unsettled: int

    def __str__(self) -> str:
        """Say it in a sentence."""
        tau = "no tau (two sub-networks are needed)" if np.isnan(self.tau) else f"tau {self.tau:.3f}"
        note = f"; {self.unsettled} did not settle" if self.unsettled else ""
        return (
            f"{self.platform}: two passes over {self.n} sub-networks agree at {tau}, median difference "
            f"{self.median_difference:.2%}, at most {self.worst_difference:.2%}{note}"
        )


def retest(first: Sequence[Measurement], second: Sequence[Measurement]) -> Retest:
    """Compare two passes over the same sub-networks, in the same order, on one platform.

    Raises:
        ValueError: they are not of the same sub-networks, or there are none.
    """
    from scipy.stats import kendalltau

    if not first or [one.key for one in first] != [one.key for one in second]:
        raise ValueError("retest: expected two passes over the same sub-networks, in the same order")
    pairs = {one.key: (one, two) for one, two in zip(first, second, strict=True)}
    values = np.array([[one.latency_s, two.latency_s] for one, two in pairs.values()])
    known = np.isfinite(values).all(axis=1)
    keys = [key for key, there in zip(pairs, known, strict=True) if there]
    a, b = values[known].T
    if not len(a):
        return Retest(first[0].platform, 0, np.nan, np.nan, np.nan, "", len(pairs))
    tau = float(kendalltau(a, b).statistic) if len(a) > 1 else np.nan
    apart = np.abs(b - a) / a
    worst = int(apart.argmax())
    unsettled = sum(one.status != "ok" or two.status != "ok" for one, two in pairs.values())
    return Retest(first[0].platform, len(a), tau, float(np.median(apart)), float(apart[worst]), keys[worst], unsettled)
