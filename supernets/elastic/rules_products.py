"""How dimensions go through calls with weights: products, convolutions, attention, norms and look-ups."""

# ruff: noqa: ARG001 - the parameters are those of torch's operators, and not all decide about dimensions

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwnas.supernets.elastic.axes import Axis, fix, product, reshaped, unify
from hwnas.supernets.elastic.program import Node
from hwnas.supernets.elastic.rules import Axes, Flowing, at, broadcast, constant, fixed, rule, unknown

_HEAD = "the size of a head"


@rule("linear")
def linear(node: Node, x: Flowing, weight: Flowing, bias: Flowing | None = None) -> Axes:
    """Unify what goes in with the weight's columns, and its bias with its rows."""
    unify(x.axes[-1], weight.axes[-1], at(node))
    if bias is not None:
        unify(bias.axes[0], weight.axes[0], at(node))
    return [*x.axes[:-1], *weight.axes[:-1]]


@rule("addmm", "baddbmm")
def addmm(node: Node, bias: Flowing, x: Flowing, weight: Flowing, **kwargs: Any) -> Axes:
    """Add what is broadcast to a product's dimensions."""
    product_axes = matmul(node, x, weight)
    return broadcast(node, [Flowing(tuple(product_axes)), bias])


@rule("matmul", "mm", "bmm", "mv", "dot", "vdot")
def matmul(node: Node, a: Flowing, b: Flowing) -> Axes:
    """Fix the inner dimensions of a product of two activations: its result is scaled for their size."""
    left, right = list(a.axes), list(b.axes)
    inner = right[-2] if len(right) > 1 else right[-1]
    unify(left[-1], inner, at(node))
    if not a.weight and not b.weight:
        fixed(node, [left[-1], right[-1]], f"{_HEAD}, in {at(node)}")
        _are_heads(left[:-2])
    outer = broadcast(node, [Flowing(tuple(left[:-2])), Flowing(tuple(right[:-2]))], _outer(node, left, right))
    return [*outer, *(left[-2:-1] if len(left) > 1 else []), *(right[-1:] if len(right) > 1 else [])]


def _outer(node: Node, left: Axes, right: Axes) -> tuple[int, ...]:
    inner = (len(left) > 1) + (len(right) > 1)
    return node.shape[: len(node.shape) - inner]


@rule("einsum")
def einsum(node: Node, equation: str, operands: Sequence[Flowing], **kwargs: Any) -> Any:
    """Unify dimensions of one letter; those that are summed over are fixed between activations."""
    given, _, wanted = equation.replace(" ", "").partition("->")
    if "." in equation or not wanted:
        return unknown(node, operands)
    axes: dict[str, Axis] = {}
    for letters, value in zip(given.split(","), operands, strict=True):
        for letter, axis in zip(letters, value.axes, strict=True):
            if letter in axes and axis.size > 1:
                unify(axes[letter], axis, at(node))
            elif letter not in axes or axes[letter].size == 1:
                axes[letter] = axis
    if not any(value.weight for value in operands):
        fixed(node, [axis for letter, axis in axes.items() if letter not in wanted], f"{_HEAD}, in {at(node)}")
    return [axes[letter] for letter in wanted]


