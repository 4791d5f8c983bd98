"""Emit ONNX for torch's functions that rearrange arrays: shapes, slices, joins and look-ups."""

# ruff: noqa: A002 - parameters carry the names that torch's callers give

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_arithmetic import cast, operands
from hwnas.backends.export.registered import function

_END = 2**63 - 1  # a slice's end where none is given


@function("contiguous", "clone", "detach", F.dropout, torch.clone)
def nothing(g: GraphBuilder, input: Value, *_args: Any, **_kwargs: Any) -> Value:  # noqa: ARG001 - torch's signature
    """Write nothing: these have no effect in evaluation mode without gradients."""
    return input


# --- shapes ----------------------------------------------------------------------------------------------------------


@function("size")
def size(g: GraphBuilder, input: Value, dim: int | None = None) -> int | tuple[int, ...]:
    """Return the example's shape: it becomes part of the graph."""
    shape = _fixed_shape(g, input)
    return shape if dim is None else shape[dim]


@function("dim")
def dimensions(g: GraphBuilder, input: Value) -> int:
    """Return the number of dimensions."""
    return g.rank(input)


@function(getattr)
def attribute(g: GraphBuilder, input: Value, name: str) -> Any:
    """Return the value of a tensor's attribute."""
    match name:
        case "shape":
            return _fixed_shape(g, input)
        case "ndim":
            return g.rank(input)
        case "dtype":
            return g.dtype_of(input)
        case "device":
            return torch.device("cpu")
        case _:
            raise Unsupported(f"a tensor's attribute {name!r}")


def _fixed_shape(g: GraphBuilder, x: Value) -> tuple[int, ...]:
    if g.dynamic_batch:
        raise Unsupported("a shape that is asked for while the batch is open")
    return g.shape(x)


