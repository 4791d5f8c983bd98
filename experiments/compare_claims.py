"""Claims about the order of algorithms, by evaluations to thresholds or by hypervolume."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.experiments.claims import FAILED, HELD, UNDECIDED, ClaimVerdict, Remarks, above, difference_interval
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_number


@dataclass(frozen=True)
class AlgorithmOrder(Remarks):
    """Algorithms, the better ones first; neighbours are tested against each other.

    Attributes:
        says: the claim, a sentence without a full stop.
        order: names of algorithms.
        by: "evaluations" to each threshold, or "hypervolume" after as many evaluations as both had.
        problems: on which; empty: all.
        times: the worse one needs more than this many times the evaluations of the better one. Whether a ratio is
            above 1 is never decided where both need the same; whether it is above 1.1 is, with enough seeds.
    """

    says: str
    order: tuple[str, ...]
    by: str = "evaluations"
    problems: tuple[str, ...] = ()
    times: float = 1.0

    def __post_init__(self) -> None:
        if len(self.order) < 2:
            raise ValueError(f"order: expected two algorithms or more, got {list(self.order)}")
        if self.by not in {"evaluations", "hypervolume"}:
            raise ValueError(f"by: expected evaluations or hypervolume, got {self.by!r}")
        if not 1.0 <= self.times < np.inf:
            raise ValueError(f"times: expected a number of 1 or more, got {self.times:g}")
        if self.times != 1.0 and self.by != "evaluations":
            raise ValueError("times: compares evaluations, not hypervolumes")


def order_verdicts(claim: AlgorithmOrder, problems: Mapping[str, Mapping[str, Any]]) -> Iterator[ClaimVerdict]:
    """Test an order, pair by pair, on each problem (and at each threshold)."""
    for name, problem in problems.items():
        if claim.problems and name not in claim.problems:
            continue
        for better, worse in itertools.pairwise(claim.order):
            if claim.by == "hypervolume":
                yield _by_hypervolume(claim, problem, better, worse)
            else:
                for threshold in problem["thresholds"]:
                    yield _by_evaluations(claim, problem, threshold, better, worse)


def _by_evaluations(
    claim: AlgorithmOrder, problem: Mapping[str, Any], threshold: Mapping[str, Any], better: str, worse: str
) -> ClaimVerdict:
    """Compare the geometric means, over the seeds, of the evaluations to a threshold.

    A search that ended before it was there needs more than it had; how many more, nobody knows. Of the algorithm that
    is claimed to be the slower one, what it had is a bound in the claim's disfavour and may be used; where the faster
    one was not there with every seed, the claim cannot hold. For the claim to fail, it is the other way round.
    """
    reached = {one["name"]: one["per_seed"] for one in threshold["reached"]}
    budgets = {one["name"]: max(run["evaluations"] for run in one["runs"]) for one in problem["algorithms"]}

    def logs(name: str, unreached: float) -> FloatArray:
        return np.log(np.array([unreached if n is None else n for n in reached[name]], dtype=np.float64))

    against = difference_interval(logs(worse, budgets[worse]), logs(better, np.inf))
    favouring = difference_interval(logs(worse, np.inf), logs(better, budgets[better]))
    bound = float(np.log(claim.times))
    held, failed = above(against, bound) == HELD, above(favouring, bound) == FAILED
    shown = against if np.isfinite(against.value) else favouring
    value, low, high = (json_number(np.exp(one)) for one in (shown.value, shown.low, shown.high))
    # A bound says nothing about how much larger the ratio is.
    open_end = any(n is None for n in reached[worse])
    return ClaimVerdict(
        claim=claim.says,
        where=f"{problem['title']}, to {threshold['value']:.3f}",
        verdict=HELD if held else FAILED if failed else UNDECIDED,
        statistic=f"evaluations of {worse} over those of {better}{', at least' if open_end else ''}",
        value=value,
        low=low,
        high=high,
        needed=f"above {claim.times:g}",
    )


def _by_hypervolume(claim: AlgorithmOrder, problem: Mapping[str, Any], better: str, worse: str) -> ClaimVerdict:
    runs = {one["name"]: one["runs"] for one in problem["algorithms"]}
    common = set.intersection(*({int(mark) for mark in run["at"]} for name in (better, worse) for run in runs[name]))
    mark = max(common)
    a, b = (np.array([run["at"][str(mark)] for run in runs[name]]) for name in (better, worse))
    interval = difference_interval(a, b)
    return ClaimVerdict(
        claim=claim.says,
        where=f"{problem['title']}, after {mark} evaluations",
        verdict=above(interval, 0.0),
        statistic=f"hypervolume of {better} less that of {worse}",
        value=json_number(interval.value),
        low=json_number(interval.low),
        high=json_number(interval.high),
        needed="above 0",
    )
