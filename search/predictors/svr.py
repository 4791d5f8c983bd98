"""Support vector regression with an RBF or a linear kernel, by scikit-learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._standard import Standard
from hwnas.supernets.space import FloatArray

NAMES = ("svr-rbf", "svr-linear")

# In units of the standardised target.
_COST, _TUBE = 10.0, 0.02
# Rows that are predicted at a time: their kernel stays in a core's cache.
_CHUNK = 256


class SupportVectors:
    """A support vector regression on standardised features and target.

    Args:
        features: ``(n, d)``.
        y: ``(n,)``.
        kernel: "rbf" or "linear".
    """

    def __init__(self, features: FloatArray, y: FloatArray, kernel: str) -> None:
        from sklearn.svm import SVR

        self._features = Standard.of(features)
        self._target = Standard.of(y)
        X = self._features.apply(features)
        varying = max(1, int((X.std(axis=0) > 0).sum()))
        self._gamma = 0.25 / varying if kernel == "rbf" else 0.0
        model = SVR(kernel=kernel, C=_COST if kernel == "rbf" else 0.1, epsilon=_TUBE, gamma=self._gamma or "scale")
        model.fit(X, self._target.apply(y))
        vectors = np.asarray(model.support_vectors_, dtype=np.float64).reshape(-1, X.shape[1])
        self._duals = np.asarray(model.dual_coef_, dtype=np.float64).reshape(-1)
        self._intercept = float(model.intercept_[0])
        self._weights = self._duals @ vectors if kernel == "linear" else None
        # exp(-g |x - v|^2) = exp(2 g x v - g |v|^2 - g |x|^2): what does not depend on x is computed once.
        self._products = np.ascontiguousarray(2.0 * self._gamma * vectors.T)
        self._offsets = self._gamma * (vectors**2).sum(axis=1)

    def predict(self, features: npt.ArrayLike) -> FloatArray:
        """Return the predictions, ``(n,)``."""
        given = np.asarray(features, dtype=np.float64)
        if self._weights is not None:
            return self._target.undo(self._features.apply(given) @ self._weights + self._intercept)
        # One matrix product per chunk: twenty times as fast as the library's loop over pairs.
        parts = [self._rbf(given[start : start + _CHUNK]) for start in range(0, len(given), _CHUNK)]
        return self._target.undo(np.concatenate([np.zeros(0), *parts]))

    def _rbf(self, given: FloatArray) -> FloatArray:
        X = self._features.apply(given)
        kernel = X @ self._products
        # In place: to have the memory of a copy takes longer than to compute it.
        kernel -= self._offsets
        kernel -= self._gamma * (X**2).sum(axis=1)[:, None]
        # Rounding may bring a square just below 0.
        np.minimum(kernel, 0.0, out=kernel)
        np.exp(kernel, out=kernel)
        return np.asarray(kernel @ self._duals + self._intercept)


def create(name: str, features: FloatArray, y: FloatArray) -> SupportVectors:
    """Fit a support vector regression."""
    return SupportVectors(features, y, name.removeprefix("svr-"))
