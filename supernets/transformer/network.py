"""The whole translation network, as it is trained, and its two stages for inference: encoder and decoder step."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from hwnas.supernets.attention import paired
from hwnas.supernets.transformer.dimensions import FIRST_POSITION, PAD, Architecture
from hwnas.supernets.transformer.layers import DecoderLayer, Embedding, EncoderLayer


class Encoder(nn.Module):
    """Source tokens to the outputs of every layer."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        common = architecture.common
        self.embedding = Embedding(common, architecture.encoder_embed)
        self.layers = nn.ModuleList(EncoderLayer(common, shape) for shape in architecture.encoder)

    def forward(self, source: torch.Tensor, table: torch.Tensor) -> list[torch.Tensor]:
        """Return each layer's output, ``(batch, length, embed)``, for tokens ``(batch, length)``."""
        present = source.ne(PAD).long()
        # Padding is position 1, the row of zeros; tokens count from 2 on whichever side it stands.
        x = self.embedding(source, present.cumsum(1) * present + PAD, table)
        visible, outputs = seen(source), []
        for layer in self.layers:
            x = layer(x, visible)
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    """Target tokens, one after the other, given the encoder's outputs."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        common, embed = architecture.common, architecture.encoder_embed
        self.embedding = Embedding(common, architecture.decoder_embed)
        self.layers = nn.ModuleList(DecoderLayer(common, shape, embed) for shape in architecture.decoder)


class Translator(nn.Module):
    """A sub-network. Encoder, decoder and output share one table of tokens, and take the columns that they need.

    Args:
        architecture: its dimensions.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.embed_tokens = nn.Embedding(architecture.common.vocab, architecture.table_width)
        self.encoder = Encoder(architecture)
        self.decoder = Decoder(architecture)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the logits of the token after each of ``target``'s, ``(batch, length, vocab)``.

        Args:
            source: tokens, ``(batch, source length)``, padded on the right.
            target: tokens, ``(batch, length)``, beginning with the end-of-sentence token, as fairseq has it.
        """
        table, length = self.embed_tokens.weight, target.shape[1]
        encoded, visible = self.encoder(source, table), seen(source)
        places = torch.arange(length, device=target.device) + FIRST_POSITION
        x = self.decoder.embedding(target, places.expand_as(target), table)
        causal = torch.ones(length, length, dtype=torch.bool, device=target.device).tril()
        for layer in layers_of(self.decoder):
            x = layer(x, causal, layer.memory(encoded), visible)
        return F.linear(x, table[:, : self.architecture.decoder_embed])


class EncoderStage(nn.Module):
    """The stage that runs once per sentence: the encoder, and the keys and values for each decoder layer."""

    def __init__(self, translator: Translator) -> None:
        super().__init__()
        self.embed_tokens = translator.embed_tokens
        self.encoder = translator.encoder
        self.layers = translator.decoder.layers

    def forward(self, source: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return keys and values of each decoder layer in turn, for tokens ``(batch, length)``.

        Each is ``(batch, heads, length times the encoder layers reached, head width)``.
        """
        encoded = self.encoder(source, self.embed_tokens.weight)
        return tuple(part for layer in layers_of(self) for part in layer.memory(encoded))


class DecoderStep(nn.Module):
    """The stage that runs once per token: one position of every beam, on cached keys and values.

    Args:
        translator: the sub-network, whose weights it shares.
        past: positions that the cache of self-attention has room for; one more can be decoded.
    """

    def __init__(self, translator: Translator, past: int) -> None:
        super().__init__()
        table, embed = translator.embed_tokens.weight, translator.architecture.decoder_embed
        self.past = past
        self.embed_tokens = translator.embed_tokens
        self.embedding = translator.decoder.embedding
        self.layers = translator.decoder.layers
        self.output = nn.Linear(embed, len(table), bias=False, device="meta")
        self.output.weight = nn.Parameter(table[:, :embed])

    def forward(
        self, tokens: torch.Tensor, position: torch.Tensor, source: torch.Tensor, *caches: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Return the logits ``(batch, beam, vocab)``, and of each layer the position's keys and values.

        Args:
            tokens: the latest of each beam, ``(batch, beam)``.
            position: of each sentence, ``(batch, 1)``, from 0.
            source: tokens, ``(batch, source length)``, which show where the encoder's keys are padding.
            caches: of each layer in turn its self-attention's keys and values, each ``(batch, beam, heads, past, head
                width)``; then of each layer in turn what the encoder stage returned.
        """
        x = self.embedding(tokens, position + FIRST_POSITION, self.embed_tokens.weight)
        visible = seen(source)
        hidden = position.le(torch.arange(self.past, device=source.device)).unsqueeze(1).unsqueeze(1).unsqueeze(1)
        pairs = paired(caches)
        fresh: list[torch.Tensor] = []
        layers, n = layers_of(self), len(self.layers)
        for layer, past, memory in zip(layers, pairs[:n], pairs[n:], strict=True):
            x, new = layer.step(x, past, hidden, memory, visible)
            fresh += new
        return (self.output(x), *fresh)


def seen(source: torch.Tensor) -> torch.Tensor:
    """Return which tokens are not padding, ``(batch, 1, 1, length)``."""
    return source.ne(PAD).unsqueeze(1).unsqueeze(2)


def layers_of(part: Decoder | EncoderStage | DecoderStep) -> list[DecoderLayer]:
    """Return the decoder layers of a module; for type checkers, those of a ``ModuleList`` can be any modules."""
    return [cast("DecoderLayer", layer) for layer in part.layers]
