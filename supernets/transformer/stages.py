"""Make the stages of one translation, encoder and decoder step, with example inputs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch

from hwnas.supernets.supernet import Stage
from hwnas.supernets.transformer.blocks import Sentence
from hwnas.supernets.transformer.dimensions import UNK, Common, DecoderLayerShape
from hwnas.supernets.transformer.network import DecoderStep, EncoderStage, Translator

_SEED = 2005_14187  # any fixed number serves

_PARTS = ("keys", "values")


def stages(translator: Translator, sentence: Sentence, batch: int) -> tuple[Stage, Stage]:
    """Return the encoder and the decoder step of ``batch`` sentences.

    The step is that of the last token, with everything before it in the cache. The cache has a fixed size, and
    positions that are not written yet are masked, so that each step costs the same.
    """
    architecture, vocab = translator.architecture, translator.architecture.common.vocab
    source = tokens_like(vocab, batch, sentence.source)
    encoder = Stage("encoder", EncoderStage(translator).eval(), (source,), ("source",))
    inputs = (
        tokens_like(vocab, batch, sentence.beam),
        torch.full((batch, 1), sentence.past),
        source,
        *caches_like(architecture.decoder, architecture.common, sentence, batch),
    )
    step = DecoderStep(translator, sentence.past).eval()
    return encoder, Stage("decoder-step", step, inputs, step_inputs(len(step.layers)), sentence.steps)


def step_inputs(layers: int) -> tuple[str, ...]:
    """Return the names of a decoder step's inputs, see ``DecoderStep``."""
    caches = (f"{kind}.{layer}.{part}" for kind in ("past", "memory") for layer in range(layers) for part in _PARTS)
    return ("tokens", "position", "source", *caches)


def tokens_like(vocab: int, batch: int, length: int) -> torch.Tensor:
    """Return seeded tokens without padding, ``(batch, length)``."""
    return torch.randint(UNK + 1, vocab, (batch, length), generator=torch.Generator().manual_seed(_SEED))


def caches_like(
    shapes: Sequence[DecoderLayerShape], common: Common, sentence: Sentence, batch: int
) -> tuple[torch.Tensor, ...]:
    """Return seeded normal caches of decoder layers, in the order in which ``DecoderStep`` takes them."""
    generator = torch.Generator().manual_seed(_SEED)

    def twice(heads: int, *dims: int) -> Iterator[torch.Tensor]:
        for _ in _PARTS:
            yield torch.randn(batch, *dims, common.inner // heads, generator=generator)

    past = [twice(shape.self_heads, sentence.beam, shape.self_heads, sentence.past) for shape in shapes]
    memory = [twice(shape.cross_heads, shape.cross_heads, sentence.source * shape.reach) for shape in shapes]
    return tuple(itertools.chain(*past, *memory))
