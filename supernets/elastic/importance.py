"""Which channels of a set matter: the order in which they are left out.

The order is fixed once, so that what a small sub-network keeps, a larger one keeps too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from hwnas.supernets.elastic.analysis import Analysis
from hwnas.supernets.elastic.axes import JOIN, PRODUCT, Axis
from hwnas.supernets.elastic.counts import WEIGHTED
from hwnas.supernets.elastic.program import WEIGHT, Node, Ref
from hwnas.supernets.elastic.sets import ChannelSet
from hwnas.supernets.space import FloatArray, IntArray

# A norm's statistics and every bias say where activations lie, not how much they matter.
_SHIFTS = ("bias", "running_mean", "running_var")


def by_weights(analysis: Analysis, sets: Sequence[ChannelSet]) -> dict[Axis, IntArray]:
    """Return the channels of each set, the most important first: those with the largest weights.

    A channel's importance is the mean square of the weights that make it, times that of the weights that read it, each
    in units of its layer's mean over channels and averaged over the layers (a grouped L2 norm, as of Fang et al., 2023,
    arXiv 2301.12900). The product does not change where a layer is scaled up and the next one down. Of a layer before a
    batch-norm, which takes its scale away, the batch-norm's own scale counts.
    """
    making, reading = ({one.axis: np.zeros(one.axis.size) for one in sets} for _ in range(2))
    for node in analysis.program.nodes:
        if node.op != WEIGHT or node.target.endswith(_SHIFTS):
            continue
        weight = analysis.program.weights[node.target]
        if weight.is_floating_point():
            squares = weight.detach().double().square()
            for dim, axis in enumerate(analysis.of(node.name)):
                others = [other for other in range(weight.dim()) if other != dim]
                along = (squares.mean(others) if others else squares).numpy()
                if _reads(analysis, node, dim):
                    add(reading, axis, along)
                elif not _is_rescaled(analysis, node):
                    add(making, axis, along)
    return ranked({axis: _whole(making[axis]) * _whole(reading[axis]) for axis in making})


def _whole(score: FloatArray) -> FloatArray:
    """Return a score; 1 for every channel where no weight says anything."""
    return score if score.any() else np.ones_like(score)


def _reads(analysis: Analysis, node: Node, dim: int) -> bool:
    """Return whether a dimension of a weight is what a layer reads, and not what it makes."""
    (reader, *_) = analysis.program.readers[node.name]
    places = WEIGHTED.get(reader.operator)
    return places is not None and reader.args[places.weight] == Ref(node.name) and dim == places.given


def _is_rescaled(analysis: Analysis, node: Node) -> bool:
    """Return whether a weight makes what only a batch-norm reads."""
    (reader, *_) = analysis.program.readers[node.name]
    behind = analysis.program.readers[reader.name]
    return reader.operator in WEIGHTED and len(behind) == 1 and behind[0].operator == "batch_norm"


def ranked(scores: Mapping[Axis, FloatArray]) -> dict[Axis, IntArray]:
    """Return the channels of each set by falling score; equal ones in their own order."""
    return {axis: np.argsort(-score, kind="stable").astype(np.int64) for axis, score in scores.items()}


def add(scores: dict[Axis, FloatArray], axis: Axis, along: FloatArray) -> None:
    """Add values along an axis, in units of their mean, to the scores of its leaves."""
    mean = along.mean() if along.size else 0.0
    if 0 < mean < np.inf:  # a mask may be infinite
        for leaf, part in per_leaf(axis, along / mean):
            if leaf in scores:
                scores[leaf] += part


def per_leaf(
    axis: Axis, along: FloatArray, fold: Callable[..., FloatArray] = np.mean
) -> Iterator[tuple[Axis, FloatArray]]:
    """Yield each leaf of an axis with the means, or what ``fold`` makes, of values over the entries that are its own.

    A leaf comes as often as it is in the axis.
    """
    axis = axis.found()
    if axis.form == JOIN:
        start = 0
        for part in axis.parts:
            size = part.found().size
            yield from per_leaf(part, along[start : start + size], fold)
            start += size
    elif axis.form == PRODUCT:
        sizes = [part.found().size for part in axis.parts]
        grid = along.reshape(sizes)
        for number, part in enumerate(axis.parts):
            others = tuple(other for other in range(len(sizes)) if other != number)
            yield from per_leaf(part, fold(grid, axis=others), fold)
    else:
        yield axis, along


def kept(ranking: IntArray, count: int) -> IntArray:
    """Return the most important channels, in the order in which the model has them."""
    return np.sort(ranking[:count])
