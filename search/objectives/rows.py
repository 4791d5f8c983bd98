"""Refuse searches on measured tables that list too few sub-networks of the space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import SearchSpace

if TYPE_CHECKING:
    from hwnas.search.objectives import Objective

# Of the space. Below it most of what a search proposes fails, and there is nothing that it could learn from.
LEAST = 0.1


class Rows(NamedTuple):
    """What an objective has values for, where that is not every sub-network.

    Attributes:
        table: what it is called.
        n: how many sub-networks.
    """

    table: str
    n: int


def check_searchable(objectives: Sequence[Objective], space: SearchSpace) -> None:
    """Raise ``UsageError`` where an objective has values for so few sub-networks that a search cannot find them.

    Args:
        objectives: those with an attribute ``rows``, that is not ``None``, know no other sub-networks.
        space: that is searched.
    """
    for one in objectives:
        rows: Rows | None = getattr(one, "rows", None)
        if rows is not None and rows.n < LEAST * space.distinct_size:
            raise UsageError(
                f"{rows.table}: has the {one.name} of {rows.n:,} of the space's {space.distinct_size:,.3g} "
                "sub-networks, and a search proposes others; search what knows all of them "
                f"({_instead(one.name)}), or compare tables row by row: hwnas transfer"
            )


def _instead(name: str) -> str:
    if name in ("latency", "throughput"):
        return "a backend, or a lookup table of blocks: lut:file=FILE"
    return "a source that predicts: surrogate:FILE, fitted to the table"
