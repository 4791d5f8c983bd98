"""The dimensions of HW-GPT-Bench's decoders, and of the generation that is measured."""

from __future__ import annotations

from dataclasses import dataclass

# Tokens that the published networks read at a time.
BLOCK_SIZE = 1024

# The names of the two stages.
PREFILL, DECODE = "prefill", "decode"


@dataclass(frozen=True)
class Generation:
    """The inference that is measured and counted: a prompt is read, and tokens are made one by one.

    Attributes:
        prompt: tokens of the prompt.
        new: how often a token is decoded after the first, which the prompt itself gives.
    """

    prompt: int = 64
    new: int = 32

    @property
    def past(self) -> int:
        """Positions in the cache: at the last token it has all others."""
        return self.prompt + self.new - 1


@dataclass(frozen=True)
class GptLayerShape:
    """One layer.

    Attributes:
        heads: of its attention.
        ffn: hidden units of its feed-forward part.
    """

    heads: int
    ffn: int


@dataclass(frozen=True)
class GptArchitecture:
    """A sub-network.

    Attributes:
        vocab: the number of tokens.
        embed: channels of the residual.
        head_width: channels of a head, whatever ``embed`` is.
        bias: linear layers have biases.
        layers: from the first to the last.
    """

    vocab: int
    embed: int
    head_width: int
    bias: bool
    layers: tuple[GptLayerShape, ...]
