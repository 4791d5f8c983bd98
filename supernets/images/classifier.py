"""Base class of the elastic image classifiers: counts, sub-networks as torch modules, and shared weights."""

from __future__ import annotations

import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.images import blocks as image_blocks
from hwnas.supernets.images import ofa_keys
from hwnas.supernets.images.options import ImageOptions
from hwnas.supernets.shared import AnyConfig, SharedWeights, Tensors, WeightLayout, corner, fitted
from hwnas.supernets.space import Choice, SearchSpace, Value
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch

# The image that sets batch-norm statistics: at 160 px the last stage sees 5 x 5, near enough to the 4 x 4 to 7 x 7 of
# real images for every layer's activations to stay of order 1 (at 64 px, 2 x 2, they grow to 1e6), at half the cost of
# 224 px. Small images go in together, as many as make up for it: the variance over a single pixel is none.
_STATISTICS_RESOLUTION, _SMALL = 160, 96
# Likewise the pixels that go into a block alone.
_STATISTICS_PIXELS = 64

_RESOLUTION = "r"


@dataclass(frozen=True)
class SlotPlace:
    """A place for blocks in the network, for images of any size.

    Attributes:
        name: of the slot; ``group.N``, or a unique name.
        columns: the variables that decide which block is here.
        make: returns the block, or ``None``, for an image's side and the indices of those variables.
        key: the prefix of its weights' keys in a checkpoint; by default its name.
        elastic: its layers are elastic, which shows in its keys.
        kernels: the sizes that its depth-wise kernel can have; a single one if it is not elastic.
    """

    name: str
    columns: tuple[int, ...]
    make: Callable[..., Block | None]
    key: str = ""
    elastic: bool = False
    kernels: tuple[int, ...] = ()

    def weight(self, inner: str) -> str:
        """Return the checkpoint's key of the weight that the place's module calls ``inner``."""
        return f"{self.key or self.name}.{ofa_keys.elastic(inner) if self.elastic else inner}"

    def matrices(self) -> dict[tuple[int, int], str]:
        """Return the keys of the matrices that make smaller kernels, by step."""
        from hwnas.supernets.images.elastic import matrix_name, steps

        return {step: f"{self.key or self.name}.depth_conv.conv.{matrix_name(*step)}" for step in steps(self.kernels)}


