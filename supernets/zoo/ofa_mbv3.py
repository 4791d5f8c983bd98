"""Once-for-all MobileNetV3 (Cai et al., 2020, arXiv 1908.09791), width multipliers 1.0 and 1.2.

Five stages of two to four inverted bottlenecks; each layer has its own kernel size and expand ratio. A stage of depth d
keeps its first d layers. Widths, strides and kinds follow the published super-networks' description.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from supernets.blocks import Block, BlockSum, Slot
from supernets.errors import UsageError, suggestion
from supernets.space import Choice, Config, IntArray, SearchSpace
from supernets.supernet import Stage
from supernets.widths import halved, round_to_eight

if TYPE_CHECKING:
    import torch

NAMES = ("ofa-mbv3-w1.0", "ofa-mbv3-w1.2")

KERNELS = (3, 5, 7)
EXPANDS = (3, 4, 6)
DEPTHS = (2, 3, 4)
RESOLUTIONS = tuple(range(128, 225, 4))
STAGES = 5
LAYERS = max(DEPTHS)
CLASSES = 1000

_WIDTHS = (16, 16, 24, 40, 80, 112, 160)  # first convolution, first block, five stages
_FINAL, _MIX = 960, 1280
_STRIDES = (2, 2, 2, 1, 2)
_SE = (False, True, False, True, True)
_ACTS = ("relu", "relu", "h_swish", "h_swish", "h_swish")

# The image that sets batch-norm statistics: at 160 px the last stage sees 5 x 5, near enough to the 4 x 4 to 7 x 7 of
# real images for every layer's activations to stay of order 1 (at 64 px, 2 x 2, they grow to 1e6), at half the cost of
# 224 px.
_STATISTICS_BATCH, _STATISTICS_RESOLUTION = 1, 160


def create(name: str, options: Mapping[str, str]) -> OfaMobileNetV3:
    """Make ``ofa-mbv3-w1.0`` or ``-w1.2``; option ``r``: a resolution, several joined by ``+``, or ``elastic``."""
    unknown = [key for key in options if key != "r"]
    if unknown:
        raise UsageError(f"{name}: unknown option {unknown[0]!r}{suggestion(unknown[0], ['r'])}")
    given = options.get("r", "224")
    spelled = name if given == "224" else f"{name}:r={given}"
    return OfaMobileNetV3(spelled, float(name.rpartition("w")[2]), _resolutions(given))


def _resolutions(text: str) -> tuple[int, ...]:
    if text == "elastic":
        return RESOLUTIONS
    try:
        values = sorted({int(part) for part in text.split("+")})
    except ValueError:
        values = []
    if not values or not set(values) <= set(RESOLUTIONS):
        raise UsageError(f"r={text!r}: expected 'elastic' or resolutions of 128, 132, ... 224, joined like 160+192+224")
    return tuple(values)


class OfaMobileNetV3:
    """The super-network at one width multiplier.

    Args:
        name: how it is spelled.
        width: the width multiplier.
        resolutions: what ``r`` can be; one value makes it fixed.
    """

    default_quality: str

    def __init__(self, name: str, width: float, resolutions: tuple[int, ...]) -> None:
        self.name = name
        self.summary = f"Once-for-all MobileNetV3, width {width}"
        self.width = width
        self.resolutions = resolutions
        # The published accuracy predictor was trained on width 1.2; the measured rows are of width 1.0.
        self.default_quality = "ofa-predictor" if width == 1.2 else "surrogate"
        self.widths = tuple(round_to_eight(base * width) for base in _WIDTHS)
        self.final = round_to_eight(_FINAL * width)
        self.mix = round_to_eight(_MIX * width)
        self.space = _space(resolutions)
        self.slots = tuple(self._slots())
        self._params = BlockSum(self.space, self.slots, lambda block: block.params, per_inference=False)
        self._macs = BlockSum(self.space, self.slots, lambda block: block.macs)

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Return the parameter counts, ``(n,)``."""
        return self._params(X).astype(np.int64)

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Return the multiply-accumulates of convolutions and linear layers at batch 1, ``(n,)``."""
        return self._macs(X).astype(np.int64)

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network of ``config`` in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: the file of a state dict of this very sub-network; ``None``: seeded random weights, alive.
        """
        from supernets.alive import build_alive, random_images
        from supernets.checkpoints import load_into

        layers = self.layers(config)
        module = build_alive(lambda: _module(layers), (random_images(_STATISTICS_BATCH, _STATISTICS_RESOLUTION),))
        return module if weights is None else load_into(module, weights)

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the one stage of an image classifier."""
        from supernets.alive import random_images

        resolution = int(config["r"][0]) if "r" in config else self.resolutions[0]
        return (Stage("network", self.build(config, weights), (random_images(batch, resolution),), ("image",)),)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from supernets.alive import build_alive, random_input

        height, width, channels = block.input
        shape = (channels, height, width)
        module = build_alive(lambda: _layer(block), (random_input(_STATISTICS_BATCH, *shape),))
        return Stage(block.kind, module, (random_input(batch, *shape),), ("input",))

    def layers(self, config: Config | dict[str, Any]) -> list[Block]:
        """Return the blocks of the sub-network of ``config``, first to last."""
        x = self.space.encode(config)[0]
        chosen = []
        for slot in self.slots:
            sizes = tuple(int(self.space.n_options[column]) for column in slot.columns)
            index = int(np.ravel_multi_index(tuple(x[list(slot.columns)]), sizes)) if sizes else 0
            chosen.append(slot.blocks[index])
        return [block for block in chosen if block is not None]

    def _slots(self) -> list[Slot]:
        stem, before, last, final = self.widths[0], self.widths[1], self.widths[-1], self.final
        slots = [
            self._slot("first_conv", (), lambda r: conv("first-conv", r, 3, halved(r), stem, kernel=3, stride=2)),
            self._slot("blocks.0", (), lambda r: mbconv(halved(r), stem, stem, before, 3, 1, False, "relu")),
        ]
        for stage, layer in itertools.product(range(STAGES), range(LAYERS)):
            slots.append(self._elastic_slot(stage, layer))
        return [
            *slots,
            self._slot(
                "final_expand_layer", (), lambda r: conv("final-expand", halved(r, 5), last, halved(r, 5), final)
            ),
            self._slot("global_avg_pool", (), lambda r: pool(halved(r, 5), self.final)),
            self._slot("feature_mix_layer", (), lambda _: conv("feature-mix", 1, self.final, 1, self.mix, norm=False)),
            self._slot("classifier", (), lambda _: classifier(self.mix)),
        ]

    def _elastic_slot(self, stage: int, layer: int) -> Slot:
        position = stage * LAYERS + layer
        columns = (position, _E + position, _D + stage)
        stride = _STRIDES[stage] if layer == 0 else 1
        c_in = self.widths[stage + 1] if layer == 0 else self.widths[stage + 2]
        c_out = self.widths[stage + 2]
        # Halvings before this layer: the first convolution, then one per stage of stride 2.
        halvings = 1 + sum(s == 2 for s in _STRIDES[:stage]) + (_STRIDES[stage] == 2 and layer > 0)

        def make(resolution: int, kernel: int, expand: int, depth: int) -> Block | None:
            if layer >= DEPTHS[depth]:
                return None
            c_mid = round_to_eight(round(c_in * EXPANDS[expand]))
            side = halved(resolution, halvings)
            return mbconv(side, c_in, c_mid, c_out, KERNELS[kernel], stride, _SE[stage], _ACTS[stage])

        return self._slot(f"blocks.{position + 1}", columns, make)

    def _slot(self, name: str, columns: tuple[int, ...], make: Callable[..., Block | None]) -> Slot:
        """Tabulate ``make(resolution, *indices)`` over the values of ``columns``, and of an elastic resolution."""
        sizes = [range(int(self.space.n_options[column])) for column in columns]
        if len(self.resolutions) > 1:
            columns = (*columns, _R)
        blocks = (make(r, *indices) for *indices, r in itertools.product(*sizes, self.resolutions))
        return Slot(name, columns, tuple(blocks))


# Where each kind of variable starts in a vector.
_E, _D, _R = 20, 40, 45


def _space(resolutions: tuple[int, ...]) -> SearchSpace:
    needs = [(_D + stage, max(0, layer - min(DEPTHS) + 1)) for stage in range(STAGES) for layer in range(LAYERS)]
    # A layer below the smallest depth is always there.
    layers = [need if need[1] > 0 else None for need in needs]
    choices = [Choice("ks", KERNELS, need) for need in layers]
    choices += [Choice("e", EXPANDS, need) for need in layers]
    choices += [Choice("d", DEPTHS) for _ in range(STAGES)]
    ignored = {"wid": None}  # DyNAS-T and OFA's sampler write it
    if len(resolutions) > 1:
        return SearchSpace((*choices, Choice("r", resolutions)), ignored=ignored)
    return SearchSpace(tuple(choices), fixed={"r": list(resolutions)}, ignored=ignored)


def conv(
    kind: str, side: int, c_in: int, side_out: int, c_out: int, kernel: int = 1, stride: int = 1, norm: bool = True
) -> Block:
    """Describe a convolution on a square image, batch-norm (``norm``) and hard swish behind it."""
    weights = kernel**2 * c_in * c_out
    options = (("kernel", kernel), ("norm", int(norm)), ("stride", stride))
    macs = weights * side_out**2
    return Block(kind, (side, side, c_in), (side_out, side_out, c_out), options, macs, weights + 2 * c_out * norm)


def mbconv(side: int, c_in: int, c_mid: int, c_out: int, kernel: int, stride: int, se: bool, act: str) -> Block:
    """Describe an inverted bottleneck; where ``c_mid`` equals ``c_in`` there is no expanding convolution."""
    side_out = halved(side) if stride == 2 else side
    expand = c_mid != c_in
    squeezed = round_to_eight(c_mid // 4)
    macs = expand * side**2 * c_in * c_mid + side_out**2 * c_mid * (kernel**2 + c_out) + se * 2 * c_mid * squeezed
    params = expand * c_mid * (c_in + 2) + c_mid * (kernel**2 + 2) + c_out * (c_mid + 2)
    params += se * (2 * c_mid * squeezed + squeezed + c_mid)
    shortcut = stride == 1 and c_in == c_out
    options = {"hs": act == "h_swish", "idskip": shortcut, "kernel": kernel, "mid": c_mid, "se": se, "stride": stride}
    pairs = tuple((name, int(value)) for name, value in options.items())
    return Block("mbconv", (side, side, c_in), (side_out, side_out, c_out), pairs, macs, params)


def pool(side: int, channels: int) -> Block:
    """Describe the mean over the image."""
    return Block("pool", (side, side, channels), (1, 1, channels))


def classifier(c_in: int) -> Block:
    """Describe the linear layer at the end."""
    return Block("classifier", (1, 1, c_in), (CLASSES,), (), c_in * CLASSES, (c_in + 1) * CLASSES)


def _module(layers: list[Block]) -> torch.nn.Module:
    from collections import OrderedDict

    from torch import nn

    first, *middle, expand, average, mix, linear = map(_layer, layers)
    return nn.Sequential(
        OrderedDict(
            first_conv=first,
            blocks=nn.Sequential(*middle),
            final_expand_layer=expand,
            global_avg_pool=average,
            feature_mix_layer=mix,
            flatten=linear[0],
            classifier=linear[1],
        )
    )


def _layer(block: Block) -> Any:
    """Return the module of one block; the classifier's is a pair, flatten and linear."""
    from torch import nn

    from supernets.layers import ConvBnAct, GlobalPool, MbConv

    c_in, c_out = block.input[-1], block.output[-1]
    if block.kind == "pool":
        return GlobalPool()
    if block.kind == "classifier":
        return nn.Sequential(nn.Flatten(), nn.Linear(c_in, c_out))
    kernel, stride = block.option("kernel"), block.option("stride")
    if block.kind == "mbconv":
        act = "h_swish" if block.option("hs") else "relu"
        return MbConv(c_in, block.option("mid"), c_out, kernel, stride, bool(block.option("se")), act)
    return ConvBnAct(c_in, c_out, kernel, stride, norm=bool(block.option("norm")), act="h_swish")
