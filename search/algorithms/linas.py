"""LINAS: measure few, predict many.

``preset=paper`` is the published algorithm (arXiv 2205.10358, Algorithm 1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from search.algorithm import Algorithm, Problem
from search.algorithms._published import DEFAULTS, PublishedLinas
from search.algorithms._settings import read_settings

SUMMARY = "LINAS: measures few sub-networks, predicts many; any number of objectives"
MAX_OBJECTIVES: int | None = None


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a LINAS search."""
    return PublishedLinas(problem, evals, rng, read_settings(name, settings, DEFAULTS))
