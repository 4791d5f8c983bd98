"""NSGA-II (Deb et al., 2002), by pymoo; the paper's Table 4 as ``preset=paper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch
from hwnas.search.algorithms._settings import read_settings

SUMMARY = "NSGA-II: evolution by fronts and crowding distance; one or two objectives"
MAX_OBJECTIVES: int | None = 2


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make an NSGA-II search; settings: ``population``, ``mutation``, ``mutate``, ``crossover``, ``cross``."""
    from pymoo.algorithms.moo.nsga2 import NSGA2

    return PymooSearch(name, problem, evals, rng, read_settings(name, settings, DEFAULTS, PAPER), NSGA2)
