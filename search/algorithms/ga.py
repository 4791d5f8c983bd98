"""A genetic algorithm for one objective, by pymoo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch
from hwnas.search.algorithms._settings import read_settings

SUMMARY = "a genetic algorithm with tournament selection; one objective"
MAX_OBJECTIVES: int | None = 1


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a genetic algorithm; settings as of ``nsga2``."""
    from pymoo.algorithms.soo.nonconvex.ga import GA

    return PymooSearch(name, problem, evals, rng, read_settings(name, settings, DEFAULTS, PAPER), GA)
