"""Emit ONNX for torch's own operators that reduce dimensions to one value; see ``emit_aten``."""

# ruff: noqa: A002 - parameters carry the names that torch's operators give

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from hwnas.backends.export import emit_arithmetic, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_aten import aten, to
from hwnas.backends.export.emit_pooling import dims_of, reduced
from hwnas.backends.export.registered import Emitter

Dims = int | Sequence[int] | None


@aten("linalg_vector_norm")
def vector_norm(
    g: GraphBuilder,
    input: Value,
    ord: float = 2,
    dim: Dims = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> Value:
    """Write a norm: the sum of sizes, the root of the sum of squares, or the largest or smallest size."""
    x, dims = to(g, input, dtype), dims_of(g, input, dim)
    if ord in (1, 2):
        return reduced(g, f"ReduceL{int(ord)}", x, dims, keepdim)
    if math.isinf(ord):
        return reduced(g, "ReduceMax" if ord > 0 else "ReduceMin", g.like("Abs", x), dims, keepdim)
    powers = emit_arithmetic.power(g, g.like("Abs", x), float(ord))
    return emit_arithmetic.power(g, reduced(g, "ReduceSum", powers, dims, keepdim), 1 / ord)


@aten("norm")
def norm(
    g: GraphBuilder, input: Value, p: float | None = 2, dim: Dims = None, keepdim: bool = False, **more: Any
) -> Value:
    """Write a norm; see ``vector_norm``."""
    found: Value = vector_norm(g, input, 2 if p is None else p, dim or None, keepdim, more.get("dtype"))
    return found


@aten("amin")
def amin(g: GraphBuilder, input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
    """Write a minimum over dimensions."""
    return reduced(g, "ReduceMin", input, dims_of(g, input, dim or None), keepdim)


@aten("prod")
def product(g: GraphBuilder, input: Value, dim: int | None = None, keepdim: bool = False, dtype: Any = None) -> Value:
    """Write a product over a dimension."""
    return reduced(g, "ReduceProd", to(g, input, dtype), dims_of(g, input, dim), keepdim)


@aten("logsumexp")
def logsumexp(g: GraphBuilder, input: Value, dim: Dims, keepdim: bool = False) -> Value:
    """Write the logarithm of a sum of exponentials."""
    return reduced(g, "ReduceLogSumExp", input, dims_of(g, input, dim), keepdim)


def _extreme(kind: str, elementwise: str, place: str) -> Emitter:
    def emit(g: GraphBuilder, input: Value, other: Any = None, keepdim: bool = False) -> Any:
        if isinstance(other, Value):
            return g.like(elementwise, *emit_arithmetic.operands(g, input, other))
        if other is None:
            return reduced(g, kind, input, dims_of(g, input, None), False)
        return reduced(g, kind, input, dims_of(g, input, other), keepdim), _place(g, place, input, other, keepdim)

    return emit


aten("max")(_extreme("ReduceMax", "Max", "ArgMax"))
aten("min")(_extreme("ReduceMin", "Min", "ArgMin"))


def _place(g: GraphBuilder, kind: str, x: Value, dim: int, keepdim: bool) -> Value:
    rank = g.rank(x) if keepdim else g.rank(x) - 1
    return g.op(kind, x, rank=rank, dtype=torch.int64, axis=dim % g.rank(x), keepdims=int(keepdim))


def _place_of_extreme(kind: str) -> Emitter:
    def emit(g: GraphBuilder, input: Value, dim: int | None = None, keepdim: bool = False) -> Value:
        if dim is None and keepdim:
            raise Unsupported("the place of an extreme of all numbers with keepdim")
        x = input if dim is not None else g.op("Reshape", input, g.ints(-1), rank=1, dtype=g.dtype_of(input))
        return _place(g, kind, x, 0 if dim is None else dim, keepdim)

    return emit


aten("argmax")(_place_of_extreme("ArgMax"))
aten("argmin")(_place_of_extreme("ArgMin"))


def _truth(kind: str) -> Emitter:
    def emit(g: GraphBuilder, input: Value, dim: Dims = None, keepdim: bool = False) -> Value:
        x = emit_arithmetic.cast(g, emit_arithmetic.cast(g, input, torch.bool), torch.int64)
        return emit_arithmetic.cast(g, reduced(g, kind, x, dims_of(g, input, dim), keepdim), torch.bool)

    return emit


aten("any")(_truth("ReduceMax"))
aten("all")(_truth("ReduceMin"))


@aten("var_mean")
def variance_and_mean(
    g: GraphBuilder,
    input: Value,
    dim: Dims | bool = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Value, Value]:
    """Write a variance, of a sample unless it says otherwise, and a mean."""
    alone = isinstance(dim, bool)  # the form without dimensions
    unbiased = bool(dim) if alone else unbiased
    dims, shape = dims_of(g, input, None if alone else dim), g.shape(input)
    if g.dynamic_batch and 0 in dims:
        raise Unsupported("a variance over the batch while it is open")
    n = math.prod(shape[one] for one in dims)
    less = float(unbiased) if correction is None else float(correction)
    mean = reduced(g, "ReduceMean", input, dims, True)
    apart = g.like("Sub", input, mean)
    spread = reduced(g, "ReduceMean", g.like("Mul", apart, apart), dims, keepdim)
    scaled = g.like("Mul", spread, g.constant(n / max(n - less, 0.0) if n > less else math.inf, g.dtype_of(input)))
    return scaled, mean if keepdim else emit_shapes.squeeze_dims(g, mean, dims)


@aten("var")
def variance(g: GraphBuilder, *args: Any, **kwargs: Any) -> Value:
    """Write a variance."""
    found: Value = variance_and_mean(g, *args, **kwargs)[0]
    return found


@aten("std")
def deviation(g: GraphBuilder, *args: Any, **kwargs: Any) -> Value:
    """Write a standard deviation."""
    return g.like("Sqrt", variance(g, *args, **kwargs))
