"""Gaussian processes of several models on the same values, averaged by the evidence for each.

Which of several models is true is itself uncertain, the more so the less was measured. So each predicts with the
weight of its posterior probability (Bayesian model averaging: Hoeting et al., 1999): a model that explains the values
badly has none as soon as there are enough values to tell.

Where some models have sources, the first is of the sources alone and the last has none. The first says few things and
is soon refuted, where sources have nothing in common with what was measured. Those between could explain any few
values, with sources that say nothing too. So they count only as far as the first explains the values better than the
last does, until there are enough values that evidence for them means something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._sources import Models
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.supernets.space import FloatArray

# A model of less weight is not asked: it would change nothing and takes its time.
_NEGLIGIBLE = 1e-3
# How much more likely, as a logarithm, models with sources have to make the values: three values follow a source by
# chance often enough.
_ODDS = 1.5
# The number of values up to which models between do not count by themselves, and from which on they do.
_FEW, _ENOUGH = 8, 14
# With fewer values than this there is nothing between.
_LEAST = 5


class Averaged:
    """Fitted Gaussian processes, one per model, of values or of their logarithms.

    Args:
        features: ``(n, d)``, of all models.
        y: ``(n,)``.
        models: the blocks of each model.
        noise: standard deviation of one value of y, in its unit; 0: y is exact; ``None``: learned from the data.
        start: the ``parameters`` of a fit to slightly less data.
        iterations: how many steps to search for better ones; 0: ``start`` is used as it is.
        logarithms: of values that are all positive, learn the logarithms.
    """

    def __init__(
        self,
        features: FloatArray,
        y: FloatArray,
        models: Models,
        noise: float | None = None,
        start: FloatArray | None = None,
        iterations: int = 30,
        logarithms: bool = True,
    ) -> None:
        self._logarithmic = logarithms and bool((y > 0).all())
        if self._logarithmic:
            noise, y = None if noise is None else noise / float(y.mean()), np.log(y)
        starts: Sequence[FloatArray | None] = [None] * len(models) if start is None else split(start, models)
        self._processes = [
            GaussianProcess(features, y, blocks, noise, first, iterations)
            for blocks, first in zip(models, starts, strict=True)
        ]
        evidence = np.array([process.evidence for process in self._processes])
        self.weights = _weights(evidence, len(y))

    @property
    def parameters(self) -> FloatArray:
        """The kernels' parameters, one model's after the other's, from which a fit to more data may start."""
        return np.concatenate([process.parameters for process in self._processes])

    @overload
    def predict(self, features: npt.ArrayLike, return_std: Literal[False] = False) -> FloatArray: ...

    @overload
    def predict(self, features: npt.ArrayLike, return_std: Literal[True]) -> tuple[FloatArray, FloatArray]: ...

    def predict(self, features: npt.ArrayLike, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Return the predictions ``(n,)``, with ``return_std`` also the standard deviations, noise left out."""
        if not return_std:
            each = [weight * process.predict(features) for weight, process in self._asked()]
            return self._outside(np.sum(each, axis=0))
        share = np.array([weight for weight, _ in self._asked()])[:, None]
        found = [process.predict(features, return_std=True) for _, process in self._asked()]
        means, deviations = np.array([one[0] for one in found]), np.array([one[1] for one in found])
        mean = (share * means).sum(axis=0)
        deviation = np.sqrt((share * (deviations**2 + (means - mean) ** 2)).sum(axis=0))
        outside = self._outside(mean)
        return outside, outside * deviation if self._logarithmic else deviation

    def _asked(self) -> list[tuple[float, GaussianProcess]]:
        pairs = zip(self.weights.tolist(), self._processes, strict=True)
        return [(weight, process) for weight, process in pairs if weight]

    def _outside(self, mean: FloatArray) -> FloatArray:
        return np.asarray(np.exp(mean) if self._logarithmic else mean, dtype=np.float64)


def _weights(evidence: FloatArray, n: int) -> FloatArray:
    """Return the models' weights from the logarithms of the evidence that ``n`` values are for them."""
    odds = evidence - evidence[-1]
    odds[:-1] -= _ODDS
    better = 1.0 / (1.0 + np.exp(-np.clip(odds[0], -50.0, 50.0))) if n >= _LEAST else 0.0
    share = max(better, min(1.0, max(0.0, (n - _FEW) / (_ENOUGH - _FEW))))
    weights = np.exp(odds - odds.max())
    weights[1:-1] *= share
    weights = np.where(weights < _NEGLIGIBLE * weights.sum(), 0.0, weights)
    return np.asarray(weights / weights.sum())


def n_parameters(models: Models) -> list[int]:
    """Return how many parameters each model has: per block its amplitude and its length scales, and the noise."""
    return [sum(1 + block.n_scales for block in blocks) + 1 for blocks in models]


def split(parameters: FloatArray, models: Models) -> list[FloatArray]:
    """Return each model's part of ``Averaged.parameters``."""
    return np.split(parameters, np.cumsum(n_parameters(models))[:-1])
