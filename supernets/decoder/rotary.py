"""Rotary positions (Su et al., 2021, arXiv 2104.09864): pairs of a head's channels turned by angles of the position."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

# Cosines and sines, whose last dimension is half of the channels that are turned.
Places = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Rotary:
    """How the channels of a head are turned; channels ``i`` and ``i + dims / 2`` are a pair.

    Attributes:
        width: channels of a head.
        dims: how many of them are turned, the first ones; even.
        positions: the most there can be.
        base: of the angles' geometric sequence.
    """

    width: int
    dims: int
    positions: int
    base: float = 10_000.0

    def first(self, length: int, like: torch.Tensor) -> Places:
        """Return the places of the first ``length`` positions, ``(length, dims / 2)`` each.

        Args:
            length: of the text.
            like: a floating-point tensor, whose type and device they get.
        """
        cosines, sines = _like(self, like)[:length].chunk(2, -1)
        return cosines, sines

    def at(self, position: torch.Tensor, like: torch.Tensor) -> Places:
        """Return the places of one position of each text, ``(batch, 1)``, as ``(batch, 1, 1, dims / 2)`` each."""
        cosines, sines = F.embedding(position, _like(self, like)).unsqueeze(1).chunk(2, -1)
        return cosines, sines

    def turned(self, x: torch.Tensor, places: Places) -> torch.Tensor:
        """Return queries or keys, ``(batch, heads, length, width)``, turned by their places."""
        half, (cosines, sines) = self.dims // 2, places
        first, second = x[..., :half], x[..., half : self.dims]
        parts = [first * cosines - second * sines, second * cosines + first * sines]
        return torch.cat([*parts, x[..., self.dims :]] if self.dims < self.width else parts, -1)


@functools.cache
def table(rotary: Rotary) -> torch.Tensor:
    """Return cosines and sines of every position, ``(positions, dims)``."""
    # The result is cached, so it is made on the CPU and outside inference mode, wherever it is first needed.
    with torch.device("cpu"), torch.inference_mode(mode=False):
        exponents = torch.arange(0, rotary.dims, 2, dtype=torch.float64) / rotary.dims
        angles = torch.arange(rotary.positions, dtype=torch.float64)[:, None] * rotary.base**-exponents
        return torch.cat([angles.cos(), angles.sin()], -1).float()


def _like(rotary: Rotary, like: torch.Tensor) -> torch.Tensor:
    # Where the module is being traced, the table is a constant of the graph.
    return _placed(rotary, like.dtype, like.device) if isinstance(like, torch.Tensor) else table(rotary)


@functools.cache
def _placed(rotary: Rotary, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(mode=False):
        return table(rotary).to(device, dtype)
