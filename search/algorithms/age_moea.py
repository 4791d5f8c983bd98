"""AGE-MOEA (Panichella, 2019); the paper's Table 4 as ``preset=paper``.

The generations are pymoo's; the survival is ours, since pymoo's own needs a compiler at run time (numba).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.hypervolume import front_ranks
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "AGE-MOEA: evolution that estimates the front's geometry; two objectives"
MIN_OBJECTIVES = 2
MAX_OBJECTIVES: int | None = 2


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make an AGE-MOEA search; settings as of ``nsga2``."""
    from pymoo.algorithms.moo.nsga2 import NSGA2

    def make(**kwargs: Any) -> Any:
        return NSGA2(survival=_survival(), **kwargs)

    return PymooSearch(name, problem, evals, rng, read_settings(name, settings, DEFAULTS, PAPER), make)


def _survival() -> Any:
    from pymoo.core.survival import Survival

    class GeometrySurvival(Survival):  # type: ignore[misc]
        """By front, and within a front by survival score; pymoo's tournament reads both."""

        def _do(self, _problem: Any, pop: Any, *_args: Any, n_survive: int, **_kwargs: Any) -> Any:
            F = np.asarray(pop.get("F"), dtype=np.float64)
            rank = front_ranks(F)
            score = survival_scores(F, rank)
            pop.set("rank", rank, "crowding", score)
            return pop[np.lexsort((-score, rank))[:n_survive]]

    return GeometrySurvival()


def survival_scores(F: FloatArray, rank: IntArray) -> FloatArray:
    """Return each point's survival score, ``(n,)``; the more the better.

    Args:
        F: minimised objectives, ``(n, m)``.
        rank: the front of each point, ``(n,)``.
    """
    first = F[rank == 0]
    ideal = first.min(axis=0)
    span = first.max(axis=0) - ideal
    scaled = (F - ideal) / np.where(span > 0, span, 1.0)
    p = curvature(scaled[rank == 0])
    proximity = (np.abs(scaled) ** p).sum(axis=1) ** (1.0 / p)
    # Beyond the first front only closeness to the ideal point counts.
    scores: FloatArray = 1.0 / np.maximum(proximity, 1e-12)
    scores[rank == 0] = _first_front_scores(scaled[rank == 0], proximity[rank == 0], p)
    return scores


def curvature(front: FloatArray) -> float:
    """Return the p for which the front's most central point lies on the unit sphere of the p-norm (equation 6).

    Args:
        front: the first front, scaled to 0..1, ``(n, m)``.
    """
    m = front.shape[1]
    diagonal = front.mean(axis=1, keepdims=True)
    off = ((front - diagonal) ** 2).sum(axis=1)
    off[_extremes(front)] = np.inf
    if not np.isfinite(off).any():
        return 1.0
    centre = float(front[off.argmin()].mean())
    if not 0.0 < centre < 1.0:
        return 1.0
    return float(np.clip(np.log(m) / -np.log(centre), 0.1, 20.0))


def _first_front_scores(front: FloatArray, proximity: FloatArray, p: float) -> FloatArray:
    """Choose points one by one, the farthest from those chosen for its closeness to the ideal point (Algorithm 2)."""
    scores = np.zeros(len(front))
    chosen = _extremes(front)
    scores[chosen] = np.inf
    distance = (np.abs(front[:, None] - front) ** p).sum(axis=2) ** (1.0 / p)
    left = np.setdiff1d(np.arange(len(front)), chosen)
    while len(left):
        nearest = np.sort(distance[np.ix_(left, chosen)], axis=1)[:, :2].sum(axis=1)
        value = nearest / np.maximum(proximity[left], 1e-12)
        best = int(value.argmax())
        scores[left[best]] = value[best]
        chosen = np.append(chosen, left[best])
        left = np.delete(left, best)
    return scores


def _extremes(front: FloatArray) -> IntArray:
    return np.unique(front.argmin(axis=0)).astype(np.int64)
