"""Predictors that are trained once: what once-for-all's users do, with a front in place of one limit.

A random sample is evaluated, one predictor per objective is trained on it (as in "Neural Predictor for Neural
Architecture Search", Wen et al., 2020), NSGA-II runs on the predictors, and the predicted front is evaluated, evenly
spread. What is evaluated then teaches nothing more. ``linas`` repeats the same steps, and learns from each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._inner import LimitsBroken, Variation, best_first, constrained_ranks, evolve
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.algorithms._trained import trained
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "predictors trained once on random samples, NSGA-II on them, then their front; any number of objectives"
MAX_OBJECTIVES: int | None = None
# How large the sample is depends on how many evaluations there are.
GROWS = False

DEFAULTS = {
    "train": 0.5,  # the share of all evaluations that is a random sample
    "predictor": "mlp",  # as in hwnas.search.predictors; once-for-all's is a perceptron of three layers
    "exact": True,  # do not predict what is known exactly
    "inner_evals": 20_000,  # predictions of the search
    "population": 100,  # of the search
    "cross": 0.9,  # its probability of crossing two parents
}


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a search on predictors that are trained once; settings: ``DEFAULTS``."""
    read = read_settings(name, settings, DEFAULTS)
    if not 0 < read["train"] < 1:
        raise UsageError(
            f"{name}: train: expected a share of the evaluations, above 0 and below 1, got {read['train']}"
        )
    return PredictOnce(problem, evals, rng, read)


class PredictOnce:
    """A random sample, then the front that predictors trained on it expect."""

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._settings = settings
        self._sample = max(2, round(float(settings["train"]) * evals))
        self._exact = problem.exact if settings["exact"] else (None,) * problem.n_obj
        self._ended = False

    def ask(self) -> IntArray:
        """Return the initial vectors, a random sample, the predicted front, and random ones where that is short."""
        asked = self._observations.take_initial()
        missing = self._sample - int(self._observations.ok.sum())
        if len(asked) or not self._observations.left:
            return asked
        if not self._ended and missing > 0:
            asked = self._observations.ask_random(missing, self._rng)
        elif not self._ended:
            self._ended = True
            asked = self._observations.ask(self._front())
        return asked if len(asked) else self._observations.ask_random(self._observations.left, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Add evaluations; the predictors learn from those that were there when they were trained."""
        self._observations.add(X, F)

    def _front(self) -> IntArray:
        """Return as many new sub-networks as are left, evenly spread on the predicted front, the best fronts first."""
        space, kinds = self._problem.space, [str(self._settings["predictor"])] * self._problem.n_obj
        predict = trained(self._observations, kinds, self._exact)
        violation = LimitsBroken.of(self._problem, self._observations.objectives[self._observations.ok])
        variation = Variation(CROSSOVERS["uniform"], float(self._settings["cross"]), MUTATIONS["reset"], 0.0)
        start = sample_unseen(space, int(self._settings["population"]), self._rng)
        looks = int(self._settings["inner_evals"])
        X, F = evolve(space, predict, start, looks, self._rng, variation, violation=violation)
        new = unseen_rows(X, self._observations.seen)
        X, F, n = X[new], F[new], self._observations.left
        over = violation(X, F)
        front = np.flatnonzero(constrained_ranks(F, over) == 0)
        return X[front[evenly(F[front], n)]] if len(front) > n else X[best_first(F, over)[:n]]


def evenly(F: FloatArray, n: int) -> IntArray:
    """Return the rows of ``n`` points that are far from each other, the best of each objective first, ``(n,)``.

    Each is the one whose nearest chosen point is farthest, in units of the objectives' ranges.

    Args:
        F: points, ``(k >= n, n_obj)``.
        n: how many, at least one.
    """
    scaled = (F - F.min(axis=0)) / np.maximum(np.ptp(F, axis=0), 1e-300)
    chosen = list(dict.fromkeys(F.argmin(axis=0).tolist()))[:n]
    distance = np.linalg.norm(scaled[:, None] - scaled[chosen], axis=2).min(axis=1)
    while len(chosen) < n:
        distance[chosen] = -1.0
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[chosen[-1]], axis=1))
    return np.array(chosen, dtype=np.int64)
