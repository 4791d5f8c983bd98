"""Quality: how good a sub-network is at its task (top-1 accuracy, BLEU, hit rate).

``get(spec, net)`` makes a source. A source is one file here or an installed package's entry point in ``hwnas.quality``;
it has ``create(name, argument, net)``, where ``argument`` is what follows the colon ("" where there is none). One that
runs sub-networks on data says ``USES_WEIGHTS = True`` and has ``create(name, argument, net, options)`` with the
``QualityOptions``; ``harness.quality.evaluated.EvaluatedQuality`` does the rest for it.
"""

from __future__ import annotations

from harness.quality.quality import FreeQuality, Quality, QualityOptions, QualityProgress
from supernets.errors import QualityError
from supernets.registry import Registry
from supernets.supernet import SuperNetwork

__all__ = ["FreeQuality", "Quality", "QualityOptions", "QualityProgress", "get", "names", "registry"]

registry = Registry(
    "quality source",
    "harness.quality",
    "hwnas.quality",
    skip=("classification", "coefficients", "columns", "evaluated", "mlp", "pairwise", "quality", "recalibrate"),
)


def names() -> list[str]:
    """Return the names of all quality sources."""
    return registry.names()


def get(spec: str | None, net: SuperNetwork, options: QualityOptions | None = None) -> Quality:
    """Make the quality source ``NAME[:ARGUMENT]`` for ``net``; ``None``: the one that serves it when none is named.

    Raises:
        UnknownNameError: no such source; carries suggestions.
        QualityError: it does not serve ``net`` (names what does), or it lacks its argument or weights, or it was given
            weights or a subset that it has no use for.
        DataError: a file of examples that is not what it should be.
        TableError: a measured file that cannot be read or lacks the column.
        AssetError: a published predictor that is neither here nor can be fetched.
    """
    name, _, argument = (spec or net.default_quality).partition(":")
    options = options or QualityOptions()
    quality: Quality
    if getattr(registry.provider(name), "USES_WEIGHTS", False):
        quality = registry.create(name, argument, net, options)
        return quality
    given = {"weights": options.weights, "subset": options.subset}
    unused = [what for what, value in given.items() if value is not None]
    if unused:
        raise QualityError(f"{name}: runs no sub-network, so it has no use for {' or '.join(unused)}; {_running(net)}")
    quality = registry.create(name, argument, net)
    return quality


def _running(net: SuperNetwork) -> str:
    there = [name for name in names() if getattr(registry.provider(name), "USES_WEIGHTS", False)]
    return f"sources that run {net.name} or others: {', '.join(there) or 'none'}"
