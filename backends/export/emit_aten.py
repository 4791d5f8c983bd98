"""Emit ONNX for torch's own operators, of which exported programs and the sub-networks of own models consist.

Most are written as the functions of their names are; those whose arguments come in another order or form are here.
"""

# ruff: noqa: A002 - parameters carry the names that torch's operators give

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export import emit_arithmetic, emit_arrays, emit_pooling, emit_products, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.registered import FUNCTIONS, Emitter, function

# Importing them registers what is reused here.
_LOADED = (emit_arithmetic, emit_arrays, emit_pooling, emit_products, emit_shapes)
_ATEN: Any = torch.ops.aten

Number = bool | int | float


def _overloads(name: str) -> list[Any]:
    packet = getattr(_ATEN, name)
    return [getattr(packet, overload) for overload in packet.overloads()]


def aten(*names: str) -> Callable[[Emitter], Emitter]:
    """Register the emitter of operators, with all their overloads."""
    return function(*(overload for name in names for overload in _overloads(name)))


def alike(known: Any, *names: str) -> None:
    """Register for operators the emitter of a function with the same arguments."""
    aten(*names)(FUNCTIONS[known])


# --- entry by entry --------------------------------------------------------------------------------------------------

for _name in ("mul", "eq", "lt", "gt", "le", "ge", "neg", "truediv", "pow"):
    alike(getattr(operator, _name), "div" if _name == "truediv" else _name)
alike(operator.mul, "multiply")
alike(operator.truediv, "divide", "true_divide")
alike(operator.neg, "negative")
alike(torch.abs, "absolute")
for _name in ("ne", "maximum", "minimum", "exp", "log", "sqrt", "abs", "sin", "cos", "erf", "rsqrt", "clamp"):
    alike(getattr(torch, _name), _name)
for _name in ("relu", "hardswish", "hardsigmoid", "silu", "gelu", "relu6"):
    alike(getattr(F, _name), _name)
for _name in ("sigmoid", "tanh", "where"):
    alike(getattr(torch, _name), _name)
alike(torch.logical_and, "logical_and", "bitwise_and", "__and__")
alike(torch.logical_or, "logical_or", "bitwise_or", "__or__")
alike(torch.logical_not, "logical_not", "bitwise_not")
alike(torch.clamp, "hardtanh")
alike(torch.masked_fill, "masked_fill")


def _with_factor(known: Any, *, turned: bool = False) -> Emitter:
    """Return the emitter of a sum or difference whose second operand has a factor.

    Args:
        known: the function of two operands.
        turned: the first operand has the factor, and is subtracted from the second.
    """

    def emit(g: GraphBuilder, input: Value | Number, other: Value | Number, alpha: Number = 1) -> Value:
        first, second = (other, input) if turned else (input, other)
        second = emit_arithmetic.multiplied(g, second, alpha) if isinstance(second, Value) else second * alpha
        found: Value = FUNCTIONS[known](g, first, second)
        return found

    return emit


aten("add")(_with_factor(operator.add))
aten("sub", "subtract")(_with_factor(operator.sub))
aten("rsub")(_with_factor(operator.sub, turned=True))


@aten("reciprocal")
def reciprocal(g: GraphBuilder, input: Value) -> Value:
    """Write one over something."""
    return g.like("Reciprocal", input)


@aten("square")
def square(g: GraphBuilder, input: Value) -> Value:
    """Write a square."""
    return g.like("Mul", input, input)


def _rounded(kind: str) -> Emitter:
    return lambda g, x: g.like(kind, x)


for _name, _kind in (("floor", "Floor"), ("ceil", "Ceil"), ("sign", "Sign"), ("mish", "Mish"), ("tan", "Tan")):
    aten(_name)(_rounded(_kind))


@aten("clamp_min")
def at_least(g: GraphBuilder, input: Value, min: Number | Value) -> Value:
    """Write a bound from below."""
    return g.like("Max", *emit_arithmetic.operands(g, input, min))


@aten("clamp_max")
def at_most(g: GraphBuilder, input: Value, max: Number | Value) -> Value:
    """Write a bound from above."""
    return g.like("Min", *emit_arithmetic.operands(g, input, max))


@aten("leaky_relu")
def leaky_relu(g: GraphBuilder, input: Value, negative_slope: float = 0.01) -> Value:
    """Write a leaky ReLU."""
    return g.like("LeakyRelu", input, alpha=negative_slope)


@aten("elu")
def elu(g: GraphBuilder, input: Value, alpha: float = 1.0) -> Value:
    """Write an exponential linear unit."""
    return g.like("Elu", input, alpha=alpha)


