"""Find the residual blocks that can be left out, since what goes in has the dimensions of what comes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.program import CALL, WEIGHT, Node

# The config key.
DEPTH = "depth"


@dataclass(frozen=True)
class Unit:
    """A block that can be left out.

    Attributes:
        path: of its module.
        entry: the node that goes in, which then takes the place of the exit.
        exit: the node that comes out.
        nodes: the names of its own nodes.
        weights: the names of the weights that only it reads.
    """

    path: str
    entry: str
    exit: str
    nodes: frozenset[str]
    weights: frozenset[str]


@dataclass(frozen=True)
class Stage:
    """Blocks of equal dimensions, one behind the other.

    Attributes:
        units: the most important first; the last ones are left out first.
    """

    units: tuple[Unit, ...]

    @property
    def values(self) -> tuple[int, ...]:
        """How many can be kept, ascending; half of them always stay."""
        return tuple(range(len(self.units) // 2, len(self.units) + 1))

    @property
    def name(self) -> str:
        """The name of the one that runs first, and how many more there are."""
        first = min((unit.path for unit in self.units), key=_by_number)
        return first + (f" +{len(self.units) - 1}" if len(self.units) > 1 else "")


def stages(analysis: Analysis, orders: Sequence[Sequence[str]] | None = None) -> list[Stage]:
    """Return the blocks that can be left out, in stages.

    Args:
        analysis: of the model.
        orders: the paths of each stage's blocks, the most important first, without those that always stay; ``None``:
            the first ones are the most important, and each can be left out.

    Raises:
        ValueError: these are no blocks of a stage.
    """
    found: list[list[Unit]] = []
    places = {node.name: number for number, node in enumerate(analysis.program.nodes)}
    for unit in sorted(_units(analysis), key=lambda one: places[one.exit]):
        behind = found and found[-1][-1].exit == unit.entry and _same(analysis, found[-1][-1].exit, unit.exit)
        if behind and _parent(found[-1][-1].path) == _parent(unit.path):
            found[-1].append(unit)
        else:
            found.append([unit])
    if orders is None:
        return [Stage(tuple(units)) for units in found]
    by_path = {unit.path: (number, unit) for number, units in enumerate(found) for unit in units}
    known = [path for order in orders for path in order]
    if len(set(known)) < len(known) or not set(known) <= set(by_path) or not all(orders):
        raise ValueError("its order of blocks is none")
    if any(len({by_path[path][0] for path in order}) > 1 for order in orders):
        raise ValueError("its order of blocks mixes stages")
    return [Stage(tuple(by_path[path][1] for path in order)) for order in orders]


def _by_number(path: str) -> tuple[tuple[bool, int, str], ...]:
    """Return what sorts names of modules as they are numbered: blocks.9 comes before blocks.10."""
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in path.split("."))


def _parent(path: str) -> str:
    return path.rpartition(".")[0]


def _units(analysis: Analysis) -> list[Unit]:
    """Return the blocks: members of lists of modules, or else the innermost modules that can be left out."""
    paths = dict.fromkeys(path for node in analysis.program.nodes for path in _prefixes(node.path))
    able = {path: unit for path in paths if (unit := _unit(analysis, path)) is not None}
    members = {path for path in able if path.rpartition(".")[2].isdigit()}
    kept = [path for path in members if not _any_inside(path, members)]
    others = [path for path in able if path not in members and not _any_inside(path, able)]
    others = [path for path in others if not any(_inside(path, one) or _inside(one, path) for one in kept)]
    return [able[path] for path in (*kept, *others)]


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split(".") if path else []
    return (".".join(parts[: number + 1]) for number in range(len(parts)))


def _inside(path: str, outer: str) -> bool:
    return path.startswith(f"{outer}.")


def _any_inside(outer: str, paths: set[str] | dict[str, Unit]) -> bool:
    return any(_inside(path, outer) for path in paths)


def _unit(analysis: Analysis, path: str) -> Unit | None:
    """Return the module at a path as a block; ``None``: it cannot be left out."""
    program = analysis.program
    own = [node for node in program.nodes if node.op == CALL and (node.path == path or _inside(node.path, path))]
    names = {node.name for node in own}
    exits = [node for node in own if any(reader.name not in names for reader in program.readers[node.name])]
    if len(exits) != 1 or len(exits[0].shapes) != 1 or not _adds(analysis, own, exits[0]):
        return None
    outside = dict.fromkeys(name for node in own for name in node.refs() if name not in names)
    entries = [
        name
        for name in outside
        if program.by_name[name].op != WEIGHT and _same(analysis, name, exits[0].name) and _depends(analysis, name)
    ]
    if len(entries) != 1:
        return None
    alone = {name for name in outside if all(reader.name in names for reader in program.readers[name])}
    weights = frozenset(program.by_name[name].target for name in alone if program.by_name[name].op == WEIGHT)
    # What is computed for it alone is a part of the block: a larger module is that block.
    for_it = {name for name in alone if program.by_name[name].op == CALL and _depends(analysis, name)}
    if not weights or for_it - {entries[0]}:
        return None
    return Unit(path, entries[0], exits[0].name, frozenset(names), weights)


def _adds(analysis: Analysis, own: list[Node], last: Node) -> bool:
    """Return whether a block adds something of its output's dimensions to something."""
    return any(
        node.operator == "add"
        and len(refs := list(node.refs())) == 2
        and all(_same(analysis, name, last.name) for name in refs)
        for node in own
    )


def _same(analysis: Analysis, one: str, other: str) -> bool:
    if len(analysis.axes[one]) != 1 or len(analysis.axes[other]) != 1:
        return False
    left, right = analysis.of(one), analysis.of(other)
    return len(left) == len(right) and all(_equal(a, b) for a, b in zip(left, right, strict=True))


def _equal(a: Axis, b: Axis) -> bool:
    ones, others = list(a.leaves()), list(b.leaves())
    return len(ones) == len(others) and all(
        x is y or (x.fixed and y.fixed and x.size == y.size) for x, y in zip(ones, others, strict=True)
    )


def _depends(analysis: Analysis, name: str) -> bool:
    """Return whether a node is no weight and not made of constants alone, judging by its own batch dimension."""
    return any(leaf.batch for axis in analysis.of(name) for leaf in axis.leaves())
