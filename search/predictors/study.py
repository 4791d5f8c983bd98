"""The predictor study of the paper (arXiv 2205.10358, Figure 3 and Appendix C): how few examples are enough?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors import fit
from hwnas.search.predictors._blocks import SpaceFeatures
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

SIZES = tuple(range(100, 1001, 100))
# The Gaussian process that LINAS searches with, which sees a sub-network as it does.
HIERARCHICAL = "gp-hierarchical"

# From the numbers of the examples to learn from, and of those to predict: the predictions.
Trained = Callable[[IntArray, IntArray], FloatArray]


@dataclass(frozen=True)
class PredictorStudy:
    """How well each kind of predictor does with how many examples.

    Attributes:
        kinds: the predictors, ``(k,)``.
        sizes: numbers of training examples, ``(s,)``.
        mape: mean absolute percentage errors on the test examples, ``(k, s, trials)``.
        tau: Kendall rank correlations on them, likewise; nan where all predictions are equal.
    """

    kinds: tuple[str, ...]
    sizes: tuple[int, ...]
    mape: FloatArray
    tau: FloatArray


def predictor_study(  # noqa: PLR0913 - all but the first two have defaults
    features: npt.ArrayLike,
    y: npt.ArrayLike,
    kinds: Sequence[str] = ("ridge", "svr-rbf", "stacked"),
    sizes: Sequence[int] = SIZES,
    n_test: int = 500,
    trials: int = 100,
    seed: int = 0,
    *,
    progress: Callable[[int, int], None] | None = None,
    others: Mapping[str, Trained] | None = None,
) -> PredictorStudy:
    """Fit predictors to ever more examples and test them on the same held-out ones.

    The test examples are the same throughout. A trial draws an order of the others; a size takes the first ones of it:
    within a trial, more examples are the same ones and some more, and every kind sees the same.

    Args:
        features: of all examples, ``(n, d)``.
        y: ``(n,)``; without zeros, which have no percentage error.
        kinds: the predictors.
        sizes: numbers of training examples.
        n_test: how many examples are held out.
        trials: how often training examples are drawn.
        seed: of all draws.
        progress: is called with (fits done, fits in all).
        others: kinds of predictors that are not registered, by name; see ``hierarchical``.

    Raises:
        UsageError: there are too few examples.
    """
    X, target = np.asarray(features, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(target) < max(sizes) + n_test:
        raise UsageError(
            f"the study needs {max(sizes)} examples for training and {n_test} for testing, got {len(target)} in all"
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(target))
    test, rest = order[:n_test], order[n_test:]
    mape = np.empty((len(kinds), len(sizes), trials))
    tau = np.empty_like(mape)
    for trial in range(trials):
        drawn = rng.permutation(rest)
        for column, size in enumerate(sizes):
            chosen = drawn[:size]
            for row, kind in enumerate(kinds):
                if others is not None and kind in others:
                    predicted = others[kind](chosen, test)
                else:
                    predicted = fit(X[chosen], target[chosen], kind).predict(X[test])
                mape[row, column, trial], tau[row, column, trial] = scores(target[test], predicted)
                if progress is not None:
                    done = (trial * len(sizes) + column) * len(kinds) + row + 1
                    progress(done, trials * len(sizes) * len(kinds))
    return PredictorStudy(tuple(kinds), tuple(sizes), mape, tau)


def hierarchical(space: SearchSpace, X: IntArray, y: FloatArray) -> Trained:
    """Return what ``HIERARCHICAL`` stands for: the Gaussian process of LINAS, on sub-networks ``X`` (n, n_var).

    It sees sums per kind of choice and stage beside one-hot features, and has a length scale for each kind.
    """
    features = SpaceFeatures(space)
    F = features(X)
    return lambda known, asked: GaussianProcess(F[known], y[known], features.blocks, noise=None).predict(F[asked])


def scores(true: npt.ArrayLike, predicted: npt.ArrayLike) -> tuple[float, float]:
    """Return the mean absolute percentage error and Kendall's tau."""
    from scipy.stats import kendalltau

    y, z = np.asarray(true, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    constant = np.ptp(y) == 0 or np.ptp(z) == 0
    tau = float("nan") if constant else float(kendalltau(y, z).statistic)
    return float(100.0 * np.mean(np.abs((z - y) / y))), tau
