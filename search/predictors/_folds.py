"""Cross-validation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.search.predictors import Predictor
from hwnas.supernets.space import FloatArray


def out_of_fold(
    make: Callable[[FloatArray, FloatArray], Predictor], features: FloatArray, y: FloatArray, folds: int
) -> FloatArray:
    """Return predictions for every example by a model fitted without its fold, ``(n,)``.

    Folds are dealt in the order of y, so that each spans the whole range and the split needs no randomness.
    """
    fold_of = np.empty(len(y), dtype=np.int64)
    fold_of[np.argsort(y, kind="stable")] = np.arange(len(y)) % folds
    result = np.empty(len(y))
    for fold in range(folds):
        held_out = fold_of == fold
        result[held_out] = make(features[~held_out], y[~held_out]).predict(features[held_out])
    return result
