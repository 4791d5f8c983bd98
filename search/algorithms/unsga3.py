"""U-NSGA-III (Seada and Deb, 2016), by pymoo; the paper's Table 4 as ``preset=paper``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch, directions
from hwnas.search.algorithms._settings import read_settings

SUMMARY = "U-NSGA-III: evolution along reference directions; any number of objectives"
MAX_OBJECTIVES: int | None = None


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a U-NSGA-III search; settings as of ``nsga2``, and ``directions``: how many reference directions."""
    from pymoo.algorithms.moo.unsga3 import UNSGA3

    read = read_settings(name, settings, {**DEFAULTS, "directions": 20}, PAPER)
    along = directions(problem.n_obj, min(int(read["directions"]), int(read["population"])))
    return PymooSearch(name, problem, evals, rng, read, functools.partial(UNSGA3, ref_dirs=along))
