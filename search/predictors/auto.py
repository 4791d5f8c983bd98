"""The best predictor for the given examples, chosen by cross-validation."""

from __future__ import annotations

import numpy as np

from hwnas.search.predictors import Predictor, fit
from hwnas.search.predictors._folds import out_of_fold
from hwnas.supernets.space import FloatArray

_KINDS = ("ridge", "svr-rbf", "gp")
_FOLDS = 3
# More examples than this only make the choice slower.
_ENOUGH = 300


def create(name: str, features: FloatArray, y: FloatArray) -> Predictor:
    """Fit each kind to two thirds of the examples three times, and return the best one fitted to all of them."""
    del name
    if len(y) < 2 * _FOLDS:
        return fit(features, y, "ridge")
    errors = {kind: _error(kind, features[:_ENOUGH], y[:_ENOUGH]) for kind in _KINDS}
    return fit(features, y, min(errors, key=errors.__getitem__))


def _error(kind: str, features: FloatArray, y: FloatArray) -> float:
    predicted = out_of_fold(lambda X, target: fit(X, target, kind), features, y, _FOLDS)
    return float(np.mean((predicted - y) ** 2))
