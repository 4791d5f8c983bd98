"""Check that weights are finite: once one is infinite or nan, it stays so and makes others nan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def finite(tensor: torch.Tensor) -> torch.Tensor:
    """Return whether each number is finite in FP32, the precision of networks; of the tensor's shape."""
    return tensor.detach().float().isfinite()


def not_finite(named: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Return the name of the first tensor with an infinite number or nan; ``None`` if all are finite."""
    import torch

    numbers = [(name, one.detach()) for name, one in named if one.is_floating_point() and one.numel()]
    # One norm over all tensors, so that a GPU is waited for once and not for each of hundreds of tensors. The Euclidean
    # norm takes a CPU a seventh of the time of the maximum; where its squares overflow, each tensor is looked at.
    if torch.nn.utils.get_total_norm([one for _, one in numbers]).isfinite():
        return None
    return next((name for name, one in numbers if not finite(one).all()), None)
