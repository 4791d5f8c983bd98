"""Order channels by how much of them reaches the next layers on a user's data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.importance import add, ranked
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.space import FloatArray, IntArray


def by_activations(net: ElasticModel, batches: Sequence[tuple[torch.Tensor, ...]]) -> dict[Axis, IntArray]:
    """Return the channels of each set, the most important first: those whose activations reach the next layers.

    A channel's importance in a layer that reads it is its activations' mean square on the batches, times the mean
    square of the weights that it is multiplied with (Sun et al., 2024, arXiv 2306.11695), in units of the layer's mean
    over channels, averaged over the layers that read it. Sets that no layer reads keep the order that they have.

    Args:
        net: the super-network.
        batches: inputs of the model, in its order of inputs.
    """
    analysis = net.elastic.analysis
    scores: dict[Axis, FloatArray] = {one.axis: np.zeros(one.axis.size) for one in net.elastic.elastic_sets}
    squares = _squares(net, batches)
    for name, layer in net.layers.items():
        if layer.path not in squares:
            continue
        weight = analysis.program.by_name[analysis.program.by_name[name].args[1].name]
        others = [dim for dim in range(len(weight.shape)) if dim != 1]
        norms = analysis.program.weights[weight.target].detach().double().square().mean(others).numpy()
        if len(norms) == len(squares[layer.path]):  # in a convolution in groups, a weight is for several channels
            add(scores, analysis.of(weight.name)[1], norms * squares[layer.path])
    found = ranked({axis: score for axis, score in scores.items() if score.any()})
    return {axis: found.get(axis, net.elastic.rankings[axis]) for axis in scores}


def _squares(net: ElasticModel, batches: Sequence[tuple[torch.Tensor, ...]]) -> dict[str, FloatArray]:
    """Return the mean square of what goes into each linear layer and convolution, per channel, by the layer's path."""
    sums: dict[str, list[FloatArray]] = defaultdict(list)

    def hook(path: str, channel: int) -> Callable[[nn.Module, Any], None]:
        def note(_: nn.Module, args: Any) -> None:
            (x,) = args
            others = [dim for dim in range(x.dim()) if dim != channel % x.dim()]
            sums[path].append(x.double().square().mean(others).numpy())

        return note

    largest = net.space.decode(net.space.largest())[0]
    module = net.build(largest)
    for path, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            part.register_forward_pre_hook(hook(path, 1 - part.weight.dim()))
    with torch.no_grad():
        for batch in batches:
            module(*batch)
    return {path: np.mean(found, axis=0) for path, found in sums.items()}
