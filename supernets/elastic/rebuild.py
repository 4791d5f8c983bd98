"""Make a sub-network's module: the program's calls again, in the sizes that it keeps, without the blocks it skips."""

from __future__ import annotations

import functools
import keyword
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import fx, nn

from hwnas.supernets.bare import without_weights
from hwnas.supernets.checkpoints import assign
from hwnas.supernets.elastic import layers
from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.layers import Layer
from hwnas.supernets.elastic.program import CALL, INPUT, OUTPUT, WEIGHT, Node, Ref, call, needed
from hwnas.supernets.elastic.resizing import Samples, resized
from hwnas.supernets.shared import Tensors
from hwnas.supernets.space import IntArray

Shape = tuple[int, ...]

# In the meta data of a module's nodes, the name of the program's node that each was made of.
RECORDED = "hwnas_recorded"
# Attributes of the modules that torch.fx makes, which no part of theirs can be called ("graph", "code", "meta").
_TAKEN = frozenset(dir(fx.GraphModule({}, fx.Graph())))


def placed(target: str) -> str:
    """Return the name that a weight or a layer of the model has in a sub-network's module.

    It is the model's own but for what torch.fx cannot write code of: words of Python, as of a dict of modules.
    """
    first, *others = target.split(".")
    first = f"{first}_" if first in _TAKEN else first
    return ".".join(f"{part}_" if keyword.iskeyword(part) else part for part in (first, *others))


@dataclass(frozen=True)
class Part:
    """What a sub-network keeps.

    Attributes:
        sizes: of the axes that are not as in the model.
        replaced: nodes whose results stand for others': the entry of a block that is left out for its exit.
    """

    sizes: Mapping[Axis, int] = field(default_factory=dict)
    replaced: Mapping[str, str] = field(default_factory=dict)


