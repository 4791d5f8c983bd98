"""Emit ONNX for torch's products: matrices, attention, and layers whose weights are inputs or computed."""

# ruff: noqa: A002 - parameters carry the names that torch's callers give

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.backends.export.builder import GraphBuilder, Unsupported, Value
from hwnas.backends.export.registered import function


@function(operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm")
def matmul(g: GraphBuilder, input: Value, other: Value) -> Value:
    """Write a (batched) matrix product."""
    ranks = (g.rank(input), g.rank(other))
    return g.op("MatMul", input, other, rank=max(ranks) if min(ranks) > 1 else None, dtype=g.dtype_of(input))


@function(F.linear)
def linear(g: GraphBuilder, input: Value, weight: Value, bias: Value | None = None) -> Value:
    """Write a linear layer whose weight is an input or computed."""
    if g.rank(input) == 2:
        return g.op("Gemm", input, weight, bias, rank=2, dtype=g.dtype_of(input), transB=1)
    product = g.like("MatMul", input, g.like("Transpose", weight, perm=[1, 0]))
    return product if bias is None else g.like("Add", product, bias)


@function(torch.einsum)
def einsum(g: GraphBuilder, equation: str, *tensors: Value) -> Value:
    """Write an Einstein sum with an explicit result (``->``)."""
    if "->" not in equation or "." in equation:
        raise Unsupported(f"einsum {equation!r}")
    rank = len(equation.partition("->")[2].replace(" ", ""))
    return g.op("Einsum", *tensors, rank=rank, dtype=g.dtype_of(tensors[0]), equation=equation.replace(" ", ""))


@function(F.scaled_dot_product_attention)
def attention(
    g: GraphBuilder,
    query: Value,
    key: Value,
    value: Value,
    attn_mask: Value | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Value:
    """Write softmax(q k^T scale + mask) v."""
    if dropout_p:
        raise Unsupported("attention with dropout")
    scale = 1 / math.sqrt(g.shape(query)[-1]) if scale is None else scale
    dtype, rank = g.dtype_of(query), g.rank(query)
    swapped = [*range(rank - 2), rank - 1, rank - 2]
    scores = g.like("MatMul", g.like("Mul", query, g.constant(scale, dtype)), g.like("Transpose", key, perm=swapped))
    if is_causal:
        allowed = torch.ones(g.shape(query)[-2], g.shape(key)[-2], dtype=torch.bool).tril()
        attn_mask = g.constant(allowed, torch.bool)
    if attn_mask is not None and g.dtype_of(attn_mask) == torch.bool:
        scores = g.like("Where", attn_mask, scores, g.constant(-math.inf, dtype))
    elif attn_mask is not None:
        scores = g.like("Add", scores, attn_mask)
    probabilities = g.op("Softmax", scores, rank=rank, dtype=dtype, axis=-1)
    return g.like("MatMul", probabilities, value)


@function(F.layer_norm)
def layer_norm(
    g: GraphBuilder,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Value | None = None,
    bias: Value | None = None,
    eps: float = 1e-5,
) -> Value:
    """Write a layer-norm whose weights are inputs or computed."""
    scale = g.constant(torch.ones(tuple(normalized_shape)), g.dtype) if weight is None else weight
    return g.like("LayerNormalization", input, scale, bias, axis=-len(normalized_shape), epsilon=eps)
