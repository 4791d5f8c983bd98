"""The quality of a sub-network: top-1 accuracy, BLEU, hit rate; whatever the quality source gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwnas.harness.measurement.protocol import QUICK, THOROUGH
from hwnas.harness.quality.quality import ScoredQuality, scored
from hwnas.search.objectives.objective import Outcome
from hwnas.search.objectives.rows import Rows
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import IntArray
from hwnas.supernets.values import Values

if TYPE_CHECKING:
    from hwnas.harness.quality import Quality

LISTED = {"quality": ("", "", "the quality source's metric, by its own name too: top1, bleu; see hwnas qualities")}


class QualityObjective:
    """The metric of a quality source.

    Args:
        quality: the source.
        effort: with how much the values are found, where that can be chosen; "": they are as they are.
    """

    exact = False

    def __init__(self, quality: Quality, effort: str = "") -> None:
        self._quality = quality
        self._effort = effort
        self.name = quality.metric
        self.unit = quality.unit
        self.maximise = quality.maximise
        self.source = quality.source
        self.costs_nothing = quality.costs_nothing
        rows: int | None = getattr(quality, "rows", None)
        self.rows = None if rows is None else Rows(quality.name, rows)
        # A source that takes long evaluates one at a time, so that each is stored as soon as it is there; one that has
        # several machines sees to that itself.
        self.batched = quality.costs_nothing or bool(getattr(quality, "parallel", False))

    def recorded_as(self, source: str) -> bool:
        """Return whether ``source`` is the quality's older name, which had the names of files in it."""
        by_name = str(getattr(self._quality, "source_by_name", self._quality.name))
        _, found, weights = by_name.rpartition("; weights ")
        # Of image folders the digest was one of names and sizes, which says nothing now.
        alike = source.startswith(f"{self._quality.name} (") and source.endswith(f"; weights {weights}")
        return source == by_name or bool(found and alike)

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the metric, with its intervals where it was tested on examples."""
        scores = scored(self._quality, X)
        outcome = Outcome.known(
            Values(np.array([one.value for one in scores], dtype=np.float64), tuple(one.reason for one in scores))
        )
        if not isinstance(self._quality, ScoredQuality):
            return outcome
        intervals = np.array([(one.low, one.high) for one in scores], dtype=np.float64).reshape(-1, 2)
        return replace(outcome, intervals=intervals, efforts=(self._effort,) * len(scores))


def create(_name: str, sources: Sources) -> QualityObjective:
    """Make the objective."""
    from hwnas.harness import quality
    from hwnas.search import objectives

    metric = sources.quality.metric
    if metric in objectives.registry.names() and metric != _name:
        raise UsageError(
            f"quality {sources.quality.name}: its metric is called {metric!r}, as an objective is; give it another name"
        )
    graded = quality.brief_subset(sources.quality_spec, sources.net) is not None
    effort = QUICK if sources.brief_quality else THOROUGH
    return QualityObjective(sources.quality, effort if graded else "")
