"""One stage of a super-network as a super-network, so that its blocks can be summed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwnas.supernets.blocks import BlockCounts, Slot
from hwnas.supernets.space import Config
from hwnas.supernets.supernet import Stage, SuperNetwork

if TYPE_CHECKING:
    import torch


class OneStage(BlockCounts):
    """One run of a stage of another super-network.

    Args:
        net: has the stage.
        stage: its name, as ``net``'s slots have it.
    """

    default_quality = "none"

    def __init__(self, net: SuperNetwork, stage: str) -> None:
        self._net, self._stage = net, stage
        self.name = net.name
        self.summary = f"{stage} of {net.name}"
        self.space = net.space
        self.slots: tuple[Slot, ...] = tuple(replace(one, repeats=1) for one in net.slots if one.stage == stage)

    def build(self, config: Config | dict[str, Any], weights: str | None = None) -> torch.nn.Module:
        """Return the stage's module."""
        return self.stages(config, 1, weights)[0].module

    def stages(self, config: Config | dict[str, Any], batch: int, weights: str | None = None) -> Sequence[Stage]:
        """Return the stage alone, run once."""
        found = self._net.stages(config, batch, weights)
        return tuple(replace(one, repeats=1) for one in found if one.name == self._stage)
