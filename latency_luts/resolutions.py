"""Combine the lookup tables of several input resolutions: each sub-network is summed over that of its resolution.

A block's shapes do not always determine the resolution (after the pooling all networks are the same, and 196 to 224
pixels all end in 7 x 7), but blocks were measured once per resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hwnas.latency_luts.table import BoundTable, LatencySum, LatencyTable
from hwnas.supernets.blocks import Slot
from hwnas.supernets.errors import TableError
from hwnas.supernets.space import FloatArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

_KEY = "r"


@dataclass(frozen=True, eq=False)
class ResolutionTables:
    """One table per input resolution.

    Attributes:
        name: their name in messages ("note10").
        resolutions: the resolutions there are, in pixels.
        open: returns the table of a resolution; called only for those that a super-network needs.
        serves: the super-networks that the tables were measured for; others are refused. Empty: any.
    """

    name: str
    resolutions: tuple[int, ...]
    open: Callable[[int], LatencyTable]
    serves: tuple[str, ...] = ()

    def bind(self, net: SuperNetwork) -> LatencySum:
        """Prepare the sums over ``net``.

        Raises:
            TableError: the tables are of another super-network, or there is none for one of its resolutions.
        """
        if self.serves and net.name.partition(":")[0] not in self.serves:
            raise TableError(
                f"{self.name}: was measured on the blocks of {' and '.join(self.serves)} and has none of {net.name}'s "
                f"widths; use {' or '.join(self.serves)}"
            )
        column = _resolution_column(net.space)
        if column is None:
            fixed = net.space.fixed.get(_KEY, [None])[0]
            return self._table(net, fixed).bind(net)
        sums = {}
        for index, resolution in enumerate(net.space.choices[column].values):
            slots = tuple(_at(net.space, slot, column, index) for slot in net.slots)
            sums[index] = BoundTable(self._table(net, resolution), net.name, net.space, slots)
        return _PerResolution(net.space, column, sums)

    def _table(self, net: SuperNetwork, resolution: object) -> LatencyTable:
        if not isinstance(resolution, int) or resolution not in self.resolutions:
            plain = net.name.partition(":")[0]
            raise TableError(
                f"{self.name}: has no table for {net.name} at r={resolution}; there is one at each of "
                f"{', '.join(map(str, self.resolutions))}, as in {plain}:r={self.resolutions[0]}+{self.resolutions[-1]}"
            )
        return self.open(resolution)


class _PerResolution:
    def __init__(self, space: SearchSpace, column: int, sums: Mapping[int, BoundTable]) -> None:
        self._space = space
        self._column = column
        self._sums = sums

    def latency(self, X: npt.ArrayLike) -> FloatArray:
        """Return the mean latencies in seconds, ``(n,)``; raises ``TableError`` if a needed block is missing."""
        return self._gather(X, BoundTable.latency)

    def variance(self, X: npt.ArrayLike) -> FloatArray:
        """Return the variances in square seconds, ``(n,)``; nan if an entry has none."""
        return self._gather(X, BoundTable.variance)

    def _gather(self, X: npt.ArrayLike, quantity: Callable[[BoundTable, npt.ArrayLike], FloatArray]) -> FloatArray:
        X = self._space.check(X)
        result = np.empty(len(X))
        for index, bound in self._sums.items():
            rows = np.flatnonzero(X[:, self._column] == index)
            if rows.size:
                result[rows] = quantity(bound, X[rows])
        return result


def _resolution_column(space: SearchSpace) -> int | None:
    return next((column for column, choice in enumerate(space.choices) if choice.key == _KEY), None)


def _at(space: SearchSpace, slot: Slot, column: int, index: int) -> Slot:
    """Return ``slot`` with the variable ``column`` fixed to ``index``: other values belong to other tables."""
    if column not in slot.columns:
        return slot
    sizes = tuple(int(space.n_options[other]) for other in slot.columns)
    places = np.arange(len(slot.blocks)).reshape(sizes).take(index, axis=slot.columns.index(column))
    kept = tuple(other for other in slot.columns if other != column)
    return replace(slot, columns=kept, blocks=tuple(slot.blocks[place] for place in places.ravel()))