class ElasticClassifier(BlockCounts):
    """An image classifier whose sub-networks are chains of blocks; see ``hwnas.supernets.supernet.SuperNetwork``.

    Args:
        name: its name with options.
        summary: one line for listings.
        images: the options of its images and classes.
        choices: its variables, except for the resolution, which is added as the last one if it is elastic.
        places: the places for blocks, first to last.
        ignored: config keys that other tools write, see ``SearchSpace``.
        default_quality: the quality source that is used if none is named.
    """

    data = "images"

    def __init__(
        self,
        name: str,
        summary: str,
        images: ImageOptions,
        choices: Sequence[Choice],
        places: Iterable[SlotPlace],
        ignored: dict[str, Any],
        default_quality: str,
        respell: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
    ) -> None:
        self.name = name
        self.summary = summary
        self.images = images
        self.classes, self.channels, self.resolutions = images.classes, images.channels, images.resolutions
        self.default_quality = default_quality
        if len(self.resolutions) > 1:
            every = (*choices, Choice(_RESOLUTION, self.resolutions))
            self.space = SearchSpace(every, ignored=ignored, respell=respell)
        else:
            fixed: dict[str, list[Value]] = {_RESOLUTION: list(self.resolutions)}
            self.space = SearchSpace(tuple(choices), fixed=fixed, ignored=ignored, respell=respell)
        self.__places = tuple(places)
        self.slots = tuple(self.__slot(place) for place in self.__places)
        self.__shapes: dict[Block, dict[str, tuple[int, ...]]] = {}

    # --- counts ------------------------------------------------------------------------------------------------------

    # --- sub-networks ------------------------------------------------------------------------------------------------

    def build(self, config: AnyConfig, weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network of ``config`` in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network, or of this very sub-network; ``None``: seeded random weights,
                see ``hwnas.supernets.live_init``.

        Raises:
            UsageError: the file is not a checkpoint that fits; says what does not.
        """
        from hwnas.supernets.checkpoints import assign, load_into, read_state_dict
        from hwnas.supernets.live_init import build_live, random_input

        if weights is None:
            side = min(_STATISTICS_RESOLUTION, self.resolution(config))
            n = 1 if side >= _SMALL else math.ceil((_STATISTICS_RESOLUTION / side) ** 2)
            images = random_input(n, self.channels, side, side)
            return build_live(lambda: self.__assemble(config), (images,))
        state, module = read_state_dict(weights), self.module(config)
        if self.__is_own(state, module):
            return load_into(module, state, weights)
        return assign(module, self.__cut(fitted(self.layout, state, weights), config))

    def module(self, config: AnyConfig) -> torch.nn.Module:
        """Return the sub-network without weights of its own (on the meta device), in evaluation mode."""
        from hwnas.supernets.bare import without_weights

        with without_weights():
            return self.__assemble(config).eval()

    def stages(self, config: AnyConfig, batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the one stage of an image classifier."""
        from hwnas.supernets.live_init import random_input

        side = self.resolution(config)
        image = random_input(batch, self.channels, side, side)
        return (Stage("network", self.build(config, weights), (image,), ("image",)),)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from torch import nn

        from hwnas.supernets.live_init import build_live, random_input

        height, width, channels = block.input
        shape = (channels, height, width)

        def make() -> nn.Module:
            alone = image_blocks.layer(block)
            return nn.Sequential(nn.Flatten(), alone) if block.kind == "classifier" else alone

        n = math.ceil(_STATISTICS_PIXELS / (height * width))
        module = build_live(make, (random_input(n, *shape),))
        return Stage(block.kind, module, (random_input(batch, *shape),), ("input",))

    def layers(self, config: AnyConfig) -> list[Block]:
        """Return the blocks of the sub-network of ``config``, first to last."""
        return [block for _, _, block in self.__parts(config)]

    def resolution(self, config: AnyConfig) -> int:
        """Return the side of the images that the sub-network of ``config`` is given, in pixels."""
        return int(config[_RESOLUTION][0]) if _RESOLUTION in config else self.resolutions[0]

    # --- shared weights ----------------------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> WeightLayout:
        """The layout of the super-network's checkpoints, with once-for-all's keys."""
        shapes: dict[str, tuple[int, ...]] = {}
        # The largest sub-network has every layer, at its full size.
        for _, place, block in self.__parts(self.space.decode(self.space.largest())[0]):
            shapes |= {place.weight(inner): shape for inner, shape in self.__shapes_of(block).items()}
            shapes |= {key: (smaller**2, smaller**2) for (_, smaller), key in place.matrices().items()}
        return WeightLayout(self.name, shapes, self.__cut, ofa_keys.spelling)

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:
        """Return the shared weights, freshly drawn from ``seed`` or read from the checkpoint ``weights``."""
        from hwnas.supernets.images.initial import draw

        if weights is None:
            return SharedWeights(self.layout, draw(self.layout.shapes, seed))
        return SharedWeights.load(self.layout, weights)

    def __cut(self, tensors: Tensors, config: AnyConfig) -> dict[str, torch.Tensor]:
        from hwnas.supernets.images.elastic import shrunk_kernel

        state = {}
        for name, place, block in self.__parts(config):
            matrices = {step: tensors[key] for step, key in place.matrices().items()}
            for inner, shape in self.__shapes_of(block).items():
                tensor = tensors[place.weight(inner)]
                # Channels first: a kernel that is not there needs no transformation.
                channels = corner(tensor, shape[:2])
                smaller = len(shape) == 4 and channels.shape[3] != shape[3]
                state[f"{name}.{inner}"] = shrunk_kernel(channels, shape[3], matrices) if smaller else channels
        return state

    def __is_own(self, state: Tensors, module: torch.nn.Module) -> bool:
        """Return whether a file has more keys of the sub-network than of the super-network."""
        own = module.state_dict()
        spelled = {ofa_keys.spelling(key) for key in self.layout.shapes}
        return sum(key in own for key in state) > sum(ofa_keys.spelling(key) in spelled for key in state)

    # --- blocks ------------------------------------------------------------------------------------------------------

    def __slot(self, place: SlotPlace) -> Slot:
        """Tabulate a place's blocks over the values of its variables, and of an elastic resolution."""
        sizes = [range(int(self.space.n_options[column])) for column in place.columns]
        elastic = (self.space.n_var - 1,) if len(self.resolutions) > 1 else ()
        blocks = (place.make(r, *indices) for *indices, r in itertools.product(*sizes, self.resolutions))
        return Slot(place.name, (*place.columns, *elastic), tuple(blocks))

    def __parts(self, config: AnyConfig) -> Iterator[tuple[str, SlotPlace, Block]]:
        """Yield the blocks of a sub-network, each with its name there and its place in the super-network."""
        x = self.space.encode(config)[0]
        numbers: Counter[str] = Counter()
        for place, slot in zip(self.__places, self.slots, strict=True):
            sizes = tuple(int(self.space.n_options[column]) for column in slot.columns)
            index = int(np.ravel_multi_index(tuple(x[list(slot.columns)]), sizes)) if sizes else 0
            block = slot.blocks[index]
            if block is not None:
                # The members of a group are renumbered without the layers that are left out.
                group, dot, _ = place.name.partition(".")
                yield f"{group}.{numbers[group]}" if dot else group, place, block
                numbers[group] += 1

    def __assemble(self, config: AnyConfig) -> torch.nn.Module:
        from torch import nn

        children: OrderedDict[str, nn.Module] = OrderedDict()
        for name, _, block in self.__parts(config):
            group, dot, _ = name.partition(".")
            if block.kind == "classifier":
                children["flatten"] = nn.Flatten()
            if dot:
                sequence = children.setdefault(group, nn.Sequential())
                assert isinstance(sequence, nn.Sequential)  # noqa: S101 - a name is a group's or a place's, never both
                sequence.append(image_blocks.layer(block))
            else:
                children[group] = image_blocks.layer(block)
        return nn.Sequential(children)

    def __shapes_of(self, block: Block) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a block's own state; cached, since every training step needs those of all blocks."""
        if block not in self.__shapes:
            from hwnas.supernets.bare import without_weights

            with without_weights():
                state = image_blocks.layer(block).state_dict()
            self.__shapes[block] = {key: tuple(tensor.shape) for key, tensor in state.items()}
        return self.__shapes[block]
