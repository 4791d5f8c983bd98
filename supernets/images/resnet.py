"""Elastic ResNet50 (He et al., 2019, ResNet-D) in once-for-all's form: depths, expand ratios and widths are choices.

A stem of convolutions, of which the residual one in the middle can be left out; four stages of bottlenecks. A stage of
depth d keeps its first bottlenecks. A bottleneck's middle width is its expand ratio times its *output* width, and its
input width is the output width of what stands before it, so the first one of a stage depends on two width choices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hwnas.supernets.blocks import Block
from hwnas.supernets.errors import UsageError
from hwnas.supernets.images.blocks import bottleneck, classifier, conv, max_pool, pool, residual_conv
from hwnas.supernets.images.classifier import ElasticClassifier, SlotPlace
from hwnas.supernets.images.options import ImageOptions
from hwnas.supernets.images.widths import halved, round_to
from hwnas.supernets.space import Choice, Value

BASE_DEPTHS = (2, 2, 4, 2)
STAGES = len(BASE_DEPTHS)

_STEM_WIDTH = 64
_STAGE_WIDTHS = (256, 512, 1024, 2048)
_STRIDES = (1, 2, 2, 2)
_KEY_DEPTH, _KEY_EXPAND, _KEY_WIDTH = "d", "e", "w"


@dataclass(frozen=True)
class ResNetChoices:
    """Which choices an elastic ResNet has, and at how many positions.

    Attributes:
        depths: numbers of bottlenecks that a stage can have beyond its base depth.
        expands: expand ratios.
        widths: width multipliers.
        width_values: the value of each multiplier in configs.
        depth_positions: 5: the stem's and each stage's; 4: each stage's, the stem's residual convolution left out.
        width_positions: 6: of the stem's two widths and of each stage; 5: without the stem's first; 4: stages alone.
            A width that is no choice is the widest.
        expand_positions: 4: one ratio per stage; otherwise one per bottleneck.
    """

    depths: tuple[int, ...]
    expands: tuple[float, ...]
    widths: tuple[float, ...]
    width_values: tuple[Value, ...]
    depth_positions: int = STAGES + 1
    width_positions: int = STAGES + 2
    expand_positions: int | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """The largest number of bottlenecks of each stage."""
        return tuple(base + max(self.depths) for base in BASE_DEPTHS)


class ElasticResNet(ElasticClassifier):
    """A ResNet50 with elastic depths, expand ratios and widths.

    Args:
        name: its name with options.
        summary: one line for listings.
        choices: the elastic choices.
        images: the options of its images and classes.
        default_quality: the quality source that is used if none is named.

    Raises:
        UsageError: at the scale of ``images`` two expand ratios give the same width somewhere.
    """

    # The order in which once-for-all made the choices elastic in training.
    shrinking = ("d", "e", "w")

    def __init__(
        self, name: str, summary: str, choices: ResNetChoices, images: ImageOptions, default_quality: str
    ) -> None:
        self.__choices = choices
        # Widths are multiples of 8; of a narrower super-network, of fewer, or ratios and widths would fall together.
        divisor = 8 if images.scale >= 1 else max(1, int(8 * images.scale))
        self.__divisor = divisor
        out = [self.__round(_STEM_WIDTH * images.scale * factor) for factor in choices.widths]
        self.stem_widths = (tuple(self.__round(width // 2) for width in out), tuple(out))
        self.stage_widths = tuple(
            tuple(self.__round(base * images.scale * factor) for factor in choices.widths) for base in _STAGE_WIDTHS
        )
        self.__refuse_aliases(images)
        columns, variables = _variables(choices, (*self.stem_widths, *self.stage_widths))
        super().__init__(name, summary, images, variables, self.__all_places(columns, images), {}, default_quality)

    def __round(self, width: float) -> int:
        return round_to(self.__divisor, width)

    def mid(self, width: int, expand: float) -> int:
        """Return the middle width of a bottleneck with ``width`` channels behind it."""
        return self.__round(round(width * expand))

    def __refuse_aliases(self, images: ImageOptions) -> None:
        for width in itertools.chain(*self.stage_widths):
            mids = [self.mid(width, expand) for expand in self.__choices.expands]
            if len(set(mids)) < len(mids):
                raise UsageError(
                    f"scale={images.scale:g}: a stage of {width} channels has the middle widths {mids} at the expand "
                    f"ratios {self.__choices.expands}, which must differ; expected a larger one, such as 0.25, 0.5 or 1"
                )

    def __all_places(self, at: _Columns, images: ImageOptions) -> Iterator[SlotPlace]:
        mids, outs = self.stem_widths
        largest = max(self.__choices.depths)
        halvings = images.stem_stride - 1

        def first(r: int, w: int) -> Block:
            return conv(
                "stem-conv", r, images.channels, halved(r, halvings), mids[w], kernel=3, stride=images.stem_stride
            )

        def residual(r: int, d: int, w: int) -> Block | None:
            # Once-for-all keeps it at the largest depth alone: the others build one and the same stem.
            return residual_conv(halved(r, halvings), mids[w]) if self.__choices.depths[d] == largest else None

        def second(r: int, w: int, w_out: int) -> Block:
            side = halved(r, halvings)
            return conv("stem-conv", side, mids[w], side, outs[w_out], kernel=3)

        yield at.place("input_stem.0", (at.w[0],), first)
        yield at.place("input_stem.1", (at.stem, at.w[0]), residual, key="input_stem.1.conv")
        yield at.place("input_stem.2", (at.w[0], at.w[1]), second)
        yield at.place("max_pooling", (at.w[1],), lambda r, w: max_pool(halved(r, halvings), outs[w]))
        numbers = itertools.count()
        for stage, layers in enumerate(self.__choices.layers):
            for layer in range(layers):
                yield self.__bottleneck(at, stage, layer, f"blocks.{next(numbers)}", halvings + 1)
        last = self.stage_widths[-1]
        yield at.place(
            "global_avg_pool", (at.w[-1],), lambda r, w: pool(halved(r, halvings + 1 + _STRIDES.count(2)), last[w])
        )
        yield at.place(
            "classifier",
            (at.w[-1],),
            lambda _, w: classifier(last[w], images.classes),
            key="classifier.linear.linear",
            elastic=False,
        )

    def __bottleneck(self, at: _Columns, stage: int, layer: int, name: str, halvings: int) -> SlotPlace:
        widths = self.stage_widths[stage]
        before = self.stage_widths[stage - 1] if stage else self.stem_widths[1]
        stride = _STRIDES[stage] if layer == 0 else 1
        done = halvings + stage - (stride == 2)
        expand, w, w_before, depth = at.e[stage][layer], at.w[stage + 2], at.w[stage + 1], at.d[stage]

        def make(r: int, e: int, w: int, w_before: int = -1, d: int = -1) -> Block | None:
            if layer >= BASE_DEPTHS[stage] + self.__choices.depths[d]:
                return None
            c_out = widths[w]
            c_in = before[w_before] if layer == 0 else c_out
            mid = self.mid(c_out, self.__choices.expands[e])
            return bottleneck(halved(r, done), c_in, mid, c_out, stride, projected=layer == 0)

        if layer == 0:
            return at.place(name, (expand, w, w_before), make)
        if layer < BASE_DEPTHS[stage] + min(self.__choices.depths):
            return at.place(name, (expand, w), make)
        return at.place(name, (expand, w, depth), lambda r, e, w, d: make(r, e, w, d=d))


@dataclass(frozen=True)
class _Variable:
    """A variable, or a fixed one: then ``column`` is ``None`` and its index is always ``fixed``."""

    column: int | None
    fixed: int = 0


@dataclass(frozen=True)
class _Columns:
    """The column of each choice in a vector."""

    stem: _Variable
    d: tuple[_Variable, ...]
    e: tuple[tuple[_Variable, ...], ...]
    w: tuple[_Variable, ...]

    def place(
        self,
        name: str,
        variables: Sequence[_Variable],
        make: Callable[..., Block | None],
        key: str = "",
        elastic: bool = True,
    ) -> SlotPlace:
        """Return the place of ``make(resolution, *indices)``, with fixed variables filled in."""

        def filled(resolution: int, *indices: int) -> Block | None:
            given = iter(indices)
            return make(resolution, *(v.fixed if v.column is None else next(given) for v in variables))

        return SlotPlace(name, tuple(v.column for v in variables if v.column is not None), filled, key, elastic)


def _variables(choices: ResNetChoices, widths: Sequence[Sequence[int]]) -> tuple[_Columns, list[Choice]]:
    """Lay out the vector: depths, expand ratios, widths."""
    n_d, n_w = choices.depth_positions, choices.width_positions
    per_stage = choices.expand_positions == STAGES
    stem = [_Variable(0)] if n_d > STAGES else [_Variable(None, 0)]
    d = [_Variable(column) for column in range(n_d - STAGES, n_d)]
    variables = [Choice(_KEY_DEPTH, choices.depths, same_as=_stem_depths(choices.depths))] * (n_d - STAGES)
    variables += [Choice(_KEY_DEPTH, choices.depths) for _ in d]
    e: list[tuple[_Variable, ...]] = []
    for stage, layers in enumerate(choices.layers):
        start = len(variables)
        if per_stage:
            variables.append(Choice(_KEY_EXPAND, choices.expands))
            e.append((_Variable(start),) * layers)
            continue
        for layer in range(layers):
            index = next((i for i, depth in enumerate(choices.depths) if layer < BASE_DEPTHS[stage] + depth))
            column = d[stage].column
            needs = (column, index) if index > 0 and column is not None else None
            variables.append(Choice(_KEY_EXPAND, choices.expands, needs))
        e.append(tuple(_Variable(start + layer) for layer in range(layers)))
    start = len(variables)
    fixed = len(widths) - n_w
    w = [_Variable(None, len(choices.widths) - 1)] * fixed + [_Variable(start + i) for i in range(n_w)]
    variables += [Choice(_KEY_WIDTH, choices.width_values, same_as=_aliases(found)) for found in widths[fixed:]]
    return _Columns(stem[0], tuple(d), tuple(e), tuple(w)), variables


def _stem_depths(depths: Sequence[int]) -> tuple[int, ...]:
    """Fold the depths that leave the stem's residual convolution out: all but the largest."""
    return (*(0 for _ in depths[:-1]), len(depths) - 1)


def _aliases(widths: Sequence[int]) -> tuple[int, ...] | None:
    """Fold the choices that round to the same width; ``None`` if all differ."""
    first = tuple(widths.index(width) for width in widths)
    return None if first == tuple(range(len(widths))) else first
