"""The super-network of a model: its search space, its counts, its sub-networks and its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.supernets.blocks import Block, BlockCounts, Slot
from hwnas.supernets.contents import Content
from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.counts import Counter
from hwnas.supernets.elastic.depth import DEPTH, Unit, stages
from hwnas.supernets.elastic.depth import Stage as DepthStage
from hwnas.supernets.elastic.importance import by_weights, kept
from hwnas.supernets.elastic.layers import Layer
from hwnas.supernets.elastic.presence import presences
from hwnas.supernets.elastic.rebuild import Part, Rebuilder
from hwnas.supernets.elastic.sets import ChannelSet, Wanted, channel_sets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.named_outputs import Places
from hwnas.supernets.shared import AnyConfig, SharedWeights, Tensors, WeightLayout, fitted
from hwnas.supernets.space import Choice, IntArray, SearchSpace
from hwnas.supernets.supernet import Stage

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Elastic:
    """What of a model can be left out.

    Attributes:
        analysis: of its program.
        sets: its sets of channels, fixed ones too.
        stages: its stages of blocks that can be left out.
        rankings: the channels of each elastic set, the most important first.
    """

    analysis: Analysis
    sets: tuple[ChannelSet, ...]
    stages: tuple[DepthStage, ...]
    rankings: Mapping[Axis, IntArray]

    @property
    def elastic_sets(self) -> tuple[ChannelSet, ...]:
        """The sets that are not fixed."""
        return tuple(one for one in self.sets if not one.fixed)

    def presence(self, unit: Unit) -> tuple[int, int] | None:
        """Return the number of a block's stage and the lowest index of its choice with which the block is there."""
        for number, stage in enumerate(self.stages):
            if unit in stage.units:
                least = stage.units.index(unit) + 1 - stage.values[0]
                return (number, least) if least > 0 else None
        return None


