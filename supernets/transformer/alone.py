"""Make each kind of Transformer block a network of its own, so that its latency can be measured alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.blocks import Block
from hwnas.supernets.live_init import build_live, random_input
from hwnas.supernets.supernet import Stage
from hwnas.supernets.transformer.blocks import Sentence
from hwnas.supernets.transformer.dimensions import PAD, Common, DecoderLayerShape, EncoderLayerShape
from hwnas.supernets.transformer.layers import CrossMemory, DecoderLayer, Embedding, EncoderLayer
from hwnas.supernets.transformer.network import seen
from hwnas.supernets.transformer.stages import caches_like, tokens_like


def block_stage(common: Common, block: Block, batch: int) -> Stage:
    """Return one block as a stage, with live random weights and inputs for ``batch`` sentences."""
    return _KINDS[block.kind](common, block, batch)


class _Table(nn.Module):
    """The embedding table, with a look-up of the source's tokens."""

    def __init__(self, common: Common, width: int) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(common.vocab, width)
        self.embedding = Embedding(common, width)

    def forward(self, source: torch.Tensor) -> torch.Tensor:
        present = source.ne(PAD).long()
        x: torch.Tensor = self.embedding(source, present.cumsum(1) * present + PAD, self.embed_tokens.weight)
        return x


class _EncoderLayer(nn.Module):
    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x, seen(source))
        return y


class _DecoderLayer(nn.Module):
    """A decoder layer at one token; computing the encoder's keys and values is another block."""

    def __init__(self, layer: DecoderLayer, past: int) -> None:
        super().__init__()
        layer.encoder_attn.memory = nn.Identity()  # type: ignore[assignment]
        self.layer = layer
        self.past = past

    def forward(
        self, x: torch.Tensor, position: torch.Tensor, source: torch.Tensor, *caches: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        hidden = position.le(torch.arange(self.past)).unsqueeze(1).unsqueeze(1).unsqueeze(1)
        past, memory = (caches[0], caches[1]), (caches[2], caches[3])
        y, new = self.layer.step(x, past, hidden, memory, seen(source))
        return (y, *new)


class _Output(nn.Module):
    """The logits. Their weights belong to the embedding table and are counted there, so here they are a constant."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self._weight = [weight]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self._weight[0])


def _table(common: Common, block: Block, batch: int) -> Stage:
    module = build_live(lambda: _Table(common, block.output[-1]), ())
    return Stage(block.kind, module, (tokens_like(common.vocab, batch, block.input[0]),), ("source",))


def _encoder_layer(common: Common, block: Block, batch: int) -> Stage:
    length, embed = block.input
    shape = EncoderLayerShape(embed, block.option("ffn"), block.option("heads"))
    module = build_live(lambda: _EncoderLayer(EncoderLayer(common, shape)), ())
    inputs = (random_input(batch, length, embed), tokens_like(common.vocab, batch, length))
    return Stage(block.kind, module, inputs, ("input", "source"))


def _cross_memory(common: Common, block: Block, batch: int) -> Stage:
    module = build_live(lambda: CrossMemory(block.input[-1], common, block.option("heads")), ())
    return Stage(block.kind, module, (random_input(batch, *block.input),), ("input",))


def _decoder_layer(common: Common, block: Block, batch: int) -> Stage:
    beam, embed = block.input
    ffn, self_heads, cross_heads, reach, past, source = (
        block.option(name) for name in ("ffn", "self-heads", "cross-heads", "reach", "past", "source")
    )
    shape = DecoderLayerShape(embed, ffn, self_heads, cross_heads, reach)
    module = build_live(lambda: _DecoderLayer(DecoderLayer(common, shape, embed), past), ())
    inputs = (
        random_input(batch, beam, embed),
        torch.full((batch, 1), past),
        tokens_like(common.vocab, batch, source),
        *caches_like([shape], common, Sentence(source, past + 1, beam), batch),
    )
    names = ("input", "position", "source", "past.keys", "past.values", "memory.keys", "memory.values")
    return Stage(block.kind, module, inputs, names)


def _output(common: Common, block: Block, batch: int) -> Stage:
    weight = random_input(common.vocab, block.input[-1]) * (2 / block.input[-1]) ** 0.5
    return Stage(block.kind, _Output(weight).eval(), (random_input(batch, *block.input),), ("input",))


_KINDS: dict[str, Callable[[Common, Block, int], Stage]] = {
    "embedding": _table,
    "encoder-layer": _encoder_layer,
    "cross-memory": _cross_memory,
    "decoder-layer": _decoder_layer,
    "output": _output,
}
