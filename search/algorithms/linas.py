"""LINAS: measure few, predict many.

``preset=paper`` is the published algorithm (arXiv 2205.10358, Algorithm 1); the default is explained, and
measured choice by choice, in ``docs/search.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms import _optimistic, _published
from hwnas.search.algorithms._settings import read_settings
from hwnas.supernets.errors import UsageError

SUMMARY = "LINAS: measures few sub-networks, predicts many; any number of objectives"
MAX_OBJECTIVES: int | None = None
USES_PRIORS = True


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a LINAS search; settings: those of the preset's module, ``DEFAULTS`` there."""
    if settings.get("preset") == "paper":
        if any(problem.priors):
            raise UsageError(f"{name}: preset 'paper' makes no use of what is known on another platform; leave it out")
        return _published.PublishedLinas(problem, evals, rng, read_settings(name, settings, _published.DEFAULTS))
    return _optimistic.DefaultLinas(problem, evals, rng, read_settings(name, settings, _optimistic.DEFAULTS))
