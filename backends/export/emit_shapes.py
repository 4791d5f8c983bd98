"""Emit ONNX for torch's functions that change the shape of an array, or ask for it."""

# ruff: noqa: A002 - parameters carry the names that torch's callers give

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.registered import function


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
