"""The networks that backends are checked with, from one that takes microseconds to one of mobile size."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from hwnas import supernets
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

# What differs from it by more is another network's output: super-network, sub-network, batch.
MOBILE = (
    ("ofa-mbv3-w1.0:r=128", "smallest", 1),
    ("ofa-mbv3-w1.0:r=128", 0, 3),
    ("ofa-mbv3-w1.2:r=128", 1, 1),
    ("ofa-mbv3-w1.2:r=128", "largest", 1),
    ("ofa-mbv3-w1.0", 2, 1),
)


@functools.cache
def mobile(name: str, which: str | int, batch: int) -> Stage:
    """Return the one stage of a sub-network: the "smallest", the "largest", or the first of a seed."""
    space = supernets.get(name).space
    X = space.sample(1, which) if isinstance(which, int) else getattr(space, which)()
    return supernets.get(name).stages(space.decode(X)[0], batch)[0]


def convolutions(batch: int = 1, calibration: tuple[tuple[torch.Tensor, ...], ...] = ()) -> Stage:
    """Return two convolutions and a linear layer."""
    import torch
    from torch import nn

    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.Flatten(), nn.Linear(16 * 5 * 5, 10)
        ).eval()
        return Stage("convolutions", layers, (torch.randn(batch, 3, 16, 16),), ("x",), calibration=calibration)


def pair() -> Stage:
    """Return a network of two inputs, one of whole numbers, and two outputs, one of them nested."""
    import torch

    class Pair(torch.nn.Module):
        def forward(self, x: torch.Tensor, n: torch.Tensor) -> tuple[torch.Tensor, dict[str, list[torch.Tensor]]]:
            return x.mean(1) + n, {"doubled": [x * 2]}

    inputs = (torch.arange(6.0).reshape(2, 3), torch.tensor([1, 2]))
    return Stage("pair", Pair().eval(), inputs, ("x", "n"))
