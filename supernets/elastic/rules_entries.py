"""How dimensions go through calls that work entry by entry, reduce, pool or resize."""

# ruff: noqa: ARG001 - the parameters are those of torch's operators, and not all decide about dimensions

from __future__ import annotations

import re
from typing import Any

from hwnas.supernets.elastic.program import Node
from hwnas.supernets.elastic.rules import Axes, Flowing, broadcast, constant, loose, rule, tensors


@rule(
    "softmax", "log_softmax", "_softmax", "dropout", "feature_dropout", "contiguous", "clone", "detach", "to", "alias"
)
@rule("_to_copy", "lift_fresh_copy", "type_as", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like")
@rule("local_response_norm", "normalize", "prelu_like")
def same(node: Node, x: Flowing, *args: Any, **kwargs: Any) -> Axes:
    """Let all dimensions through."""
    return list(x.axes)


@rule("prelu")
def prelu(node: Node, x: Flowing, weight: Flowing) -> Axes:
    """Unify channels with the slopes'."""
    if weight.axes[0].size > 1:
        rank = len(x.axes)
        return broadcast(node, [x, Flowing((weight.axes[0], *(loose(1) for _ in range(rank - 2))))])
    return list(x.axes)


@rule("__and__", "__or__", "__xor__", "masked_fill", "where", "lerp", "hardswish", "log_sigmoid", "_weight_norm")
@rule("fill", "zero")
@rule("rsub", "floor_divide", "absolute", "negative", "multiply", "subtract", "divide", "true_divide", "square")
def entrywise(node: Node, *args: Any, **kwargs: Any) -> Any:
    """Give the rule of every call that torch marks as working entry by entry."""
    return broadcast(node, tensors((args, tuple(kwargs.values()))))


@rule("mean", "sum", "amax", "amin", "prod", "var", "std", "argmax", "argmin", "logsumexp", "any", "all", "max", "min")
@rule("linalg_vector_norm", "norm", "var_mean", "std_mean", "median")
def reduced(node: Node, x: Flowing, *args: Any, **kwargs: Any) -> Any:
    """Drop the dimensions that are reduced; over channels too, as over those of the model that is built."""
    if tensors(args):  # the larger of two tensors
        return entrywise(node, x, *args, **kwargs)
    rank = len(x.axes)
    kept = len(node.shape) == rank
    given = kwargs.get("dim", next((one for one in args if _is_dims(node, one)), None))
    dims = range(rank) if given is None or given == () else [given] if isinstance(given, int) else given
    dropped = {dim % rank for dim in dims} if rank else set()
    axes = [loose(1) if number in dropped else axis for number, axis in enumerate(x.axes)]
    result = axes if kept else [axis for number, axis in enumerate(axes) if number not in dropped]
    return result if len(node.shapes) == 1 else [list(result) for _ in node.shapes]


def _is_dims(node: Node, argument: Any) -> bool:
    """Return whether an argument says which dimensions are reduced; a norm's first number is its order."""
    numbers = isinstance(argument, int) and not isinstance(argument, bool)
    return isinstance(argument, tuple | list) or (numbers and "norm" not in node.operator)


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool1d", "avg_pool2d", "avg_pool3d")
@rule("max_pool1d", "max_pool2d", "max_pool3d", "max_pool2d_with_indices", "upsample_nearest1d", "upsample_nearest2d")
@rule("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_nearest_exact2d", "upsample_linear1d", "lp_pool2d")
@rule("adaptive_avg_pool3d", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
def resized(node: Node, x: Flowing, *args: Any, **kwargs: Any) -> Any:
    """Let samples and channels through; height and width get the size that the call makes."""
    (sides,) = re.findall(r"(\d)d", node.operator)
    results = [
        [*x.axes[: -int(sides)], *(constant(size, node) for size in shape[-int(sides) :])] for shape in node.shapes
    ]
    return results[0] if len(results) == 1 else results
