"""Uniform random search, without repeats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import read_settings
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "uniform random search, without repeats: what every other algorithm has to beat"
MAX_OBJECTIVES: int | None = None
USES_BOUNDS = False

DEFAULTS = {"batch": 50}


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a random search; setting ``batch``: how many sub-networks it asks for at a time."""
    return RandomSearch(problem, evals, rng, read_settings(name, settings, DEFAULTS))


class RandomSearch:
    """Asks for random sub-networks; observations change nothing but that they are not asked for again."""

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._batch = int(settings["batch"])

    def ask(self) -> IntArray:
        """Return the next random sub-networks."""
        first = self._observations.take_initial()
        return first if len(first) else self._observations.ask_random(self._batch, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations."""
        self._observations.add(X, F)