class ElasticModel(BlockCounts):
    """A super-network made of a model; see ``hwnas.supernets.supernet.SuperNetwork``.

    Args:
        name: its name with options.
        elastic: what of the model can be left out.
        examples: the model's inputs for one sample, in order.
    """

    default_quality = "fidelity"

    def __init__(self, name: str, elastic: Elastic, examples: Sequence[torch.Tensor]) -> None:
        self.name = name
        self.elastic = elastic
        self.examples = tuple(examples)
        self.program = elastic.analysis.program
        self._rebuilder = Rebuilder(elastic.analysis)
        depths = [Choice(DEPTH, stage.values) for stage in elastic.stages]
        self._columns = {one.axis: len(depths) + number for number, one in enumerate(elastic.elastic_sets)}
        widths = [Choice(one.key, one.values, self._needs(one)) for one in elastic.elastic_sets]
        if not depths and not widths:
            raise UsageError(f"super-network {name!r}: nothing of the model can be left out: {_why_not(elastic.sets)}")
        self.space = SearchSpace((*depths, *widths))
        self.summary = (
            f"own model: {len(widths)} elastic sets of channels, {len(depths)} of blocks, "
            f"{self.space.distinct_size:.1e} networks"
        )

    if TYPE_CHECKING:  # an attribute like those of other super-networks, made when it is first asked for
        slots: tuple[Slot, ...]
    else:

        @cached_property
        def slots(self) -> tuple[Slot, ...]:
            """Its places for blocks."""
            presence = presences(self.program, {unit: self.elastic.presence(unit) for unit in self._units()})
            return Counter(self.elastic.analysis, self.space, self._columns, presence).slots()

    # --- inputs ------------------------------------------------------------------------------------------------------

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the model's inputs, in the order in which sub-networks take them."""
        return tuple(node.target for node in self.program.inputs)

    @property
    def output_names(self) -> Places:
        """Where among the outputs are those that the model gives names; nothing where it gives none."""
        node = self.program.nodes[-1]
        names, numbers = node.kwargs.get("names", {}), range(len(node.args))
        # A program may be anybody's.
        places = names.items() if isinstance(names, Mapping) else ()
        return {
            name: place
            for name, place in places
            if all(type(one) is int and one in numbers for one in (place if isinstance(place, tuple) else (place,)))
        }

    @property
    def one_batch(self) -> str:
        """Why it runs on batches of one size alone, as a sentence; "": it runs on any."""
        axis = self.elastic.analysis.batch
        return f"runs on batches of {axis.size} alone: {axis.fixed}" if axis.fixed else ""

    @property
    def data(self) -> str:
        """The kind of data that it is trained on: "images" if it classifies square images."""
        return "images" if self._side else "python"

    @cached_property
    def _side(self) -> int:
        """The side of the images that it classifies; 0: it does something else."""
        outputs = [self.elastic.analysis.of(name) for name in self.program.nodes[-1].refs()]
        images = len(self.examples) == len(outputs) == 1 and len(outputs[0]) == 2
        shape = tuple(self.examples[0].shape)
        square = images and len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3]
        return shape[2] if square else 0

    @property
    def classes(self) -> int:
        """The number of classes, if it classifies images."""
        return self.elastic.analysis.of(next(self.program.nodes[-1].refs()))[1].size

    @property
    def channels(self) -> int:
        """The channels of its images, if it classifies images."""
        return int(self.examples[0].shape[1])

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The side of its images in pixels, if it classifies images."""
        return (self._side,)

    def resolution(self, config: AnyConfig) -> int:  # noqa: ARG002 - it is the same for all
        """Return the side of the images that a sub-network takes, in pixels."""
        return self._side

    # --- choices -----------------------------------------------------------------------------------------------------

    def _needs(self, one: ChannelSet) -> tuple[int, int] | None:
        """Return the choice of depth on which a set depends whose weights are all in one block."""
        for unit in self._units():
            found = self.elastic.presence(unit)
            if found is not None and set(one.weights) <= unit.weights:
                return found
        return None

    def _units(self) -> Iterator[Unit]:
        return (unit for stage in self.elastic.stages for unit in stage.units)

    def _part(self, config: AnyConfig) -> tuple[Part, dict[Axis, IntArray]]:
        """Return what a config keeps, and which channels of each set."""
        x = self.space.canonical(self.space.encode(config))[0]
        replaced = {}
        for number, stage in enumerate(self.elastic.stages):
            for unit in stage.units[stage.values[x[number]] :]:
                replaced[unit.exit] = unit.entry
        indices = {}
        for axis, column in self._columns.items():
            count = int(self.space.choices[column].values[x[column]])
            if count < axis.size:
                indices[axis] = kept(self.elastic.rankings[axis], count)
        return Part({axis: len(one) for axis, one in indices.items()}, replaced), indices

    @property
    def layers(self) -> dict[str, Layer]:
        """The calls that are layers, by the names of their nodes."""
        return self._rebuilder.layers

    # --- sub-networks ------------------------------------------------------------------------------------------------

    def module(self, config: AnyConfig) -> torch.nn.Module:
        """Return the sub-network without weights of its own (on the meta device), in evaluation mode."""
        return self._rebuilder.module(self._part(config)[0])

    def build(self, config: AnyConfig, weights: str | None = None) -> torch.nn.Module:
        """Return the sub-network of ``config`` in evaluation mode.

        Args:
            config: as ``space.decode`` spells it.
            weights: a checkpoint of the super-network; ``None``: the model's own weights.
        """
        from hwnas.supernets.checkpoints import assign, read_state_dict

        own = self._rebuilder.weights
        state: Tensors = own
        if weights is not None:
            state = fitted(self.layout, read_state_dict(weights, self.layout.unchecked), weights)
        return assign(self.module(config), self._cut(state, config))

    def stages(self, config: AnyConfig, batch: int, weights: str | None = None) -> tuple[Stage, ...]:
        """Return the one stage of a model."""
        from hwnas.supernets.elastic.tracing import repeated

        if self.one_batch and batch != self.elastic.analysis.batch.size:
            raise UsageError(f"super-network {self.name!r}: {self.one_batch}")
        inputs = tuple(repeated(one, batch) for one in self.examples)
        return (Stage("network", self.build(config, weights), inputs, self.input_names),)

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return one block as a network of its own."""
        from hwnas.supernets.elastic.blocks import stage

        return stage(block, batch)

    # --- shared weights ----------------------------------------------------------------------------------------------

    @cached_property
    def layout(self) -> WeightLayout:
        """The layout of its checkpoints: the model's own weights, by the model's names."""
        shapes = {name: tuple(tensor.shape) for name, tensor in self._rebuilder.weights.items()}
        types = {name: tensor.dtype for name, tensor in self._rebuilder.weights.items()}
        return WeightLayout(self.name, shapes, self._cut, trained=self.program.trained, types=types)

    def shared(self, weights: str | None = None, seed: int = 0) -> SharedWeights:  # noqa: ARG002 - nothing is drawn
        """Return the shared weights: the model's own, or those of the checkpoint ``weights``."""
        if weights is None:
            own = self._rebuilder.weights
            return SharedWeights(self.layout, {name: tensor.clone() for name, tensor in own.items()})
        return SharedWeights.load(self.layout, weights)

    def _cut(self, tensors: Tensors, config: AnyConfig) -> dict[str, torch.Tensor]:
        return self._rebuilder.cut(tensors, *self._part(config))

    @property
    def own_weights(self) -> Content:
        """The model's weights, and which channels go first."""
        return Content("the model's weights", self.digest)

    @cached_property
    def digest(self) -> str:
        """A digest of the model, of what is elastic and of the order in which channels and blocks are left out."""
        total = hashlib.sha256(self.program.digest.encode())
        for one in self.elastic.elastic_sets:
            total.update(repr((one.key, one.weights, one.values)).encode())
            total.update(np.ascontiguousarray(self.elastic.rankings[one.axis]).tobytes())
        for stage in self.elastic.stages:
            total.update(repr(([unit.path for unit in stage.units], stage.values)).encode())
        return total.hexdigest()


def _why_not(sets: Sequence[ChannelSet]) -> str:
    return "; ".join(dict.fromkeys(one.fixed for one in sets)) or "it has no weights"


def made(
    analysis: Analysis,
    wanted: Wanted,
    orders: Sequence[IntArray] | None = None,
    depths: Sequence[Sequence[str]] | None = None,
) -> Elastic:
    """Return what of a model can be left out.

    Args:
        analysis: of the model.
        wanted: what is to be elastic.
        orders: the channels of each elastic set, the most important first; ``None``: their weights say it.
        depths: the paths of each stage's blocks, the most important first; ``None``: the first ones are.

    Raises:
        ValueError: there are more or fewer orders than elastic sets, or blocks are others.
    """
    sets = tuple(channel_sets(analysis, wanted))
    elastic = [one for one in sets if not one.fixed]
    known = None if orders is None else {one.axis: order for one, order in zip(elastic, orders, strict=True)}
    rankings = by_weights(analysis, elastic) if known is None else known
    return Elastic(analysis, sets, tuple(stages(analysis, depths)) if wanted.depth else (), rankings)
