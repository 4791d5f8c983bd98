"""Memory that a sub-network needs on the platform, counted exactly, in MB (millions of bytes).

``model-size``: what is stored of it. ``kv-cache``: the cache of keys and values at the end of the measured inference;
``kv-cache:TOKENS``: at a length. ``peak-memory``: the largest set of activations that live at once, and the cache. At
the platform's precision and batch size; where no platform is named, of one sample in FP32.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.search.objectives.objective import Outcome
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.errors import UsageError
from hwnas.supernets.memory import Count, cache_size, model_size, peak_memory
from hwnas.supernets.space import IntArray
from hwnas.supernets.spec import parse_int
from hwnas.supernets.supernet import Caches, SuperNetwork

NAMES = ("kv-cache", "model-size", "peak-memory")
ARGUMENTS = {"kv-cache": "TOKENS"}
LISTED = {
    "kv-cache": ("MB", "less", "cached keys and values at the end of the inference, or of kv-cache:TOKENS positions"),
    "model-size": ("MB", "less", "what is stored of the sub-network, at the platform's precision, counted exactly"),
    "peak-memory": ("MB", "less", "the largest set of activations that live at once, with the cache, counted exactly"),
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
    source = f"counted at {precision}, batch {batch}"
    if name == "peak-memory":
        return Memory(name, source, peak_memory(sources.net, precision, batch))
    return Memory(name, source, cache_size(sources.net, precision, batch, _context(name)))


def serves(name: str, net: SuperNetwork) -> bool:
    """Return whether a super-network has the objective."""
    return name != "kv-cache" or isinstance(net, Caches)


def _context(name: str) -> int | None:
    _, colon, text = name.partition(":")
    context = parse_int(text) if colon else None
    if colon and not context:
        raise UsageError(f"objective {name!r}: expected a number of tokens from 1 behind the colon, like kv-cache:1024")
    return context
