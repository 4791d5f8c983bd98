"""Which calls and weights a sub-network needs, depending on the blocks that it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hwnas.supernets.elastic.depth import Unit
from hwnas.supernets.elastic.program import INPUT, OUTPUT, Program


@dataclass(frozen=True)
class Presence:
    """Where choices of depth decide whether a node is needed: it is if one of the blocks is there that it serves.

    Attributes:
        least: pairs of a variable and the lowest index with which such a block is there; the node is needed if one of
            these variables has its index or more.
    """

    least: tuple[tuple[int, int], ...]

    def __contains__(self, chosen: tuple[int, ...]) -> bool:
        """Return whether the node is needed, given the index of each of the variables."""
        return any(index >= least for index, (_, least) in zip(chosen, self.least, strict=True))


def presences(program: Program, units: Mapping[Unit, tuple[int, int] | None]) -> dict[str, Presence]:
    """Return the presence of each node that is not always needed, by name.

    What lies outside the blocks may serve one or several of them alone, as a table of positions that half of the layers
    read.

    Args:
        program: of the model.
        units: the blocks that can be left out, with the variable and the lowest index with which each is there;
            ``None``: it always is.
    """
    places = {node.name: number for number, node in enumerate(program.nodes)}
    owner = {name: unit for unit in units for name in unit.nodes}
    readers = {name: [reader.name for reader in nodes] for name, nodes in program.readers.items()}
    for unit in sorted(units, key=lambda one: -places[one.exit]):
        readers[unit.entry] += readers[unit.exit]  # they read the entry where the block is left out
    served: dict[str, frozenset[Unit] | None] = {}  # None: the node is always needed
    for node in reversed(program.nodes):
        if node.op in (INPUT, OUTPUT):
            served[node.name] = None
        elif node.name in owner:
            served[node.name] = frozenset({owner[node.name]})
        else:
            served[node.name] = _together(served[name] for name in readers[node.name])
    found = {name: _presence(blocks, units) for name, blocks in served.items() if blocks is not None}
    return {name: one for name, one in found.items() if one is not None}


def _together(several: Iterable[frozenset[Unit] | None]) -> frozenset[Unit] | None:
    found: frozenset[Unit] = frozenset()
    for blocks in several:
        if blocks is None:
            return None
        found |= blocks
    return found


def _presence(blocks: Iterable[Unit], units: Mapping[Unit, tuple[int, int] | None]) -> Presence | None:
    least: dict[int, int] = {}
    for known in (units[block] for block in blocks):
        if known is None:
            return None
        column, index = known
        least[column] = min(index, least.get(column, index))
    return Presence(tuple(sorted(least.items())))
