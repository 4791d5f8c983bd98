"""``hwnas.elastic``: a super-network of a model in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.elastic.network import ElasticModel

    Inputs = torch.Tensor | Sequence[torch.Tensor] | dict[str, torch.Tensor]


def elastic(  # noqa: PLR0913 - options by name
    module: torch.nn.Module,
    inputs: Inputs,
    *,
    width: Sequence[float] = (0.5, 0.75, 1.0),
    heads: Sequence[float] | None = None,
    multiple: int = 8,
    fix: Sequence[str] = (),
    only: Sequence[str] = (),
    depth: bool = True,
    importance: str = "weights",
    data: str | None = None,
    path: str | Path | None = None,
) -> ElasticModel:
    """Make a super-network of a trained model: which channels, heads and blocks can be left out.

    Args:
        module: the model with its weights, on the CPU; it is put into evaluation mode.
        inputs: example inputs of one sample: a tensor, a sequence of them, or a dict by name.
        width: fractions of each set of channels that sub-networks can keep.
        heads: likewise of an attention's heads; ``None``: those of ``width``.
        multiple: numbers of channels are multiples of it.
        fix: patterns of layers ("layer4.*") that keep all their channels.
        only: patterns of layers; the others keep all their channels.
        depth: blocks whose inputs and outputs have the same dimensions can be left out.
        importance: which channels stay: those with the largest "weights", "activations" or "gradients".
        data: ``FILE.py:FUNCTION`` for the last two: batches of inputs; or batches of inputs and targets, and a loss.
        path: a file for worker processes, which make it from there; ``None``: in the user's cache.

    Returns:
        The super-network, which ``measure``, ``search`` and ``transfer`` take as any other.

    Raises:
        UsageError: the module cannot be traced, its outputs change from call to call, or nothing of it is elastic.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.ReLU(), torch.nn.Linear(64, 4))
        >>> net = hwnas.elastic(model, torch.rand(1, 16))
        >>> net.space.decode(net.space.smallest())
        [{'width': [32]}]
        >>> net.params(net.space.largest())
        array([1348])
    """
    from hwnas.supernets.elastic.making import elastic as made
    from hwnas.supernets.elastic.options import spelled

    options: dict[str, Any] = {
        "width": list(width),
        "heads": None if heads is None else list(heads),
        "multiple": multiple,
        "fix": list(fix) or None,
        "only": list(only) or None,
        "depth": depth,
        "importance": importance,
        "data": data,
    }
    return made(module, inputs, spelled(options), None if path is None else str(path))
