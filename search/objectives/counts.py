"""Multiply-accumulates and parameters: exact, in millions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy.typing as npt

from hwnas.search.objectives.objective import Outcome
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.space import IntArray

NAMES = ("macs", "params")
LISTED = {
    "macs": ("M", "less", "multiply-accumulates of one inference at batch 1, counted exactly"),
    "params": ("M", "less", "parameters, counted exactly"),
}


@dataclass(frozen=True)
class Count:
    """A count that the super-network itself knows."""

    name: str
    of: Callable[[npt.ArrayLike], IntArray]
    unit: str = "M"
    maximise: bool = False
    source: str = "counted"
    costs_nothing: bool = True
    exact: bool = True
    batched: bool = True

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the counts in millions."""
        return Outcome.of(self.of(X) / 1e6, "")


def create(name: str, sources: Sources) -> Count:
    """Make the objective."""
    return Count(name, getattr(sources.net, name))