def _listed(sizes: tuple[Any, ...]) -> list[int]:
    """Return the sizes of ``f(2, 3)`` and of ``f((2, 3))``."""
    found = list(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else list(sizes)
    if not all(isinstance(each, int) for each in found):
        raise Unsupported("a shape that depends on values")
    return found


@function(torch.reshape, "reshape", "view")
def reshape(g: GraphBuilder, input: Value, *shape: Any) -> Value:
    """Write a change of shape."""
    sizes = _listed(shape)
    return g.op("Reshape", input, g.ints(*sizes), rank=len(sizes), dtype=g.dtype_of(input))


@function(torch.flatten, "flatten")
def flatten(
    g: GraphBuilder,
    input: Value,
    start_dim: int = 0,
    end_dim: int = -1,
    name: str | None = None,
) -> Value:
    """Write a joining of neighbouring dimensions."""
    rank, dtype = g.rank(input), g.dtype_of(input)
    first, last = start_dim % rank, end_dim % rank
    if first == 1 and last == rank - 1:
        return g.op("Flatten", input, rank=2, dtype=dtype, name=name, axis=1)
    # In ONNX a 0 takes over the input's size in that place.
    sizes = [0] * first + [-1] + (list(g.shape(input)[last + 1 :]) if last < rank - 1 else [])
    return g.op("Reshape", input, g.ints(*sizes), rank=len(sizes), dtype=dtype, name=name)


@function(torch.unflatten, "unflatten")
def unflatten(g: GraphBuilder, input: Value, dim: int, sizes: Sequence[int]) -> Value:
    """Write a splitting of one dimension into several."""
    rank = g.rank(input)
    at = dim % rank
    after = list(g.shape(input)[at + 1 :]) if at < rank - 1 else []
    # In ONNX a 0 takes over the input's size in that place.
    wanted = [0] * at + _listed((tuple(sizes),)) + after
    return g.op("Reshape", input, g.ints(*wanted), rank=len(wanted), dtype=g.dtype_of(input))


@function(torch.permute, "permute")
def permute(g: GraphBuilder, input: Value, *dims: Any) -> Value:
    """Write a reordering of dimensions."""
    rank = g.rank(input)
    return g.like("Transpose", input, perm=[dim % rank for dim in _listed(dims)])


@function(torch.transpose, "transpose")
def transpose(g: GraphBuilder, input: Value, dim0: int, dim1: int) -> Value:
    """Write a swap of two dimensions."""
    order = list(range(g.rank(input)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return g.like("Transpose", input, perm=order)


@function(torch.t, "t")
def transposed(g: GraphBuilder, input: Value) -> Value:
    """Write a matrix's transposition."""
    return transpose(g, input, 0, 1) if g.rank(input) == 2 else input


@function(torch.unsqueeze, "unsqueeze")
def unsqueeze(g: GraphBuilder, input: Value, dim: int) -> Value:
    """Write a new dimension of size 1."""
    return g.op("Unsqueeze", input, g.ints(dim), rank=g.rank(input) + 1, dtype=g.dtype_of(input))


@function(torch.squeeze, "squeeze")
def squeeze(g: GraphBuilder, input: Value, dim: int | None = None) -> Value:
    """Write a dropping of one dimension, or all, of size 1."""
    shape = g.shape(input) if dim is not None and dim % g.rank(input) > 0 else _fixed_shape(g, input)
    dims = [axis for axis, length in enumerate(shape) if length == 1 and dim in (None, axis, axis - len(shape))]
    return squeeze_dims(g, input, dims)


def squeeze_dims(g: GraphBuilder, x: Value, dims: Sequence[int]) -> Value:
    """Write a dropping of some dimensions, all of size 1, numbered from 0."""
    if not dims:
        return x
    return g.op("Squeeze", x, g.ints(*dims), rank=g.rank(x) - len(dims), dtype=g.dtype_of(x))


@function("expand")
def expand(g: GraphBuilder, input: Value, *shape: Any) -> Value:
    """Write a repetition of dimensions of size 1."""
    sizes = [1 if length == -1 else length for length in _listed(shape)]
    return g.op("Expand", input, g.ints(*sizes), rank=len(sizes), dtype=g.dtype_of(input))


@function("repeat")
def repeat(g: GraphBuilder, input: Value, *times: Any) -> Value:
    """Write a tiling."""
    counts = _listed(times)
    new = len(counts) - g.rank(input)
    x = input if new == 0 else g.op("Unsqueeze", input, g.ints(*range(new)), rank=len(counts), dtype=g.dtype_of(input))
    return g.like("Tile", x, g.ints(*counts))


# --- parts and joins -------------------------------------------------------------------------------------------------


@function(torch.cat, torch.concat)
def concatenate(g: GraphBuilder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Write a join along a dimension."""
    return g.like("Concat", *tensors, axis=dim)


@function(torch.stack)
def stack(g: GraphBuilder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Write a join along a new dimension."""
    return concatenate(g, [unsqueeze(g, each, dim) for each in tensors], dim)


@function(torch.split, "split")
def split(g: GraphBuilder, tensor: Value, split_size_or_sections: Any, dim: int = 0) -> list[Value]:
    """Write a split into parts of given sizes."""
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        length = g.shape(tensor)[dim]
        sizes = [min(sizes, length - start) for start in range(0, length, sizes)]
    rank, dtype = g.rank(tensor), g.dtype_of(tensor)
    return g.op_many("Split", tensor, g.ints(*sizes), outputs=len(sizes), rank=rank, dtype=dtype, axis=dim)


@function(torch.chunk, "chunk")
def chunk(g: GraphBuilder, input: Value, chunks: int, dim: int = 0) -> list[Value]:
    """Write a split into a number of parts."""
    return split(g, input, math.ceil(g.shape(input)[dim] / chunks), dim)


@function(operator.getitem)
def getitem(g: GraphBuilder, input: Any, index: Any) -> Any:
    """Write an indexing by numbers, slices, ``None`` and ``...``, or by one tensor of indices."""
    if isinstance(input, (list, tuple)):
        return input[index]
    if isinstance(index, Value):
        if g.dtype_of(index) == torch.bool:
            raise Unsupported("an index by a mask")
        return index_select(g, input, 0, index)
    entries = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        fill = g.rank(input) - sum(entry is not None and entry is not Ellipsis for entry in entries)
        entries[at : at + 1] = [slice(None)] * fill
    return _indexed(g, input, entries)


def _indexed(g: GraphBuilder, x: Value, entries: list[Any]) -> Value:
    starts, ends, axes, steps, dropped, added = ([] for _ in range(6))
    axis = position = 0  # in the input, in the result
    for entry in entries:
        if entry is None:
            added.append(position)
            position += 1
            continue
        if isinstance(entry, int):
            cut = slice(entry, entry + 1 if entry != -1 else None)
            dropped.append(axis)
        elif isinstance(entry, slice) and all(end is None or isinstance(end, int) for end in _ends(entry)):
            cut = entry
            position += 1
        else:
            raise Unsupported(f"an index of type {type(entry).__name__}")
        if cut != slice(None):
            starts.append(cut.start or 0)
            ends.append(_END if cut.stop is None else cut.stop)
            axes.append(axis)
            steps.append(cut.step or 1)
        axis += 1
    dtype = g.dtype_of(x)
    if axes:
        x = g.like("Slice", x, g.ints(*starts), g.ints(*ends), g.ints(*axes), g.ints(*steps))
    if dropped:
        x = g.op("Squeeze", x, g.ints(*dropped), rank=g.rank(x) - len(dropped), dtype=dtype)
    if added:
        x = g.op("Unsqueeze", x, g.ints(*added), rank=g.rank(x) + len(added), dtype=dtype)
    return x


def _ends(cut: slice) -> tuple[Any, Any, Any]:
    return cut.start, cut.stop, cut.step


@function(torch.select, "select")
def select(g: GraphBuilder, input: Value, dim: int, index: int) -> Value:
    """Write one entry along a dimension."""
    return _indexed(g, input, [slice(None)] * (dim % g.rank(input)) + [index])


@function(torch.narrow, "narrow")
def narrow(g: GraphBuilder, input: Value, dim: int, start: int, length: int) -> Value:
    """Write a stretch of a dimension."""
    return _indexed(g, input, [slice(None)] * (dim % g.rank(input)) + [slice(start, start + length)])


# --- look-ups and choices --------------------------------------------------------------------------------------------


@function(F.embedding)
def embedding(
    g: GraphBuilder,
    input: Value,
    weight: Value,
    padding_idx: int | None = None,  # noqa: ARG001 - matters in training only
    max_norm: float | None = None,
    **_training: Any,
) -> Value:
    """Write a look-up in a table that is an input or computed."""
    if max_norm is not None:
        raise Unsupported("embedding with max_norm")
    return g.op("Gather", weight, input, rank=g.rank(input) + 1, dtype=g.dtype_of(weight))


@function(torch.index_select, "index_select")
def index_select(g: GraphBuilder, input: Value, dim: int, index: Value) -> Value:
    """Write a look-up of whole entries along a dimension."""
    rank = g.rank(input) + g.rank(index) - 1
    return g.op("Gather", input, index, rank=rank, dtype=g.dtype_of(input), axis=dim)


@function(torch.gather, "gather")
def gather(g: GraphBuilder, input: Value, dim: int, index: Value) -> Value:
    """Write a look-up of single numbers along a dimension."""
    return g.op("GatherElements", input, index, rank=g.rank(index), dtype=g.dtype_of(input), axis=dim)


@function(torch.masked_fill, "masked_fill")
def masked_fill(g: GraphBuilder, input: Value, mask: Value, value: float) -> Value:
    """Write a number where a mask says so."""
    rank = max(g.rank(input), g.rank(mask))
    return g.op("Where", mask, g.constant(value, g.dtype_of(input)), input, rank=rank, dtype=g.dtype_of(input))


@function(torch.where)
def where(g: GraphBuilder, condition: Value, input: Any, other: Any) -> Value:
    """Write a choice between two, entry by entry."""
    if not isinstance(input, Value) and not isinstance(other, Value):
        raise Unsupported("a choice between two numbers")
    a, b = operands(g, input, other)
    return g.op("Where", condition, a, b, rank=max(map(g.rank, (condition, a, b))), dtype=g.dtype_of(a))


# --- types -----------------------------------------------------------------------------------------------------------


@function("to", "type_as")
def to(g: GraphBuilder, input: Value, *args: Any, dtype: torch.dtype | None = None, **_kwargs: Any) -> Value:
    """Write a change of type; devices mean nothing here."""
    wanted = [dtype] if dtype is not None else [arg for arg in args if isinstance(arg, (torch.dtype, Value))]
    if not wanted:
        return input
    found = wanted[0]
    return cast(g, input, g.dtype_of(found) if isinstance(found, Value) else g.cast_dtype(found))


@function("float")
def to_float(g: GraphBuilder, input: Value) -> Value:
    """Write a change to the graph's own floating-point type."""
    return cast(g, input, g.dtype)


@function("long")
def to_long(g: GraphBuilder, input: Value) -> Value:
    """Write a change to 64-bit whole numbers."""
    return cast(g, input, torch.int64)


@function("bool")
def to_bool(g: GraphBuilder, input: Value) -> Value:
    """Write a change to truth values."""
    return cast(g, input, torch.bool)
