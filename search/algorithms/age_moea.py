"""AGE-MOEA (Panichella, 2019), by pymoo; the paper's Table 4 as ``preset=paper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search.algorithm import Algorithm, Problem
from search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch
from search.algorithms._settings import read_settings

SUMMARY = "AGE-MOEA: evolution that estimates the front's geometry; two objectives"
MIN_OBJECTIVES = 2
MAX_OBJECTIVES: int | None = 2


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make an AGE-MOEA search; settings as of ``nsga2``."""
    from pymoo.algorithms.moo.age import AGEMOEA

    return PymooSearch(name, problem, evals, rng, read_settings(name, settings, DEFAULTS, PAPER), AGEMOEA)
