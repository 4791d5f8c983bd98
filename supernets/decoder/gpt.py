"""The decoder of HW-GPT-Bench (Sukthanker et al., 2024, arXiv 2405.10299), whose layers are those of GPT-NeoX."""

from __future__ import annotations

from torch import nn

from hwnas.supernets.decoder.dimensions import BLOCK_SIZE, GptArchitecture, GptLayerShape
from hwnas.supernets.decoder.layers import DecoderLayer, FeedForward, FusedAttention
from hwnas.supernets.decoder.network import Decoder
from hwnas.supernets.decoder.rotary import Rotary

_EPS = 1e-5


def gpt(architecture: GptArchitecture) -> Decoder:
    """Return the network of an architecture: norms are LayerNorm, and the output shares the table of tokens."""
    embed = architecture.embed
    return Decoder(
        nn.Embedding(architecture.vocab, embed),
        (gpt_layer(architecture, shape) for shape in architecture.layers),
        final_norm(embed),
        rotary_of(architecture.head_width),
    )


def gpt_layer(architecture: GptArchitecture, shape: GptLayerShape) -> DecoderLayer:
    """Return one layer: attention and feed-forward side by side."""
    embed, bias = architecture.embed, architecture.bias
    return DecoderLayer(
        nn.LayerNorm(embed, eps=_EPS),
        FusedAttention(embed, shape.heads, rotary_of(architecture.head_width), bias),
        nn.LayerNorm(embed, eps=_EPS),
        FeedForward(embed, shape.ffn, bias),
        parallel=True,
    )


def final_norm(embed: int) -> nn.LayerNorm:
    """Return the norm before the output."""
    return nn.LayerNorm(embed, eps=_EPS)


def rotary_of(head_width: int) -> Rotary:
    """Return the positions of heads of a width: the first half of their channels is turned."""
    return Rotary(head_width, head_width // 2, BLOCK_SIZE)
