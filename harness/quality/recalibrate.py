"""Recalibrate the batch-norm statistics of a sub-network after it was extracted from the super-network.

The shared statistics are averages over all trained sub-networks. Those of a single sub-network differ, and without them
its accuracy is that of chance (Cai et al., 2020; Yu and Huang, 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from hwnas.supernets.supernet import SuperNetwork


def recalibrate(module: torch.nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Set every batch-norm's mean and variance to their means over batches, weighted by the batches' sizes.

    While a batch passes, each layer normalises by that batch's own statistics, as in training. The variance is the
    biased one, as in once-for-all.

    Args:
        module: a stand-alone sub-network in evaluation mode; unchanged if it has no such statistics.
        batches: inputs.
    """
    import torch

    found = norms(module)
    if not found:
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

    hooks = [norm.register_forward_pre_hook(measure) for norm in found]
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
    """Return whether the largest sub-network has batch-norm statistics.

    Args:
        net: the super-network.
        weights: its weights; used only if its modules cannot be made without them.
    """
    from hwnas.supernets.shared import Trainable

    config = net.space.decode(net.space.canonical(net.space.largest()))[0]
    module = net.module(config) if isinstance(net, Trainable) else net.build(config, weights)
    return bool(norms(module))


def norms(module: torch.nn.Module) -> list[torch.nn.Module]:
    """Return the batch-norms with running statistics; others always use those of the batch."""
    from torch.nn.modules.batchnorm import _BatchNorm

    several = (part for part in module.modules() if isinstance(part, _BatchNorm))
    return [part for part in several if part.running_mean is not None]
