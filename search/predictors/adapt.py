"""Adapt latencies known on platform A to platform B: how few measurements on B are enough?

What two platforms have in common is most of it: a large network is slow on both. So the latency on A is one feature
more of a Gaussian process on B, with a weight that the data may choose freely, and all that the process still has to
learn is the difference. The few sub-networks to measure on B are not drawn at random: each is the one of which the
process, before it has seen a single value, would know least.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.harness.measurement.statistics import tau
from hwnas.search.predictors._blocks import SpaceFeatures, behind_prior, with_prior
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# Latencies on A of vectors (n, n_var), in any unit: (n,).
Guess = Callable[[IntArray], FloatArray]

# Two platforms, or a prediction and the truth, agree when Kendall's tau is this much.
TARGET_TAU = 0.95
SIZES = (3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200)

_STEPS, _FURTHER_STEPS = 30, 8
# The share of known sub-networks that predictions are tested on.
_HELD_OUT = 0.4
# Candidates among which the sub-networks to measure are chosen.
_CANDIDATES = 600


class Adapted:
    """A predictor of latency on B that starts from what is known on A.

    Args:
        space: the search space.
        prior: latencies on A; ``None``: nothing is known, the process learns B alone.
        X: the sub-networks measured on B, ``(n, n_var)``, at least two.
        y: their latencies on B, ``(n,)``, finite.
        noise: standard deviation of one value of ``y``, in its unit; ``None``: learned from the data.
        start: of the search for the kernel's parameters; those of a fit to slightly less data.
    """

    def __init__(
        self,
        space: SearchSpace,
        prior: Guess | None,
        X: IntArray,
        y: FloatArray,
        noise: float | None = None,
        start: FloatArray | None = None,
    ) -> None:
        if len(X) < 2:
            raise UsageError(f"adapting: expected at least two measured sub-networks, got {len(X)}")
        self._features = _Features(space, prior)
        self._blocks = self._features.blocks
        steps = _STEPS if start is None else _FURTHER_STEPS
        self._process = GaussianProcess(self._features(X), y, self._blocks, noise, start, steps)

    @property
    def parameters(self) -> FloatArray:
        """The kernel's parameters, from which a fit to more data may start."""
        return self._process.parameters

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Return the predicted latencies on B, ``(n,)``, in the unit of ``y``."""
        return self._process.predict(self._features(np.asarray(X)))


class _Features:
    """The space's features, with the latency on A in front of them."""

    def __init__(self, space: SearchSpace, prior: Guess | None) -> None:
        self._space = SpaceFeatures(space)
        self._prior = prior
        self.blocks = self._space.blocks if prior is None else behind_prior(self._space.blocks)

    def __call__(self, X: IntArray) -> FloatArray:
        features = self._space(X)
        return features if self._prior is None else with_prior(features, self._prior(X))


def learned(space: SearchSpace, X: IntArray, y: FloatArray) -> Guess:
    """Return latencies on A as learned from a search there: ``X`` (n, n_var) and their latencies ``y`` (n,)."""
    return Adapted(space, None, X, y)


def choose(space: SearchSpace, prior: Guess | None, n: int, rng: np.random.Generator) -> IntArray:
    """Choose the sub-networks to measure on B, canonical and distinct, ``(n, n_var)``, the most telling first.

    Args:
        space: the search space.
        prior: latencies on A.
        n: how many.
        rng: draws the candidates, from the smallest sub-networks to the largest.
    """
    levels = rng.random((_CANDIDATES, 1))
    drawn = rng.binomial(space.n_options - 1, levels, size=(_CANDIDATES, space.n_var))
    X = np.unique(space.canonical(np.concatenate([space.smallest(), space.largest(), drawn])), axis=0)
    return X[most_telling(space, prior, X, n)]


