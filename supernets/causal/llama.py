"""The layers of the Llama family (Touvron et al., 2023, arXiv 2302.13971), their queries in groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import split
from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.decoder.layers import CausalAttention, DecoderLayer
from hwnas.supernets.decoder.network import Decoder
from hwnas.supernets.decoder.rotary import Rotary


@dataclass(frozen=True)
class LayerShape:
    """One layer of a sub-network.

    Attributes:
        ffn: hidden units of its feed-forward part.
        groups: heads of keys and values.
    """

    ffn: int
    groups: int


class RmsNorm(nn.Module):
    """Divide by the root of the mean square over the last dimension."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt((x * x).mean(-1, keepdim=True) + self.eps)
        return x * scale * self.weight


class GroupedAttention(CausalAttention):
    """Attention whose heads share keys and values in groups; the heads of a group lie side by side."""

    def __init__(self, shape: ModelShape, groups: int, rotary: Rotary) -> None:
        super().__init__(rotary, shape.shared_by)
        self.groups = groups
        embed, width = shape.embed, shape.head_width
        inner = groups * shape.shared_by * width
        self.query = nn.Linear(embed, inner, shape.qkv_bias)
        self.key = nn.Linear(embed, groups * width, shape.qkv_bias)
        self.value = nn.Linear(embed, groups * width, shape.qkv_bias)
        self.proj = nn.Linear(inner, embed, shape.out_bias)
        self.query_norm = RmsNorm(width, shape.eps) if shape.qk_norm else None
        self.key_norm = RmsNorm(width, shape.eps) if shape.qk_norm else None

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        width = self.rotary.width
        query = split(self.query(x), self.groups * self.shared_by, width)
        key = split(self.key(x), self.groups, width)
        value = split(self.value(x), self.groups, width)
        query = query if self.query_norm is None else self.query_norm(query)
        key = key if self.key_norm is None else self.key_norm(key)
        return query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)

    def joined(self, found: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.proj(found)
        return x


class GatedFeedForward(nn.Module):
    """SwiGLU (Shazeer, 2020, arXiv 2002.05202): hidden units, each multiplied by a gate."""

    def __init__(self, embed: int, ffn: int, bias: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(embed, ffn, bias)
        self.up = nn.Linear(embed, ffn, bias)
        self.down = nn.Linear(ffn, embed, bias)

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Return the hidden units, gated."""
        y: torch.Tensor = F.silu(self.gate(x)) * self.up(x)
        return y

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.down(self.hidden(x))
        return y


def llama(shape: ModelShape, layers: Sequence[LayerShape]) -> Decoder:
    """Return the network of a sub-network's layers."""
    rotary = rotary_of(shape)
    return Decoder(
        nn.Embedding(shape.vocab, shape.embed),
        (llama_layer(shape, layer, rotary) for layer in layers),
        RmsNorm(shape.embed, shape.eps),
        rotary,
        None if shape.tied else nn.Linear(shape.embed, shape.vocab, bias=False),
    )


def rotary_of(shape: ModelShape) -> Rotary:
    """Return how queries and keys of a model are turned: all of their channels are."""
    return Rotary(shape.head_width, shape.head_width, shape.positions, shape.base, shape.stretching)


def llama_layer(shape: ModelShape, layer: LayerShape, rotary: Rotary) -> DecoderLayer:
    """Return one layer: grouped attention, then the gated feed-forward part."""
    return DecoderLayer(
        RmsNorm(shape.embed, shape.eps),
        GroupedAttention(shape, layer.groups, rotary),
        RmsNorm(shape.embed, shape.eps),
        GatedFeedForward(shape.embed, layer.ffn, shape.mlp_bias),
    )
