"""Predictors: lightly trained regressors from features of a sub-network to an objective.

``fit(features, y, kind)`` is all that most callers need. A kind is one file here, or an installed package's entry point
in the group ``hwnas.predictors``.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._blocks import layer_features
from hwnas.supernets.registry import Registry
from hwnas.supernets.space import FloatArray

__all__ = ["Predictor", "fit", "kinds", "layer_features", "registry"]


class Predictor(Protocol):
    """A fitted regressor."""

    def predict(self, features: npt.ArrayLike) -> FloatArray:
        """Return the predictions for ``features`` (n, d), ``(n,)``."""
        ...


registry = Registry("predictor", "hwnas.search.predictors", "hwnas.predictors", makes=(Predictor,))


def kinds() -> list[str]:
    """Return the names of all predictors."""
    return registry.names()


def fit(features: npt.ArrayLike, y: npt.ArrayLike, kind: str = "stacked") -> Predictor:
    """Fit a predictor.

    Args:
        features: ``(n, d)``, such as masked one-hot features; constant columns are harmless.
        y: ``(n,)``, what to predict; finite.
        kind: as registered: "ridge", "svr-rbf", "svr-linear", "stacked", "gp", "mlp", "auto".

    Raises:
        UnknownNameError: no such kind.
        ValueError: shapes that do not fit together, or values that are not finite.
    """
    X, target = np.asarray(features, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if X.ndim != 2 or target.shape != (len(X),):
        raise ValueError(f"features and y: expected shapes (n, d) and (n,), got {X.shape} and {target.shape}")
    if not len(X):
        raise ValueError("features and y: expected at least one example, got none")
    if not (np.isfinite(X).all() and np.isfinite(target).all()):
        raise ValueError("features and y: expected finite values; leave failed evaluations out")
    predictor: Predictor = registry.create(kind, X, target)
    return predictor
