"""Emit ONNX for torch's reductions and poolings."""

# ruff: noqa: A002 - parameters carry the names that torch's callers give

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_arithmetic import cast
from hwnas.backends.export.registered import function


def dims_of(g: GraphBuilder, x: Value, dim: int | Sequence[int] | None) -> list[int]:
    """Return dimensions as numbers from 0, ascending; all of them where none is named."""
    rank = g.rank(x)
    given = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    return sorted(each % rank for each in given)


@function(torch.mean, "mean")
def mean(g: GraphBuilder, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Write a mean; over a whole image as global average pooling, which keeps the runtimes' image layout."""
    dims = dims_of(g, input, dim)
    if g.rank(input) == 4 and dims == [2, 3]:
        pooled = g.like("GlobalAveragePool", input)
        return pooled if keepdim else g.op("Flatten", pooled, rank=2, dtype=g.dtype_of(input), axis=1)
    return reduced(g, "ReduceMean", input, dims, keepdim)


@function(torch.sum, "sum")
def total(g: GraphBuilder, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Write a sum; of whole numbers as 64-bit ones."""
    x = input if g.dtype_of(input).is_floating_point else cast(g, input, torch.int64)
    return reduced(g, "ReduceSum", x, dims_of(g, input, dim), keepdim)


@function(torch.amax, "amax")
def amax(g: GraphBuilder, input: Value, dim: Any = None, keepdim: bool = False) -> Value:
    """Write a maximum over dimensions."""
    return reduced(g, "ReduceMax", input, dims_of(g, input, dim), keepdim)


def reduced(g: GraphBuilder, kind: str, x: Value, dims: list[int], keepdim: bool) -> Value:
    """Write a reduction of dimensions by an operator of ONNX."""
    rank = g.rank(x) if keepdim else g.rank(x) - len(dims)
    return g.op(kind, x, g.ints(*dims), rank=rank, dtype=g.dtype_of(x), keepdims=int(keepdim))


@function(torch.cumsum, "cumsum")
def cumsum(g: GraphBuilder, input: Value, dim: int) -> Value:
    """Write a running sum; of whole numbers as 64-bit ones."""
    x = input if g.dtype_of(input).is_floating_point else cast(g, input, torch.int64)
    return g.like("CumSum", x, g.constant(dim, torch.int64))


def of_one(g: GraphBuilder, x: Value, rank: int, write: Callable[[Value], Value]) -> Value:
    """Write a call of ONNX that takes batches alone, where torch's may be given a single sample: as a batch of one."""
    if g.rank(x) >= rank:
        return write(x)
    dtype = g.dtype_of(x)
    batch = g.op("Unsqueeze", x, g.ints(0), rank=rank, dtype=dtype)
    return g.op("Squeeze", write(batch), g.ints(0), rank=rank - 1, dtype=dtype)


def _pair(size: int | Sequence[int]) -> list[int]:
    return [size, size] if isinstance(size, int) else list(size)


@function(F.adaptive_avg_pool2d)
def adaptive_average_pool(g: GraphBuilder, input: Value, output_size: Any, name: str | None = None) -> Value:
    """Write an average pooling that gives ``output_size``, where that divides the input's."""
    wanted = [output_size, output_size] if isinstance(output_size, int) else list(output_size)
    if g.rank(input) != 4:
        raise Unsupported("adaptive pooling of what is not a batch of images")
    if wanted == [1, 1]:
        return g.like("GlobalAveragePool", input, name=name)
    given = g.shape(input)[2:]
    wanted = [size if want is None else want for size, want in zip(given, wanted, strict=True)]
    if any(size % want for size, want in zip(given, wanted, strict=True)):
        raise Unsupported(f"adaptive pooling from {tuple(given)} to {tuple(wanted)}")
    window = [size // want for size, want in zip(given, wanted, strict=True)]
    return g.like("AveragePool", input, name=name, kernel_shape=window, strides=window)


@function(F.max_pool2d, torch.max_pool2d)
def max_pool(  # noqa: PLR0913, PLR0917 - torch's signature
    g: GraphBuilder,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    name: str | None = None,
) -> Value:
    """Write a maximum over windows."""
    if ceil_mode or return_indices:
        raise Unsupported("max pooling with ceil_mode or indices")
    strides = _pair(kernel_size if stride is None or stride == [] else stride)
    attributes = {"kernel_shape": _pair(kernel_size), "strides": strides, "dilations": _pair(dilation)}
    return of_one(g, input, 4, lambda x: g.like("MaxPool", x, name=name, pads=_pair(padding) * 2, **attributes))


@function(F.avg_pool2d)
def average_pool(  # noqa: PLR0913, PLR0917 - torch's signature
    g: GraphBuilder,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    name: str | None = None,
) -> Value:
    """Write a mean over windows."""
    window, strides = _pair(kernel_size), _pair(kernel_size if stride is None else stride)
    pads = _pair(padding) * 2
    if divisor_override is not None or (ceil_mode and (window != strides or any(pads))):
        raise Unsupported("average pooling with divisor_override, or with ceil_mode and windows that overlap")
    if ceil_mode:
        # Windows that stick out at the end average what is inside them; runtimes disagree about ONNX's own ceil_mode.
        pads = [0, 0, *(-side % size for side, size in zip(g.shape(input)[-2:], window, strict=True))]
        count_include_pad = count_include_pad and not any(pads)
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": strides, "pads": pads}
    attributes["count_include_pad"] = int(count_include_pad)
    return of_one(g, input, 4, lambda x: g.like("AveragePool", x, name=name, **attributes))