@aten("softplus")
def softplus(g: GraphBuilder, input: Value) -> Value:
    """Write a soft ReLU."""
    return g.like("Softplus", input)


@aten("log_sigmoid")
def log_sigmoid(g: GraphBuilder, input: Value) -> Value:
    """Write the logarithm of a sigmoid, which far below zero is the number itself."""
    return g.like("Neg", g.like("Softplus", g.like("Neg", input)))


@aten("prelu")
def prelu(g: GraphBuilder, input: Value, weight: Value) -> Value:
    """Write a ReLU with a slope per channel."""
    rank = g.rank(input)
    slope = g.op("Reshape", weight, g.ints(-1, *[1] * (rank - 2)), rank=rank - 1, dtype=g.dtype_of(weight))
    return g.like("PRelu", input, slope)


def _softmax(kind: str) -> Emitter:
    def emit(g: GraphBuilder, input: Value, dim: int, dtype: torch.dtype | None = None) -> Value:
        return g.like(kind, input if dtype is None else emit_arithmetic.cast(g, input, dtype), axis=dim)

    return emit


aten("softmax")(_softmax("Softmax"))
aten("log_softmax")(_softmax("LogSoftmax"))


@aten("dropout", "feature_dropout", "contiguous", "clone", "detach", "alias", "lift_fresh_copy")
def nothing(g: GraphBuilder, input: Value, *_args: Any, **_kwargs: Any) -> Value:  # noqa: ARG001
    """Write nothing: these have no effect in evaluation mode without gradients."""
    return input


@aten("to", "_to_copy")
def to(g: GraphBuilder, input: Value, dtype: torch.dtype | None = None, **_places: Any) -> Value:
    """Write a change of type."""
    return input if dtype is None else emit_arithmetic.cast(g, input, g.cast_dtype(dtype))


# --- shapes ----------------------------------------------------------------------------------------------------------

for _name in ("flatten", "permute", "transpose", "t", "unsqueeze", "cat", "stack", "chunk", "select", "narrow"):
    alike(getattr(torch, _name), _name)
for _name in ("unflatten", "index_select"):
    alike(getattr(torch, _name), _name)
alike("repeat", "repeat")
alike(torch.split, "split", "split_with_sizes")


@aten("squeeze")
def squeeze(g: GraphBuilder, input: Value, dim: int | Sequence[int] | None = None) -> Value:
    """Write a dropping of dimensions of size 1."""
    if dim is None or isinstance(dim, int):
        return emit_shapes.squeeze(g, input, dim)
    shape, rank = g.shape(input), g.rank(input)
    return emit_shapes.squeeze_dims(g, input, sorted({one % rank for one in dim if shape[one] == 1}))


@aten("view", "reshape", "_unsafe_view")
def reshape(g: GraphBuilder, input: Value, shape: Sequence[int]) -> Value:
    """Write a change of shape; the first dimension is taken over where it stays, so that a batch can stay open."""
    sizes = list(shape)
    given = g.shape(input)
    if sizes and given and sizes[0] == given[0]:
        sizes[0] = 0
    elif g.dynamic_batch and -1 not in sizes:
        raise Unsupported("a batch that is regrouped while it is open")
    return g.op("Reshape", input, g.ints(*sizes), rank=len(sizes), dtype=g.dtype_of(input))


@aten("sym_size")
def size(g: GraphBuilder, input: Value, dim: int) -> Any:
    """Return the example's size: it becomes part of the graph."""
    return emit_shapes.size(g, input, dim)


@aten("expand", "broadcast_to")
def expand(g: GraphBuilder, input: Value, size: Sequence[int], *, implicit: bool = False) -> Value:  # noqa: ARG001
    """Write a repetition of dimensions of size 1."""
    given = (1,) * (len(size) - g.rank(input)) + tuple(g.shape(input))
    sizes = [1 if new in (-1, old) else new for new, old in zip(size, given, strict=True)]
    if sizes and sizes[0] != 1 and g.dynamic_batch:
        raise Unsupported("a repetition for each sample while the batch is open")
    if all(one == 1 for one in sizes) and len(size) == g.rank(input):
        return input
    return g.op("Expand", input, g.ints(*sizes), rank=len(sizes), dtype=g.dtype_of(input))


