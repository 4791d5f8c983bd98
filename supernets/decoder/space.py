"""The search spaces of HW-GPT-Bench (Sukthanker et al., 2024, arXiv 2405.10299), with its own keys in configs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwnas.supernets.errors import ConfigError
from hwnas.supernets.space import Choice, SearchSpace

EMBED, LAYERS, RATIO, HEADS, BIAS = (
    "sample_embed_dim",
    "sample_n_layer",
    "sample_mlp_ratio",
    "sample_n_head",
    "sample_bias",
)
# Columns of the choices that every sub-network has once; those of layers follow, and the bias comes last.
EMBED_AT, LAYERS_AT = 0, 1

_BIASES = {"True": True, "False": False}


@dataclass(frozen=True)
class Choices:
    """The values that can be chosen, each in ascending order.

    Attributes:
        embed: channels of the residual.
        layers: how many layers there are: the first ones.
        heads: of every attention.
        ratio: hidden units of feed-forward parts, in channels of the residual.
        head_width: channels of a head, the same for all sub-networks.
    """

    embed: tuple[int, ...]
    layers: tuple[int, ...]
    heads: tuple[int, ...]
    ratio: tuple[int, ...] = (2, 3, 4)
    head_width: int = 64

    @property
    def deepest(self) -> int:
        """The most layers."""
        return self.layers[-1]

    def scaled(self, factor: float) -> Choices:
        """Return the same space of narrower or wider networks: embeddings and heads have ``factor`` as many channels.

        A head's channels are a multiple of 4, since half of them are turned in pairs.
        """
        width = 4 * max(1, round(self.head_width * factor / 4))
        return replace(self, embed=tuple(round(one * factor) for one in self.embed), head_width=width)


# The three spaces by the letter in their names.
PUBLISHED = {
    "s": Choices((192, 384, 768), (10, 11, 12), (4, 8, 12)),
    "m": Choices((256, 512, 1024), (22, 23, 24), (8, 12, 16)),
    "l": Choices((320, 640, 1280), (34, 35, 36), (8, 16, 20)),
}


def ratio_at(layer: int) -> int:
    """Return the column of a layer's feed-forward ratio."""
    return 2 + layer


def heads_at(choices: Choices, layer: int) -> int:
    """Return the column of a layer's number of heads."""
    return 2 + choices.deepest + layer


def bias_at(choices: Choices) -> int:
    """Return the column of the biases."""
    return 2 + 2 * choices.deepest


def gpt_space(letter: str, choices: Choices) -> SearchSpace:
    """Return the search space; the letter is that of strings like ``gpt-s-12-768-...``."""
    # The least depth that has a layer decides whether it matters; the first ones are always there.
    reach = [next(i for i, depth in enumerate(choices.layers) if depth > layer) for layer in range(choices.deepest)]
    needs = [(LAYERS_AT, index) if index else None for index in reach]
    return SearchSpace(
        (
            Choice(EMBED, choices.embed),
            Choice(LAYERS, choices.layers),
            *(Choice(RATIO, choices.ratio, need) for need in needs),
            *(Choice(HEADS, choices.heads, need) for need in needs),
            Choice(BIAS, (False, True)),
        ),
        respell=lambda row: _filled(row, choices),
        named=lambda text: _named(text, letter, choices),
    )


def _filled(row: Mapping[str, Any], choices: Choices) -> Mapping[str, Any]:
    """Return a config as HW-GPT-Bench writes it (lists as short as the network is deep, "True") in our form."""
    filled = dict(row)
    bias = _alone(row.get(BIAS))
    if isinstance(bias, str) and bias in _BIASES:
        filled[BIAS] = _BIASES[bias]
    depth = _alone(row.get(LAYERS))
    for key, values in ((RATIO, choices.ratio), (HEADS, choices.heads)):
        given = row.get(key)
        if isinstance(given, (list, tuple)) and len(given) == depth:
            filled[key] = [*given, *[values[0]] * (choices.deepest - len(given))]
    return filled


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and len(value) == 1 else value


def _named(text: str, letter: str, choices: Choices) -> dict[str, Any]:
    """Return the config of a string like ``gpt-s-12-768-4-...-12-...-True``, ratios and heads of each layer in turn.

    Older ones have the digits of the ratios, and those of the heads, joined to one number each, which is as clear.
    """
    form = f"gpt-{letter}-LAYERS-EMBED-RATIO-...-HEADS-...-BIAS"
    kind, scale, *numbers, bias = text.split("-") if text.count("-") > 3 else ("", "", "", "")
    if kind != "gpt" or bias not in _BIASES:
        raise ConfigError(f"{text!r}: expected {form}, its BIAS True or False")
    if scale != letter:
        raise ConfigError(f"{text!r}: is of hw-gpt-{scale}, expected {form}")
    depth, embed, *layers = numbers
    if len(layers) == 2 and depth != "1":
        layers = [*_parted(layers[0], choices.ratio), *_parted(layers[1], choices.heads)]
    values = [int(one) if re.fullmatch("[0-9]{1,9}", one) else one for one in (depth, embed, *layers)]
    half = len(layers) // 2
    if values[0] != half or len(layers) != 2 * half:
        raise ConfigError(f"{text!r}: expected {form}, a RATIO and HEADS for each of {depth} layers; got {len(layers)}")
    config = {EMBED: values[1], LAYERS: values[0], RATIO: values[2 : 2 + half], HEADS: values[2 + half :]}
    return {**_filled(config, choices), BIAS: _BIASES[bias]}


def _parted(joined: str, values: tuple[int, ...]) -> list[str]:
    """Split values that were joined without a separator; none of them begins with another."""
    return re.findall("|".join(map(str, values)) + "|.", joined)
