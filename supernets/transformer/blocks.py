"""Describe the blocks of translation sub-networks, with their costs and stages.

Multiply-accumulates are those of all matrix products for one sentence, including attention: the encoder's blocks run
once, the decoder's once for each token and for all beams together.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.supernets.blocks import Block
from hwnas.supernets.transformer.dimensions import Common, DecoderLayerShape, EncoderLayerShape


@dataclass(frozen=True)
class Sentence:
    """The inference whose cost is counted.

    Attributes:
        source: tokens of the source.
        steps: tokens that are decoded.
        beam: hypotheses that are decoded in parallel.
    """

    source: int = 30
    steps: int = 30
    beam: int = 5

    @property
    def past(self) -> int:
        """Positions in the cache: at the last step it has all others."""
        return self.steps - 1


def table(common: Common, sentence: Sentence, width: int) -> Block:
    """Describe the embedding table with a look-up of the source's tokens; its parameters include the output's."""
    return Block("embedding", (sentence.source,), (sentence.source, width), (), 0, common.vocab * width)


def encoder_layer(common: Common, sentence: Sentence, shape: EncoderLayerShape) -> Block:
    """Describe a layer of the encoder."""
    length, embed, inner, ffn = sentence.source, shape.embed, common.inner, shape.ffn
    macs = length * (4 * embed * inner + 2 * length * inner + 2 * embed * ffn)
    matrices = 4 * embed * inner + 2 * embed * ffn
    # Biases of both attention's layers and both feed-forward ones, and two norms.
    vectors = 3 * inner + embed + ffn + embed + 4 * embed
    options = _sorted(ffn=ffn, heads=shape.heads, inner=inner)
    return Block("encoder-layer", (length, embed), (length, embed), options, macs, matrices + vectors, biases=vectors)


def cross_memory(common: Common, sentence: Sentence, embed: int, heads: int, reach: int) -> Block:
    """Describe the keys and values that a decoder layer attends to, computed from the encoder's ``embed`` channels."""
    length, made = sentence.source * reach, 2 * common.inner
    options = _sorted(heads=heads, reach=reach)
    macs = length * embed * made
    return Block("cross-memory", (length, embed), (length, made), options, macs, (embed + 1) * made, biases=made)


def decoder_layer(common: Common, sentence: Sentence, shape: DecoderLayerShape) -> Block:
    """Describe a decoder layer's work at one token."""
    embed, inner, ffn = shape.embed, common.inner, shape.ffn
    keys = sentence.past + 1 + sentence.source * shape.reach
    macs = sentence.beam * (6 * embed * inner + 2 * keys * inner + 2 * embed * ffn)
    matrices = 6 * embed * inner + 2 * embed * ffn
    vectors = (3 * inner + embed) + (inner + embed) + (ffn + embed) + 6 * embed
    options = _sorted(
        cross_heads=shape.cross_heads,
        ffn=ffn,
        inner=inner,
        past=sentence.past,
        reach=shape.reach,
        self_heads=shape.self_heads,
        source=sentence.source,
    )
    beams, cached = (sentence.beam, embed), 2 * sentence.beam * inner
    return Block("decoder-layer", beams, beams, options, macs, matrices + vectors, biases=vectors, cached=cached)


def output(common: Common, sentence: Sentence, embed: int) -> Block:
    """Describe the logits; their weights belong to the embedding table and are counted there."""
    shape = (sentence.beam, embed), (sentence.beam, common.vocab)
    return Block("output", *shape, (), sentence.beam * embed * common.vocab, 0)


def _sorted(**options: int) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name.replace("_", "-"), value) for name, value in options.items()))