def most_telling(space: SearchSpace, prior: Guess | None, X: IntArray, n: int) -> IntArray:
    """Return the numbers of up to ``n`` rows of ``X``, each the one most uncertain given those before it.

    A Gaussian process's uncertainty does not depend on the values, so the order is known before anything is measured
    (greedy D-optimal design: Krause, Singh and Guestrin, 2008, section 4).
    """
    from hwnas.search.predictors._kernel import Kernel

    features = _Features(space, prior)
    F = features(X)
    kernel = Kernel(F, features.blocks)
    return _pivots(kernel.matrix(kernel.expected), min(n, len(X)))


def _pivots(K: FloatArray, n: int, noise: float = 0.05) -> IntArray:
    """Return the pivots of a pivoted Cholesky factorisation of ``K`` (m, m) with ``noise`` variance on each value."""
    left = np.diag(K).copy()
    factor = np.zeros((len(K), n))
    chosen: list[int] = []
    for step in range(n):
        candidates = left.copy()
        candidates[chosen] = -np.inf
        pivot = int(candidates.argmax())
        column = K[:, pivot] - factor[:, :step] @ factor[pivot, :step]
        factor[:, step] = column / np.sqrt(left[pivot] + noise)
        left = np.maximum(left - factor[:, step] ** 2, 0.0)
        chosen.append(pivot)
    return np.array(chosen, dtype=np.int64)


# --- how few are enough ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """How well latency on B is predicted with ever more measurements there.

    Attributes:
        sizes: numbers of measurements.
        tau: Kendall's tau on held-out sub-networks, the mean over splits, one per size.
    """

    sizes: tuple[int, ...]
    tau: tuple[float, ...]

    def needed(self, target: float = TARGET_TAU) -> int | None:
        """Return the first size at which tau reaches the target; ``None``: it never does."""
        return next((size for size, reached in zip(self.sizes, self.tau, strict=True) if reached >= target), None)


def curve(
    space: SearchSpace,
    X: IntArray,
    y: FloatArray,
    prior: FloatArray | None,
    rng: np.random.Generator,
    *,
    splits: int = 3,
    sizes: Sequence[int] = SIZES,
    target: float | None = TARGET_TAU,
) -> Curve:
    """Try out how many measurements on B are needed, on sub-networks whose latencies there are all known.

    Args:
        space: the search space.
        X: sub-networks measured on B, ``(n, n_var)``, distinct and canonical.
        y: their latencies on B, ``(n,)``.
        prior: their latencies on A, ``(n,)``, from which the predictor starts and by which the measurements are chosen;
            ``None``: B alone, from random measurements.
        rng: draws the splits.
        splits: how often; each holds out others.
        sizes: numbers of measurements to try.
        target: stop at the first size that reaches it; ``None``: try them all.
    """
    known = None if prior is None else _lookup(X, prior)
    orders = [_split(space, X, known, rng) for _ in range(splits)]
    starts: list[FloatArray | None] = [None] * splits
    used, taus = [], []
    for size in sizes:
        if size > min(len(order) for order, _ in orders):
            break
        found = []
        for number, (order, test) in enumerate(orders):
            rows = order[:size]
            model = Adapted(space, known, X[rows], y[rows], start=starts[number])
            starts[number] = model.parameters
            found.append(tau(model(X[test]), y[test]))
        used.append(size)
        taus.append(float(np.mean(found)))
        if target is not None and taus[-1] >= target:
            break
    return Curve(tuple(used), tuple(taus))


def held_out(n: int) -> int:
    """Return how many of ``n`` sub-networks ``curve`` holds out for testing."""
    return max(2, round(_HELD_OUT * n))


def _split(space: SearchSpace, X: IntArray, prior: Guess | None, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return the order in which rows are measured, and the rows that are held out."""
    drawn = rng.permutation(len(X))
    n_test = held_out(len(X))
    test, pool = drawn[:n_test], drawn[n_test:]
    if prior is None:
        return pool, test
    return pool[most_telling(space, prior, X[pool], max(SIZES))], test


def _lookup(X: IntArray, values: FloatArray) -> Guess:
    known = {row.tobytes(): float(value) for row, value in zip(np.ascontiguousarray(X), values, strict=True)}
    return lambda wanted: np.array([known[row.tobytes()] for row in np.ascontiguousarray(wanted, dtype=X.dtype)])
