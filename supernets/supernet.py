"""The protocol of super-networks, and the stages that one inference of a sub-network runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy.typing as npt

from hwnas.supernets.blocks import Block, Slot
from hwnas.supernets.contents import Content
from hwnas.supernets.space import Config, IntArray, SearchSpace

if TYPE_CHECKING:
    import torch


# How int8 finds the ranges of activations; see ``Stage.quantisation``.
STATIC, DYNAMIC = "static", "dynamic"


@dataclass(frozen=True)
class Stage:
    """A module with its example inputs and how often it runs per inference.

    Attributes:
        name: of the stage ("network", "encoder", "decoder-step").
        module: in evaluation mode, with live activations (see ``hwnas.supernets.live_init``).
        inputs: positional example inputs, their first dimension the batch.
        input_names: one per input; the exported graph uses them.
        repeats: how often the stage runs in one inference.
        calibration: more inputs like ``inputs``, typical of real data, from which a quantising backend learns the
            ranges of activations; if there are none, the example inputs are used.
        quantisation: what ``precision=int8`` means where the platform does not say. "static": ranges of activations
            are fixed beforehand. "dynamic": they are those of each activation as it is computed, as language models
            are deployed; see ``hwnas.backends.quantise``.
    """

    name: str
    module: torch.nn.Module
    inputs: tuple[torch.Tensor, ...]
    input_names: tuple[str, ...]
    repeats: int = 1
    calibration: tuple[tuple[torch.Tensor, ...], ...] = ()
    quantisation: str = STATIC


@runtime_checkable
class SuperNetwork(Protocol):
    """A network with elastic dimensions, whose weights every sub-network shares.

    Attributes:
        name: as registered, with its options ("ofa-mbv3-w1.0", "ofa-mbv3-w1.0:r=160").
        summary: one line for ``hwnas supernets``.
        space: its search space.
        slots: its places for blocks; parameters, MACs and lookup tables are sums over them.
        default_quality: the quality source that is used if none is named.
    """

    name: str
    summary: str
    space: SearchSpace
    slots: tuple[Slot, ...]
    default_quality: str

    def params(self, X: npt.ArrayLike) -> IntArray:
        """Return the sub-networks' parameter counts, ``(n,)``."""
        ...

    def macs(self, X: npt.ArrayLike) -> IntArray:
        """Return the multiply-accumulates of one inference at batch 1, ``(n,)``."""
        ...

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the stand-alone sub-network in evaluation mode; ``weights=None`` gives seeded random ones."""
        ...

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> Sequence[Stage]:
        """Return the stages of one inference, with example inputs of ``batch`` samples."""
        ...


@runtime_checkable
class BuildsBlocks(Protocol):
    """A super-network whose blocks can be measured alone, for a lookup table."""

    def block_stage(self, block: Block, batch: int) -> Stage:
        """Return ``block`` as a network with live random weights and example inputs of ``batch`` samples.

        Args:
            block: one of those in the super-network's slots.
            batch: samples per inference.
        """
        ...


@runtime_checkable
class Caches(Protocol):
    """A super-network that makes its output step by step, and caches keys and values of earlier steps.

    Its blocks say how many (``hwnas.supernets.blocks.Block.cached``).

    Attributes:
        context: positions in the cache at the end of the inference that is measured.
    """

    context: int


@runtime_checkable
class HasOwnWeights(Protocol):
    """A super-network that is made of a trained model: without a checkpoint, sub-networks have the model's weights.

    Attributes:
        own_weights: identifies them.
    """

    @property
    def own_weights(self) -> Content: ...


def own_weights(net: SuperNetwork) -> Content | None:
    """Return what identifies the weights that a super-network has by itself; ``None``: it has none."""
    return net.own_weights if isinstance(net, HasOwnWeights) else None
