"""Whether weights are numbers: what has become infinite or nan stays so, and takes the rest along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def finite(tensor: torch.Tensor) -> torch.Tensor:
    """Return for each number whether it is finite in FP32, which is what networks compute in; of the tensor's shape."""
    return tensor.detach().float().isfinite()


def not_finite(named: Iterable[tuple[str, torch.Tensor]]) -> str | None:
    """Return the name of the first tensor that holds an infinite number or nan; ``None`` where all are finite."""
    import torch

    numbers = [(name, one.detach()) for name, one in named if one.is_floating_point() and one.numel()]
    # The largest magnitude of all is one number to wait for, where a GPU holds hundreds of tensors.
    if torch.nn.utils.get_total_norm([one for _, one in numbers], float("inf")).isfinite():
        return None
    return next((name for name, one in numbers if not finite(one).all()), None)
