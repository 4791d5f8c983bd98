"""Parameters and multiply-accumulates of sub-networks, as sums over the calls that have any.

A call's count is a product of dimensions. A dimension that is a concatenation is a sum of parts, and so is then the
count: each combination of parts is a slot of its own, so that a slot depends on the few choices that touch it even where
a layer reads twenty others' results (DenseNet).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hwnas.supernets.blocks import Block, Slot
from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.program import CALL, WEIGHT, Node
from hwnas.supernets.space import SearchSpace

Sizes = Mapping[Axis, int]
Options = tuple[tuple[str, int], ...]

# Operators whose result is a product of an activation with a weight, and where the weight's dimensions for what comes
# out and what goes in are.
_WEIGHTED = {
    "linear": (0, 1),
    "conv1d": (0, 1),
    "conv2d": (0, 1),
    "conv3d": (0, 1),
    "conv_transpose1d": (1, 0),
    "conv_transpose2d": (1, 0),
    "conv_transpose3d": (1, 0),
}


@dataclass(frozen=True)
class Presence:
    """Where a choice of depth decides whether a node runs.

    Attributes:
        column: the variable.
        least: the lowest index with which it does.
    """

    column: int
    least: int


class Counter:
    """Makes the slots of a model.

    Args:
        analysis: of the program.
        space: the search space.
        columns: the variable of each elastic leaf.
        presence: of the nodes that a choice of depth can leave out, by name.
    """

    def __init__(
        self, analysis: Analysis, space: SearchSpace, columns: Mapping[Axis, int], presence: Mapping[str, Presence]
    ) -> None:
        self._analysis = analysis
        self._by_name = analysis.program.by_name
        self._space = space
        self._columns = columns
        self._presence = presence
        self._batch = {analysis.batch: 1}
        self._counted: set[str] = set()

    def slots(self) -> tuple[Slot, ...]:
        """Return the slots in the order of the program."""
        return tuple(slot for node in self._analysis.program.nodes if node.op == CALL for slot in self._of(node))

    def _of(self, node: Node) -> Iterator[Slot]:
        weights = [self._by_name[name] for name in dict.fromkeys(node.refs()) if self._by_name[name].op == WEIGHT]
        if node.operator in _WEIGHTED and self._is_weight(node.args[1].name):
            yield from self._weighted(node)
        elif node.operator in ("matmul", "mm", "bmm", "addmm", "baddbmm"):
            yield from self._product(node)
        elif node.operator == "einsum":
            yield from self._einsum(node)
        elif node.operator == "scaled_dot_product_attention":
            yield self._attention(node)
        for weight in weights:
            if weight.target in self._analysis.program.trained and weight.target not in self._counted:
                self._counted.add(weight.target)
                yield from self._parameters(node, weight)

    def _is_weight(self, name: str) -> bool:
        return self._by_name[name].op == WEIGHT

    # --- kinds of calls ----------------------------------------------------------------------------------------------

    def _weighted(self, node: Node) -> Iterator[Slot]:
        """Yield a slot for each part of a layer's outputs and each part of its inputs."""
        weight = self._analysis.of(node.args[1].name)
        x, y = self._analysis.of(node.args[0].name), self._analysis.of(node.name)
        bias = next((ref for ref in node.args[2:3] if ref is not None), None)
        bias = bias.name if bias is not None and self._is_weight(bias.name) else ""
        out, inner = (weight[place] for place in _WEIGHTED[node.operator])
        channel = 1 if "conv" in node.operator else len(x) - 1
        others = x if "transpose" in node.operator else y
        places = [axis for number, axis in enumerate(others) if number != channel]
        kernel = math.prod(axis.size for axis in weight[2:])
        first = self._first_use(node.args[1].name)
        named = self._first_use(bias) if bias else False
        for (o, one), (i, other) in itertools.product(enumerate(out.terms()), enumerate(inner.terms())):
            groups = x[channel].size // inner.size if "transpose" not in node.operator else 1
            whole = len(out.terms()) == len(inner.terms()) == 1

            def block(sizes: Sizes, one: Axis = one, other: Axis = other, i: int = i, whole: bool = whole) -> Block:
                made, given = one.measured(sizes), other.measured(sizes)
                positions = math.prod(axis.measured(sizes) for axis in places)
                if "transpose" in node.operator:
                    positions = math.prod(axis.measured(sizes) for axis in places)
                params = made * given * kernel * first + made * bool(named and i == 0)
                taken = given * groups if groups == 1 or not whole else x[channel].measured(sizes)
                shape = self._without_batch(x, sizes, channel, taken)
                return Block(
                    node.operator,
                    shape,
                    self._without_batch(y, sizes, 1 if "conv" in node.operator else len(y) - 1, made),
                    (*_options(node), ("bias", int(bool(bias) and i == 0))),
                    macs=positions * made * given * kernel,
                    params=params,
                )

            yield self._slot(node, f"{o}.{i}", (one, other, *places), block)

    def _product(self, node: Node) -> Iterator[Slot]:
        """Yield the slot of a matrix product."""
        first = 1 if "add" in node.operator else 0
        left = self._analysis.of(node.args[first].name)
        y = self._analysis.of(node.name)
        yield self._slot(node, "", (*y, left[-1]), lambda sizes: self._dense(node, (*y, left[-1]), left, y, sizes))

    def _einsum(self, node: Node) -> Iterator[Slot]:
        equation = node.args[0].replace(" ", "")
        given, _, wanted = equation.partition("->")
        letters: dict[str, Axis] = {}
        for word, ref in zip(given.split(","), node.args[1], strict=True):
            letters.update(zip(word, self._analysis.of(ref.name), strict=False))
        axes = tuple(letters.values())
        x, y = self._analysis.of(node.args[1][0].name), self._analysis.of(node.name)
        if len(node.args[1]) == 2 and any(letter not in wanted for letter in letters):
            yield self._slot(node, "", axes, lambda sizes: self._dense(node, axes, x, y, sizes))

    def _dense(self, node: Node, axes: tuple[Axis, ...], x: tuple[Axis, ...], y: tuple[Axis, ...], s: Sizes) -> Block:
        macs = math.prod(axis.measured(s) for axis in axes)
        return Block(node.operator, self._without_batch(x, s), self._without_batch(y, s), macs=macs)

    def _attention(self, node: Node) -> Slot:
        query, key = (self._analysis.of(node.args[place].name) for place in (0, 1))
        y = self._analysis.of(node.name)

        def block(sizes: Sizes) -> Block:
            scores = math.prod(axis.measured(sizes) for axis in (*query[:-1], key[-2]))
            macs = scores * (query[-1].size + y[-1].size)
            tokens = (("tokens", key[-2].measured(sizes)),)
            return Block("attention", self._without_batch(query, sizes), self._without_batch(y, sizes), tokens, macs)

        return self._slot(node, "", (*query, key[-2]), block)

    def _parameters(self, node: Node, weight: Node) -> Iterator[Slot]:
        """Yield slots for the parameters of a weight that no product counts, such as a norm's."""
        axes = self._analysis.of(weight.name)
        for number, terms in enumerate(itertools.product(*(axis.terms() for axis in axes))):

            def block(sizes: Sizes, terms: tuple[Axis, ...] = terms) -> Block:
                shape = tuple(term.measured(sizes) for term in terms)
                return Block("parameter", shape, shape, params=math.prod(shape))

            yield self._slot(node, f"{weight.target}.{number}", terms, block)

    # --- slots -------------------------------------------------------------------------------------------------------

    def _first_use(self, name: str) -> bool:
        """Return whether a weight's parameters have not been counted yet, and count them."""
        target = self._by_name[name].target
        if target in self._counted or target not in self._analysis.program.trained:
            return False
        self._counted.add(target)
        return True

    def _without_batch(
        self, axes: tuple[Axis, ...], sizes: Sizes, place: int = -1, size: int = 0
    ) -> tuple[int, ...]:
        """Return a shape for one sample; with ``size`` in ``place``, if that is given."""
        shape = [axis.measured(sizes) for axis in axes]
        if size:
            shape[place] = size
        return tuple(shape)

    def _slot(self, node: Node, name: str, axes: tuple[Axis, ...], block: Callable[[Sizes], Block]) -> Slot:
        leaves = list(dict.fromkeys(leaf for axis in axes for leaf in axis.leaves() if leaf in self._columns))
        presence = self._presence.get(node.name)
        columns = tuple(self._columns[leaf] for leaf in leaves)
        values = [self._space.choices[column].values for column in columns]
        blocks: list[Block | None] = [
            block({**self._batch, **{leaf: int(size) for leaf, size in zip(leaves, chosen, strict=True)}})
            for chosen in itertools.product(*values)
        ]
        if presence is not None:
            columns = (presence.column, *columns)
            counts = range(len(self._space.choices[presence.column].values))
            blocks = [one if count >= presence.least else None for count in counts for one in blocks]
        return Slot(f"{node.name}.{name}" if name else node.name, columns, tuple(blocks))


def _options(node: Node) -> Options:
    """Return what else decides how long a layer takes: a convolution's kernel, stride and the like."""
    if "conv" not in node.operator:
        return ()
    names = ("stride", "padding", "dilation", "groups") if "transpose" not in node.operator else ("stride", "padding")
    found = []
    for name, value in zip(names, node.args[3:], strict=False):
        several = value if isinstance(value, tuple | list) else (value,)
        found += [(f"{name}{number}", int(one)) for number, one in enumerate(several) if not isinstance(one, str)]
    return tuple(found)
