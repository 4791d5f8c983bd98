"""Rotary positions (Su et al., 2021, arXiv 2104.09864): pairs of a head's channels turned by angles of the position."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

# Cosines and sines, whose last dimension is half of the channels that are turned.
Places = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Stretching:
    """How a model that was trained on short texts turns channels more slowly to read longer ones.

    A channel pair that turns at least ``high`` times within the short texts keeps its speed; one that turns at most
    ``low`` times is slowed down by ``factor``; between them the speeds are interpolated (Llama 3.1, arXiv 2407.21783).
    Without bounds all pairs are slowed down (position interpolation: Chen et al., 2023, arXiv 2306.15595).

    Attributes:
        factor: how much longer texts are.
        bounds: ``(low, high, positions of the short texts)``.
    """

    factor: float
    bounds: tuple[float, float, int] | None = None

    def frequencies(self, angles: torch.Tensor) -> torch.Tensor:
        """Return the angles that channel pairs turn by from position to position, ``(dims / 2,)``, slowed down."""
        if self.bounds is None:
            return angles / self.factor
        low, high, short = self.bounds
        turns = short * angles / (2 * math.pi)
        kept = ((turns - low) / (high - low)).clamp(0, 1)
        return angles * (kept + (1 - kept) / self.factor)


@dataclass(frozen=True)
class Rotary:
    """How the channels of a head are turned; channels ``i`` and ``i + dims / 2`` are a pair.

    Attributes:
        width: channels of a head.
        dims: how many of them are turned, the first ones; even.
        positions: the most there can be.
        base: of the angles' geometric sequence.
        stretching: of a model that was made to read longer texts than it was trained on at first.
    """

    width: int
    dims: int
    positions: int
    base: float = 10_000.0
    stretching: Stretching | None = None

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
        turned = rotary.base**-exponents
        turned = turned if rotary.stretching is None else rotary.stretching.frequencies(turned)
        angles = torch.arange(rotary.positions, dtype=torch.float64)[:, None] * turned
        return torch.cat([angles.cos(), angles.sin()], -1).float()


def _like(rotary: Rotary, like: torch.Tensor) -> torch.Tensor:
    # Where the module is being traced, the table is a constant of the graph.
    return _placed(rotary, like.dtype, like.device) if isinstance(like, torch.Tensor) else table(rotary)


@functools.cache
def _placed(rotary: Rotary, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(mode=False):
        return table(rotary).to(device, dtype)
