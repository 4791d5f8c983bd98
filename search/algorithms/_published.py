"""LINAS as published (arXiv 2205.10358, Algorithm 1, settings of Table 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import LimitsBroken, Objectives, Variation, best_first, evolve
from hwnas.search.algorithms._observations import Observations, restored
from hwnas.search.algorithms._trained import trained
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray

# What a state means; with another number it is not restored. 1: first form.
_STATE = 1
# Table 5: the accuracy predictor is an SVR for translation and recommendation, all else ridge (but for NCF's latency).
DEFAULTS: dict[str, Any] = {
    "population": 50,
    "inner": "nsga2",
    "inner_evals": 20_000,
    "predictors": "bleu=svr-rbf,hr10=svr-rbf",
}


class PublishedLinas:
    """Algorithm 1: evaluate a population, fit a predictor per objective, search on the predictors, repeat."""

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._population = int(settings["population"])
        self._inner = str(settings["inner"])
        self._inner_evals = int(settings["inner_evals"])
        self._kinds = predictor_kinds(problem, settings["predictors"])

    def ask(self) -> IntArray:
        """Return the best sub-networks by prediction that were not asked before; at first, random ones."""
        # Steps as in linas.py: 1 is the caller's, and tell; 2 to 4 are these.
        first = self._observations.take_initial()
        if len(first):
            return first
        if self._observations.ok.sum() < 2:
            return self._observations.ask_random(self._population, self._rng)
        predict = trained(self._observations, self._kinds)  # step 2
        violation = LimitsBroken.of(self._problem, self._observations.objectives[self._observations.ok])
        X, F = self._inner_search(predict, violation)  # step 3
        # Step 4.
        new = unseen_rows(X, self._observations.seen)
        X, F = X[new], F[new]
        best = self._observations.ask(X[best_first(F, violation(X, F))[: self._population]])
        return best if len(best) else self._observations.ask_random(self._population, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations."""
        self._observations.add(X, F)

    def state(self) -> dict[str, Any]:
        """Return what the next batch follows from; see ``hwnas.search.algorithm.Restorable``."""
        return {"version": _STATE, "rng": self._rng.bit_generator.state}

    def restore(self, state: Mapping[str, Any], asked: IntArray) -> None:
        """Go on from a state; see ``hwnas.search.algorithm.Restorable``."""
        if state["version"] != _STATE:
            raise ValueError(f"version: expected {_STATE}, got {state['version']!r}")
        self._rng.bit_generator.state = restored(self._rng, state["rng"])
        self._observations.mark(asked)

    def _inner_search(self, predict: Objectives, violation: LimitsBroken) -> tuple[IntArray, FloatArray]:
        space = self._problem.space

        if self._inner == "nsga2":
            start = sample_unseen(space, self._population, self._rng)
            variation = Variation(CROSSOVERS["sbx"], 0.9, MUTATIONS["polynomial"], 0.02)
            return evolve(space, predict, start, self._inner_evals, self._rng, variation, violation=violation)
        # The others know the problem's constraints themselves.
        settings = {"preset": "paper"}
        inner = algorithms.create(self._inner, self._problem, self._inner_evals, self._rng, settings)
        asked, predicted = [], []
        while len(X := inner.ask()):
            asked.append(X)
            predicted.append(predict(X))
            inner.tell(X, predicted[-1])
        return np.concatenate(asked), np.concatenate(predicted)


def predictor_kinds(problem: Problem, text: str) -> list[str]:
    """Return each objective's predictor from ``"ridge"`` (all of them) or ``"top1=svr-rbf,latency=ridge"``."""
    pairs = (part.rpartition("=") for part in str(text).split(",") if part)
    given = {objective: kind for objective, _, kind in pairs}
    return [given.get(objective, given.get("", "ridge")) for objective in problem.names]
