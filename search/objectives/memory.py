"""Memory that a sub-network needs on the platform, counted exactly, in MB (millions of bytes).

``model-size``: what is stored of it. ``peak-memory``: the largest set of activations that live at once, at the
platform's batch size. Both at the platform's precision; where no platform is named, of one sample in FP32.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.search.objectives.objective import Outcome, Sources
from hwnas.supernets.memory import Count, model_size, peak_memory
from hwnas.supernets.space import IntArray

NAMES = ("model-size", "peak-memory")
LISTED = {
    "model-size": ("MB", "less", "what is stored of the sub-network, at the platform's precision, counted exactly"),
    "peak-memory": ("MB", "less", "the largest set of activations that live at once, counted exactly"),
}

_MB = 1e6


@dataclass(frozen=True)
class Memory:
    """A number of bytes that is known from the blocks."""

    name: str
    source: str
    count: Count
    unit: str = "MB"
    maximise: bool = False
    costs_nothing: bool = True
    exact: bool = True
    batched: bool = True

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the bytes in MB."""
        return Outcome.of(self.count(X) / _MB, "")


def create(name: str, sources: Sources) -> Memory:
    """Make the objective; raises ``UsageError`` where the super-network does not say what it needs."""
    settings = None if sources.platform is None else sources.where.settings
    precision, batch = ("fp32", 1) if settings is None else (settings.precision, settings.batch)
    if name == "model-size":
        return Memory(name, f"counted at {precision}", model_size(sources.net, precision))
    return Memory(name, f"counted at {precision}, batch {batch}", peak_memory(sources.net, precision, batch))
