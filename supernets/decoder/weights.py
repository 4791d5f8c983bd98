"""The weights that decoder sub-networks share: each uses the first layers, and first rows and columns of a tensor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from hwnas.supernets.bare import without_weights
from hwnas.supernets.checkpoints import assign, read_state_dict
from hwnas.supernets.decoder.network import Decoder
from hwnas.supernets.live_init import build_live
from hwnas.supernets.shared import SharedWeights, Tensors, WeightLayout, corner, fitted
from hwnas.supernets.space import Config

# Standard deviation of weights after Radford et al. (2019); layers that add to the residual have less.
_STD = 0.02
_ADDING = re.compile(r"\.proj\.weight$")

AnyConfig = Config | dict[str, Any]


def layout(name: str, module: Callable[[AnyConfig], Decoder], largest: AnyConfig) -> WeightLayout:
    """Return the layout of a super-network's checkpoints, whose keys are those of its largest sub-network.

    Args:
        name: the super-network's.
        module: makes a sub-network without weights.
        largest: the config that has every tensor at its full size.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in module(largest).state_dict().items()}

    def cut(tensors: Tensors, config: AnyConfig) -> dict[str, torch.Tensor]:
        wanted = module(config).state_dict()
        return {key: corner(tensors[key], tuple(tensor.shape)) for key, tensor in wanted.items()}

    return WeightLayout(name, shapes, cut)


def built(make: Callable[[], Decoder], layout: WeightLayout, config: AnyConfig, weights: str | None) -> Decoder:
    """Return a sub-network in evaluation mode, with live random weights or those of a file.

    Args:
        make: makes it.
        layout: of the super-network's checkpoints.
        config: of the sub-network.
        weights: a checkpoint of the super-network or of this very sub-network; ``None``: random ones.
    """
    if weights is None:
        live = build_live(make, ())
        assert isinstance(live, Decoder)  # noqa: S101 - what make returns
        return live
    with without_weights():
        bare = make()
    state = read_state_dict(weights)
    own = {key: tuple(tensor.shape) for key, tensor in bare.state_dict().items()}
    alone = own == {key: tuple(tensor.shape) for key, tensor in state.items()}
    filled = assign(bare, state if alone else layout.cut(fitted(layout, state, weights), config))
    assert isinstance(filled, Decoder)  # noqa: S101 - what was given
    return filled


def drawn(layout: WeightLayout, seed: int) -> SharedWeights:
    """Return fresh weights: normal, narrower where a layer's result is added to the residual (Radford et al., 2019)."""
    generator = torch.Generator().manual_seed(seed)
    layers = {key.split(".")[1] for key in layout.shapes if key.startswith("h.")}
    adding = _STD / (2 * len(layers)) ** 0.5

    def one(key: str, shape: tuple[int, ...]) -> torch.Tensor:
        if len(shape) < 2:
            return torch.full(shape, 0.0 if key.endswith("bias") else 1.0)
        return torch.empty(shape).normal_(0, adding if _ADDING.search(key) else _STD, generator=generator)

    return SharedWeights(layout, {key: one(key, shape) for key, shape in layout.shapes.items()})
