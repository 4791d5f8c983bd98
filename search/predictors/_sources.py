"""Features for a platform whose sub-networks other platforms, the sources, know latencies of.

Three models share these features. The first has what the sources say, on a logarithmic scale, so that the platform may
be any product of powers of them; one amplitude says how much they are worth together, since a handful of measurements
teaches nothing of each alone. The second also has what each source pays for: for each kind of choice, stage, option
and single choice, the part of the source's latency that it accounts for. Two devices differ in what kernels cost them,
or one kind of layer, and then the platform has more of one part and less of another. The last has what a sub-network
is made of, and no source.

In a search the sources are taken as they are, and the last model is that of a search without sources: where they say
nothing it loses nothing by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.search.predictors._blocks import FeatureBlock, SpaceFeatures, choice_stages, numbered
from hwnas.search.predictors._kernel import Kernel
from hwnas.search.sampling import of_all_sizes
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# What sources say of vectors (n, n_var), in any unit: (n,), or (n, k) of k sources.
Prior = Callable[[IntArray], FloatArray]
# The blocks of each model.
Models = Sequence[Sequence[FeatureBlock]]

# Logarithms of the standard deviations that are expected, in those of the logarithm of latency: of what sources say, of
# their parts by kind, stage, option and choice, and of how often each option occurs.
_SOURCES, _PARTS, _COUNTS = 0.0, (-1.0, -1.5, -1.0, -1.5), -0.5
# Sub-networks by which sources are brought to one scale and taken apart.
_REFERENCE = 800
# A source of which the sub-networks' features explain less than this share says nothing of others. With fewer rows than
# that it cannot be told.
_EXPLAINED, _ENOUGH = 0.2, 60
# Ridge of the additive model that takes a source apart, per sub-network; noise of the one that tries to explain it.
_RIDGE, _NOISE = 1e-3, 0.1


class SourceFeatures:
    """What sources say and what they pay for, and what sub-networks are made of, beside each other.

    Args:
        space: the search space.
        prior: of the sources, or one of each; ``None``: there are none.
        reference: sub-networks that the sources are brought to one scale by; ``None``: of all sizes.
        hierarchical: see ``SpaceFeatures``.
        searching: in a search; otherwise to adapt a predictor to a few measurements. See above.
    """

    def __init__(
        self,
        space: SearchSpace,
        prior: Prior | Sequence[Prior] | None,
        reference: IntArray | None = None,
        hierarchical: bool = True,
        searching: bool = False,
    ) -> None:
        self._own, self._counts = OwnFeatures(space, hierarchical), not searching
        self._sources = None
        if prior is not None:
            X = of_all_sizes(space, _REFERENCE, np.random.default_rng(0)) if reference is None else reference
            sources = _Sources(space, together([prior] if callable(prior) else prior), X, self._own, not searching)
            self._sources = sources if sources.n else None
        self.models = self._laid_out()

    def __call__(self, X: IntArray, features: FloatArray | None = None) -> FloatArray:
        """Return the features of all models, ``(n, d)``.

        Args:
            X: vectors, ``(n, n_var)``.
            features: the space's features of these, where they are at hand.
        """
        features = self._own.plain(X) if features is None else features
        own = self._own(features)
        return own if self._sources is None else np.hstack([self._sources(X, self._own.one_hot(features)), own])

    def _laid_out(self) -> Models:
        if self._sources is None:
            return (self._own.blocks(0, self._counts),)
        said, *parts = _side_by_side(self._sources.widths, (_SOURCES, *_PARTS))
        return (said,), (said, *parts), self._own.blocks(sum(self._sources.widths), self._counts)


class OwnFeatures:
    """How often each option occurs in a sub-network, which needs no order among options, and the space's features.

    Attributes:
        plain: the space's features.
    """

    def __init__(self, space: SearchSpace, hierarchical: bool = True) -> None:
        self.plain = SpaceFeatures(space, hierarchical)
        self._counting = _membership([(choice.key, value) for choice in space.choices for value in choice.values])

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return the features, ``(n, d)``, from the space's."""
        return np.hstack([self.one_hot(features) @ self._counting, features])

    def one_hot(self, features: FloatArray) -> FloatArray:
        """Return the one-hot part of the space's features, ``(n, sum of n_options)``, which is their last."""
        return features[:, features.shape[1] - len(self._counting) :]

    def blocks(self, start: int, counts: bool = True) -> tuple[FeatureBlock, ...]:
        """Return what the kernel does with them, if they begin in column ``start``; ``counts``: of options too."""
        (counted,) = _side_by_side([self._counting.shape[1]], [_COUNTS], start)
        plain = (block.moved(counted.columns.stop) for block in self.plain.blocks)
        return (counted, *plain) if counts else tuple(plain)


