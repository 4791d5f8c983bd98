"""Emit ONNX for torch's own operators that multiply, normalise, reduce or resize; see ``emit_aten``."""

# ruff: noqa: A002 - parameters carry the names that torch's operators give

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export import emit_arithmetic, emit_arrays, emit_pooling, emit_products, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.emit_aten import alike, aten, to
from hwnas.backends.export.registered import FUNCTIONS, Emitter, module

# --- products --------------------------------------------------------------------------------------------------------

alike(torch.matmul, "matmul", "mm", "bmm")
alike(F.linear, "linear")


@aten("addmm")
def addmm(g: GraphBuilder, input: Value, mat1: Value, mat2: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """Write a product of matrices and a sum."""
    return g.op("Gemm", mat1, mat2, input, rank=2, dtype=g.dtype_of(mat1), alpha=float(alpha), beta=float(beta))


@aten("baddbmm")
def baddbmm(g: GraphBuilder, input: Value, batch1: Value, batch2: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """Write products of matrices and a sum."""
    found = emit_arithmetic.multiplied(g, g.like("MatMul", batch1, batch2), alpha)
    return g.like("Add", found, emit_arithmetic.multiplied(g, input, beta))


@aten("mv", "dot", "vdot")
def product_with_vector(g: GraphBuilder, input: Value, other: Value) -> Value:
    """Write a product with a vector."""
    return g.op("MatMul", input, other, rank=g.rank(input) - 1, dtype=g.dtype_of(input))


@aten("einsum")
def einsum(g: GraphBuilder, equation: str, tensors: Sequence[Value], **_path: Any) -> Value:
    """Write an Einstein sum."""
    return emit_products.einsum(g, equation, *tensors)


@aten("scaled_dot_product_attention")
def attention(  # noqa: PLR0913 - torch's operator
    g: GraphBuilder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Write attention; keys and values that several heads share are repeated."""
    if enable_gqa:
        if is_causal:  # of what is written here, no shapes are known
            allowed = torch.ones(g.shape(query)[-2], g.shape(key)[-2], dtype=torch.bool).tril()
            attn_mask, is_causal = g.constant(allowed, torch.bool), False
        times = g.shape(query)[-3] // g.shape(key)[-3]
        key, value = (_repeated(g, one, times) for one in (key, value))
    return emit_products.attention(g, query, key, value, attn_mask, dropout_p, is_causal, scale)


def _repeated(g: GraphBuilder, x: Value, times: int) -> Value:
    if times == 1:
        return x
    _, heads, tokens, size = g.shape(x)
    wide = g.op("Unsqueeze", x, g.ints(2), rank=5, dtype=g.dtype_of(x))
    wide = g.op("Expand", wide, g.ints(1, 1, times, 1, 1), rank=5, dtype=g.dtype_of(x))
    return g.op("Reshape", wide, g.ints(0, heads * times, tokens, size), rank=4, dtype=g.dtype_of(x))


@aten("layer_norm")
def layer_norm(g: GraphBuilder, input: Value, normalized_shape: Sequence[int], *args: Any, **_kwargs: Any) -> Value:
    """Write a layer-norm."""
    return emit_products.layer_norm(g, input, normalized_shape, *args[:3])


@aten("embedding")
def embedding(g: GraphBuilder, weight: Value, indices: Value, *_training: Any) -> Value:
    """Write a look-up in a table."""
    return emit_arrays.embedding(g, indices, weight)


@aten("conv1d", "conv2d", "conv3d")
def convolution(
    g: GraphBuilder,
    input: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    """Write a convolution whose weight is an input or computed."""
    if isinstance(padding, str):
        raise Unsupported(f"a convolution with padding {padding!r} whose weight is computed")
    kernel = list(g.shape(weight)[2:])
    strides, pads, dilations = (each(one, len(kernel)) for one in (stride, padding, dilation))
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "dilations": dilations}
    attributes |= {"rank": len(kernel) + 2, "dtype": g.dtype_of(input), "pads": pads * 2, "group": groups}
    return emit_pooling.of_one(g, input, len(kernel) + 2, lambda x: g.op("Conv", x, weight, bias, **attributes))


def each(value: int | Sequence[int], count: int) -> list[int]:
    """Return a number for each dimension of a window."""
    given = [value] if isinstance(value, int) else list(value)
    return given * count if len(given) == 1 else given


@aten("_weight_norm")
def weight_norm(g: GraphBuilder, v: Value, scale: Value, dim: int = 0) -> Value:
    """Write weights that have a direction, and a length for each entry of a dimension; -1: one length for all."""
    rank, dtype = g.rank(v), g.dtype_of(v)
    axes = g.ints(*(one for one in range(rank) if one != dim))
    length = g.op("ReduceL2", v, axes, rank=rank, dtype=dtype, keepdims=1)
    return g.like("Mul", v, g.like("Div", scale, length))


@aten("group_norm")
def group_norm(
    g: GraphBuilder,
    input: Value,
    num_groups: int,
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,  # noqa: ARG001
) -> Value:
    """Write a group-norm, as a norm of each group and a scaling of each channel."""
    rank, dtype = g.rank(input), g.dtype_of(input)
    grouped = g.op("Reshape", input, g.ints(0, num_groups, -1), rank=3, dtype=dtype)
    ones, zeros = (g.constant(np.full(num_groups, one), dtype) for one in (1.0, 0.0))
    normed = g.like("InstanceNormalization", grouped, ones, zeros, epsilon=eps)
    x = g.op("Reshape", normed, g.ints(0, *g.shape(input)[1:]), rank=rank, dtype=dtype)
    for kind, one in (("Mul", weight), ("Add", bias)):
        if one is not None:
            column = g.op("Reshape", one, g.ints(-1, *[1] * (rank - 2)), rank=rank - 1, dtype=dtype)
            x = g.like(kind, x, column)
    return x


@module(nn.GroupNorm)
def group_norm_module(g: GraphBuilder, m: nn.GroupNorm, x: Value, *, name: str) -> Value:
    """Write a group-norm."""
    weight = None if m.weight is None else g.weight(f"{name}.weight", m.weight)
    bias = None if m.bias is None else g.weight(f"{name}.bias", m.bias)
    found: Value = group_norm(g, x, m.num_groups, weight, bias, m.eps)
    return found


@aten("rms_norm")
def rms_norm(
    g: GraphBuilder,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    eps: float | None = None,
) -> Value:
    """Write a norm by the root of the mean square."""
    dtype, rank = g.dtype_of(input), g.rank(input)
    axes = g.ints(*range(rank - len(normalized_shape), rank))
    mean = g.op("ReduceMean", g.like("Mul", input, input), axes, rank=rank, dtype=dtype, keepdims=1)
    least = torch.finfo(dtype).eps if eps is None else eps
    x = g.like("Div", input, g.like("Sqrt", g.like("Add", mean, g.constant(least, dtype))))
    return x if weight is None else g.like("Mul", x, weight)


@module(nn.RMSNorm)
def rms_norm_module(g: GraphBuilder, m: nn.RMSNorm, x: Value, *, name: str) -> Value:
    """Write a norm by the root of the mean square."""
    weight = None if m.weight is None else g.weight(f"{name}.weight", m.weight)
    found: Value = rms_norm(g, x, m.normalized_shape, weight, m.eps)
    return found


# --- reductions and images -------------------------------------------------------------------------------------------

alike(torch.amax, "amax")


def _reduction(known: Any) -> Emitter:
    def emit(g: GraphBuilder, input: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
        x = input if dtype is None else emit_arithmetic.cast(g, input, g.cast_dtype(dtype))
        found: Value = FUNCTIONS[known](g, x, dim, keepdim)
        return found

    return emit


aten("mean")(_reduction(torch.mean))
aten("sum")(_reduction(torch.sum))


@aten("cumsum")
def cumsum(g: GraphBuilder, input: Value, dim: int, dtype: torch.dtype | None = None) -> Value:
    """Write a running sum."""
    return emit_pooling.cumsum(g, to(g, input, dtype), dim)


@aten("glu")
def glu(g: GraphBuilder, input: Value, dim: int = -1) -> Value:
    """Write a half that the other half lets through."""
    half, gate = emit_arrays.chunk(g, input, 2, dim)
    return g.like("Mul", half, g.like("Sigmoid", gate))


@aten("pixel_shuffle")
def pixel_shuffle(g: GraphBuilder, input: Value, upscale_factor: int) -> Value:
    """Write channels spread over pixels."""
    return g.like("DepthToSpace", input, blocksize=upscale_factor, mode="CRD")


@aten("pixel_unshuffle")
def pixel_unshuffle(g: GraphBuilder, input: Value, downscale_factor: int) -> Value:
    """Write pixels gathered in channels."""
    dtype, side = g.dtype_of(input), downscale_factor
    channels, height, width = g.shape(input)[1:]
    grid = g.ints(0, channels, height // side, side, width // side, side)
    x = emit_shapes.permute(g, g.op("Reshape", input, grid, rank=6, dtype=dtype), [0, 1, 3, 5, 2, 4])
    made = g.ints(0, channels * side**2, height // side, width // side)
    return g.op("Reshape", x, made, rank=4, dtype=dtype)


@aten("upsample_nearest1d", "upsample_nearest2d")
def nearest(g: GraphBuilder, input: Value, output_size: Any = None, *scales: Any) -> Value:
    """Write an enlargement of sequences or images by repeating entries."""
    return _resized(g, input, output_size, scales, mode="nearest", coordinates="asymmetric")


@aten("upsample_linear1d", "upsample_bilinear2d")
def bilinear(g: GraphBuilder, input: Value, output_size: Any, align_corners: bool, *scales: Any) -> Value:
    """Write an enlargement of sequences or images between entries."""
    coordinates = "align_corners" if align_corners else "half_pixel"
    return _resized(g, input, output_size, scales, mode="linear", coordinates=coordinates)


@aten("upsample_bicubic2d")
def bicubic(g: GraphBuilder, input: Value, output_size: Any, align_corners: bool, *scales: Any) -> Value:
    """Write an enlargement of images by cubic polynomials between entries."""
    coordinates = "align_corners" if align_corners else "half_pixel"
    return _resized(g, input, output_size, scales, mode="cubic", coordinates=coordinates)


def _resized(g: GraphBuilder, x: Value, size: Any, scales: Sequence[Any], *, mode: str, coordinates: str) -> Value:
    given = g.shape(x)[2:]
    factors = next((one for one in scales if isinstance(one, tuple | list)), None)
    wanted = list(size) if size is not None else [int(a * b) for a, b in zip(given, factors or (), strict=True)]
    if len(wanted) != len(given):
        raise Unsupported("an enlargement without a size")
    # Where torch is given factors, entries lie as far apart as these say, although the size is rounded.
    exact = [new / old for new, old in zip(wanted, given, strict=True)]
    ratios = exact if factors is None or coordinates == "align_corners" else list(factors)
    scale = np.array([1.0, 1.0, *ratios], dtype=np.float32)
    # Runtimes multiply and cut off, some in single and some in double precision.
    cut = [math.floor(old * float(ratio)) < new for old, new, ratio in zip(given, wanted, scale[2:], strict=True)]
    scale = np.where([False, False, *cut], np.nextafter(scale, np.float32(np.inf)), scale)
    if any(math.floor(a * float(ratio)) != b for a, b, ratio in zip(given, wanted, scale[2:], strict=True)):
        raise Unsupported(f"an enlargement from {tuple(given)} to {tuple(wanted)}")
    attributes = {"nearest_mode": "floor"} if mode == "nearest" else {}
    factor = g.constant(scale, torch.float32)
    return g.like("Resize", x, None, factor, mode=mode, coordinate_transformation_mode=coordinates, **attributes)