class Rebuilder:
    """Makes modules of the sub-networks of a program.

    Args:
        analysis: of the program.
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis
        self._program = analysis.program

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The calls that become modules, with the paths that these have there."""
        found = layers.layers(self._program)
        return {name: replace(layer, path=placed(layer.path)) for name, layer in found.items()}

    def module(self, part: Part) -> nn.Module:
        """Return the module of a sub-network on the meta device, in evaluation mode."""
        with without_weights():
            return _Build(self, self._analysis, part).module().eval()

    def needed(self, part: Part) -> list[Node]:
        """Return the nodes that a sub-network runs, in order."""
        return needed(self._program.nodes, functools.partial(standing_for, part))

    def shapes(self, node: Node, part: Part) -> tuple[Shape, ...]:
        """Return the shapes of a node's tensors in a sub-network."""
        several = self._analysis.axes[node.name]
        return tuple(tuple(self._size(axis, part) for axis in axes) for axes in several)

    def _size(self, axis: Axis, part: Part) -> int:
        size, batch = axis.measured(part.sizes), self._analysis.batch
        if batch.fixed or not any(leaf.batch for leaf in axis.leaves()):
            return size
        return Samples(size, size // batch.size)

    @cached_property
    def outermost(self) -> frozenset[str]:
        """The names that the model's parts and its own weights have in a module."""
        return frozenset(placed(target).partition(".")[0] for target in self._program.weights)

    @cached_property
    def weights(self) -> dict[str, torch.Tensor]:
        """The model's own weights, and counts of the batches that its batch-norms have seen."""
        norms = (layer.state for layer in self.layers.values() if "running_mean" in layer.state)
        counts = {_count_of(state["running_mean"]): torch.zeros((), dtype=torch.int64) for state in norms}
        return {**self._program.weights, **counts}

    def cut(self, tensors: Tensors, part: Part, indices: Mapping[Axis, IntArray]) -> dict[str, torch.Tensor]:
        """Return a sub-network's share of the weights, by the names that these have in its module.

        Args:
            tensors: all weights, by the model's names.
            part: what the sub-network keeps.
            indices: which entries it keeps of the axes that are not as in the model.
        """
        state = {}
        for node in (node for node in self.needed(part) if node.op == WEIGHT):
            tensor = tensors[node.target]
            for dim, axis in enumerate(self._analysis.of(node.name)):
                if any(leaf in indices for leaf in axis.leaves()):
                    tensor = tensor.index_select(dim, torch.from_numpy(axis.kept(indices)))
            state[placed(node.target)] = tensor
            count = _count_of(node.target)
            if node.target.endswith("running_mean") and count in tensors:
                state[placed(count)] = tensors[count]
        return state

    def recorded(self) -> nn.Module:
        """Return the model as it was recorded, with its own weights, in evaluation mode."""
        part = Part()
        return assign(self.module(part), self.cut(self.weights, part, {}))


def _count_of(statistic: str) -> str:
    """Return the name of the count of batches that a batch-norm has seen, given that of another of its statistics."""
    return f"{statistic.rpartition('.')[0]}.num_batches_tracked"


def standing_for(part: Part, name: str) -> str:
    """Return the node whose result is used where ``name``'s would be."""
    while name in part.replaced:
        name = part.replaced[name]
    return name


class _Build:
    def __init__(self, rebuilder: Rebuilder, analysis: Analysis, part: Part) -> None:
        self._rebuilder = rebuilder
        self._program = analysis.program
        self._by_name = analysis.program.by_name
        self._part = part
        self._root = nn.Module()
        self._graph = fx.Graph()
        self._made: dict[str, fx.Node] = {}
        self._samples: fx.Node | None = None

    def module(self) -> fx.GraphModule:
        nodes = self._rebuilder.needed(self._part)
        inside = self._weights_of_layers(nodes)
        self._ask_samples(nodes)
        for node in nodes:
            if node.op == WEIGHT and node.name not in inside:
                self._made[node.name] = self._weight(node)
            elif node.op == CALL:
                self._made[node.name] = self._call(node)
            elif node.op == OUTPUT:
                results = tuple(self._result(name) for name in node.refs())
                self._graph.output(results[0] if len(results) == 1 else results)
        for name, made in self._made.items():
            made.meta[RECORDED] = name
        if self._samples is not None and not self._samples.users:
            self._graph.erase_node(self._samples)
        return fx.GraphModule(self._root, self._graph, "SubNetwork")

    def _ask_samples(self, nodes: list[Node]) -> None:
        """Make the inputs, and the number of samples of the first that has them."""
        inputs = [node for node in nodes if node.op == INPUT]
        for node in inputs:
            self._made[node.name] = self._graph.placeholder(node.name)
        for node in inputs:
            if self._samples is None and any(isinstance(size, Samples) for size in self._shape(node.name)[:1]):
                self._samples = self._graph.call_function(call("aten.sym_size.int"), (self._made[node.name], 0))

    def _resolved(self, argument: Any) -> Any:
        """Return arguments with results in place of references, and with the number of samples."""
        if isinstance(argument, Samples):
            if argument.times == 1:
                return self._samples
            return self._graph.call_function(operator.mul, (self._samples, argument.times))
        if isinstance(argument, tuple | list):
            return type(argument)(self._resolved(one) for one in argument)
        return self._result(argument.name) if isinstance(argument, Ref) else argument

    def _weights_of_layers(self, nodes: list[Node]) -> set[str]:
        known = self._rebuilder.layers
        calls = [node for node in nodes if node.name in known]
        # A buffer may be what goes into a layer, as the positions that an embedding looks up.
        return {
            name
            for node in calls
            for name in node.refs()
            if self._by_name[name].op == WEIGHT and name not in known[node.name].inputs
        }

    def _result(self, name: str) -> Any:
        return self._made[standing_for(self._part, name)]

    def _shape(self, name: str) -> Shape:
        several = self._rebuilder.shapes(self._by_name[standing_for(self._part, name)], self._part)
        return several[0]

    def _weight(self, node: Node) -> fx.Node:
        target = placed(node.target)
        path, _, name = target.rpartition(".")
        (shape,) = self._rebuilder.shapes(node, self._part)
        owner = _folder(self._root, path)
        empty = torch.empty(shape, dtype=self._program.weights[node.target].dtype)
        if node.target in self._program.trained:
            owner.register_parameter(name, nn.Parameter(empty))
        else:
            owner.register_buffer(name, empty)
        return self._graph.get_attr(target)

    def _call(self, node: Node) -> fx.Node:
        given = [self._shape(name) for name in node.refs()]
        results = self._rebuilder.shapes(node, self._part)
        target, args, kwargs = resized(node, given, results)
        layer = self._rebuilder.layers.get(node.name)
        if layer is not None:
            self._place(node, layer, args)
            return self._graph.call_module(layer.path, tuple(self._result(name) for name in layer.inputs))
        if node.operator == "dropout":
            name = self._free(node.name)
            self._root.add_module(name, nn.Dropout(args[1]))
            return self._graph.call_module(name, (self._result(args[0].name),))
        kwargs = {key: self._resolved(one) for key, one in kwargs.items()}
        return self._graph.call_function(call(target), self._resolved(args), kwargs)

    def _free(self, name: str) -> str:
        """Return a name for a part that none of the model's parts has."""
        while name in self._rebuilder.outermost or name in _TAKEN:
            name += "_"
        return name

    def _place(self, node: Node, layer: Layer, args: tuple[Any, ...]) -> None:
        path, _, name = layer.path.rpartition(".")
        owner = _folder(self._root, path)
        before = getattr(owner, name, None)
        if before is not None and type(before) is not nn.Module:  # it runs twice
            return
        weights = {self._by_name[one].target: one for one in node.refs() if self._by_name[one].op == WEIGHT}
        shapes = {state: self._shape(weights[target]) for state, target in layer.state.items()}
        rank = len(self._shape(layer.inputs[0]))
        made = layers.module(node, args, shapes, rank)
        if before is not None:  # it has weights and parts of its own beside the layer's, as for low-rank adaptation
            for kind in ("_parameters", "_buffers", "_modules"):
                getattr(made, kind).update(getattr(before, kind))
        owner.add_module(name, made)


def _folder(root: nn.Module, path: str) -> nn.Module:
    """Return the module at a path, made where there is none."""
    for name in path.split(".") if path else []:
        if not hasattr(root, name):
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    return root
