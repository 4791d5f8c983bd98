"""What the shared weights of a super-network are before any training."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch


def draw(shapes: Mapping[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    """Return fresh weights by key, drawn from ``seed`` alone.

    Convolutions are normal with the variance 2 / inputs of He et al. (2015), linear layers uniform within
    1 / sqrt(inputs), batch-norms and biases neutral. A matrix that makes a smaller kernel is the identity, so that at
    first a small kernel is a large one's centre.
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
    return torch.ones(shape) if key.endswith(("weight", "running_var")) else torch.zeros(shape)
