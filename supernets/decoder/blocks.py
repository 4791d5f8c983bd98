"""Describe the blocks of HW-GPT-Bench's decoders, with their costs.

Multiply-accumulates are those of all matrix products for one text, attention's included. A block of prefill runs once
on the whole prompt, one of decode once per token, on a cache that has its full size at every token.
"""

from __future__ import annotations

from hwnas.supernets.blocks import Block
from hwnas.supernets.decoder.dimensions import GptArchitecture, GptLayerShape


def embedding(vocab: int, length: int, embed: int) -> Block:
    """Describe the look-up of tokens; its parameters include the output's, which are the same."""
    made = (length, embed)
    return Block("tokens", (length,), made, (("vocabulary", vocab),), 0, vocab * embed, peak=length * embed)


def layer(network: GptArchitecture, shape: GptLayerShape, length: int, past: int = 0) -> Block:
    """Describe a layer's work on ``length`` tokens, each of which attends to them and to ``past`` cached ones."""
    embed, inner = network.embed, shape.heads * network.head_width
    matrices = 4 * embed * inner + 2 * embed * shape.ffn
    # Biases of queries, keys, values, of both projections, and of hidden units; two norms have weights and biases.
    biases = (3 * inner + embed + shape.ffn + embed) * network.bias + 2 * embed
    options = {
        "bias": int(network.bias),
        "ffn": shape.ffn,
        "head-width": network.head_width,
        "heads": shape.heads,
        "past": past,
    }
    return Block(
        "decode-layer" if past else "prefill-layer",
        (length, embed),
        (length, embed),
        tuple(sorted(options.items())),
        length * (matrices + 2 * (length + past) * inner),
        matrices + biases + 2 * embed,
        biases=biases,
        peak=_peak(network, shape, length, past),
        cached=2 * inner if past else 0,
    )


def _peak(network: GptArchitecture, shape: GptLayerShape, length: int, past: int) -> int:
    """Return the most activations in a layer: in its attention, beside the residual, or in its feed-forward part."""
    embed, inner = network.embed, shape.heads * network.head_width
    projecting = 2 * embed + 3 * inner
    # Scores of what is cached and of what is new lie beside each other before they are joined.
    attending = embed + 3 * inner + shape.heads * (length + 2 * past)
    turning = embed + 4 * inner
    return length * max(projecting, turning, attending, 2 * embed + shape.ffn)


def output(vocab: int, embed: int) -> Block:
    """Describe the last norm and the logits of one token; their weights belong to the table of tokens."""
    return Block("logits", (embed,), (vocab,), (), embed * vocab, 2 * embed, biases=embed, peak=embed + vocab)
