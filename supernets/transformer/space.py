"""The search space of HAT (Wang et al., 2020, arXiv 2005.14187), with HAT's own keys in configs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwnas.supernets.space import Choice, Configs, IntArray, SearchSpace

# HAT's numbers for what a decoder layer attends to: -1 the last encoder layer, 1 the last two, 2 the last three.
ARBITRARY = (-1, 1, 2)

_ENCODER_EMBED = "encoder-embed-dim-subtransformer"
_ENCODER_LAYERS = "encoder-layer-num-subtransformer"
_ENCODER_FFN = "encoder-ffn-embed-dim-all-subtransformer"
_ENCODER_HEADS = "encoder-self-attention-heads-all-subtransformer"
_DECODER_EMBED = "decoder-embed-dim-subtransformer"
_DECODER_LAYERS = "decoder-layer-num-subtransformer"
_DECODER_FFN = "decoder-ffn-embed-dim-all-subtransformer"
_SELF_HEADS = "decoder-self-attention-heads-all-subtransformer"
_CROSS_HEADS = "decoder-ende-attention-heads-all-subtransformer"
_ARBITRARY = "decoder-arbitrary-ende-attn-all-subtransformer"
# What DyNAS-T calls them.
_DYNAST = {
    "encoder_embed_dim": _ENCODER_EMBED,
    "encoder_layer_num": _ENCODER_LAYERS,
    "encoder_ffn_embed_dim": _ENCODER_FFN,
    "encoder_self_attention_heads": _ENCODER_HEADS,
    "decoder_embed_dim": _DECODER_EMBED,
    "decoder_layer_num": _DECODER_LAYERS,
    "decoder_ffn_embed_dim": _DECODER_FFN,
    "decoder_self_attention_heads": _SELF_HEADS,
    "decoder_ende_attention_heads": _CROSS_HEADS,
    "decoder_arbitrary_ende_attn": _ARBITRARY,
}
_PER_DECODER_LAYER = (_DECODER_FFN, _SELF_HEADS, _CROSS_HEADS, _ARBITRARY)


@dataclass(frozen=True)
class Choices:
    """The values that can be chosen, each in ascending order.

    Attributes:
        layers: the layers of the encoder, and the most of the decoder.
        embed: channels.
        ffn: hidden units of feed-forward parts.
        heads: of every attention.
    """

    layers: int = 6
    embed: tuple[int, ...] = (512, 640)
    ffn: tuple[int, ...] = (1024, 2048, 3072)
    heads: tuple[int, ...] = (4, 8)

    @property
    def arbitrary(self) -> tuple[int, ...]:
        """The values of arbitrary attention that are possible with this number of encoder layers."""
        return ARBITRARY[: self.layers]


class HatSpace(SearchSpace):
    """HAT's positions, in order: the encoder's embedding, layers, FFN and heads, then the decoder's; and its columns.

    Args:
        choices: the values that can be chosen.
    """

    def __init__(self, choices: Choices) -> None:
        super().__init__(tuple(_positions(choices)))

    def encode(self, configs: Configs) -> IntArray:
        """Read configs, as ``SearchSpace.encode``.

        HAT's lists, which are as short as the decoder is deep, are accepted. So are DyNAS-T's names, of which the
        number of encoder layers may be left out, since it is not a choice.
        """
        rows = [configs] if isinstance(configs, str | Mapping) else list(configs)
        return super().encode([self._filled(row) if isinstance(row, Mapping) else row for row in rows])

    def _filled(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a config whose lists for decoder layers are extended to the greatest depth."""
        row = self._named(row)
        depth = row.get(_DECODER_LAYERS)
        depth = depth[0] if isinstance(depth, (list, tuple)) and len(depth) == 1 else depth
        filled = dict(row)
        for key in _PER_DECODER_LAYER:
            values = row.get(key)
            if isinstance(values, (list, tuple)) and len(values) == depth:
                columns = [choice for choice in self.choices if choice.key == key]
                filled[key] = [*values, *(choice.values[0] for choice in columns[len(values) :])]
        return filled

    def _named(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a config with DyNAS-T's names replaced by HAT's."""
        if not any(key in _DYNAST for key in row):
            return row
        named = {_DYNAST.get(key, key): value for key, value in row.items()}
        layers = next(choice.values for choice in self.choices if choice.key == _ENCODER_LAYERS)
        return {_ENCODER_LAYERS: [*layers]} | named


@dataclass(frozen=True)
class Columns:
    """The columns of each choice in a vector; choices of layers have one per layer."""

    encoder_embed: int
    encoder_ffn: tuple[int, ...]
    encoder_heads: tuple[int, ...]
    decoder_embed: int
    decoder_layers: int
    decoder_ffn: tuple[int, ...]
    self_heads: tuple[int, ...]
    cross_heads: tuple[int, ...]
    arbitrary: tuple[int, ...]

    @classmethod
    def of(cls, layers: int) -> Columns:
        """Return the columns of a space with this number of layers."""
        starts = itertools.accumulate([1, 1, *[layers] * 2, 1, 1, *[layers] * 3], initial=0)
        embed, _, ffn, heads, decoder_embed, depth, *decoder = starts
        encoder = [tuple(range(start, start + layers)) for start in (ffn, heads)]
        per_layer = [tuple(range(start, start + layers)) for start in decoder[:4]]
        return cls(embed, encoder[0], encoder[1], decoder_embed, depth, *per_layer)


def _positions(choices: Choices) -> Iterable[Choice]:
    layers = range(choices.layers)
    yield Choice(_ENCODER_EMBED, choices.embed)
    yield Choice(_ENCODER_LAYERS, (choices.layers,))
    yield from (Choice(_ENCODER_FFN, choices.ffn) for _ in layers)
    yield from (Choice(_ENCODER_HEADS, choices.heads) for _ in layers)
    yield Choice(_DECODER_EMBED, choices.embed)
    yield Choice(_DECODER_LAYERS, tuple(depth + 1 for depth in layers))
    depth = Columns.of(choices.layers).decoder_layers
    values = (choices.ffn, choices.heads, choices.heads, choices.arbitrary)
    for key, allowed in zip(_PER_DECODER_LAYER, values, strict=True):
        yield from (Choice(key, allowed, (depth, layer) if layer else None) for layer in layers)
