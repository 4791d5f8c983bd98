"""Quality: how good a sub-network is at its task (top-1 accuracy, BLEU, hit rate).

``get(spec, net)`` makes a source. A source is one file here or an installed package's entry point in ``hwnas.quality``;
it has ``create(name, argument, net)``, where ``argument`` is what follows the colon ("" where there is none).
"""

from __future__ import annotations

from harness.quality.quality import FreeQuality, Quality
from supernets.registry import Registry
from supernets.supernet import SuperNetwork

__all__ = ["FreeQuality", "Quality", "get", "names", "registry"]

registry = Registry(
    "quality source", "harness.quality", "hwnas.quality", skip=("coefficients", "columns", "mlp", "pairwise", "quality")
)


def names() -> list[str]:
    """Return the names of all quality sources."""
    return registry.names()


def get(spec: str | None, net: SuperNetwork) -> Quality:
    """Make the quality source ``NAME[:ARGUMENT]`` for ``net``; ``None``: the one that serves it when none is named.

    Raises:
        UnknownNameError: no such source; carries suggestions.
        QualityError: it does not serve ``net`` (names what does), or it lacks its argument.
        TableError: a measured file that cannot be read or lacks the column.
        AssetError: a published predictor that is neither here nor can be fetched.
    """
    name, _, argument = (spec or net.default_quality).partition(":")
    quality: Quality = registry.create(name, argument, net)
    return quality
