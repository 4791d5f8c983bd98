"""Describe the blocks of the Llama family, with their costs; see ``hwnas.supernets.decoder.blocks``."""

from __future__ import annotations

from hwnas.supernets.blocks import Block
from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.causal.llama import LayerShape


def embedding(shape: ModelShape, length: int) -> Block:
    """Describe the look-up of tokens; a tied output's parameters are among its own."""
    made, options = (length, shape.embed), (("vocabulary", shape.vocab),)
    return Block("tokens", (length,), made, options, 0, shape.vocab * shape.embed, peak=length * shape.embed)


def layer(shape: ModelShape, sizes: LayerShape, length: int, past: int = 0) -> Block:
    """Describe a layer's work on ``length`` tokens, each of which attends to them and to ``past`` cached ones."""
    embed, keys = shape.embed, sizes.groups * shape.head_width
    inner = keys * shape.shared_by
    matrices = 2 * embed * inner + 2 * embed * keys + 3 * embed * sizes.ffn
    norms = 2 * embed + 2 * shape.head_width * shape.qk_norm
    biases = (inner + 2 * keys) * shape.qkv_bias + embed * shape.out_bias + (2 * sizes.ffn + embed) * shape.mlp_bias
    options = {
        "ffn": sizes.ffn,
        "groups": sizes.groups,
        "head-width": shape.head_width,
        "mlp-bias": int(shape.mlp_bias),
        "out-bias": int(shape.out_bias),
        "past": past,
        "qk-norm": int(shape.qk_norm),
        "qkv-bias": int(shape.qkv_bias),
        "shared-by": shape.shared_by,
    }
    return Block(
        "grouped-decode-layer" if past else "grouped-prefill-layer",
        (length, embed),
        (length, embed),
        tuple(sorted(options.items())),
        length * (matrices + 2 * (length + past) * inner),
        matrices + norms + biases,
        biases=biases,
        peak=_peak(shape, sizes, length, past),
        cached=2 * keys if past else 0,
    )


def _peak(shape: ModelShape, sizes: LayerShape, length: int, past: int) -> int:
    """Return the most activations in a layer: in its attention, beside the residual, or in its feed-forward part."""
    embed, keys = shape.embed, sizes.groups * shape.head_width
    inner, heads = keys * shape.shared_by, sizes.groups * shape.shared_by
    projecting = 2 * embed + inner + 2 * keys
    attending = embed + inner + 2 * keys + heads * (length + 2 * past)
    turning = embed + 2 * inner + 2 * keys
    return length * max(projecting, turning, attending, 2 * embed + 2 * sizes.ffn)


def output(shape: ModelShape) -> Block:
    """Describe the last norm and the logits of one token; a tied output's weights belong to the table of tokens."""
    own = 0 if shape.tied else shape.embed * shape.vocab
    options = (("tied", int(shape.tied)),)
    embed, vocab = shape.embed, shape.vocab
    return Block("rms-logits", (embed,), (vocab,), options, embed * vocab, embed + own, peak=2 * embed + vocab)
