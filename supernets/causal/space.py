"""The search space of an elastic decoder: how many layers, and of each its hidden units and its groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.space import Choice, SearchSpace

DEPTH, FFN, GROUPS = "depth", "ffn", "kv"
# What can be kept of the layers and of the hidden units.
_DEPTHS = (0.5, 0.625, 0.75, 0.875, 1.0)
_UNITS = (0.25, 0.5, 0.75)
# Numbers of hidden units are multiples of it, where there are as many.
_MULTIPLE = 8


@dataclass(frozen=True)
class Choices:
    """The values that can be chosen, each in ascending order.

    Attributes:
        depth: layers that are kept.
        ffn: hidden units.
        groups: heads of keys and values.
        rank: of each layer, how many are more important.
    """

    depth: tuple[int, ...]
    ffn: tuple[int, ...]
    groups: tuple[int, ...]
    rank: tuple[int, ...]

    @classmethod
    def of(cls, shape: ModelShape, order: tuple[int, ...]) -> Choices:
        """Return the choices of a model whose layers have an order, the most important first."""
        least = _MULTIPLE if shape.ffn >= 4 * _MULTIPLE else 1
        halves = {shape.groups >> power for power in range(shape.groups.bit_length())}
        groups = sorted(one for one in halves if shape.groups % one == 0)
        rank = [0] * shape.layers
        for position, layer in enumerate(order):
            rank[layer] = position
        return cls(
            _distinct(max(1, round(share * shape.layers)) for share in _DEPTHS),
            _distinct([*(max(least, round(share * shape.ffn / least) * least) for share in _UNITS), shape.ffn]),
            tuple(groups[-3:]),
            tuple(rank),
        )

    def space(self) -> SearchSpace:
        """Return the search space; what a layer has does not matter where the layer is left out."""
        needs = [(0, next(i for i, depth in enumerate(self.depth) if depth > rank)) for rank in self.rank]
        matters = [need if need[1] else None for need in needs]
        return SearchSpace(
            (
                Choice(DEPTH, self.depth),
                *(Choice(FFN, self.ffn, need) for need in matters),
                *(Choice(GROUPS, self.groups, need) for need in matters),
            )
        )


def _distinct(values: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(set(values)))
