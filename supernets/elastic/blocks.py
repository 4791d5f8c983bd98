"""One block of a model as a network of its own, so that its latency can be measured for a lookup table."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.blocks import Block
from hwnas.supernets.elastic.layers import BATCH_NORMS, CONVOLUTIONS
from hwnas.supernets.live_init import build_live, random_input
from hwnas.supernets.supernet import Stage

_NORMS: dict[str, Callable[[Block], nn.Module]] = {
    "batch_norm": lambda block: BATCH_NORMS[len(block.input)](block.input[1]),
    "group_norm": lambda block: nn.GroupNorm(block.option("groups"), block.input[1]),
    "layer_norm": lambda block: nn.LayerNorm(block.input[-1], bias=block.option("weights") > 1),
    "rms_norm": lambda block: nn.RMSNorm(block.input[-1]),
}


def stage(block: Block, batch: int) -> Stage:
    """Return a block with live random weights and example inputs of ``batch`` samples.

    Args:
        block: one of those of a model's slots; its shapes are of one sample, the batch's dimension with them.
        batch: samples per inference.
    """
    shape = (batch, *block.input) if block.kind == "parameter" else _shape(block, batch)
    rows, inner = math.prod(block.output[:-1]), _inner(block)
    if block.kind == "einsum" and (inner, rows) != (shape[-1], math.prod(block.input[:-1])):
        # It sums over several dimensions, or one that is not the last: a product of matrices with as many of them.
        shape = (batch * rows, inner)
    inputs: tuple[torch.Tensor, ...] = (random_input(*shape),)
    if block.kind == "attention":
        tokens = block.option("tokens")
        inputs = (*inputs, *(random_input(*shape[:-2], tokens, shape[-1]) for _ in range(2)))
    elif block.kind in ("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum"):
        inputs = (*inputs, random_input(*_other(block, shape)))
    module = build_live(lambda: _module(block), inputs)
    return Stage(block.kind, module, inputs, tuple(f"input{number}" for number in range(len(inputs))))


def _shape(block: Block, batch: int) -> tuple[int, ...]:
    """Return the shape of a block's input for so many samples: those are its first dimension of 1."""
    place = block.input.index(1) if 1 in block.input else -1
    return tuple(batch if number == place else size for number, size in enumerate(block.input))


def _other(block: Block, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the matrix that a product multiplies with."""
    columns, inner = block.output[-1], _inner(block)
    return (*shape[:-2], inner, columns) if len(shape) > 2 else (inner, columns)


def _inner(block: Block) -> int:
    """Return over how many products each entry of a product's result is a sum."""
    return block.macs // max(1, math.prod(block.output))


def _module(block: Block) -> nn.Module:
    if block.kind == "linear":
        return nn.Linear(block.input[-1], block.output[-1], bias=bool(block.option("bias")))
    if block.kind in CONVOLUTIONS:
        return _convolution(block)
    if block.kind in _NORMS:
        return _NORMS[block.kind](block)
    return _Product() if block.kind != "parameter" else _Scale(block.input)


def _convolution(block: Block) -> nn.Module:
    options = dict(block.options)
    rank = sum(name.startswith("kernel") for name in options)
    sizes = {
        name: tuple(options[f"{name}{number}"] for number in range(rank)) if f"{name}{rank - 1}" in options else default
        for name, default in (("stride", 1), ("padding", 0), ("dilation", 1), ("kernel", 1), ("output_padding", 0))
    }
    more = {"output_padding": sizes["output_padding"]} if "transpose" in block.kind else {}
    made: nn.Module = CONVOLUTIONS[block.kind](
        block.input[-rank - 1],
        block.output[-rank - 1],
        sizes["kernel"],
        stride=sizes["stride"],
        padding=sizes["padding"],
        dilation=sizes["dilation"],
        groups=options.get("groups0", 1),
        bias=bool(options["bias"]),
        **more,
    )
    return nn.Sequential(made, BATCH_NORMS[rank + 2](block.output[-rank - 1])) if options["norm"] else made


class _Product(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(*inputs) if len(inputs) == 3 else torch.matmul(*inputs)


class _Scale(nn.Module):
    """A parameter that activations are multiplied with, as a norm's."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight
