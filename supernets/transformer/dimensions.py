"""The dimensions of translation sub-networks: embeddings, heads, and hidden units of every layer."""

from __future__ import annotations

from dataclasses import dataclass

# The special tokens, with their numbers in fairseq's dictionaries.
BOS, PAD, EOS, UNK = range(4)

# Rows of the table of positions; fairseq's position of the first token is the padding's number and 1.
POSITIONS = 1024
FIRST_POSITION = PAD + 1

# The names of the two stages.
ENCODER, STEP = "encoder", "decoder-step"


@dataclass(frozen=True)
class Common:
    """The dimensions that all sub-networks of one super-network share.

    Attributes:
        vocab: the number of tokens, of source and target together.
        width: the largest embedding. Tables of tokens and positions are this wide, and sub-networks use their first
            columns.
        inner: the width of queries, keys and values, all heads together.
        dropout: of the largest sub-network's layers; a narrower one has proportionally less, as in HAT.
        attention_dropout: of attention's weights.
    """

    vocab: int
    width: int
    inner: int
    dropout: float = 0.3
    attention_dropout: float = 0.1

    def dropout_at(self, embed: int) -> float:
        """Return the dropout of layers of ``embed`` channels."""
        return self.dropout * embed / self.width


@dataclass(frozen=True)
class EncoderLayerShape:
    """One layer of the encoder.

    Attributes:
        embed: channels in and out.
        ffn: hidden units of its feed-forward part.
        heads: of its self-attention.
    """

    embed: int
    ffn: int
    heads: int


@dataclass(frozen=True)
class DecoderLayerShape:
    """One layer of the decoder.

    Attributes:
        embed: channels in and out.
        ffn: hidden units of its feed-forward part.
        self_heads: heads of its self-attention.
        cross_heads: heads of its attention to the encoder.
        reach: how many of the encoder's last layers it attends to, 1 to 3.
    """

    embed: int
    ffn: int
    self_heads: int
    cross_heads: int
    reach: int


@dataclass(frozen=True)
class Architecture:
    """A sub-network, first layer to last."""

    common: Common
    encoder: tuple[EncoderLayerShape, ...]
    decoder: tuple[DecoderLayerShape, ...]

    @property
    def encoder_embed(self) -> int:
        """The encoder's channels."""
        return self.encoder[0].embed

    @property
    def decoder_embed(self) -> int:
        """The decoder's channels."""
        return self.decoder[0].embed

    @property
    def table_width(self) -> int:
        """The width of the table of tokens, which encoder, decoder and output share."""
        return max(self.encoder_embed, self.decoder_embed)
