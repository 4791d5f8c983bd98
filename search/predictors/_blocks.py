"""Features of a sub-network for the Gaussian process, from general to particular.

A few dozen examples say little about each of a hundred one-hot features, but much about their sums: larger kernels
cost or gain something on the whole, more in one stage than in another. So a sub-network is described four times over:
per kind of choice, per kind and stage, per choice, and one-hot. Each block gets a weight of its own size, learned from
the data, and what is learned in common reaches choices that were never tried.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True)
class FeatureBlock:
    """Columns of the features, and what the kernel does with them.

    Attributes:
        columns: where they are.
        linear: a linear term; otherwise a squared exponential one.
        amplitude: the logarithm of the term's standard deviation that is expected before any data.
        groups: which length scale each column has, ``(d,)`` from 0 on; of no meaning in a linear term.
        scale: the logarithm of the length scales that is expected.
    """

    columns: slice
    linear: bool
    amplitude: float
    groups: IntArray
    scale: float = 0.0

    @property
    def n_scales(self) -> int:
        """The number of length scales."""
        return 0 if self.linear else int(self.groups.max(initial=-1)) + 1

    def moved(self, by: int) -> FeatureBlock:
        """Return the same for columns that stand further back."""
        return replace(self, columns=slice(self.columns.start + by, self.columns.stop + by))


class SpaceFeatures:
    """The blocks of a search space.

    Args:
        space: the search space.
        hierarchical: with the blocks per kind, stage and choice; without them one-hot features are all there is.
    """

    def __init__(self, space: SearchSpace, hierarchical: bool = True) -> None:
        self._space = space
        self._hierarchical = hierarchical
        kinds = numbered([choice.key for choice in space.choices])
        stages = numbered(list(zip(kinds, choice_stages(space), strict=True)))
        self._sums = [_summing(groups) for groups in (kinds, stages)]
        self._counts = [_counting(space, groups) for groups in (kinds, stages)]
        self._coordinates = coordinates(space)
        one_hot_kinds = np.repeat(kinds, space.n_options)
        sums = zip(self._sums, self._counts, strict=True)
        widths = [*(len(total) + count.shape[1] for total, count in sums), space.n_var] if hierarchical else []
        # The amplitudes are round numbers between those learned on several spaces.
        self.blocks = _laid_out(widths, (-0.3, -1.5, -2.0), one_hot_kinds)

    def __call__(self, X: IntArray) -> FloatArray:
        """Return the features, ``(n, d)``."""
        one_hot = self._space.one_hot(X)
        if not self._hierarchical:
            return one_hot
        columns = np.arange(self._space.n_var)
        single = self._coordinates[columns, X] * self._space.active(X)
        pairs = zip(self._sums, self._counts, strict=True)
        sums = [part for total, count in pairs for part in (single @ total.T, one_hot @ count)]
        return np.hstack([*sums, single, one_hot])


def plain_blocks(n_features: int) -> tuple[FeatureBlock, ...]:
    """Return the blocks of features of which nothing is known: a linear and a squared exponential term over all."""
    everything, groups = slice(0, n_features), np.zeros(n_features, dtype=np.int64)
    return FeatureBlock(everything, True, -0.5, groups), FeatureBlock(everything, False, -0.5, groups, 0.5)


def _laid_out(widths: Sequence[int], amplitudes: Sequence[float], one_hot_kinds: IntArray) -> tuple[FeatureBlock, ...]:
    blocks, start = [], 0
    for width, amplitude in zip(widths, amplitudes, strict=False):
        blocks.append(FeatureBlock(slice(start, start + width), True, amplitude, np.zeros(width, dtype=np.int64)))
        start += width
    amplitude = -1.0 if widths else 0.0
    return (*blocks, FeatureBlock(slice(start, start + len(one_hot_kinds)), False, amplitude, one_hot_kinds, 0.5))


def numbered(labels: Sequence[object]) -> IntArray:
    """Return the number of each label, ``(n,)``, in the order of first appearance."""
    number = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    return np.array([number[label] for label in labels], dtype=np.int64)


def layer_pairs(space: SearchSpace) -> list[tuple[int, int]]:
    """Return the pairs of choices of the same layer: in the same place of the same stage, of different kinds."""
    kinds = numbered([choice.key for choice in space.choices])
    stages = choice_stages(space)
    seen: dict[tuple[int, int], int] = {}
    layers: dict[tuple[int, int], list[int]] = {}
    for column, (kind, stage) in enumerate(zip(kinds.tolist(), stages, strict=True)):
        if column in stages or (kinds == kind).sum() < 2:  # a depth, or a choice that there is only once
            continue
        place = seen[kind, stage] = seen.get((kind, stage), -1) + 1
        layers.setdefault((stage, place), []).append(column)
    return [pair for columns in layers.values() for pair in itertools.combinations(columns, 2)]


def layer_features(space: SearchSpace, X: IntArray) -> FloatArray:
    """Return masked one-hot features of pairs of choices of the same layer, ``(n, d)``.

    What adds up over layers (latency from a table, MACs, parameters) is linear in these and not in one-hot features: a
    layer's cost is about the product of its choices.
    """
    X = space.canonical(X)
    active = space.active(X)
    parts = []
    for first, second in layer_pairs(space):
        sizes = space.n_options[[first, second]]
        joint = X[:, first] * sizes[1] + X[:, second]
        parts.append(np.equal(joint[:, None], np.arange(sizes.prod())) & (active[:, [first]] & active[:, [second]]))
    return np.concatenate([np.zeros((len(X), 0)), *parts], axis=1).astype(np.float64)


def _summing(groups: IntArray) -> FloatArray:
    """Return the matrix that sums over each group, scaled so that independent members give a variance of 1."""
    total = np.equal(groups, np.arange(groups.max() + 1)[:, None]).astype(np.float64)
    return np.asarray(total / np.sqrt(total.sum(axis=1, keepdims=True)), dtype=np.float64)


def _counting(space: SearchSpace, groups: IntArray) -> FloatArray:
    """Return the matrix that counts each value without an order in each group, from one-hot features, ``(., k)``.

    It is scaled as in ``_summing``; without such values k is 0.
    """
    labels = [
        (group, value) if not choice.ordered else None
        for group, choice in zip(groups.tolist(), space.choices, strict=True)
        for value in choice.values
    ]
    distinct = [label for label in dict.fromkeys(labels) if label is not None]
    counted = np.array([[label == one for one in distinct] for label in labels], dtype=np.float64)
    counted = counted.reshape(len(labels), len(distinct))
    return np.asarray(counted / np.sqrt(counted.sum(axis=0, keepdims=True)), dtype=np.float64)


def coordinates(space: SearchSpace) -> FloatArray:
    """Return each choice's values mapped to -1..1, ``(n_var, most options)``; 0 where they have no order."""
    table = np.zeros((space.n_var, int(space.n_options.max())))
    for row, choice in enumerate(space.choices):
        if not choice.ordered:
            continue
        values = np.array(choice.values, dtype=np.float64)
        table[row, : len(values)] = 2.0 * (values - values.min()) / max(float(np.ptp(values)), 1e-12) - 1.0
    return table


def choice_stages(space: SearchSpace) -> list[int]:
    """Return the depth choice that each choice belongs to: its own column for a depth, -1 where there is none.

    Choices of a kind come in order, and the first layers of a stage always exist, so a choice without a need belongs to
    the same stage as the next choice of its kind that has one.
    """
    stages = [-1] * space.n_var
    roots = {choice.needs[0] for choice in space.choices if choice.needs is not None}
    upcoming: dict[str, int] = {}
    for column in reversed(range(space.n_var)):
        choice = space.choices[column]
        if choice.needs is not None:
            upcoming[choice.key] = choice.needs[0]
        stages[column] = column if column in roots else upcoming.get(choice.key, -1)
    return stages
