"""A super-network whose sub-networks are the single blocks of another, so that blocks can be measured like networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.supernets.blocks import Block, BlockCounts, Slot, distinct_blocks
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, Config, IntArray, SearchSpace
from hwnas.supernets.supernet import BuildsBlocks, Stage, SuperNetwork

if TYPE_CHECKING:
    import torch

# The end of a super-network's name that stands for its blocks: "ofa-mbv3-w1.0/blocks".
SUFFIX = "/blocks"

_BASE = 36  # values that one choice can have


class SingleBlocks(BlockCounts):
    """The super-network whose sub-networks are the distinct blocks of another.

    A block's config is its number in digits of base 36; numbers that are too large stand for the last block.

    Args:
        net: the super-network that has the blocks.

    Attributes:
        blocks: the blocks, in order of appearance.

    Raises:
        UsageError: it does not build single blocks.
    """

    default_quality = "none"

    def __init__(self, net: SuperNetwork) -> None:
        if not isinstance(net, BuildsBlocks):
            raise UsageError(f"{net.name}: does not build its blocks alone, so they cannot be measured (block_stage)")
        self._net: BuildsBlocks = net
        self.name = net.name + SUFFIX
        self.blocks = tuple(distinct_blocks(net.slots))
        self.summary = f"the {len(self.blocks)} blocks of {net.name}, each alone"
        self._sizes = digits(len(self.blocks))
        self.space = SearchSpace(tuple(Choice("block", tuple(range(size))) for size in self._sizes))
        padding = (self.blocks[-1],) * (math.prod(self._sizes) - len(self.blocks))
        self.slots: tuple[Slot, ...] = (Slot("block", tuple(range(len(self._sizes))), self.blocks + padding),)

    def vectors(self, numbers: Sequence[int] | IntArray) -> IntArray:
        """Return the vectors of blocks by number, ``(n, n_var)``."""
        return np.stack(np.unravel_index(np.asarray(numbers, dtype=np.int64), self._sizes), axis=1).astype(np.int64)

    def block(self, config: Config | dict[str, Any]) -> Block:
        """Return the block of a config."""
        index = np.ravel_multi_index(tuple(self.space.encode(config)[0]), self._sizes)
        return self.blocks[min(int(index), len(self.blocks) - 1)]

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the block's module with seeded random weights; raises ``UsageError`` where ``weights`` are given."""
        return self.stages(config, 1, weights)[0].module

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the block as one stage."""
        if weights is not None:
            raise UsageError(f"{self.name}: a block alone takes no weights, got {weights!r}")
        return (self._net.block_stage(self.block(config), batch),)


def digits(n: int) -> tuple[int, ...]:
    """Return how many values each digit has, so that ``n`` numbers can be written."""
    places = 1
    while _BASE**places < n:
        places += 1
    return (math.ceil(n / _BASE ** (places - 1)), *(_BASE,) * (places - 1))
