"""Make choices of the axes that can shrink: how many channels, heads and features a sub-network may keep."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.program import WEIGHT, Node
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import MOST_VALUES

# The config keys.
WIDTH, HEADS = "width", "heads"


@dataclass(frozen=True)
class Wanted:
    """What is to be elastic.

    Attributes:
        width: fractions of a set's channels that can be kept; all of them always can.
        heads: likewise of an attention's heads.
        multiple: numbers of channels are multiples of it.
        fix: patterns of the layers whose sets are not elastic.
        only: patterns of the layers whose sets alone are; empty: all.
        depth: blocks can be left out.
    """

    width: tuple[float, ...] = (0.5, 0.75, 1.0)
    heads: tuple[float, ...] = (0.5, 0.75, 1.0)
    multiple: int = 8
    fix: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    depth: bool = True


@dataclass(frozen=True, eq=False)
class ChannelSet:
    """Channels that must shrink together, such as the outputs of one layer and the inputs of the next.

    Attributes:
        axis: the leaf.
        key: ``WIDTH`` or ``HEADS``.
        weights: the names of the weights that have it.
        values: how many can be kept, ascending; one value if the set is fixed.
        fixed: why it is fixed; "": it is elastic.
    """

    axis: Axis
    key: str
    weights: tuple[str, ...]
    values: tuple[int, ...]
    fixed: str = ""

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, without their weights' own names."""
        return tuple(dict.fromkeys(layer_of(name) for name in self.weights))


def layer_of(weight: str) -> str:
    """Return the name of the layer that a weight belongs to; the weight's own if it belongs to none."""
    path, parametrized, _ = weight.partition(".parametrizations.")  # as of torch.nn.utils.parametrize
    return path if parametrized else weight.rpartition(".")[0] or weight


def channel_sets(analysis: Analysis, wanted: Wanted) -> list[ChannelSet]:
    """Return the sets of channels in the order of the model, elastic and fixed ones.

    Raises:
        UsageError: a pattern names no layer of the model.
    """
    uses = _uses(analysis)
    layers = {layer_of(node.target) for found in uses.values() for node, _ in found}
    for pattern in (*wanted.fix, *wanted.only):
        if not any(fnmatchcase(layer, pattern) for layer in layers):
            raise UsageError(f"fix and only: no layer of the model is named {pattern!r}; it has {_few(sorted(layers))}")
    return [_set(leaf, found, wanted) for leaf, found in uses.items() if leaf.size > 1]


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")


def _uses(analysis: Analysis) -> dict[Axis, list[tuple[Node, Axis]]]:
    """Return where each leaf occurs among the weights, in the order in which the weights are read."""
    program = analysis.program
    order = {name: number for number, node in reversed(list(enumerate(program.nodes))) for name in node.refs()}
    weights = sorted((n for n in program.nodes if n.op == WEIGHT), key=lambda node: order.get(node.name, -1))
    found: dict[Axis, list[tuple[Node, Axis]]] = {}
    for node in weights:
        for axis in analysis.of(node.name):
            for leaf in dict.fromkeys(axis.leaves()):
                found.setdefault(leaf, []).append((node, axis))
    return found


def _set(leaf: Axis, uses: list[tuple[Node, Axis]], wanted: Wanted) -> ChannelSet:
    key = HEADS if leaf.heads else WIDTH
    weights = tuple(dict.fromkeys(node.target for node, _ in uses))
    made = ChannelSet(leaf, key, weights, (leaf.size,), leaf.fixed)
    if made.fixed:
        return made
    if any(fnmatchcase(layer, pattern) for layer in made.layers for pattern in wanted.fix):
        return ChannelSet(leaf, key, weights, (leaf.size,), "fix= names it")
    if wanted.only and not any(fnmatchcase(layer, pattern) for layer in made.layers for pattern in wanted.only):
        return ChannelSet(leaf, key, weights, (leaf.size,), "only= does not name it")
    step = _step(leaf, uses, wanted.multiple)
    values = _values(leaf.size, wanted.heads if leaf.heads else wanted.width, step)
    if len(values) == 1:
        return ChannelSet(leaf, key, weights, values, f"it has {leaf.size}, and a multiple of {step} leaves no choice")
    return ChannelSet(leaf, key, weights, values)


def _step(leaf: Axis, uses: list[tuple[Node, Axis]], multiple: int) -> int:
    """Return the step in which a set shrinks, so that what it is multiplied with (a head's size) counts too.

    Heads also occur alone, in tables of what is added to their scores, whose sizes need not be multiples.
    """
    least = max if leaf.heads else min
    times = least(number for _, axis in uses for number in _times(leaf, axis))
    return multiple // math.gcd(multiple, times)


def _times(leaf: Axis, axis: Axis) -> Iterator[int]:
    """Yield how many entries of an axis go with one of a leaf, for each place of the leaf there."""
    for term in axis.terms():
        factors = term.factors()
        fixed = math.prod(one.size for one in factors if all(part.fixed for part in one.leaves()))
        for factor in factors:
            if factor is leaf:
                yield fixed
            elif factor.form:  # a concatenation, of which the whole is multiplied
                yield from (fixed * number for number in _times(leaf, factor))


def _values(size: int, fractions: Sequence[float], step: int) -> tuple[int, ...]:
    rounded = {min(size, max(step, step * int(fraction * size / step + 0.5))) for fraction in fractions}
    return tuple(sorted({*rounded, size}))[-MOST_VALUES:]
