"""Batch-norm statistics of a sub-network, set anew after it was taken out of the super-network.

The shared statistics are averages over all sub-networks that were trained; a single one's differ, and without its own
it is as good as guessing (Cai et al., 2020; Yu and Huang, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.supernet import SuperNetwork


def recalibrate(module: torch.nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set every batch-norm's mean and variance to their means over batches, weighted by the batches' sizes.

    Each layer sees what the layers before it make of the batch with that batch's own statistics, as in training; as
    once-for-all does it, the variance is the biased one.

    Args:
        module: a stand-alone sub-network in evaluation mode. Where it has no such statistics nothing is done.
        batches: inputs.
    """
    import torch

    norms = _norms(module)
    if not norms:
        return
    sums: dict[torch.nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}
    images = 0

    def measure(norm: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> None:
        x = args[0]
        variance, mean = torch.var_mean(x, [dim for dim in range(x.dim()) if dim != 1], correction=0)
        assert isinstance(norm.running_mean, torch.Tensor)  # noqa: S101 - hooked below on nothing else
        assert isinstance(norm.running_var, torch.Tensor)  # noqa: S101
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        means, variances = sums.get(norm, (0.0, 0.0))
        sums[norm] = means + len(x) * mean, variances + len(x) * variance

    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    try:
        with torch.inference_mode():
            for batch in batches:
                images += len(batch)
                module(batch)
            for norm, (mean, variance) in sums.items():
                norm.running_mean.copy_(mean / images)  # type: ignore[operator]
                norm.running_var.copy_(variance / images)  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()


def has_norms(net: SuperNetwork, weights: str | None = None) -> bool:
    """Return whether sub-networks have batch-norm statistics, by the largest one.

    Args:
        net: the super-network.
        weights: its own; only one whose modules cannot be made without is given them.
    """
    from hwnas.supernets.shared import Trainable

    config = net.space.decode(net.space.canonical(net.space.largest()))[0]
    module = net.module(config) if isinstance(net, Trainable) else net.build(config, weights)
    return bool(_norms(module))


def _norms(module: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the batch-norms that keep statistics; others take each batch's own."""
    from torch.nn.modules.batchnorm import _BatchNorm

    found = (part for part in module.modules() if isinstance(part, _BatchNorm))
    return [part for part in found if part.running_mean is not None]
