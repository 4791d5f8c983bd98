"""The torch layers of stand-alone translation sub-networks (Vaswani et al., 2017; HAT, arXiv 2005.14187).

Layers normalise after the residual, as in HAT. Tensors are ``(batch, length, channels)``, and with separate heads
``(batch, heads, length, head width)``. No code depends on a length, so that exported graphs do not fix it.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import Memory, over_cache, split
from hwnas.supernets.transformer.dimensions import (
    FIRST_POSITION,
    PAD,
    POSITIONS,
    Common,
    DecoderLayerShape,
    EncoderLayerShape,
)


@functools.cache
def sinusoids(width: int) -> torch.Tensor:
    """Return the table of positions, ``(positions, width)``: all sines, then all cosines, as fairseq lays them out."""
    half = width // 2
    # The result is cached, so it is made on the CPU and outside inference mode, wherever it is first needed.
    with torch.device("cpu"), torch.inference_mode(mode=False):
        rates = torch.exp(torch.arange(half) * (-math.log(10_000) / max(half - 1, 1)))
        angles = torch.arange(POSITIONS + FIRST_POSITION)[:, None] * rates[None]
        table = torch.cat([angles.sin(), angles.cos(), torch.zeros(len(angles), width % 2)], dim=1)
        table[PAD] = 0
    return table


def places_like(table: torch.Tensor, width: int, embed: int) -> torch.Tensor:
    """Return the first ``embed`` columns of the table of positions, of the type and on the device of ``table``."""
    if not isinstance(table, torch.Tensor):  # the module is being traced: a constant of the graph
        return sinusoids(width)[:, :embed]
    return _placed(width, embed, table.dtype, table.device)


@functools.cache
def _placed(width: int, embed: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(mode=False):
        return sinusoids(width)[:, :embed].to(device, dtype).contiguous()


class Embedding(nn.Module):
    """The embedding of tokens and their positions.

    Args:
        common: the super-network's numbers.
        embed: channels of the result.
    """

    def __init__(self, common: Common, embed: int) -> None:
        super().__init__()
        self.scale = math.sqrt(embed)
        self.embed = embed
        self.width = common.width
        self.dropout = nn.Dropout(common.dropout_at(embed))

    def forward(self, tokens: torch.Tensor, positions: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, length, embed)`` for tokens ``(batch, length)``, their positions and the table of tokens."""
        # Looked up before it is sliced: slicing the table would copy it in every run of an exported graph.
        found = F.embedding(tokens, table)[..., : self.embed] * self.scale
        places = F.embedding(positions, places_like(table, self.width, self.embed))
        x: torch.Tensor = self.dropout(found + places)
        return x


