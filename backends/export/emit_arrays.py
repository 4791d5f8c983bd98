"""Emit ONNX for torch's functions that take arrays apart, join them, look entries up and change types."""

# ruff: noqa: A002 - parameters carry the names that torch's callers give

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export import emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_arithmetic import cast, operands
from hwnas.backends.export.registered import function

_END = 2**63 - 1  # a slice's end where none is given


@function("contiguous", "clone", "detach", F.dropout, torch.clone)
def nothing(g: GraphBuilder, input: Value, *_args: Any, **_kwargs: Any) -> Value:  # noqa: ARG001 - torch's signature
    """Write nothing: these have no effect in evaluation mode without gradients."""
    return input


# --- parts and joins -------------------------------------------------------------------------------------------------


@function(torch.cat, torch.concat)
def concatenate(g: GraphBuilder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Write a join along a dimension."""
    return g.like("Concat", *tensors, axis=dim)


@function(torch.stack)
def stack(g: GraphBuilder, tensors: Sequence[Value], dim: int = 0) -> Value:
    """Write a join along a new dimension."""
    return concatenate(g, [emit_shapes.unsqueeze(g, each, dim) for each in tensors], dim)


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
