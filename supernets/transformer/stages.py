"""Make the stages of one translation, encoder and decoder step, with example inputs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hwnas.supernets import attention
from hwnas.supernets.supernet import Stage
from hwnas.supernets.transformer.blocks import Sentence
from hwnas.supernets.transformer.dimensions import ENCODER, STEP, UNK, Common, DecoderLayerShape
from hwnas.supernets.transformer.network import DecoderStep, EncoderStage, Translator

_SEED = 2005_14187  # any fixed number serves


def stages(translator: Translator, sentence: Sentence, batch: int) -> tuple[Stage, Stage]:
    """Return the encoder and the decoder step of ``batch`` sentences.

    The step is that of the last token, with everything before it in the cache. The cache has a fixed size, and
    positions that are not written yet are masked, so that each step costs the same.
    """
    architecture, vocab = translator.architecture, translator.architecture.common.vocab
    source = tokens_like(vocab, batch, sentence.source)
    encoder = Stage(ENCODER, EncoderStage(translator).eval(), (source,), ("source",))
    inputs = (
        tokens_like(vocab, batch, sentence.beam),
        torch.full((batch, 1), sentence.past),
        source,
        *caches_like(architecture.decoder, architecture.common, sentence, batch),
    )
    step = DecoderStep(translator, sentence.past).eval()
    return encoder, Stage(STEP, step, inputs, step_inputs(len(step.layers)), sentence.steps)


def step_inputs(layers: int) -> tuple[str, ...]:
    """Return the names of a decoder step's inputs, see ``DecoderStep``."""
    return ("tokens", "position", "source", *attention.cache_names(layers, "past", "memory"))


def tokens_like(vocab: int, batch: int, length: int) -> torch.Tensor:
    """Return seeded tokens without padding, ``(batch, length)``."""
    return attention.tokens_like(range(UNK + 1, vocab), batch, length, _SEED)


def caches_like(
    shapes: Sequence[DecoderLayerShape], common: Common, sentence: Sentence, batch: int
) -> tuple[torch.Tensor, ...]:
    """Return seeded normal caches of decoder layers, in the order in which ``DecoderStep`` takes them."""

    def width(heads: int) -> int:
        return common.inner // heads

    past = [(sentence.beam, one.self_heads, sentence.past, width(one.self_heads)) for one in shapes]
    memory = [(one.cross_heads, sentence.source * one.reach, width(one.cross_heads)) for one in shapes]
    return attention.caches_like([*past, *memory], batch, _SEED)
