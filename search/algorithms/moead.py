"""MOEA/D (Zhang and Li, 2007), by pymoo; the paper's Table 4 as ``preset=paper``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._pymoo import DEFAULTS, PAPER, PymooSearch, directions
from hwnas.search.algorithms._settings import read_settings
from hwnas.supernets.errors import UsageError

SUMMARY = "MOEA/D: one scalar problem per reference direction, neighbours mate; two objectives or more"
MIN_OBJECTIVES = 2
MAX_OBJECTIVES: int | None = None


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make an MOEA/D search.

    Settings as of ``nsga2``, and ``neighbours`` and ``neighbour_mating``. The population is one sub-network per
    reference direction; a generation's children are evaluated side by side.
    """
    from pymoo.algorithms.moo.moead import ParallelMOEAD

    defaults = {**DEFAULTS, "neighbours": 20, "neighbour_mating": 0.9}
    read = read_settings(name, settings, defaults, {**PAPER, "population": 20})
    if read["population"] < 2:
        raise UsageError(f"{name}: population: expected 2 or more, since neighbours mate, got {read['population']}")
    along = directions(problem.n_obj, int(read["population"]))
    neighbours = min(int(read["neighbours"]), len(along))

    def make(pop_size: int, **kwargs: Any) -> Any:
        del pop_size  # it is the number of directions
        return ParallelMOEAD(along, n_neighbors=neighbours, prob_neighbor_mating=read["neighbour_mating"], **kwargs)

    return PymooSearch(name, problem, evals, rng, read, make, penalise=True)
