"""The layers of decoder-only language models; families combine them, and add attentions and norms of their own.

Tensors are ``(batch, length, channels)``, and with separate heads ``(batch, heads, length, head width)``.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import Memory, over_cache, split
from hwnas.supernets.decoder.rotary import Places, Rotary


class CausalAttention(nn.Module):
    """Base class of causal self-attention, of which several heads may share keys and values.

    Args:
        rotary: how queries and keys are turned.
        shared_by: how many heads share each head of keys and values.
    """

    def __init__(self, rotary: Rotary, shared_by: int = 1) -> None:
        super().__init__()
        self.rotary = rotary
        self.shared_by = shared_by

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return queries, keys and values with separate heads, not turned; queries have ``shared_by`` as many heads."""
        raise NotImplementedError

    def joined(self, found: torch.Tensor) -> torch.Tensor:
        """Return the result for ``found``, ``(batch, length, all heads' channels)``."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, places: Places) -> tuple[torch.Tensor, Memory]:
        """Attend from each position to itself and to those before it.

        Returns:
            The result, and keys and values for a cache, each ``(batch, heads, length, head width)``.
        """
        query, key, value = self._turned(x, places)
        if self.shared_by == 1:
            found = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            # The heads that share keys and values are one more dimension, along which those are repeated.
            keys, values = key.unsqueeze(2), value.unsqueeze(2)
            found = F.scaled_dot_product_attention(self._grouped(query), keys, values, is_causal=True).flatten(1, 2)
        return self.joined(found.transpose(1, 2).flatten(2)), (key, value)

    def step(self, x: torch.Tensor, places: Places, past: Memory, hidden: torch.Tensor) -> tuple[torch.Tensor, Memory]:
        """Attend from one new position to itself and to what is cached, which the caller writes.

        Args:
            x: ``(batch, 1, embed)``.
            places: of the position.
            past: cached keys and values, each ``(batch, heads, steps, head width)``.
            hidden: which of them are not written yet, ``(batch, 1, 1, steps)``.

        Returns:
            The result, and the position's own keys and values, each ``(batch, heads, 1, head width)``.
        """
        query, *new = self._turned(x, places)
        query = query * self.rotary.width**-0.5
        if self.shared_by > 1:
            query = self._grouped(query.squeeze(2))
        found = over_cache(query, (new[0], new[1]), past, hidden)
        return self.joined(found.flatten(1).unsqueeze(1)), (new[0], new[1])

    def _grouped(self, query: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = query.unflatten(1, (-1, self.shared_by))  # type: ignore[no-untyped-call]
        return found

    def _turned(self, x: torch.Tensor, places: Places) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        query, key, value = self.parts(x)
        return self.rotary.turned(query, places), self.rotary.turned(key, places), value


class FusedAttention(CausalAttention):
    """Attention whose queries, keys and values are one linear layer, those of a head side by side.

    So the first rows of its weights are those of the first heads, whichever there are.

    Args:
        embed: channels in and out.
        heads: the number of heads.
        rotary: knows the width of a head.
        bias: the linear layers have biases.
    """

    def __init__(self, embed: int, heads: int, rotary: Rotary, bias: bool) -> None:
        super().__init__(rotary)
        self.heads = heads
        self.attn = nn.Linear(embed, 3 * heads * rotary.width, bias)
        self.proj = nn.Linear(heads * rotary.width, embed, bias)

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        apart = split(self.attn(x), self.heads, 3 * self.rotary.width).transpose(1, 2)
        query, key, value = apart.chunk(3, -1)
        return query, key, value

    def joined(self, found: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.proj(found)
        return x


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between them.

    Args:
        embed: channels in and out.
        ffn: hidden units.
        bias: the linear layers have biases.
    """

    def __init__(self, embed: int, ffn: int, bias: bool) -> None:
        super().__init__()
        self.fc = nn.Linear(embed, ffn, bias)
        self.act = nn.GELU()
        self.proj = nn.Linear(ffn, embed, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.proj(self.act(self.fc(x)))
        return y


class DecoderLayer(nn.Module):
    """Attention and feed-forward, each after a norm of its own and added to the residual.

    Args:
        norm_1: before attention.
        attn: the attention.
        norm_2: before the feed-forward part.
        mlp: the feed-forward part.
        parallel: both read the layer's input, as in GPT-NeoX; otherwise the second reads the first one's sum.
    """

    def __init__(
        self, norm_1: nn.Module, attn: CausalAttention, norm_2: nn.Module, mlp: nn.Module, parallel: bool = False
    ) -> None:
        super().__init__()
        self.norm_1, self.attn, self.norm_2, self.mlp = norm_1, attn, norm_2, mlp
        self.parallel = parallel

    def forward(self, x: torch.Tensor, places: Places) -> tuple[torch.Tensor, Memory]:
        """Return the result for every position, and keys and values for a cache."""
        found, memory = self.attn(self.norm_1(x), places)
        return self._rest(x, found), memory

    def step(self, x: torch.Tensor, places: Places, past: Memory, hidden: torch.Tensor) -> tuple[torch.Tensor, Memory]:
        """Return one new position, and its keys and values for the cache; see ``CausalAttention.step``."""
        found, new = self.attn.step(self.norm_1(x), places, past, hidden)
        return self._rest(x, found), new

    def _rest(self, x: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        y = x + found
        total: torch.Tensor = y + self.mlp(self.norm_2(x if self.parallel else y))
        return total
