"""How many measurements predict a platform's latencies well, with and without those of other platforms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.search.predictors.adapt import TARGET_TAU, Curve, curve, held_out, learned
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace
from hwnas.supernets.values import json_numbers

# With fewer shared sub-networks too few are left to measure, or to test on.
_LEAST_ROWS = 40
# More rows make the test a little sharper and every fit much slower.
_MOST_ROWS = 300
# Pairs of platforms up to which three splits are averaged; beyond, one has to do.
_FEW_PAIRS, _SPLITS = 12, 3
_SIZES = (3, 5, 8, 12, 16, 20, 30, 40, 60, 80, 120, 160)
_SIZES_MANY = (5, 10, 20, 40, 80, 160)


@dataclass(frozen=True)
class Adapting:
    """Measurements needed until predictions order held-out sub-networks as measuring does.

    Attributes:
        adapted: from what was learned on the row's platform, on the column's, ``(n_platforms, n_platforms)``; nan: the
            rows did not suffice; the diagonal is 0.
        alone: on each platform, from measurements chosen without another, ``(n_platforms,)``; nan likewise.
        from_all: on each platform, from what was learned on all others, likewise.
        reached: the tau that this comes to: the target, or what all rows that were not held out give, likewise.
        most: the largest number of measurements that was tried: all of these rows.
        held_out: sub-networks that each prediction was tested on.
    """

    adapted: FloatArray
    alone: FloatArray
    from_all: FloatArray
    reached: FloatArray
    most: int
    held_out: int

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-able data; ``None`` where they were not reached."""
        return {
            "target_tau": TARGET_TAU,
            "adapted": [[_whole(value) for value in row] for row in self.adapted],
            "alone": [_whole(value) for value in self.alone],
            "from_all": [_whole(value) for value in self.from_all],
            "reached": json_numbers(self.reached),
            "most_tried": self.most,
            "held_out": self.held_out,
        }


def adapting(space: SearchSpace, X: IntArray, latency: FloatArray, rng: np.random.Generator) -> Adapting | None:
    """Try it out on the shared rows; ``None`` where they are too few to say anything.

    Args:
        space: the search space.
        X: the shared rows, canonical and distinct, ``(n, n_var)``.
        latency: ``(n, n_platforms)``; rows with a nan are left out.
        rng: draws the splits.
    """
    there = np.flatnonzero(np.isfinite(latency).all(axis=1))
    if len(there) < _LEAST_ROWS:
        return None
    rows = np.sort(rng.permutation(there)[:_MOST_ROWS])
    X, latency = X[rows], latency[rows]
    n_platforms, n_test = latency.shape[1], held_out(len(rows))
    many = n_platforms * (n_platforms - 1) > _FEW_PAIRS
    splits, tried_sizes = (1, _SIZES_MANY) if many else (_SPLITS, _SIZES)
    # The last size is all that there is: what a predictor comes to where more measurements are of no use.
    most = min(len(rows) - n_test, max(tried_sizes))
    sizes = (*(size for size in tried_sizes if size < most), most)
    seed = int(rng.integers(2**32))
    # Single measurements are noisy; what a process has learned from all of them is less so.
    said = np.column_stack([learned(space, X, column)(X) for column in latency.T])

    def tried(target: int, sources: Sequence[int]) -> Curve:
        # Every start is tried on the same splits, and measures the most telling sub-networks first.
        draw = np.random.default_rng(seed)
        prior = said[:, sources] if len(sources) else None
        return curve(space, X, latency[:, target], prior, draw, splits=splits, sizes=sizes)

    others = [[source for source in range(n_platforms) if source != target] for target in range(n_platforms)]
    single = np.zeros((n_platforms, n_platforms))
    for target, sources in enumerate(others):
        single[sources, target] = [_needed(tried(target, [source])) for source in sources]
    alone = np.array([_needed(tried(target, ())) for target in range(n_platforms)])
    everything = [tried(target, sources) for target, sources in enumerate(others)]
    reached = np.array([max(one.tau) for one in everything])
    return Adapting(single, alone, np.array([_needed(one) for one in everything]), reached, most, n_test)


def _needed(found: Curve) -> float:
    needed = found.needed()
    return float("nan") if needed is None else float(needed)


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None
