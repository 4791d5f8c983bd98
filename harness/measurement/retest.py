"""Test-retest reliability: how well two passes over the same sub-networks agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.measurement import Measurement

_WORTH_TELLING = 0.0005


@dataclass(frozen=True)
class Retest:
    """The agreement of two passes on one platform.

    Attributes:
        platform: where they were measured.
        n: sub-networks that have a value in both.
        tau: Kendall's tau-b of the two passes' latencies; nan for fewer than two sub-networks.
        drift: by which fraction the anchors were slower in the second pass, which is due to the machine; 0 without
            anchors.
        median_difference: the median of |second - first| / first, the drift divided out of the second.
        worst_difference: the largest of them.
        worst_key: the sub-network that differs most.
        unconverged: sub-networks that are not "ok" in one of the passes.
    """

    platform: str
    n: int
    tau: float
    drift: float
    median_difference: float
    worst_difference: float
    worst_key: str
    unconverged: int

    def __str__(self) -> str:
        """Return the agreement as one sentence."""
        tau = "no tau (two sub-networks are needed)" if np.isnan(self.tau) else f"tau {self.tau:.3f}"
        drift = f" (the machine's drift of {self.drift:+.1%} apart)" if abs(self.drift) >= _WORTH_TELLING else ""
        note = f"; {self.unconverged} did not converge" if self.unconverged else ""
        return (
            f"{self.platform}: two passes over {self.n} sub-networks agree at {tau}, median difference "
            f"{self.median_difference:.2%}, at most {self.worst_difference:.2%}{drift}{note}"
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
        return Retest(first[0].platform, 0, np.nan, 0.0, np.nan, np.nan, "", len(pairs))
    tau = float(kendalltau(a, b).statistic) if len(a) > 1 else np.nan
    slower = np.array([_slower(one, two) for one, two in pairs.values()])[known]
    apart = np.abs(b / slower - a) / a
    worst = int(apart.argmax())
    unconverged = sum(one.status != "ok" or two.status != "ok" for one, two in pairs.values())
    drift = float(np.median(slower)) - 1.0
    return Retest(
        first[0].platform, len(a), tau, drift, float(np.median(apart)), float(apart[worst]), keys[worst], unconverged
    )


def _slower(first: Measurement, second: Measurement) -> float:
    """Return how many times as slow the anchors were beside the second as beside the first: their median ratio."""
    before, after = (one.context.get("anchors", {}) for one in (first, second))
    ratios = [after[key] / before[key] for key in before if key in after]
    known = [ratio for ratio in ratios if np.isfinite(ratio) and ratio > 0]
    return float(np.median(known)) if known else 1.0
