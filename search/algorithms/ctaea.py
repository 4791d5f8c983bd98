"""C-TAEA (Li et al., 2018), by pymoo; the paper's Table 4 as ``preset=paper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch, directions
from hwnas.search.algorithms._settings import read_settings

SUMMARY = "C-TAEA: two archives along reference directions, made for constraints; two objectives or more"
MIN_OBJECTIVES = 2
MAX_OBJECTIVES: int | None = None


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a C-TAEA search; settings as of ``nsga2``; the population is one sub-network per reference direction."""
    from pymoo.algorithms.moo.ctaea import CTAEA

    defaults, paper = {**DEFAULTS, "cross": 1.0}, {**PAPER, "mutate": 0.05, "cross": 1.0, "population": 20}
    read = read_settings(name, settings, defaults, paper)
    along = directions(problem.n_obj, int(read["population"]))

    def make(pop_size: int, **kwargs: Any) -> Any:
        del pop_size  # it is the number of directions
        return CTAEA(ref_dirs=along, **kwargs)

    return PymooSearch(name, problem, evals, rng, read, make)
