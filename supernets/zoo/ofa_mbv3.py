"""Once-for-all MobileNetV3 (Cai et al., 2020, arXiv 1908.09791), width multipliers 1.0 and 1.2.

Five stages of two to four inverted bottlenecks; each layer has its own kernel size and expand ratio. A stage of depth d
keeps its first d layers. Widths, strides and kinds follow the published super-networks' description.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from hwnas.supernets.blocks import Block
from hwnas.supernets.errors import ConfigError
from hwnas.supernets.images import net_config
from hwnas.supernets.images.blocks import classifier, conv, mbconv, pool
from hwnas.supernets.images.classifier import ElasticClassifier, SlotPlace
from hwnas.supernets.images.options import ImageOptions, parse_images
from hwnas.supernets.images.widths import halved, round_to_eight
from hwnas.supernets.space import Choice

NAMES = ("ofa-mbv3-w1.0", "ofa-mbv3-w1.2")

KERNELS = (3, 5, 7)
EXPANDS = (3, 4, 6)
DEPTHS = (2, 3, 4)
RESOLUTIONS = tuple(range(128, 225, 4))
STAGES = 5
LAYERS = max(DEPTHS)

_WIDTHS = (16, 16, 24, 40, 80, 112, 160)  # first convolution, first block, five stages
_FINAL, _MIX = 960, 1280
_STRIDES = (2, 2, 2, 1, 2)
_SE = (False, True, False, True, True)
_ACTS = ("relu", "relu", "h_swish", "h_swish", "h_swish")

# Where each kind of variable starts in a vector; kernels come first.
_E, _D = 20, 40


def create(name: str, options: Mapping[str, str]) -> OfaMobileNetV3:
    """Make ``ofa-mbv3-w1.0`` or ``-w1.2``.

    Args:
        name: of the two.
        options: ``r``: a resolution, several joined by ``+``, or ``elastic``; the others are those of every image
            classifier, see ``hwnas.supernets.images.options.ImageOptions``.
    """
    return OfaMobileNetV3(name, float(name.rpartition("w")[2]), parse_images(name, options, RESOLUTIONS))


class OfaMobileNetV3(ElasticClassifier):
    """The super-network at one width multiplier.

    Args:
        family: its name without options.
        width: the width multiplier.
        images: the options of its images and classes.
    """

    # The order in which once-for-all made the choices elastic in training.
    shrinking = ("ks", "d", "e")

    def __init__(self, family: str, width: float, images: ImageOptions) -> None:
        self.width = width
        factor = width * images.scale
        self.widths = tuple(round_to_eight(base * factor) for base in _WIDTHS)
        self.final = round_to_eight(_FINAL * factor)
        self.mix = round_to_eight(_MIX * factor)
        super().__init__(
            name=images.name(family),
            summary=f"Once-for-all MobileNetV3, width {width}",
            images=images,
            choices=_choices(),
            places=self._all_places(images),
            ignored={"wid": None},  # DyNAS-T and OFA's sampler write it
            # The published accuracy predictor was trained on width 1.2; the measured rows are of width 1.0.
            default_quality=images.quality("ofa-predictor" if width == 1.2 else "surrogate"),
            respell=self._respelled,
        )

    def _respelled(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the config of once-for-all's ``net.config``, and any other as it is; raises ``ConfigError``."""
        if not net_config.is_net_config(row):
            return row
        found = net_config.layers(row)
        config = net_config.choices(found, self.widths[2:], EXPANDS, DEPTHS, KERNELS)
        config["r"] = [self._resolution_of(row)]
        net_config.check(found, self.layers(config))
        return config

    def _resolution_of(self, row: Mapping[str, Any]) -> int:
        """Return the side of a net.config's images, which once-for-all has in a file of its own, ``run.config``."""
        (side, *others) = self.resolutions
        given = row.get(net_config.IMAGE_SIZE)
        if given is None and others:
            raise ConfigError(
                f"net.config: expected {net_config.IMAGE_SIZE}, here or in a run.config beside it, as r is a choice of "
                f"{self.name}"
            )
        if given is not None and given not in self.resolutions:
            family = self.name.partition(":")[0]
            raise ConfigError(
                f"net.config: is for images of {given!r} px, not one of {self.name}; use {family}:r={given}"
            )
        return side if given is None else int(given)

    def _all_places(self, images: ImageOptions) -> Iterator[SlotPlace]:
        stem, before, last, final, mix = self.widths[0], self.widths[1], self.widths[-1], self.final, self.mix
        first = images.stem_stride - 1  # how often the first convolution halves the image

        def first_conv(r: int) -> Block:
            return conv("first-conv", r, images.channels, halved(r, first), stem, kernel=3, stride=images.stem_stride)

        def first_block(r: int) -> Block:
            return mbconv(halved(r, first), stem, stem, before, kernel=3, stride=1, se=False, act="relu")

        def final_expand(r: int) -> Block:
            side = halved(r, first + 4)
            return conv("final-expand", side, last, side, final)

        yield SlotPlace("first_conv", (), first_conv)
        yield SlotPlace("blocks.0", (), first_block, key="blocks.0.conv")
        for stage, layer in itertools.product(range(STAGES), range(LAYERS)):
            yield self._elastic_place(stage, layer, first)
        yield SlotPlace("final_expand_layer", (), final_expand)
        yield SlotPlace("global_avg_pool", (), lambda r: pool(halved(r, first + 4), final))
        yield SlotPlace("feature_mix_layer", (), lambda _: conv("feature-mix", 1, final, 1, mix, norm=False))
        yield SlotPlace("classifier", (), lambda _: classifier(mix, images.classes), key="classifier.linear")

    def _elastic_place(self, stage: int, layer: int, first: int) -> SlotPlace:
        position = stage * LAYERS + layer
        stride = _STRIDES[stage] if layer == 0 else 1
        c_in = self.widths[stage + 1] if layer == 0 else self.widths[stage + 2]
        c_out = self.widths[stage + 2]
        # Halvings before this layer: the first convolution's, then one per stage of stride 2.
        halvings = first + sum(s == 2 for s in _STRIDES[:stage]) + (_STRIDES[stage] == 2 and layer > 0)

        def make(resolution: int, kernel: int, expand: int, depth: int) -> Block | None:
            if layer >= DEPTHS[depth]:
                return None
            c_mid = round_to_eight(round(c_in * EXPANDS[expand]))
            side = halved(resolution, halvings)
            return mbconv(side, c_in, c_mid, c_out, KERNELS[kernel], stride, _SE[stage], _ACTS[stage])

        name = f"blocks.{position + 1}"
        columns = (position, _E + position, _D + stage)
        return SlotPlace(name, columns, make, key=f"{name}.conv", elastic=True, kernels=KERNELS)


def _choices() -> list[Choice]:
    needs = [(_D + stage, max(0, layer - min(DEPTHS) + 1)) for stage in range(STAGES) for layer in range(LAYERS)]
    # A layer below the smallest depth is always there.
    layers = [need if need[1] > 0 else None for need in needs]
    choices = [Choice("ks", KERNELS, need) for need in layers]
    choices += [Choice("e", EXPANDS, need) for need in layers]
    return choices + [Choice("d", DEPTHS) for _ in range(STAGES)]
