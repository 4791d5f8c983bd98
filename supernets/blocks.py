"""Sum parameters, MACs, table latencies and other quantities over the blocks of many sub-networks at once.

A sub-network is a sequence of *slots*; the block in a slot depends on a few choices only. So a quantity that adds up
over blocks is one small array per slot, and a batch of vectors costs one gather per slot, whatever the quantity is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# Rows summed at a time: the working arrays of one chunk stay in the second-level cache.
_CHUNK = 16_384


@dataclass(frozen=True)
class Block:
    """The unit of a lookup table: one layer with its input and output shapes.

    Attributes:
        kind: the layer's kind ("mbconv", "conv", "pool", "linear", ...).
        input: the input's shape without the batch, (height, width, channels) for images.
        output: the output's shape, likewise.
        options: what else determines its cost, as sorted pairs (("kernel", 3), ("stride", 2), ...).
        macs: multiply-accumulates at batch 1, of convolutions and linear layers.
        params: its parameters, batch-norm's included.
        norms: the number of channels whose batch-norm is folded into the layer before it for deployment, which leaves
            one of the two parameters of each.
        biases: the number of biases after folding.
        peak: the most activations in memory at once while it runs, at batch 1, its input included; 0: not known.
        cached: the keys and values of one position that it has to find in a cache, at batch 1.
    """

    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    options: tuple[tuple[str, int], ...] = ()
    macs: int = 0
    params: int = 0
    norms: int = 0
    biases: int = 0
    peak: int = 0
    # Stored measurements are known by how their blocks are spelled, and were before any cached something.
    cached: int = field(default=0, repr=False)

    def option(self, name: str) -> int:
        """Return one of ``options``; raises ``KeyError`` when the kind has no such option."""
        return dict(self.options)[name]


@dataclass(frozen=True)
class Slot:
    """A place in the network and the blocks that it can have.

    Attributes:
        name: of the place ("blocks.3").
        columns: the variables that decide which block is here.
        blocks: one entry per combination of those variables' values, the last varying fastest; ``None``: no block.
        repeats: how often it runs per inference.
        stage: the name of the stage that it is a part of; "" where a network is one stage.
        own: it has parameters of its own; if not, they are those of another slot, which are counted there.
    """

    name: str
    columns: tuple[int, ...]
    blocks: tuple[Block | None, ...]
    repeats: int = 1
    stage: str = ""
    own: bool = True

    def values(self, value: Callable[[Block], float]) -> list[float]:
        """Return ``value`` of each entry of ``blocks``; 0 for no block."""
        return [0 if block is None else value(block) for block in self.blocks]


class _BlockFold:
    """A quantity of blocks, reduced by a ufunc to one number for each of many sub-networks."""

    _fold: np.ufunc

    def __init__(self, space: SearchSpace, slots: Sequence[Slot], tables: Sequence[FloatArray]) -> None:
        self._space = space
        self._constant = 0.0
        self._terms: list[tuple[tuple[int, ...], tuple[int, ...], FloatArray]] = []
        for slot, table in zip(slots, tables, strict=True):
            if slot.columns:
                sizes = tuple(int(space.n_options[column]) for column in slot.columns)
                self._terms.append((slot.columns, strides(sizes), table))
            else:
                self._constant = self._fold(self._constant, table[0])

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Return one number for each vector of ``X``, ``(n, n_var)``; whole numbers below 2**53 are exact."""
        X = self._space.check(X)
        total = np.full(len(X), self._constant)
        for start in range(0, len(X), _CHUNK):
            # Variables become contiguous rows; a strided column of X would touch every cache line of it. Halved numbers
            # make the sums of indices twice as fast; no table has 2**31 entries.
            columns = np.ascontiguousarray(X[start : start + _CHUNK].astype(np.int32).T)
            part = total[start : start + _CHUNK]
            for wanted, steps, table in self._terms:
                index = columns[wanted[0]] * steps[0]
                for column, step in zip(wanted[1:], steps[1:], strict=True):
                    index += columns[column] * step
                self._fold(part, table.take(index), out=part)
        return total


class BlockSum(_BlockFold):
    """The sum of a quantity over the blocks of each of many sub-networks.

    Args:
        space: the search space that the vectors belong to.
        slots: the slots of the super-network.
        value: the quantity of one block.
        per_inference: count a slot as often as it runs in one inference.
    """

    _fold = np.add

    def __init__(
        self,
        space: SearchSpace,
        slots: Sequence[Slot],
        value: Callable[[Block], float],
        per_inference: bool = True,
    ) -> None:
        times = [slot.repeats if per_inference else 1 for slot in slots]
        tables = [np.array(slot.values(value), np.float64) * n for slot, n in zip(slots, times, strict=True)]
        super().__init__(space, slots, tables)


class BlockMax(_BlockFold):
    """The largest of a quantity, 0 or more, among the blocks of each of many sub-networks.

    Args:
        space: the search space that the vectors belong to.
        slots: the slots of the super-network.
        value: the quantity of one block.
    """

    _fold = np.maximum

    def __init__(self, space: SearchSpace, slots: Sequence[Slot], value: Callable[[Block], float]) -> None:
        super().__init__(space, slots, [np.array(slot.values(value), np.float64) for slot in slots])


class BlockCounts:
    """Base class of super-networks that count parameters and MACs by their slots.

    Attributes:
        space: its search space.
        slots: its places for blocks.
    """

    space: SearchSpace
    slots: tuple[Slot, ...]

    def __repr__(self) -> str:
        name, summary = (getattr(self, one, "") for one in ("name", "summary"))
        return f"<SuperNetwork {name!r}: {summary}; {self.space.n_var} choices>"

    def _repr_html_(self) -> str:
        return self.space.html_with(repr(self).strip("<>"))

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Return the parameter counts, ``(n,)``: each slot's once, and only those that are its own."""
        return self.__params(X).astype(np.int64)

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Return the multiply-accumulates of one inference at batch 1, ``(n,)``, each slot's as often as it runs."""
        return self.__macs(X).astype(np.int64)

    @cached_property
    def __params(self) -> BlockSum:
        return BlockSum(self.space, owned(self.slots), lambda block: block.params, per_inference=False)

    @cached_property
    def __macs(self) -> BlockSum:
        return BlockSum(self.space, self.slots, lambda block: block.macs)


def owned(slots: Sequence[Slot]) -> list[Slot]:
    """Return the slots that have parameters of their own, so that nothing is counted twice."""
    return [slot for slot in slots if slot.own]


def stages_of(slots: Sequence[Slot]) -> dict[str, int]:
    """Return how often each stage runs per inference, by name and in order; empty where there is one without a name."""
    return {slot.stage: slot.repeats for slot in slots if slot.stage}


def strides(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a flat table of shape ``sizes``, in which the last variable varies fastest."""
    return tuple(math.prod(sizes[position + 1 :]) for position in range(len(sizes)))


def distinct_blocks(slots: Sequence[Slot]) -> Iterator[Block]:
    """Yield every block of the whole space once, in order of appearance."""
    yield from dict.fromkeys(block for slot in slots for block in slot.blocks if block is not None)
