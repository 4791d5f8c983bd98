"""Quality sources, which say how good a sub-network is at its task (top-1 accuracy, BLEU, hit rate).

``get(spec, net)`` makes a source. A source is one file here or an installed package's entry point in ``hwnas.quality``;
it has ``create(name, argument, net)``, where ``argument`` is the text after the colon, or "". A source that runs
sub-networks on data sets ``USES_WEIGHTS = True`` and has ``create(name, argument, net, options)`` with the
``QualityOptions``; ``hwnas.harness.quality.evaluated.EvaluatedQuality`` does the rest for it. ``BRIEF = 2000`` says how
many of its examples are enough while a search goes on; what may be on its front is evaluated on all of them at its end.
``ON_BACKENDS = True`` says that it takes ``backend=`` and ``precision=`` behind its argument, see ``deployed``.
``SETS_STATISTICS = True`` says that batch-norm statistics of the networks that it tests are set on its data, see
``tested``.
``SPELLED`` ("images:PATH") and ``SUMMARY`` (one line) are what ``hwnas qualities`` lists. ``get``
takes a function of the caller's own in place of a spec as well, see ``hwnas.harness.quality.own``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.own import OwnQuality, QualityChoice, own
from hwnas.harness.quality.quality import FunctionQuality, Quality, QualityOptions, QualityProgress, qualities, scored
from hwnas.harness.quality.serving import joined, serving
from hwnas.supernets.errors import NotServedError, QualityError
from hwnas.supernets.registry import Registry
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import SuperNetwork

if TYPE_CHECKING:
    import torch

__all__ = [
    "FunctionQuality",
    "OwnQuality",
    "Quality",
    "QualityChoice",
    "QualityOptions",
    "QualityProgress",
    "brief_subset",
    "deployed",
    "get",
    "names",
    "qualities",
    "registry",
    "scored",
    "tested",
]

registry = Registry(
    "quality source",
    "hwnas.harness.quality",
    "hwnas.quality",
    makes=(Quality,),
)


def names() -> list[str]:
    """Return the names of all quality sources."""
    return registry.names()


def get(spec: QualityChoice | None, net: SuperNetwork, options: QualityOptions | None = None) -> Quality:
    """Make the quality source ``NAME[:ARGUMENT]`` for ``net``, or that of a function of the caller's own.

    ``None`` is the default source of ``net``.

    Raises:
        UnknownNameError: no such source; carries suggestions.
        QualityError: it does not serve ``net`` (names sources that do), it lacks its argument or weights, or it was
            given weights or a subset that it does not use.
        DataError: a file of examples is not of the expected form.
        TableError: a measured file cannot be read or lacks the column.
        AssetError: a published predictor is not on this machine and cannot be fetched.
    """
    options = options or QualityOptions()
    if not isinstance(spec, str | None):
        return own(spec, net, options)
    wanted = spec or net.default_quality
    name, _, argument = wanted.partition(":")
    runs = registry.stated(name, "USES_WEIGHTS")
    if not runs:
        _check_unused(name, net, options)
    try:
        made: Quality = registry.create(name, argument, net, *((options,) if runs else ()))
    except NotServedError as error:
        others = serving(registry, net, but=wanted)
        raise QualityError(f"{error}; for {net.name} use {joined(others)}" if others else str(error)) from None
    except QualityError as error:
        if spec:
            raise
        # Whoever gave none has to hear where this one comes from, and how another is given.
        raise QualityError(f"no quality is given (--quality), so it is that of {net.name}: {error}") from None
    return made


def brief_subset(spec: QualityChoice | None, net: SuperNetwork) -> int | None:
    """Return how many examples of a source are enough to search by; ``None``: it uses all of them, or none."""
    if not isinstance(spec, str | None):
        return None
    found: int | None = _stated(spec or net.default_quality, "BRIEF")
    return found


def deployed(spec: str | None, backend: str, precision: str) -> str | None:
    """Return how a source is spelled that evaluates sub-networks as they are deployed; ``None``: it cannot do that.

    >>> deployed("images:photos", "openvino", "int8")
    'images:photos,backend=openvino,precision=int8'
    >>> deployed("surrogate", "openvino", "int8")
    """
    if spec is None or not _stated(spec, "ON_BACKENDS"):
        return None
    return f"{spec},backend={backend},precision={precision}"


def tested(spec: str, net: SuperNetwork, options: QualityOptions) -> Callable[[Config], torch.nn.Module] | None:
    """Return what makes the networks that a source tests, as it tests them; ``None``: they are as ``net`` builds them.

    Raises:
        UnknownNameError, QualityError, DataError: as ``get``.
    """
    if not _stated(spec, "SETS_STATISTICS"):
        return None
    made = get(spec, net, options)
    return made.network if isinstance(made, EvaluatedQuality) else None


def _stated(spec: str, what: str) -> Any:
    return registry.stated(spec.partition(":")[0], what)


def _check_unused(name: str, net: SuperNetwork, options: QualityOptions) -> None:
    """Raise ``QualityError`` if weights or a subset are given to a source that does not use them."""
    unused = [what for what, value in (("weights", options.weights), ("subset", options.subset)) if value is not None]
    if unused:
        running = [one for one in serving(registry, net) if _stated(one, "USES_WEIGHTS")]
        there = f"sources that run {net.name}: {joined(running)}" if running else f"no source runs {net.name}"
        raise QualityError(f"{name}: runs no sub-network, so it has no use for {' or '.join(unused)}; {there}")
