"""Ridge regression, its penalty chosen by leave-one-out error in closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._standard import Standard
from hwnas.supernets.space import FloatArray

_PENALTIES = np.logspace(-3, 4, 15)


class Ridge:
    """A linear model of standardised features.

    Args:
        features: ``(n, d)``.
        y: ``(n,)``.
    """

    def __init__(self, features: FloatArray, y: FloatArray) -> None:
        standard, target = Standard.of(features), Standard.of(y)
        weights = _solve(standard.apply(features), target.apply(y)) / standard.scale
        # Of features and in units of the target as they are given, so that a prediction is one product.
        self._weights = weights * target.scale
        self._intercept = float(target.undo(-standard.mean @ weights))

    def predict(self, features: npt.ArrayLike) -> FloatArray:
        """Return the predictions, ``(n,)``."""
        return np.asarray(features, dtype=np.float64) @ self._weights + self._intercept


def create(name: str, features: FloatArray, y: FloatArray) -> Ridge:
    """Fit a ridge regression."""
    del name
    return Ridge(features, y)


def _solve(X: FloatArray, y: FloatArray) -> FloatArray:
    """Return the weights of the penalty with the least leave-one-out error (Golub, Heath and Wahba, 1979)."""
    u, s, vt = np.linalg.svd(X, full_matrices=False)
    projected = u.T @ y
    best, weights = np.inf, np.zeros(X.shape[1])
    for penalty in _PENALTIES:
        shrink = s**2 / (s**2 + penalty)
        # The mean was taken out of both sides, which costs every row 1/n of leverage.
        leverage = np.minimum((u**2) @ shrink + 1.0 / len(y), 1.0 - 1e-9)
        error = float(np.mean(((y - u @ (shrink * projected)) / (1.0 - leverage)) ** 2))
        if error < best:
            best, weights = error, vt.T @ (s / (s**2 + penalty) * projected)
    return weights
