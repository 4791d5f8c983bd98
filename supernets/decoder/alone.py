"""Make each kind of block of HW-GPT-Bench's decoders a network of its own, so that it can be measured alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import PARTS, caches_like, tokens_like
from hwnas.supernets.blocks import Block
from hwnas.supernets.decoder.dimensions import GptArchitecture, GptLayerShape
from hwnas.supernets.decoder.gpt import final_norm, gpt_layer, rotary_of
from hwnas.supernets.decoder.layers import DecoderLayer
from hwnas.supernets.decoder.network import unwritten
from hwnas.supernets.decoder.rotary import Rotary
from hwnas.supernets.live_init import build_live, random_input
from hwnas.supernets.supernet import Stage

_SEED = 2405_10299  # any fixed number serves


def block_stage(block: Block, batch: int) -> Stage:
    """Return one block as a stage, with live random weights and inputs for ``batch`` texts."""
    return _KINDS[block.kind](block, batch)


class _Prefilled(nn.Module):
    """A layer on a whole prompt, with keys and values for a cache."""

    def __init__(self, layer: DecoderLayer, rotary: Rotary, length: int) -> None:
        super().__init__()
        self.layer, self.rotary, self.length = layer, rotary, length

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, memory = self.layer(x, self.rotary.first(self.length, x))
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


class _Output(nn.Module):
    """The last norm and the logits. Their weights are counted in the table of tokens, so here they are a constant."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.ln_f = final_norm(weight.shape[1])
        self._weight = [weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(self.ln_f(x), self._weight[0])


def _tokens(block: Block, batch: int) -> Stage:
    vocab, (length,) = block.option("vocabulary"), block.input
    module = build_live(lambda: nn.Embedding(vocab, block.output[-1]), ())
    return Stage(block.kind, module, (tokens_like(range(vocab), batch, length, _SEED),), ("tokens",))


def _layer(block: Block) -> Callable[[], DecoderLayer]:
    shape = GptLayerShape(block.option("heads"), block.option("ffn"))
    network = GptArchitecture(2, block.input[-1], block.option("head-width"), bool(block.option("bias")), (shape,))
    return lambda: gpt_layer(network, shape)


def _prefill(block: Block, batch: int) -> Stage:
    rotary = rotary_of(block.option("head-width"))
    module = build_live(lambda: _Prefilled(_layer(block)(), rotary, block.input[0]), ())
    return Stage(block.kind, module, (random_input(batch, *block.input),), ("input",))


def _decode(block: Block, batch: int) -> Stage:
    heads, width, past = (block.option(name) for name in ("heads", "head-width", "past"))
    module = build_live(lambda: _Decoded(_layer(block)(), past), ())
    x, position = random_input(batch, *block.input), torch.full((batch, 1), past)
    places = rotary_of(width).at(position, x)
    inputs = (x, *places, position, *caches_like([(heads, past, width)], batch, _SEED))
    return Stage(block.kind, module, inputs, ("input", "cosines", "sines", "position", *PARTS))


def _output(block: Block, batch: int) -> Stage:
    (embed,), (vocab,) = block.input, block.output
    weight = random_input(vocab, embed) * (2 / embed) ** 0.5
    module = build_live(lambda: _Output(weight), ())
    return Stage(block.kind, module, (random_input(batch, embed),), ("input",))


_KINDS: dict[str, Callable[[Block, int], Stage]] = {
    "tokens": _tokens,
    "prefill-layer": _prefill,
    "decode-layer": _decode,
    "logits": _output,
}
