"""Seeded random weights with which a network's activations stay alive.

Latency must not depend on what the weights are, but it does where activations die: they turn into denormal numbers, which
many CPUs add tens of times slower, and a comparison of two backends' outputs agrees about zeros. Freshly initialised
networks die: batch-norm statistics that were never set let the signal shrink from layer to layer. So weights are drawn,
and the statistics are set by one forward pass in training mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

_SEED = 2205_10358  # any fixed number serves


def build_alive(make: Callable[[], nn.Module], inputs: tuple[torch.Tensor, ...]) -> nn.Module:
    """Make a module, give it live weights, and return it in evaluation mode.

    Args:
        make: builds the module; it is called under the meta device, so that no weight is initialised twice.
        inputs: positional inputs of the forward pass that sets the batch-norm statistics. They may be smaller than the
            real ones, and should hold at least two samples.
    """
    with torch.device("meta"):
        module = make()
    module.to_empty(device="cpu")
    draw_weights(module)
    set_statistics(module, inputs)
    return module.eval()


def draw_weights(module: nn.Module) -> None:
    """Fill every parameter and buffer: weights uniform with the variance of He et al. (2015), the rest neutral."""
    generator = torch.Generator().manual_seed(_SEED)
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if tensor.dim() > 1:
                bound = math.sqrt(6 / tensor[0].numel())
                tensor.uniform_(-bound, bound, generator=generator)
            else:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.reset_running_stats()


def set_statistics(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    """Set batch-norm statistics to those of one training-mode pass over ``inputs``."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    module.train()
    with torch.no_grad():
        module(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def random_images(batch: int, resolution: int) -> torch.Tensor:
    """Return seeded normal images, ``(batch, 3, resolution, resolution)``."""
    generator = torch.Generator().manual_seed(_SEED)
    return torch.randn(batch, 3, resolution, resolution, generator=generator)
