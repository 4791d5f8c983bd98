"""The quality of a sub-network: top-1 accuracy, BLEU, hit rate; whatever the quality source gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from search.objectives.objective import Outcome, Sources
from supernets.space import IntArray

if TYPE_CHECKING:
    from harness.quality import Quality


class QualityObjective:
    """The metric of a quality source.

    Args:
        quality: the source.
    """

    cheap = False

    def __init__(self, quality: Quality) -> None:
        self._quality = quality
        self.name = quality.metric
        self.unit = quality.unit
        self.maximise = quality.maximise
        self.source = quality.name
        self.free = quality.free
        # A source that takes long evaluates one at a time, so that each is kept as soon as it is there.
        self.batched = quality.free

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the metric."""
        return Outcome.of(self._quality.evaluate(X), f"the quality source {self.source} has no value for it")


def create(_name: str, sources: Sources) -> QualityObjective:
    """Make the objective."""
    return QualityObjective(sources.quality)
