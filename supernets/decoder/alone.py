"""Make each kind of block of a decoder a network of its own, so that it can be measured alone.

Families share the kinds and have layers and norms of their own; HW-GPT-Bench's are here.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import PARTS, caches_like, tokens_like
from hwnas.supernets.blocks import Block
from hwnas.supernets.decoder.dimensions import GptArchitecture, GptLayerShape
from hwnas.supernets.decoder.gpt import final_norm, gpt_layer
from hwnas.supernets.decoder.layers import DecoderLayer
from hwnas.supernets.decoder.network import unwritten
from hwnas.supernets.live_init import build_live, random_input
from hwnas.supernets.supernet import DYNAMIC, Stage

_SEED = 2405_10299  # any fixed number serves


def block_stage(block: Block, batch: int) -> Stage:
    """Return one block of HW-GPT-Bench as a stage, with live random weights and inputs for ``batch`` texts."""
    if block.kind == "tokens":
        return tokens(block, batch)
    if block.kind == "logits":
        return logits(block, batch, final_norm, tied=True)
    shape = GptLayerShape(block.option("heads"), block.option("ffn"))
    network = GptArchitecture(2, block.input[-1], block.option("head-width"), bool(block.option("bias")), (shape,))
    return layer(block, batch, lambda: gpt_layer(network, shape), shape.heads)


def tokens(block: Block, batch: int) -> Stage:
    """Return the look-up of tokens as a stage."""
    vocab, (length,) = block.option("vocabulary"), block.input
    module = build_live(lambda: nn.Embedding(vocab, block.output[-1]), ())
    return Stage(
        block.kind, module, (tokens_like(range(vocab), batch, length, _SEED),), ("tokens",), quantisation=DYNAMIC
    )


def layer(block: Block, batch: int, make: Callable[[], DecoderLayer], cached_heads: int) -> Stage:
    """Return a layer as a stage: on a whole prompt, or on one token where the block says what is cached (``past``).

    Args:
        block: the layer's.
        batch: texts.
        make: returns the layer.
        cached_heads: heads of keys and values.
    """
    x, past = random_input(batch, *block.input), dict(block.options).get("past", 0)
    if not past:
        module = build_live(lambda: _Prefilled(make(), block.input[0]), ())
        return Stage(block.kind, module, (x,), ("input",), quantisation=DYNAMIC)
    module = build_live(lambda: _Decoded(make(), past), ())
    assert isinstance(module, _Decoded)  # noqa: S101 - what was made
    rotary, position = module.layer.attn.rotary, torch.full((batch, 1), past)
    inputs = (x, *rotary.at(position, x), position, *caches_like([(cached_heads, past, rotary.width)], batch, _SEED))
    names = ("input", "cosines", "sines", "position", *PARTS)
    return Stage(block.kind, module, inputs, names, quantisation=DYNAMIC)


def logits(block: Block, batch: int, norm: Callable[[int], nn.Module], *, tied: bool) -> Stage:
    """Return the last norm and the logits as a stage.

    Args:
        block: with the channels and the number of tokens.
        batch: texts.
        norm: makes the norm of so many channels.
        tied: the weights are those of the table of tokens, where they are counted, so here they are a constant.
    """
    (embed,), (vocab,) = block.input, block.output
    if tied:
        weight = random_input(vocab, embed) * (2 / embed) ** 0.5
        module = build_live(lambda: _TiedOutput(norm(embed), weight), ())
    else:
        module = build_live(lambda: nn.Sequential(norm(embed), nn.Linear(embed, vocab, bias=False)), ())
    return Stage(block.kind, module, (random_input(batch, embed),), ("input",), quantisation=DYNAMIC)


class _Prefilled(nn.Module):
    """A layer on a whole prompt, with keys and values for a cache."""

    def __init__(self, layer: DecoderLayer, length: int) -> None:
        super().__init__()
        self.layer, self.length = layer, length

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, memory = self.layer(x, self.layer.attn.rotary.first(self.length, x))
        return (y, *memory)


class _Decoded(nn.Module):
    """A layer at one token. Its angles are computed once per network, and belong to no layer: here they are given."""

    def __init__(self, layer: DecoderLayer, past: int) -> None:
        super().__init__()
        self.layer, self.past = layer, past

    def forward(
        self, x: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, position: torch.Tensor, *past: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        hidden = unwritten(position, self.past)
        y, new = self.layer.step(x, (cosines, sines), (past[0], past[1]), hidden)
        return (y, *new)


class _TiedOutput(nn.Module):
    def __init__(self, norm: nn.Module, weight: torch.Tensor) -> None:
        super().__init__()
        self.norm = norm
        self._weight = [weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(self.norm(x), self._weight[0])
