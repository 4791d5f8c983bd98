"""Which calls are layers: the module of torch that each of them was, so that a sub-network has it again.

A program knows operators. Batch-norms must be told when they train, exporters fold them into the convolution before
them, and quantisation looks for layers; so calls whose weights have the names of a layer's become modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from hwnas.supernets.elastic.program import WEIGHT, Node, Program, Ref

Shape = tuple[int, ...]

# What the arguments of an operator are called in its module, by their place; "" for none.
_STATE = {
    "linear": ("", "weight", "bias"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ("", "weight", "bias")),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), ("", "weight", "bias")),
    "batch_norm": ("", "weight", "bias", "running_mean", "running_var"),
    "layer_norm": ("", "", "weight", "bias"),
    "embedding": ("weight", ""),
}
CONVOLUTIONS: dict[str, Callable[..., nn.Module]] = {
    "conv1d": nn.Conv1d,
    "conv2d": nn.Conv2d,
    "conv3d": nn.Conv3d,
    "conv_transpose1d": nn.ConvTranspose1d,
    "conv_transpose2d": nn.ConvTranspose2d,
    "conv_transpose3d": nn.ConvTranspose3d,
}
# By the number of their input's dimensions.
BATCH_NORMS: dict[int, Callable[..., nn.Module]] = {
    2: nn.BatchNorm1d,
    3: nn.BatchNorm1d,
    4: nn.BatchNorm2d,
    5: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class Layer:
    """A call that becomes a module.

    Attributes:
        path: of the module, which is the beginning of its weights' names.
        inputs: the names of the nodes that it is called with.
        state: which weight is which of the module's ("bias": "conv1.bias").
    """

    path: str
    inputs: tuple[str, ...]
    state: dict[str, str]


def layers(program: Program) -> dict[str, Layer]:
    """Return the layers by the names of their calls."""
    found = {node.name: layer for node in program.nodes if (layer := _layer(program, node)) is not None}
    # A weight that is used in another way too, or twice with other arguments, stays a weight.
    shared: dict[str, set[str]] = {}
    for node in program.nodes:
        for name in node.refs():
            if program.by_name[name].op == WEIGHT:
                layer = found.get(node.name)
                said = f"{layer.path}: {node.target} {_others(program, node)}" if layer else node.name
                shared.setdefault(program.by_name[name].target, set()).add(said)
    return {name: layer for name, layer in found.items() if all(len(shared[one]) == 1 for one in layer.state.values())}


def _others(program: Program, node: Node) -> str:
    """Return what a call is given beside activations."""
    return str([one for one in node.args if not isinstance(one, Ref) or program.by_name[one.name].op == WEIGHT])


def _layer(program: Program, node: Node) -> Layer | None:
    names = _STATE.get(node.operator)
    if names is None:
        return None
    state: dict[str, str] = {}
    inputs = []
    for name, argument in zip(names, node.args, strict=False):
        if isinstance(argument, Ref) and name:
            found = program.by_name[argument.name]
            if found.op != WEIGHT or found.target.rpartition(".")[2] != name:
                return None
            state[name] = found.target
        elif isinstance(argument, Ref):
            inputs.append(argument.name)
    paths = {target.rpartition(".")[0] for target in state.values()}
    if len(paths) != 1 or "weight" not in state or not next(iter(paths)):
        return None
    if node.operator == "batch_norm" and not {"running_mean", "running_var"} <= set(state):
        return None
    return Layer(paths.pop(), tuple(inputs), state)


def module(node: Node, args: Sequence[Any], shapes: dict[str, Shape], rank: int) -> nn.Module:
    """Return the module of a call.

    Args:
        node: the call.
        args: its arguments in the sub-network.
        shapes: of its weights in the sub-network, by their names in the module.
        rank: the number of dimensions of its input.
    """
    makers: dict[str, Callable[..., nn.Module]] = {
        "linear": lambda: nn.Linear(shapes["weight"][1], shapes["weight"][0], bias="bias" in shapes),
        "batch_norm": lambda: _batch_norm(args, shapes, rank),
        "layer_norm": lambda: nn.LayerNorm(list(args[1]), eps=_get(args, 4, 1e-5), bias="bias" in shapes),
        "embedding": lambda: nn.Embedding(shapes["weight"][0], shapes["weight"][1]),
    }
    if node.operator in makers:
        return makers[node.operator]()
    return _convolution(node, args, shapes)


def _get(args: Sequence[Any], place: int, default: Any) -> Any:
    return args[place] if len(args) > place else default


def _batch_norm(args: Sequence[Any], shapes: dict[str, Shape], rank: int) -> nn.Module:
    return BATCH_NORMS[rank](shapes["running_mean"][0], eps=args[7], momentum=args[6], affine="weight" in shapes)


def _convolution(node: Node, args: Sequence[Any], shapes: dict[str, Shape]) -> nn.Module:
    make = CONVOLUTIONS[node.operator]
    kernel, bias = shapes["weight"][2:], "bias" in shapes
    stride, padding = _sizes(args, 3, 1, kernel), _sizes(args, 4, 0, kernel)
    if "transpose" in node.operator:
        extra, dilation = _sizes(args, 5, 0, kernel), _sizes(args, 7, 1, kernel)
        groups = _get(args, 6, 1)
        given, made = shapes["weight"][0], shapes["weight"][1] * groups
        return make(given, made, kernel, stride, padding, extra, groups, bias, dilation)
    groups, dilation = _get(args, 6, 1), _sizes(args, 5, 1, kernel)
    given, made = shapes["weight"][1] * groups, shapes["weight"][0]
    return make(given, made, kernel, stride, padding, dilation, groups, bias)


def _sizes(args: Sequence[Any], place: int, default: int, kernel: Shape) -> Any:
    """Return an argument with a number for each of an image's dimensions."""
    value = _get(args, place, default)
    if isinstance(value, int):
        return (value,) * len(kernel)
    return value if isinstance(value, str) or len(value) > 1 else tuple(value) * len(kernel)
