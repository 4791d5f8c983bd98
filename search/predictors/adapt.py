"""Predict latencies on a new platform B from few measurements there and from the platforms that are known.

What platforms have in common is most of it: a large network is slow on all of them. How much the known ones are worth
is not known before anything is measured, so there are three models (``_sources.py``): the known platforms alone, with
what each of them pays for, and none of them. They are averaged by the evidence for each (``_averaged.py``), so that a
platform which has nothing in common with B does no harm. The sub-networks to measure on B are not drawn at random: each
is the one of which a model would know least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.harness.measurement.statistics import tau
from hwnas.search.predictors._averaged import Averaged
from hwnas.search.predictors._blocks import SpaceFeatures
from hwnas.search.predictors._sources import Models, Prior, SourceFeatures, together
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.search.sampling import of_all_sizes
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

__all__ = ["Adapted", "Curve", "Prior", "choose", "curve", "held_out", "learned", "most_telling", "together"]

# Two platforms, or a prediction and the truth, agree when Kendall's tau is this much.
TARGET_TAU = 0.95
SIZES = (3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200)

_STEPS, _FURTHER_STEPS = 30, 8
# The share of known sub-networks that predictions are tested on.
_HELD_OUT = 0.4
# Candidates among which the sub-networks to measure are chosen.
_CANDIDATES = 600
# One in so many of them is chosen by what sources say.
_TURN = 3


class Adapted:
    """A predictor of latency on B that starts from what is known on other platforms.

    Args:
        space: the search space.
        prior: latencies on another platform, or one of each of several; ``None``: nothing is known, the process learns
            B alone.
        X: the sub-networks measured on B, ``(n, n_var)``, at least two.
        y: their latencies on B, ``(n,)``, finite.
        noise: standard deviation of one value of ``y``, in its unit; ``None``: learned from the data.
        start: the ``parameters`` of a fit to slightly less data.
    """

    def __init__(
        self,
        space: SearchSpace,
        prior: Prior | Sequence[Prior] | None,
        X: IntArray,
        y: FloatArray,
        noise: float | None = None,
        start: FloatArray | None = None,
    ) -> None:
        if len(X) < 2:
            raise UsageError(f"adapting: expected at least two measured sub-networks, got {len(X)}")
        self._features = SourceFeatures(space, prior)
        steps = _STEPS if start is None else _FURTHER_STEPS
        y = np.asarray(y, dtype=np.float64)
        self._model = Averaged(self._features(np.asarray(X)), y, self._features.models, noise, start, steps)

    @property
    def parameters(self) -> FloatArray:
        """The kernels' parameters, from which a fit to more data may start."""
        return self._model.parameters

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Return the predicted latencies on B, ``(n,)``, in the unit of ``y``."""
        return self._model.predict(self._features(np.asarray(X)))


def learned(space: SearchSpace, X: IntArray, y: FloatArray) -> Prior:
    """Return latencies on A as learned from a search there: ``X`` (n, n_var) and their latencies ``y`` (n,)."""
    features = SpaceFeatures(space)
    process = GaussianProcess(features(X), y, features.blocks, noise=None, iterations=_STEPS)
    return lambda wanted: process.predict(features(wanted))


def choose(space: SearchSpace, prior: Prior | Sequence[Prior] | None, n: int, rng: np.random.Generator) -> IntArray:
    """Choose the sub-networks to measure on B, canonical and distinct, ``(n, n_var)``, the most telling first.

    Args:
        space: the search space.
        prior: see ``Adapted``.
        n: how many.
        rng: draws the candidates, from the smallest sub-networks to the largest.
    """
    X = of_all_sizes(space, _CANDIDATES, rng)
    return X[most_telling(space, prior, X, n)]


def most_telling(space: SearchSpace, prior: Prior | Sequence[Prior] | None, X: IntArray, n: int) -> IntArray:
    """Return the numbers of up to ``n`` rows of ``X``, each the one most uncertain given those before it.

    A Gaussian process's uncertainty does not depend on the values, so the order is known before anything is measured
    (greedy D-optimal design: Krause, Singh and Guestrin, 2008, section 4). The model with all that sources say
    asks for every third, and the one without them for the others, so that little is lost where they are worth nothing.
    """
    features = SourceFeatures(space, prior)
    return _most_telling(features(X), features.models, n)


def _most_telling(F: FloatArray, models: Models, n: int) -> IntArray:
    from hwnas.search.predictors._kernel import Kernel

    kernels = [Kernel(F, blocks) for blocks in (models[-1], *models[:-1][-1:])]
    return _pivots([kernel.matrix(kernel.expected) for kernel in kernels], min(n, len(F)))


def _pivots(kernels: Sequence[FloatArray], n: int, noise: float = 0.05) -> IntArray:
    """Return the pivots of pivoted Cholesky factorisations of matrices (m, m) with ``noise`` variance on each value.

    They have their pivots in common: the last one chooses every third, the second the first time, and the first all
    others.
    """
    left = [np.diag(K).copy() for K in kernels]
    factors = [np.zeros((len(K), n)) for K in kernels]
    chosen: list[int] = []
    for step in range(n):
        candidates = left[-1 if step % _TURN == 1 else 0].copy()
        candidates[chosen] = -np.inf
        pivot = int(candidates.argmax())
        for K, variance, factor in zip(kernels, left, factors, strict=True):
            column = K[:, pivot] - factor[:, :step] @ factor[pivot, :step]
            factor[:, step] = column / np.sqrt(variance[pivot] + noise)
            np.maximum(variance - factor[:, step] ** 2, 0.0, out=variance)
        chosen.append(pivot)
    return np.array(chosen, dtype=np.int64)


# --- how few are enough ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """How well latency on B is predicted with ever more measurements there.

    Attributes:
        sizes: numbers of measurements.
        tau: Kendall's tau on held-out sub-networks, the mean over splits, one per size.
        error: the standard errors of these means; nan of a single split.
    """

    sizes: tuple[int, ...]
    tau: tuple[float, ...]
    error: tuple[float, ...] = ()

    def needed(self, target: float = TARGET_TAU) -> int | None:
        """Return the first size at which tau reaches the target; ``None``: it never does."""
        return next((size for size, reached in zip(self.sizes, self.tau, strict=True) if reached >= target), None)


def curve(  # noqa: PLR0913 - all but the first five are options by name
    space: SearchSpace,
    X: IntArray,
    y: FloatArray,
    prior: FloatArray | None,
    rng: np.random.Generator,
    *,
    splits: int = 3,
    sizes: Sequence[int] = SIZES,
    target: float | None = TARGET_TAU,
    score: Callable[[FloatArray, FloatArray], float] = tau,
) -> Curve:
    """Try out how many measurements on B are needed, on sub-networks whose latencies there are all known.

    Args:
        space: the search space.
        X: sub-networks measured on B, ``(n, n_var)``, distinct and canonical.
        y: their latencies on B, ``(n,)``.
        prior: their latencies on another platform, ``(n,)``, or on several, ``(n, k)``; ``None``: B alone. In either
            case the most telling sub-networks are measured first.
        rng: draws the splits.
        splits: how often; each holds out others.
        sizes: numbers of measurements to try.
        target: stop at the first size that reaches it; ``None``: try them all.
        score: of predictions and values, another one than tau.
    """
    features = SourceFeatures(space, None if prior is None else lambda _: prior, X)
    F, models = features(X), features.models
    orders = [_split(F, models, rng) for _ in range(splits)]
    starts: list[FloatArray | None] = [None] * splits
    used, taus, errors = [], [], []
    for size in sizes:
        if size > min(len(order) for order, _ in orders):
            break
        found = []
        for number, (order, test) in enumerate(orders):
            rows = order[:size]
            steps = _STEPS if starts[number] is None else _FURTHER_STEPS
            model = Averaged(F[rows], y[rows], models, None, starts[number], steps)
            starts[number] = model.parameters
            found.append(score(model.predict(F[test]), y[test]))
        used.append(size)
        taus.append(float(np.mean(found)))
        errors.append(float(np.std(found, ddof=1) / np.sqrt(splits)) if splits > 1 else float("nan"))
        if target is not None and taus[-1] >= target:
            break
    return Curve(tuple(used), tuple(taus), tuple(errors))


def held_out(n: int) -> int:
    """Return how many of ``n`` sub-networks ``curve`` holds out for testing."""
    return max(2, round(_HELD_OUT * n))


def _split(F: FloatArray, models: Models, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return the order in which rows are measured, and the rows that are held out."""
    drawn = rng.permutation(len(F))
    n_test = held_out(len(F))
    test, pool = drawn[:n_test], drawn[n_test:]
    return pool[_most_telling(F[pool], models, max(SIZES))], test
