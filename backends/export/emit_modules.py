"""Emit ONNX for torch's modules, such as convolutions, norms and activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hwnas.backends.export import emit_arithmetic, emit_aten_shapes, emit_pooling, emit_shapes
from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.registered import module


@module(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution(g: GraphBuilder, m: Any, x: Value, *, name: str, norm: Any = None) -> Value:
    """Write a convolution, with the batch-norm behind it folded into its weights."""
    weight, bias = (m.weight, m.bias) if norm is None else _with_norm(m.weight, m.bias, norm)
    if m.padding_mode == "zeros":
        return _convolved(g, m, x, weight, bias, kind="Conv", name=name)
    pads, n = _pads(m.padding, m.kernel_size, m.dilation), len(m.kernel_size)
    sides = [side for dim in reversed(range(n)) for side in (pads[dim], pads[n + dim])]
    padded = emit_aten_shapes.padded(g, x, sides, m.padding_mode)
    return _convolved(g, m, padded, weight, bias, kind="Conv", name=name, pads=[0] * 2 * n)


@module(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def transposed_convolution(g: GraphBuilder, m: Any, x: Value, *, name: str) -> Value:
    """Write a transposed convolution."""
    more = {"output_padding": list(m.output_padding)}
    return _convolved(g, m, x, m.weight, m.bias, kind="ConvTranspose", name=name, **more)


def _convolved(
    g: GraphBuilder, m: Any, x: Value, weight: Any, bias: Any, *, kind: str, name: str, **more: Any
) -> Value:
    """Write a convolution of a kind, of batches or of a single sample."""

    def write(batch: Value) -> Value:
        return g.op(
            kind,
            batch,
            g.weight(f"{name}.weight", weight),
            None if bias is None else g.weight(f"{name}.bias", bias),
            rank=weight.dim(),
            dtype=g.dtype_of(x),
            name=name,
            kernel_shape=list(m.kernel_size),
            strides=list(m.stride),
            dilations=list(m.dilation),
            group=m.groups,
            **{"pads": _pads(m.padding, m.kernel_size, m.dilation), **more},
        )

    return emit_pooling.of_one(g, x, weight.dim(), write)


def _with_norm(weight: torch.Tensor, bias: torch.Tensor | None, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weight and bias of a convolution with the batch-norm ``norm`` folded into it."""
    with torch.no_grad():
        scale = torch.rsqrt(norm.running_var + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = -norm.running_mean * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        if bias is not None:
            shift = shift + bias * scale
        return weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift


def _pads(padding: str | Sequence[int], kernel: Sequence[int], dilation: Sequence[int]) -> list[int]:
    """Return ONNX's pads: all beginnings, then all ends."""
    if padding == "same":
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        return [total // 2 for total in totals] + [total - total // 2 for total in totals]
    sides = [0] * len(kernel) if isinstance(padding, str) else list(padding)
    return sides * 2


@module(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
def batch_norm(g: GraphBuilder, m: _BatchNorm, x: Value, *, name: str) -> Value:
    """Write a batch-norm that stands alone."""
    mean, variance = m.running_mean, m.running_var
    if mean is None or variance is None:
        raise Unsupported(f"{name}: batch-norm without statistics")
    scale = torch.ones_like(mean) if m.weight is None else m.weight
    shift = torch.zeros_like(mean) if m.bias is None else m.bias
    tensors = {"scale": scale, "shift": shift, "mean": mean, "variance": variance}
    weights = [g.weight(f"{name}.{key}", tensor) for key, tensor in tensors.items()]
    return g.like("BatchNormalization", x, *weights, name=name, epsilon=m.eps)


@module(nn.Linear)
def linear(g: GraphBuilder, m: nn.Linear, x: Value, *, name: str) -> Value:
    """Write a linear layer: Gemm on matrices, else MatMul and Add."""
    bias = None if m.bias is None else g.weight(f"{name}.bias", m.bias)
    if g.rank(x) == 2:
        weight = g.weight(f"{name}.weight", m.weight)
        return g.op("Gemm", x, weight, bias, rank=2, dtype=g.dtype_of(x), name=name, transB=1)
    product = g.like("MatMul", x, g.weight(f"{name}.weight.T", m.weight.t()), name=name)
    return product if bias is None else g.like("Add", product, bias, name=f"{name}.shifted")


@module(nn.LayerNorm)
def layer_norm(g: GraphBuilder, m: nn.LayerNorm, x: Value, *, name: str) -> Value:
    """Write a layer-norm."""
    weight = torch.ones(m.normalized_shape) if m.weight is None else m.weight
    bias = None if m.bias is None else g.weight(f"{name}.bias", m.bias)
    scale = g.weight(f"{name}.weight", weight)
    return g.like("LayerNormalization", x, scale, bias, name=name, axis=-len(m.normalized_shape), epsilon=m.eps)


@module(nn.Embedding)
def embedding(g: GraphBuilder, m: nn.Embedding, x: Value, *, name: str) -> Value:
    """Write a table look-up."""
    if m.max_norm is not None:
        raise Unsupported(f"{name}: max_norm")
    return g.op("Gather", g.weight(f"{name}.weight", m.weight), x, rank=g.rank(x) + 1, dtype=g.dtype, name=name)


@module(nn.Identity, nn.Dropout, nn.Dropout2d)
def nothing(g: GraphBuilder, m: nn.Module, x: Value, *, name: str) -> Value:  # noqa: ARG001 - an emitter's signature
    """Write nothing: these do nothing in evaluation mode."""
    return x


@module(nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Hardsigmoid, nn.Hardswish, nn.SiLU, nn.ReLU6)
def activation(g: GraphBuilder, m: nn.Module, x: Value, *, name: str) -> Value:
    """Write an activation without parameters."""
    return emit_arithmetic.activation(g, type(m).__name__.lower(), x, name=name)


@module(nn.GELU)
def gelu(g: GraphBuilder, m: nn.GELU, x: Value, *, name: str) -> Value:
    """Write a GELU, exact or by tanh."""
    return g.like("Gelu", x, name=name, approximate=m.approximate)


@module(nn.LeakyReLU)
def leaky_relu(g: GraphBuilder, m: nn.LeakyReLU, x: Value, *, name: str) -> Value:
    """Write a leaky ReLU."""
    return g.like("LeakyRelu", x, name=name, alpha=m.negative_slope)


@module(nn.Softmax, nn.LogSoftmax)
def softmax(g: GraphBuilder, m: Any, x: Value, *, name: str) -> Value:
    """Write a softmax or its logarithm."""
    if m.dim is None:
        raise Unsupported(f"{name}: softmax without a dimension")
    return g.like(type(m).__name__, x, name=name, axis=m.dim)


@module(nn.Flatten)
def flatten(g: GraphBuilder, m: nn.Flatten, x: Value, *, name: str) -> Value:
    """Write a flattening."""
    return emit_shapes.flatten(g, x, m.start_dim, m.end_dim, name=name)


@module(nn.AdaptiveAvgPool2d)
def adaptive_average_pool(g: GraphBuilder, m: nn.AdaptiveAvgPool2d, x: Value, *, name: str) -> Value:
    """Write an average over what gives the wanted size."""
    return emit_pooling.adaptive_average_pool(g, x, m.output_size, name=name)


@module(nn.MaxPool2d)
def max_pool(g: GraphBuilder, m: nn.MaxPool2d, x: Value, *, name: str) -> Value:
    """Write a maximum over windows."""
    return emit_pooling.max_pool(
        g, x, m.kernel_size, m.stride, m.padding, m.dilation, m.ceil_mode, m.return_indices, name=name
    )


@module(nn.AvgPool2d)
def average_pool(g: GraphBuilder, m: nn.AvgPool2d, x: Value, *, name: str) -> Value:
    """Write a mean over windows."""
    return emit_pooling.average_pool(
        g, x, m.kernel_size, m.stride, m.padding, m.ceil_mode, m.count_include_pad, m.divisor_override, name=name
    )