@rule("scaled_dot_product_attention")
def attention(  # noqa: PLR0913 - torch's operator
    node: Node,
    query: Flowing,
    key: Flowing,
    value: Flowing,
    attn_mask: Flowing | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Axes:
    """Unify the heads of query, key and value, and fix their sizes."""
    fixed(node, [query.axes[-1], key.axes[-1], value.axes[-1]], f"{_HEAD}, in {at(node)}")
    _are_heads(query.axes[:-2])
    if enable_gqa and query.axes[-3].size != key.axes[-3].size:
        for groups in (key.axes[-3], value.axes[-3]):
            times = constant(query.axes[-3].size // groups.size, node)
            unify(query.axes[-3], product([groups, times]), at(node))
    else:
        unify_outer(node, query.axes[:-2], key.axes[:-2])
    unify_outer(node, key.axes[:-2], value.axes[:-2])
    if attn_mask is not None:
        scores = Flowing((*query.axes[:-1], key.axes[-2]))
        broadcast(node, [scores, attn_mask], scores.sizes)
    return [*query.axes[:-1], value.axes[-1]]


def _are_heads(axes: Sequence[Axis]) -> None:
    for leaf in (leaf for axis in axes for leaf in axis.leaves()):
        leaf.heads = leaf.heads or not leaf.batch


def unify_outer(node: Node, ones: Sequence[Axis], others: Sequence[Axis]) -> None:
    """Unify dimensions in pairs, where neither is 1."""
    for one, other in zip(ones, others, strict=True):
        if 1 not in (one.size, other.size):
            unify(one, other, at(node))


@rule("conv1d", "conv2d", "conv3d")
def convolution(
    node: Node,
    x: Flowing,
    weight: Flowing,
    bias: Flowing | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Axes:
    """Unify channels with the weight's; a depthwise convolution gives the channels that it is given."""
    result, inner = weight.axes[0], weight.axes[1]
    _grouped(node, x.axes[_channels(x, weight)], inner, result, groups)
    return _convolved(node, x, weight, bias, result)


@rule("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def transposed_convolution(  # noqa: PLR0913, PLR0917 - torch's operator
    node: Node,
    x: Flowing,
    weight: Flowing,
    bias: Flowing | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Axes:
    """Unify channels with the weight's, which are the other way round."""
    place = _channels(x, weight)
    if groups > 1:
        fixed(node, [x.axes[place], *weight.axes])
        result = constant(node.shape[place], node)
    else:
        unify(x.axes[place], weight.axes[0], at(node))
        result = weight.axes[1]
    return _convolved(node, x, weight, bias, result)


def _convolved(node: Node, x: Flowing, weight: Flowing, bias: Flowing | None, result: Axis) -> Axes:
    """Return the dimensions of what comes out, with ``result`` channels, which the bias has too."""
    if bias is not None:
        unify(bias.axes[0], result, at(node))
    fixed(node, weight.axes[2:], f"the kernel of {at(node)}")
    place = _channels(x, weight)
    return [*x.axes[:place], result, *(constant(size, node) for size in node.shape[place + 1 :])]


def _channels(x: Flowing, weight: Flowing) -> int:
    """Return the place of the channels of what a convolution is given: 1, but 0 of a single sample without a batch."""
    return len(x.axes) - len(weight.axes) + 1


def _grouped(node: Node, x: Axis, inner: Axis, result: Axis, groups: int) -> None:
    """Unify the channels of a convolution in groups: as many stay in each; depthwise, each is a group of its own."""
    if groups == 1:
        unify(x, inner, at(node))
    elif groups == x.size:
        times = result.size // groups
        unify(result, x if times == 1 else product([x, constant(times, node)]), at(node))
    else:
        each = constant(groups, node)
        unify(x, product([each, inner]), at(node))
        unify(result, product([each, Axis(result.size // groups)]), at(node))


@rule("batch_norm", "instance_norm")
def batch_norm(node: Node, x: Flowing, *others: Any, **kwargs: Any) -> Axes:
    """Unify channels with those of the weights and statistics."""
    for other in others:
        if isinstance(other, Flowing):
            unify(x.axes[1], other.axes[0], at(node))
    return list(x.axes)


@rule("layer_norm", "rms_norm")
def layer_norm(node: Node, x: Flowing, normalized_shape: Sequence[int], *others: Any, **kwargs: Any) -> Axes:
    """Unify the last dimensions with the weights'."""
    for other in others:
        if isinstance(other, Flowing):
            unify_outer(node, x.axes[-len(normalized_shape) :], other.axes)
    return list(x.axes)


@rule("group_norm")
def group_norm(node: Node, x: Flowing, num_groups: int, *others: Any, **kwargs: Any) -> Axes:
    """Let each group lose as many channels; groups of one channel are lost themselves."""
    for other in others:
        if isinstance(other, Flowing):
            unify(x.axes[1], other.axes[0], at(node))
    if num_groups == x.axes[1].size:
        return list(x.axes)
    groups, _ = reshaped([x.axes[1]], [num_groups, x.axes[1].size // num_groups], at(node))
    fix(groups, f"the groups of {at(node)}")
    return list(x.axes)


@rule("embedding")
def embedding(node: Node, weight: Flowing, indices: Flowing, *args: Any, **kwargs: Any) -> Axes:
    """Give the table's columns to each index; its rows are fixed."""
    fix(weight.axes[0], f"the entries of {at(node)}")
    return [*indices.axes, weight.axes[1]]


@rule("pixel_unshuffle")
def pixel_unshuffle(node: Node, x: Flowing, downscale_factor: int) -> Axes:
    """Make products of channels and pixels."""
    channels = product([x.axes[-3], constant(downscale_factor**2, node)])
    return [*x.axes[:-3], channels, *(constant(size, node) for size in node.shape[-2:])]


@rule("pixel_shuffle")
def pixel_shuffle(node: Node, x: Flowing, upscale_factor: int) -> Axes:
    """Let channels be lost in whole pixels."""
    channels = x.axes[-3]
    each, times = reshaped([channels], [node.shape[-3], upscale_factor**2], at(node))
    fix(times, f"the pixels of {at(node)}")
    return [*x.axes[:-3], each, *(constant(size, node) for size in node.shape[-2:])]
