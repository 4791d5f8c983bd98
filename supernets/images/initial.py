"""Draw the initial shared weights of a super-network for images."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

# The initial scale of the last batch-norm of a bottleneck, in ResNets and MobileNets. After 80 steps on Fashion-MNIST
# the largest ResNet sub-network has 71 % accuracy with 0.1, and 40 % with 1. With 0 nothing before it would have a
# gradient in the first step.
_LAST = ("conv3.bn.bn.weight", "point_linear.bn.bn.weight")
_SMALL = 0.1


def draw(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Return fresh weights by key, drawn from ``seed`` alone.

    Convolutions are normal with the variance 2 / inputs of He et al. (2015), linear layers uniform within
    1 / sqrt(inputs), batch-norms and biases neutral, except for the last batch-norm of a block, which starts small: a
    block with a shortcut is nearly the identity at first, and deep sub-networks begin to learn as shallow ones do
    (Goyal et al., 2017, arXiv 1706.02677, section 5.1, who start at 0). The matrices of smaller kernels are the
    identity, so that a small kernel is at first the centre of a large one.
    """
    generator = torch.Generator().manual_seed(seed)
    return {key: _fresh(key, shape, generator) for key, shape in shapes.items()}


def _fresh(key: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if key.endswith("_matrix"):
        return torch.eye(*shape)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    inputs = math.prod(shape[1:])
    if len(shape) == 4:
        return torch.randn(shape, generator=generator) * math.sqrt(2 / inputs)
    if len(shape) == 2:
        return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(inputs)
    if key.endswith(_LAST):
        return torch.full(shape, _SMALL)
    return torch.ones(shape) if key.endswith(("weight", "running_var")) else torch.zeros(shape)