class _Sources:
    """The sources that say something of other sub-networks: the totals, and the parts that they are the sum of."""

    def __init__(
        self, space: SearchSpace, prior: Prior, reference: IntArray, own: OwnFeatures, logarithms: bool
    ) -> None:
        self._prior = prior
        said = np.asarray(prior(reference), dtype=np.float64)
        # What is not positive has no logarithm, and is no latency: it is used as it is.
        self._logarithmic = ~(said <= 0).any(axis=0) & logarithms
        scaled = self._scaled(said)
        self._shift, spread = _mean(scaled), np.sqrt(_mean((scaled - _mean(scaled)) ** 2))
        self._telling = spread > 1e-9 * np.maximum(1.0, np.abs(self._shift))
        self._spread = np.where(self._telling, spread, 1.0)
        self._telling &= _explained(own, reference, self._standard(scaled)) > _EXPLAINED
        self.n = int(self._telling.sum())
        one_hot = space.one_hot(reference)
        self._centre = one_hot.mean(axis=0)
        self._parts = _additive(one_hot - self._centre, self._standard(scaled)[:, self._telling])
        self._groups = _groupings(space)
        self.widths = [self.n, *(self.n * group.shape[1] for group in self._groups)]

    def __call__(self, X: IntArray, one_hot: FloatArray) -> FloatArray:
        """Return what the sources say, and their parts, ``(n, d)``."""
        centred = one_hot - self._centre
        parts = [centred @ (part[:, None] * group) for group in self._groups for part in self._parts.T]
        return np.hstack([self.said(X), *parts])

    def said(self, X: IntArray) -> FloatArray:
        """Return what the sources say, each of about mean 0 and deviation 1, ``(n, k)``."""
        return self._standard(self._scaled(np.asarray(self._prior(X), dtype=np.float64)))[:, self._telling]

    def _scaled(self, said: FloatArray) -> FloatArray:
        positive = np.where(said > 0, said, np.nan)
        return np.where(self._logarithmic, np.log(positive), said)

    def _standard(self, scaled: FloatArray) -> FloatArray:
        # A sub-network that a source knows nothing of is an average one to it.
        return np.nan_to_num((scaled - self._shift) / self._spread, nan=0.0, posinf=0.0, neginf=0.0)


def together(priors: Sequence[Prior]) -> Prior:
    """Return one prior of several: what each says, ``(n, k)``."""
    return lambda X: np.column_stack([np.zeros((len(X), 0)), *(prior(X) for prior in priors)])


def _explained(own: OwnFeatures, X: IntArray, said: FloatArray) -> FloatArray:
    """Return the share of what each source says of one half of the rows that follows from the other half, ``(k,)``."""
    if len(X) < _ENOUGH:
        return np.ones(said.shape[1])
    order = np.random.default_rng(0).permutation(len(X))
    known, asked = order[::2], order[1::2]
    kernel = Kernel(own(own.plain(X)), own.blocks(0))
    K = kernel.matrix(kernel.expected)
    within = K[np.ix_(known, known)] + _NOISE * np.eye(len(known))
    mean = said[known].mean(axis=0)
    predicted = mean + K[np.ix_(asked, known)] @ np.linalg.solve(within, said[known] - mean)
    left, spread = ((said[asked] - predicted) ** 2).mean(axis=0), np.maximum(said[asked].var(axis=0), 1e-12)
    return np.asarray(1.0 - left / spread)


def _additive(one_hot: FloatArray, said: FloatArray) -> FloatArray:
    """Return what each option adds to each source, ``(n_one_hot, k)``: the least squares of an additive model."""
    within = one_hot.T @ one_hot + _RIDGE * len(one_hot) * np.eye(one_hot.shape[1])
    return np.asarray(np.linalg.solve(within, one_hot.T @ (said - said.mean(axis=0))))


def _groupings(space: SearchSpace) -> list[FloatArray]:
    """Return the groups of one-hot features by kind, by kind and stage, by kind and option, and by choice."""
    stages = choice_stages(space)
    options = [(column, choice, value) for column, choice in enumerate(space.choices) for value in choice.values]
    labels: list[list[object]] = [
        [choice.key for _, choice, _ in options],
        [(choice.key, stages[column]) for column, choice, _ in options],
        [(choice.key, value) for _, choice, value in options],
        [column for column, _, _ in options],
    ]
    return [_membership(group) for group in labels]


def _membership(labels: Sequence[object]) -> FloatArray:
    """Return the matrix that sums over members of the same label, ``(n, n_labels)``."""
    group = numbered(labels)
    return np.equal(group[:, None], np.arange(group.max() + 1)).astype(np.float64)


def _side_by_side(widths: Sequence[int], amplitudes: Sequence[float], start: int = 0) -> list[FeatureBlock]:
    """Return linear blocks of these widths."""
    ends = start + np.cumsum(widths)
    return [
        FeatureBlock(slice(int(end) - width, int(end)), True, amplitude, np.zeros(width, dtype=np.int64))
        for width, end, amplitude in zip(widths, ends, amplitudes, strict=True)
    ]


def _mean(values: FloatArray) -> FloatArray:
    there = np.isfinite(values)
    return np.asarray(np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