@aten("slice")
def cut(
    g: GraphBuilder, input: Value, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """Write a stretch of a dimension."""
    last = None if end is None or end > 2**31 else end
    before = (slice(None),) * (dim % g.rank(input))
    found: Value = emit_arrays.getitem(g, input, (*before, slice(start or None, last, None if step == 1 else step)))
    return found


@aten("diff")
def difference(
    g: GraphBuilder, input: Value, n: int = 1, dim: int = -1, prepend: Value | None = None, append: Value | None = None
) -> Value:
    """Write the differences of neighbours along a dimension."""
    if n != 1:
        raise Unsupported(f"differences of order {n}")
    parts = [one for one in (prepend, input, append) if one is not None]
    x = parts[0] if len(parts) == 1 else emit_arrays.concatenate(g, parts, dim)
    if g.dtype_of(x) == torch.bool:
        raise Unsupported("differences of truth values")
    before = (slice(None),) * (dim % g.rank(input))
    later = emit_arrays.getitem(g, x, (*before, slice(1, None)))
    return g.like("Sub", later, emit_arrays.getitem(g, x, (*before, slice(None, -1))))


@aten("unbind")
def unbind(g: GraphBuilder, input: Value, dim: int = 0) -> list[Value]:
    """Write each entry along a dimension."""
    return [emit_arrays.select(g, input, dim, number) for number in range(g.shape(input)[dim])]


@aten("index")
def index(g: GraphBuilder, input: Value, indices: Sequence[Value | None]) -> Value:
    """Write a look-up by one tensor of indices, or by several in the first dimensions."""
    given = [one for one in indices if one is not None]
    if any(g.dtype_of(one) == torch.bool for one in given):
        raise Unsupported("an index by a mask")
    if len(given) == 1:
        return emit_arrays.index_select(g, input, list(indices).index(given[0]), given[0])
    if g.dynamic_batch or any(one is None for one in indices):
        raise Unsupported("an index by several tensors")
    shape = np.broadcast_shapes(*(tuple(g.shape(one)) for one in given))
    spread = []
    for one in given:
        wide = g.op("Expand", one, g.ints(*shape), rank=len(shape), dtype=torch.int64)
        spread.append(g.op("Unsqueeze", wide, g.ints(len(shape)), rank=len(shape) + 1, dtype=torch.int64))
    places = g.like("Concat", *spread, axis=-1)
    rank = len(shape) + g.rank(input) - len(given)
    # ONNX Runtime's GatherND does not take truth values on every device.
    truth = g.dtype_of(input) == torch.bool
    source = emit_arithmetic.cast(g, input, torch.int64) if truth else input
    found = g.op("GatherND", source, places, rank=rank, dtype=g.dtype_of(source))
    return emit_arithmetic.cast(g, found, torch.bool) if truth else found


@aten("constant_pad_nd")
def pad(g: GraphBuilder, input: Value, pad: Sequence[int], value: Number = 0) -> Value:
    """Write a padding with a number."""
    return g.like("Pad", input, pads(g, input, pad), g.constant(value, g.dtype_of(input)))


def pads(g: GraphBuilder, x: Value, sides: Sequence[int]) -> Value:
    """Return a padding as ONNX has it, given torch's: begin and end of each dimension, the last one first."""
    pairs = [(sides[2 * one], sides[2 * one + 1]) for one in range(len(sides) // 2)][::-1]
    every = [(0, 0)] * (g.rank(x) - len(pairs)) + pairs
    return g.ints(*(begin for begin, _ in every), *(end for _, end in every))


@aten("new_full")
def new_full(
    g: GraphBuilder,
    input: Value,
    size: Sequence[int],
    fill_value: Number,
    dtype: torch.dtype | None = None,
    **_places: Any,
) -> Value:
    """Write a number in a shape."""
    kind = g.dtype_of(input) if dtype is None else g.cast_dtype(dtype)
    return g.constant(torch.full(tuple(size), fill_value, dtype=kind), kind)


@aten("full_like")
def full_like(g: GraphBuilder, input: Value, fill_value: Number, **more: Any) -> Value:
    """Write a number in the shape of something."""
    if g.dynamic_batch:
        raise Unsupported("a shape that is asked for while the batch is open")
    found: Value = new_full(g, input, g.shape(input), fill_value, **more)
    return found


def _filled(known: Emitter, number: Number) -> Emitter:
    return lambda g, x, *size, **more: known(g, x, *size, number, **more)


@aten("fill")
def fill(g: GraphBuilder, input: Value, value: Number | Value) -> Value:
    """Write a number, which may be computed, in the shape of something."""
    if isinstance(value, Value):
        found: Value = expand(g, emit_arithmetic.cast(g, value, g.dtype_of(input)), g.shape(input))
    else:
        found = full_like(g, input, value)
    return found


aten("zero")(_filled(full_like, 0))
aten("new_ones")(_filled(new_full, 1))
aten("new_zeros")(_filled(new_full, 0))
aten("ones_like")(_filled(full_like, 1))
aten("zeros_like")(_filled(full_like, 0))
