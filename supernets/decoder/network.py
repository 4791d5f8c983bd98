"""A whole decoder-only language model, as it is trained, and its two stages for inference: prefill and decode."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import paired
from hwnas.supernets.decoder.layers import DecoderLayer
from hwnas.supernets.decoder.rotary import Rotary


class Decoder(nn.Module):
    """A language model of any family.

    Args:
        embedding: the table of tokens.
        layers: from the first to the last.
        norm: before the output.
        rotary: the positions of all layers.
        output: the output's own weights; ``None``: the output shares the table of tokens.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        layers: Iterable[DecoderLayer],
        norm: nn.Module,
        rotary: Rotary,
        output: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.wte = embedding
        self.h = nn.ModuleList(layers)
        self.ln_f = norm
        self.rotary = rotary
        self.lm_head = output

    @property
    def layers(self) -> list[DecoderLayer]:
        """The layers; for type checkers, those of a ``ModuleList`` can be any modules."""
        return [cast("DecoderLayer", layer) for layer in self.h]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the logits of the token after each of ``tokens``, ``(batch, length)``: ``(batch, length, vocab)``."""
        places = self.rotary.first(tokens.shape[1], self.wte.weight)
        x = self.wte(tokens)
        for layer in self.layers:
            x, _ = layer(x, places)
        return self.logits(x)

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits for the last layer's outputs, ``(..., embed)``."""
        x = self.ln_f(x)
        # As a product with the table itself, exported graphs have the table once, for look-ups and logits.
        return F.linear(x, (self.wte if self.lm_head is None else self.lm_head).weight)


class Prefill(nn.Module):
    """The stage that runs once: all tokens of the prompts.

    Args:
        decoder: the network, whose weights it shares.
        prompt: tokens of each prompt.
    """

    def __init__(self, decoder: Decoder, prompt: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.prompt = prompt

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits after each prompt, ``(batch, vocab)``, and keys and values of each layer in turn.

        Those are ``(batch, heads, prompt, head width)``.
        """
        decoder, memories = self.decoder, list[torch.Tensor]()
        places = decoder.rotary.first(self.prompt, decoder.wte.weight)
        x = decoder.wte(tokens)
        for layer in decoder.layers:
            x, memory = layer(x, places)
            memories += memory
        return (decoder.logits(x[:, -1]), *memories)


class Decode(nn.Module):
    """The stage that runs once per token, on cached keys and values.

    Args:
        decoder: the network, whose weights it shares.
        past: positions that the cache has room for; one more can be decoded.
    """

    def __init__(self, decoder: Decoder, past: int) -> None:
        super().__init__()
        self.decoder = decoder
        self.past = past

    def forward(self, tokens: torch.Tensor, position: torch.Tensor, *caches: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the logits ``(batch, vocab)``, and of each layer the position's keys and values.

        Args:
            tokens: the latest of each text, ``(batch, 1)``.
            position: of it, ``(batch, 1)``, from 0.
            caches: of each layer in turn its keys and values, each ``(batch, heads, past, head width)``.
        """
        decoder, fresh = self.decoder, list[torch.Tensor]()
        places = decoder.rotary.at(position, decoder.wte.weight)
        hidden = unwritten(position, self.past)
        x = decoder.wte(tokens)
        for layer, past in zip(decoder.layers, paired(caches), strict=True):
            x, new = layer.step(x, places, past, hidden)
            fresh += new
        return (decoder.logits(x[:, -1]), *fresh)


def unwritten(position: torch.Tensor, past: int) -> torch.Tensor:
    """Return which of ``past`` places in a cache are not written yet at ``position``, as ``(batch, 1, 1, past)``."""
    return position.le(torch.arange(past, device=position.device)).unsqueeze(1).unsqueeze(1)