class Attention(nn.Module):
    """Base class of self-attention and attention to the encoder, with heads of a given total width."""

    def __init__(self, embed: int, common: Common, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = common.inner // heads
        self.dropout = common.attention_dropout
        self.out_proj = nn.Linear(common.inner, embed)

    def apart(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, length, inner)`` with separate heads."""
        return split(x, self.heads, self.head_width).transpose(1, 2)

    def attend(self, queries: torch.Tensor, memory: Memory, visible: torch.Tensor) -> torch.Tensor:
        """Attend to the keys where ``visible``, which broadcasts to (batch, heads, queries, keys)."""
        dropout = self.dropout if self.training else 0.0
        found = F.scaled_dot_product_attention(queries, *memory, attn_mask=visible, dropout_p=dropout)
        x: torch.Tensor = self.out_proj(found.transpose(1, 2).flatten(2))
        return x


class SelfAttention(Attention):
    """Attention of each position to the others."""

    def __init__(self, embed: int, common: Common, heads: int) -> None:
        super().__init__(embed, common, heads)
        self.in_proj = nn.Linear(embed, 3 * common.inner)

    def forward(self, x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Attend within ``x``, where ``visible``."""
        q, k, v = self.in_proj(x).chunk(3, -1)
        return self.attend(self.apart(q), (self.apart(k), self.apart(v)), visible)

    def step(self, x: torch.Tensor, past: Memory, hidden: torch.Tensor) -> tuple[torch.Tensor, Memory]:
        """Attend from one new position of each beam to itself and to what is cached, which the caller writes.

        Args:
            x: ``(batch, beam, embed)``.
            past: cached keys and values, each ``(batch, beam, heads, steps, head width)``.
            hidden: which of them are not written yet, ``(batch, 1, 1, 1, steps)``.

        Returns:
            The result, and the position's own keys and values, each ``(batch, beam, heads, 1, head width)``.
        """
        q, k, v = self.in_proj(x).chunk(3, -1)
        query, key, value = (split(part, self.heads, self.head_width).unsqueeze(-2) for part in (q, k, v))
        found = over_cache(query * self.head_width**-0.5, (key, value), past, hidden)
        return self.out_proj(found.squeeze(-2).flatten(2)), (key, value)


class CrossAttention(Attention):
    """Attention of the decoder to the encoder's last layers."""

    def __init__(self, embed: int, encoder_embed: int, common: Common, heads: int) -> None:
        super().__init__(embed, common, heads)
        self.q_proj = nn.Linear(embed, common.inner)
        self.memory = CrossMemory(encoder_embed, common, heads)

    def forward(self, x: torch.Tensor, memory: Memory, visible: torch.Tensor) -> torch.Tensor:
        """Attend from ``x`` to ``memory``. The beams of one sentence stand side by side as its positions do."""
        return self.attend(self.apart(self.q_proj(x)), memory, visible)


class CrossMemory(nn.Module):
    """The keys and values that a decoder layer attends to; they stay the same while a sentence is decoded."""

    def __init__(self, encoder_embed: int, common: Common, heads: int) -> None:
        super().__init__()
        self.heads, self.head_width = heads, common.inner // heads
        self.kv_proj = nn.Linear(encoder_embed, 2 * common.inner)

    def forward(self, encoded: torch.Tensor) -> Memory:
        """Return keys and values of encoder outputs, concatenated in time, ``(batch, length, encoder_embed)``."""
        keys, values = self.kv_proj(encoded).chunk(2, -1)
        keys, values = (split(part, self.heads, self.head_width).transpose(1, 2) for part in (keys, values))
        return keys, values


class FeedForward(nn.Module):
    """Two linear layers with a ReLU between them."""

    def __init__(self, embed: int, ffn: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(embed, ffn)
        self.fc2 = nn.Linear(ffn, embed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.fc2(torch.relu(self.fc1(x)))
        return y


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward."""

    def __init__(self, common: Common, shape: EncoderLayerShape) -> None:
        super().__init__()
        self.self_attn = SelfAttention(shape.embed, common, shape.heads)
        self.self_attn_layer_norm = nn.LayerNorm(shape.embed)
        self.ffn = FeedForward(shape.embed, shape.ffn)
        self.final_layer_norm = nn.LayerNorm(shape.embed)
        self.dropout = nn.Dropout(common.dropout_at(shape.embed))

    def forward(self, x: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, length, embed)``; ``visible`` are the positions to attend to."""
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, visible)))
        y: torch.Tensor = self.final_layer_norm(x + self.dropout(self.ffn(x)))
        return y


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder and feed-forward."""

    def __init__(self, common: Common, shape: DecoderLayerShape, encoder_embed: int) -> None:
        super().__init__()
        self.reach = shape.reach
        self.self_attn = SelfAttention(shape.embed, common, shape.self_heads)
        self.self_attn_layer_norm = nn.LayerNorm(shape.embed)
        self.encoder_attn = CrossAttention(shape.embed, encoder_embed, common, shape.cross_heads)
        self.encoder_attn_layer_norm = nn.LayerNorm(shape.embed)
        self.ffn = FeedForward(shape.embed, shape.ffn)
        self.final_layer_norm = nn.LayerNorm(shape.embed)
        self.dropout = nn.Dropout(common.dropout_at(shape.embed))

    def memory(self, encoded: list[torch.Tensor]) -> Memory:
        """Return the keys and values of the encoder layers that this layer reaches, the last one first."""
        reached = [encoded[-1 - back] for back in range(self.reach)]
        found: Memory = self.encoder_attn.memory(reached[0] if self.reach == 1 else torch.cat(reached, 1))
        return found

    def forward(self, x: torch.Tensor, causal: torch.Tensor, memory: Memory, visible: torch.Tensor) -> torch.Tensor:
        """Return all positions at once; each attends to ``causal`` ones, and to ``visible`` ones of the source."""
        x = self.self_attn_layer_norm(x + self.dropout(self.self_attn(x, causal)))
        return self._rest(x, memory, visible)

    def step(
        self, x: torch.Tensor, past: Memory, hidden: torch.Tensor, memory: Memory, visible: torch.Tensor
    ) -> tuple[torch.Tensor, Memory]:
        """Return one new position of each beam, and its keys and values for the cache; see ``SelfAttention.step``."""
        found, new = self.self_attn.step(x, past, hidden)
        return self._rest(self.self_attn_layer_norm(x + found), memory, visible), new

    def _rest(self, x: torch.Tensor, memory: Memory, visible: torch.Tensor) -> torch.Tensor:
        source = visible if self.reach == 1 else torch.cat([visible] * self.reach, -1)
        x = self.encoder_attn_layer_norm(x + self.dropout(self.encoder_attn(x, memory, source)))
        y: torch.Tensor = self.final_layer_norm(x + self.dropout(self.ffn(x)))
        return y
