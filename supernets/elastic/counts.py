"""Parameters and multiply-accumulates of sub-networks, as sums over the calls that have any.

A call's count is a product of dimensions. A dimension that is a concatenation is a sum of parts, and so is then the
count: each combination of parts is a slot of its own, so that a slot depends on the few choices that touch it even
where a layer reads twenty others' results (DenseNet).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hwnas.supernets.blocks import Block, Slot
from hwnas.supernets.elastic import recurrent
from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.presence import Presence
from hwnas.supernets.elastic.program import CALL, WEIGHT, Node, Ref
from hwnas.supernets.space import SearchSpace

Sizes = Mapping[Axis, int]
Options = tuple[tuple[str, int], ...]


class _Places(NamedTuple):
    """Where a product of an activation with a weight has what.

    Attributes:
        x, weight, bias: the places among the arguments; a ``bias`` of -1: there is none.
        made, given: the weight's dimensions for what comes out and what goes in.
    """

    x: int
    weight: int
    bias: int
    made: int
    given: int


# The operators that multiply an activation with a weight.
WEIGHTED = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), _Places(0, 1, 2, 0, 1)),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _Places(0, 1, 2, 1, 0)),
    **dict.fromkeys(("matmul", "mm"), _Places(0, 1, -1, 1, 0)),
    "addmm": _Places(1, 2, 0, 1, 0),
}


# Those whose second operand is mostly an activation.
_PRODUCTS = ("matmul", "mm", "bmm", "addmm", "baddbmm")
_NORMS = ("batch_norm", "group_norm", "layer_norm", "rms_norm")


@dataclass(frozen=True)
class _Weighted:
    """A layer whose activations are multiplied with a weight.

    Attributes:
        node: the call.
        x, y: the dimensions of what goes in and comes out.
        made, given: the weight's dimensions for them.
        places: the dimensions over which the weight is used again: positions of an image, tokens.
        kernel: its sizes.
        channel: the channels' place among the dimensions.
        groups: of a convolution that is not depthwise.
        transposed: the weight of a convolution is for what one group makes, and not for what one is given.
    """

    node: Node
    x: tuple[Axis, ...]
    y: tuple[Axis, ...]
    made: Axis
    given: Axis
    places: tuple[Axis, ...]
    kernel: tuple[int, ...]
    channel: int
    depthwise: bool
    groups: int
    transposed: bool

    @classmethod
    def of(cls, node: Node, analysis: Analysis) -> _Weighted:
        """Return the layer of a call."""
        places = WEIGHTED[node.operator]
        weight = analysis.of(node.args[places.weight].name)
        x, y = analysis.of(node.args[places.x].name), analysis.of(node.name)
        made, given = weight[places.made], weight[places.given]
        # A single sample of a convolution may have no batch.
        channel = len(x) + 1 - len(weight) if "conv" in node.operator else len(x) - 1
        transposed = "transpose" in node.operator
        again = tuple(axis for number, axis in enumerate(x if transposed else y) if number != channel)
        groups = y[channel].size // made.size if transposed else x[channel].size // given.size
        depthwise = groups == x[channel].size and groups > 1 and not transposed
        kernel = tuple(axis.size for axis in weight[2:])
        return cls(node, x, y, made, given, again, kernel, channel, depthwise, groups, transposed)

    def block(
        self, made: Axis, given: Axis, sizes: Sizes, *, counted: bool, biased: tuple[int, int], normed: int = 0
    ) -> Block:
        """Return the block of a part of the outputs and a part of the inputs.

        Args:
            made: the part of the outputs.
            given: the part of the inputs.
            sizes: of the elastic leaves, and of the batch.
            counted: the weight's parameters count here.
            biased: whether it has a bias, and whether that one's parameters count here.
            normed: parameters per channel of the batch-norm behind it, which runtimes fold into it.
        """
        out, inner, kernel = made.measured(sizes), given.measured(sizes), math.prod(self.kernel)
        groups = out if self.depthwise else self.groups
        taken = groups if self.depthwise else inner if self.transposed else inner * self.groups
        results = out * groups if self.transposed else out
        options = [(f"kernel{number}", size) for number, size in enumerate(self.kernel)]
        options += [one for one in _options(self.node) if one[0] != "groups0"]
        return Block(
            self.node.operator if "conv" in self.node.operator else "linear",
            _shaped(self.x, sizes, self.channel, taken),
            _shaped(self.y, sizes, self.channel, results),
            (*options, *((("groups0", groups),) if groups > 1 else ()), ("bias", biased[0]), ("norm", int(normed > 0))),
            macs=math.prod(axis.measured(sizes) for axis in self.places) * out * inner * kernel,
            params=out * inner * kernel * counted + results * (biased[1] + normed),
            norms=results if normed > 1 else 0,
            biases=results if biased[1] or normed else 0,
        )


def _shaped(axes: tuple[Axis, ...], sizes: Sizes, place: int = -1, size: int = 0) -> tuple[int, ...]:
    """Return a shape; with ``size`` in ``place``, if that is given."""
    shape = [axis.measured(sizes) for axis in axes]
    if size:
        shape[place] = size
    return tuple(shape)


class Counter:
    """Makes the slots of a model.

    Args:
        analysis: of the program.
        space: the search space.
        columns: the variable of each elastic leaf.
        presence: of the nodes that a choice of depth decides about, by name.
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
        if self._has_weight(node):
            yield from self._weighted(node)
        elif node.operator in _PRODUCTS:
            yield from self._product(node)
        elif node.operator == "einsum":
            yield from self._einsum(node)
        elif node.operator == "scaled_dot_product_attention":
            yield self._attention(node)
        elif node.operator in recurrent.OPERATORS:
            yield self._recurrent(node)
        elif node.operator in _NORMS:
            yield from self._norm(node)
        for weight in weights:
            if weight.target in self._analysis.program.trained and weight.target not in self._counted:
                self._counted.add(weight.target)
                yield from self._parameters(node, weight)

    def _has_weight(self, node: Node) -> bool:
        """Return whether a call is a layer: it multiplies something with a matrix, or with kernels."""
        places = WEIGHTED.get(node.operator)
        if places is None:
            return False
        x, weight = (self._by_name[node.args[place].name] for place in (places.x, places.weight))
        if node.operator in _PRODUCTS:
            return weight.op == WEIGHT and x.op != WEIGHT and len(weight.shape) == 2
        return len(weight.shape) > 1  # which may be computed, as a part of another

    # --- kinds of calls ----------------------------------------------------------------------------------------------

    def _weighted(self, node: Node) -> Iterator[Slot]:
        """Yield a slot for each part of a layer's outputs and each part of its inputs."""
        layer, places = _Weighted.of(node, self._analysis), WEIGHTED[node.operator]
        first = self._first_use(node, node.args[places.weight].name)
        shift = node.args[places.bias] if 0 <= places.bias < len(node.args) else None
        bias = shift.name if isinstance(shift, Ref) and self._by_name[shift.name].op == WEIGHT else ""
        named = self._first_use(node, bias) if bias else False
        normed = self._folded(node)
        for (o, made), (i, given) in itertools.product(enumerate(layer.made.terms()), enumerate(layer.given.terms())):
            biased = (int(bool(bias) and i == 0), int(named and i == 0))
            folded = normed if i == 0 else 0
            block = functools.partial(layer.block, made, given, counted=first, biased=biased, normed=folded)
            yield self._slot(node, f"{o}.{i}", (made, given, *layer.places), block)

    def _folded(self, node: Node) -> int:
        """Return the parameters per channel of a batch-norm that alone reads a convolution, and count them there."""
        readers = self._analysis.program.readers[node.name]
        if "conv" not in node.operator or len(readers) != 1 or readers[0].operator != "batch_norm":
            return 0
        weights = [ref.name for ref in readers[0].args[1:3] if isinstance(ref, Ref)]
        return sum(self._first_use(node, name) for name in weights if self._by_name[name].op == WEIGHT)

    def _norm(self, node: Node) -> Iterator[Slot]:
        """Yield a slot for each part of a norm's channels."""
        x = self._analysis.of(node.args[0].name)
        place = 1 if node.operator in ("batch_norm", "group_norm") else len(x) - 1
        names = [ref.name for ref in node.args if isinstance(ref, Ref)][1:]
        weights = [name for name in names if self._by_name[name].op == WEIGHT and len(self._by_name[name].shape) == 1]
        count = sum(self._first_use(node, name) for name in weights)
        if not count:
            return
        grouped = node.operator == "group_norm"
        each = grouped and node.args[1] == node.shape[1]  # a group is one channel
        for number, term in enumerate(x[place].terms()):

            def block(sizes: Sizes, term: Axis = term) -> Block:
                shape = _shaped(x, sizes, place, term.measured(sizes))
                groups = (("groups", shape[1] if each else node.args[1]),) if grouped else ()
                return Block(
                    node.operator, shape, shape, (*groups, ("weights", count)), params=count * term.measured(sizes)
                )

            yield self._slot(node, str(number), (term, *(axis for axis in x if axis is not x[place])), block)

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
        return Block(node.operator, _shaped(x, s), _shaped(y, s), macs=macs)

    def _attention(self, node: Node) -> Slot:
        query, key = (self._analysis.of(node.args[place].name) for place in (0, 1))
        y = self._analysis.of(node.name)

        def block(sizes: Sizes) -> Block:
            scores = math.prod(axis.measured(sizes) for axis in (*query[:-1], key[-2]))
            macs = scores * (query[-1].size + y[-1].size)
            tokens = (("tokens", key[-2].measured(sizes)),)
            return Block("attention", _shaped(query, sizes), _shaped(y, sizes), tokens, macs)

        return self._slot(node, "", (*query, key[-2]), block)

    def _recurrent(self, node: Node) -> Slot:
        """Return the slot of recurrent layers: each step of each sample is multiplied with every matrix of weights."""
        x, y = (self._analysis.of(name) for name in recurrent.ends(node, self._analysis.program))
        matrices = [self._analysis.of(one.name) for one in recurrent.weights(node)]
        matrices = [matrix for matrix in matrices if len(matrix) == 2]

        def block(sizes: Sizes) -> Block:
            shape, held = _shaped(x, sizes), [_shaped(matrix, sizes) for matrix in matrices]
            options = (("weights", len(held)), ("steps", math.prod(shape[:-1])))
            macs = math.prod(shape[:-1]) * sum(map(math.prod, held))
            return Block(node.operator, shape, _shaped(y, sizes), options, macs)

        return self._slot(node, "", (*x, *y, *itertools.chain.from_iterable(matrices)), block)

    def _parameters(self, node: Node, weight: Node) -> Iterator[Slot]:
        """Yield slots for the parameters of a weight that no product counts, such as a norm's."""
        axes = self._analysis.of(weight.name)
        for number, terms in enumerate(itertools.product(*(axis.terms() for axis in axes))):

            def block(sizes: Sizes, terms: tuple[Axis, ...] = terms) -> Block:
                shape = tuple(term.measured(sizes) for term in terms)
                return Block("parameter", shape, shape, params=math.prod(shape))

            yield self._slot(node, f"{weight.target}.{number}", terms, block, of=weight)

    # --- slots -------------------------------------------------------------------------------------------------------

    def _first_use(self, node: Node, name: str) -> bool:
        """Return whether a weight's parameters are to be counted with a call that uses it, and count them.

        They are not where they have been counted, or are there without the call, since other blocks use them too.
        """
        target = self._by_name[name].target
        if target in self._counted or target not in self._analysis.program.trained:
            return False
        if self._presence.get(name) != self._presence.get(node.name):
            return False
        self._counted.add(target)
        return True

    def _slot(
        self, node: Node, name: str, axes: tuple[Axis, ...], block: Callable[..., Block], of: Node | None = None
    ) -> Slot:
        """Return the slot of a call, or of the weight that it is the first to use."""
        leaves = list(dict.fromkeys(leaf for axis in axes for leaf in axis.leaves() if leaf in self._columns))
        presence = self._presence.get((of or node).name)
        columns = tuple(self._columns[leaf] for leaf in leaves)
        values = [self._space.choices[column].values for column in columns]
        blocks: list[Block | None] = [
            block(sizes={**self._batch, **{leaf: int(size) for leaf, size in zip(leaves, chosen, strict=True)}})
            for chosen in itertools.product(*values)
        ]
        if presence is not None:
            deciding = tuple(column for column, _ in presence.least)
            columns = (*deciding, *columns)
            counts = (range(len(self._space.choices[column].values)) for column in deciding)
            blocks = [one if chosen in presence else None for chosen in itertools.product(*counts) for one in blocks]
        return Slot(f"{node.name}.{name}" if name else node.name, columns, tuple(blocks))


def _options(node: Node) -> Options:
    """Return what else decides how long a layer takes: a convolution's kernel, stride and the like."""
    if "conv" not in node.operator:
        return ()
    transposed = ("stride", "padding", "output_padding", "groups", "dilation")
    names = transposed if "transpose" in node.operator else ("stride", "padding", "dilation", "groups")
    found = []
    for name, value in zip(names, node.args[3:], strict=False):
        several = value if isinstance(value, tuple | list) else (value,)
        found += [(f"{name}{number}", int(one)) for number, one in enumerate(several) if not isinstance(one, str)]
    return tuple(found)
