"""Order channels by how much a user's loss would change without them, to first order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from hwnas.supernets.elastic.axes import Axis
from hwnas.supernets.elastic.importance import per_leaf, ranked
from hwnas.supernets.elastic.network import ElasticModel
from hwnas.supernets.elastic.program import WEIGHT
from hwnas.supernets.named_outputs import named
from hwnas.supernets.space import FloatArray, IntArray

Batches = Sequence[tuple[tuple[torch.Tensor, ...], torch.Tensor]]


def by_gradients(net: ElasticModel, batches: Batches, loss: Callable[[Any, Any], torch.Tensor]) -> dict[Axis, IntArray]:
    """Return the channels of each set, the most important first: those without which the loss would change most.

    A channel's importance is the square of the sum of weight times gradient over its weights, summed over the batches
    (Molchanov et al., 2019, arXiv 1906.10771). Sets without gradients keep the order that they have.

    Args:
        net: the super-network.
        batches: inputs of the model, in its order of inputs, and targets.
        loss: returns a scalar for outputs and targets.
    """
    analysis, largest = net.elastic.analysis, net.space.decode(net.space.largest())[0]
    scores: dict[Axis, FloatArray] = {one.axis: np.zeros(one.axis.size) for one in net.elastic.elastic_sets}
    shared, module = net.shared(), net.module(largest)
    for inputs, targets in batches:
        for tensor in shared.parameters():
            tensor.grad = None
        outputs = torch.func.functional_call(module, shared.state(largest), inputs)
        loss(named(outputs, net), targets).backward()  # type: ignore[no-untyped-call]
        sums = {axis: np.zeros_like(score) for axis, score in scores.items()}
        for node in analysis.program.nodes:
            weight = shared.tensors[node.target] if node.op == WEIGHT else None
            if weight is not None and weight.grad is not None:
                products = (weight.detach() * weight.grad).double()
                for dim, axis in enumerate(analysis.of(node.name)):
                    _add(sums, axis, products, dim)
        for axis, total in sums.items():
            scores[axis] += total**2
    found = ranked({axis: score for axis, score in scores.items() if score.any()})
    return {axis: found.get(axis, net.elastic.rankings[axis]) for axis in scores}


def _add(sums: dict[Axis, FloatArray], axis: Axis, products: torch.Tensor, dim: int) -> None:
    others = [other for other in range(products.dim()) if other != dim]
    along = (products.sum(others) if others else products).numpy()
    for leaf, part in per_leaf(axis, along, np.sum):
        if leaf in sums:
            sums[leaf] += part
