"""Once-for-all's evolutionary finder (Cai et al., 2020): the best quality under a limit, on trained predictors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._inner import LimitsBroken, Objectives, distinct, ranges
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.algorithms._trained import trained
from hwnas.search.operators import reset, uniform
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = (
    "once-for-all's finder: predictors trained on random samples, then evolution under a limit; at most two objectives"
)
MAX_OBJECTIVES: int | None = 2
# The predictors are trained on half of the evaluations, so what is asked depends on how many there are.
GROWS = False

# The published finder's settings; its mutation probability of 0.1 is per choice.
DEFAULTS = {
    "train": 1000,
    "predictor": "stacked",
    "batch": 10,
    "population": 100,
    "generations": 50,
    "parents": 0.25,
    "mutants": 0.5,
    "mutate": 0.1,
}
PAPER = {"generations": 500}

# Draws of a first population that may look for sub-networks within the limit, before the nearest ones have to do.
_DRAWS = 20


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a finder; ``train``: how many random evaluations its predictors learn from, at most half of all."""
    return Finder(problem, evals, rng, read_settings(name, settings, DEFAULTS, PAPER))


class Finder:
    """Trains once, then finds the best last objective under limits on the first one.

    A constraint is the limit; without one, limits are drawn from the range that was seen, one per sub-network asked
    for, so that a front comes out.
    """

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._space = problem.space
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._settings = settings
        self._train = min(int(settings["train"]), max(1, evals // 2))
        self._predictor: Objectives | None = None
        # By how much the objectives vary over what the predictors were trained on.
        self._spans = np.ones(problem.n_obj)

    def ask(self) -> IntArray:
        """Return random sub-networks to train on, then what the finder found."""
        first = self._observations.take_initial()
        if len(first):
            return first
        if not self._observations.left:
            return self._observations.ask_random(0, self._rng)
        missing = self._train - int(self._observations.ok.sum())
        if self._predictor is None and missing > 0:
            sample = self._observations.ask_random(min(missing, 50), self._rng)
            if len(sample):
                return sample
        if self._observations.ok.sum() < 2:
            return self._observations.ask_random(int(self._settings["batch"]), self._rng)
        size = min(int(self._settings["batch"]), self._observations.left)
        limits, wanted = np.unique(self._limits(size), axis=0, return_counts=True)
        found = [self._find(limit, count) for limit, count in zip(limits, wanted.tolist(), strict=True)]
        new = self._observations.ask(np.concatenate([np.zeros((0, self._space.n_var), dtype=np.int64), *found]))
        return new if len(new) else self._observations.ask_random(size, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations; the predictors are trained once, on the first ones."""
        self._observations.add(X, F)

    def _limits(self, n: int) -> FloatArray:
        """Return ``n`` rows of limits, ``(n, n_obj)``."""
        limits = np.tile(self._problem.limits, (n, 1))
        if self._problem.n_obj > 1 and np.isinf(limits[0, 0]):
            seen = self._observations.objectives[self._observations.ok, 0]
            limits[:, 0] = self._rng.uniform(seen.min(), seen.max(), size=n)
        return limits

    def _predict(self, X: IntArray) -> FloatArray:
        if self._predictor is None:
            kinds = [str(self._settings["predictor"])] * self._problem.n_obj
            self._predictor = trained(self._observations, kinds)
            self._spans = ranges(self._observations.objectives[self._observations.ok])
        return self._predictor(X)

    def _find(self, limits: FloatArray, count: int) -> IntArray:
        """Return the ``count`` best new sub-networks within ``limits`` by prediction, ``(k <= count, n_var)``."""
        size = int(self._settings["population"])
        n_parents = max(1, int(size * float(self._settings["parents"])))
        n_mutants = int(size * float(self._settings["mutants"]))
        X = self._population(size, limits)
        F = self._predict(X)
        for _ in range(int(self._settings["generations"])):
            order = self._best_first(X, F, limits)[:size]
            X, F = X[order], F[order]
            a, b = self._rng.integers(0, min(n_parents, len(X)), size=(2, size))
            mutants = reset(self._space, X[a[:n_mutants]], self._rng, float(self._settings["mutate"]))
            crossed = uniform(self._space, X[a[n_mutants:]], X[b[n_mutants:]], self._rng)
            children = self._space.canonical(np.concatenate([mutants, crossed]))
            X, F = distinct(np.concatenate([X, children]), np.concatenate([F, self._predict(children)]))
        best = X[self._best_first(X, F, limits)]
        return best[unseen_rows(best, self._observations.seen)][:count]

    def _population(self, size: int, limits: FloatArray) -> IntArray:
        """Random sub-networks within the limits; after so many draws, those nearest to them."""
        X = np.concatenate([sample_unseen(self._space, size, self._rng) for _ in range(_DRAWS)])
        order = np.argsort(self._violation(X, self._predict(X), limits), kind="stable")
        return X[order[:size]]

    def _violation(self, X: IntArray, F: FloatArray, limits: FloatArray) -> FloatArray:
        return LimitsBroken(limits, self._spans, self._problem.violations)(X, F)

    def _best_first(self, X: IntArray, F: FloatArray, limits: FloatArray) -> IntArray:
        """Order by violation, then by the last objective."""
        return np.lexsort((F[:, -1], self._violation(X, F, limits)))
