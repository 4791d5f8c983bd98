"""Compute the latency of sub-networks as the sum of their blocks' latencies in a lookup table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwnas.latency_luts.correction import CONSTANT, Correction
from hwnas.latency_luts.keys import key, nearest
from hwnas.supernets.blocks import Block, BlockSum, Slot, distinct_blocks
from hwnas.supernets.errors import TableError
from hwnas.supernets.one_stage import OneStage
from hwnas.supernets.space import FloatArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

# How many keys a message lists; the rest is counted.
_SHOWN = 3


@dataclass(frozen=True)
class Entry:
    """A block's entry in a table.

    Attributes:
        mean_s: its mean latency in seconds.
        variance_s2: the variance of its latency in square seconds; nan if the table has none.
        count: how often it was measured; 0 if the table does not say.
    """

    mean_s: float
    variance_s2: float = math.nan
    count: int = 0


class LatencySum(Protocol):
    """The sums of one table over the sub-networks of one super-network."""

    def latency(self, X: npt.ArrayLike) -> FloatArray:
        """Return the mean latencies in seconds, ``(n,)``; raises ``TableError`` if a needed block is missing."""
        ...

    def variance(self, X: npt.ArrayLike) -> FloatArray:
        """Return the variances in square seconds, ``(n,)``; nan if an entry has none."""
        ...


class BindableTable(Protocol):
    """One lookup table, or several that belong together."""

    def bind(self, net: SuperNetwork) -> LatencySum:
        """Prepare the sums over ``net``; raises ``TableError`` if the table cannot serve it at all."""
        ...


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """A lookup table of block latencies; immutable.

    Attributes:
        name: its name in messages, mostly the file.
        entries: the entries by key (see ``hwnas.latency_luts.keys``).
        serves: super-networks that it is known to have all blocks of; for messages only.
        header: how it was measured, according to a table in hwnas's layout; empty in other layouts.
        correction: a correction of the sums, fitted on whole sub-networks; ``None``: plain sums are returned.
    """

    name: str
    entries: Mapping[str, Entry]
    serves: tuple[str, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    correction: Correction | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", MappingProxyType(dict(self.entries)))
        object.__setattr__(self, "header", MappingProxyType(dict(self.header)))

    def bind(self, net: SuperNetwork) -> BoundTable:
        """Prepare the sums over ``net``; what is added to whole networks is no part of a stage."""
        table = self
        if self.correction is not None and isinstance(net, OneStage):
            blocks = replace(self.correction, terms={**self.correction.terms, CONSTANT: 0.0})
            table = replace(self, correction=blocks)
        return BoundTable(table, net.name, net.space, net.slots)

    def latency(self, net: SuperNetwork, X: npt.ArrayLike) -> FloatArray:
        """Return the mean latencies of sub-networks of ``net`` in seconds, ``(n,)``.

        Raises:
            TableError: a block that one of them needs is missing; lists the nearest keys.
        """
        return self.bind(net).latency(X)

    def variance(self, net: SuperNetwork, X: npt.ArrayLike) -> FloatArray:
        """Return the variances in square seconds, ``(n,)``: the sums of the blocks' variances."""
        return self.bind(net).variance(X)

    def mean_s(self, block: Block) -> float:
        """Return a block's mean in seconds, uncorrected; nan where it is missing."""
        found = self.entries.get(key(block))
        return math.nan if found is None else found.mean_s

    def missing(self, net: SuperNetwork) -> list[str]:
        """Return the keys of all blocks of ``net`` that the table lacks, in the order of the network."""
        wanted = dict.fromkeys(key(block) for block in distinct_blocks(net.slots))
        return [name for name in wanted if name not in self.entries]


class BoundTable:
    """The sums of one table over the vectors of one space.

    Args:
        table: the table.
        net_name: the super-network's name in messages.
        space: the space of the vectors.
        slots: the places of the blocks.
    """

    def __init__(self, table: LatencyTable, net_name: str, space: SearchSpace, slots: Sequence[Slot]) -> None:
        self._table = table
        self._net_name = net_name
        self._space = space
        self._slots = tuple(slots)
        self._constant = 0.0 if table.correction is None else table.correction.constant
        self._mean = BlockSum(space, slots, self._mean_s)
        # Repeats of a block are independent runs, so their variances add like those of different blocks.
        self._variance = BlockSum(space, slots, self._variance_s2)

    def latency(self, X: npt.ArrayLike) -> FloatArray:
        """Return the mean latencies in seconds, ``(n,)``; raises ``TableError`` if a needed block is missing."""
        total = self._mean(X) + self._constant
        # A missing block is nan in the sums; whether any is needed shows in the result, at one comparison a row.
        if np.isnan(total).any():
            raise self._missing(self._space.check(X)[np.isnan(total)])
        return total

    def variance(self, X: npt.ArrayLike) -> FloatArray:
        """Return the variances in square seconds, ``(n,)``; nan if an entry has none."""
        self.latency(X)
        return self._variance(X)

    def _mean_s(self, block: Block) -> float:
        mean_s, correction = self._table.mean_s(block), self._table.correction
        return mean_s if correction is None else correction.mean_s(block, mean_s)

    def _variance_s2(self, block: Block) -> float:
        found = self._table.entries.get(key(block))
        return math.nan if found is None else found.variance_s2

    def _missing(self, X: npt.NDArray[np.int64]) -> TableError:
        wanted = dict.fromkeys(key(block) for slot in self._slots for block in _standing(self._space, slot, X))
        absent = [name for name in wanted if name not in self._table.entries]
        first = absent[0]
        near = ", ".join(nearest(first, self._table.entries, _SHOWN))
        more = f" (and {len(absent) - 1} more that {self._net_name} needs)" if len(absent) > 1 else ""
        serves = f"; this table serves {', '.join(self._table.serves)}" if self._table.serves else ""
        return TableError(f"{self._table.name}: has no block {first}{more}; the nearest it has: {near}{serves}")


def _standing(space: SearchSpace, slot: Slot, X: npt.NDArray[np.int64]) -> list[Block]:
    """Return the distinct blocks in ``slot`` of the sub-networks ``X``."""
    if not slot.columns:
        chosen = slot.blocks[:1]
    else:
        sizes = tuple(int(space.n_options[column]) for column in slot.columns)
        flat = np.ravel_multi_index(tuple(X[:, column] for column in slot.columns), sizes)
        chosen = tuple(slot.blocks[index] for index in np.unique(flat))
    return [block for block in chosen if block is not None]
