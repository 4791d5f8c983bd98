"""The stacked predictor: ridge and RBF-SVR, whose predictions feed a final ridge (arXiv 2205.10358, section 3)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._folds import out_of_fold
from hwnas.search.predictors.ridge import Ridge
from hwnas.search.predictors.svr import SupportVectors
from hwnas.supernets.space import FloatArray

_FOLDS = 5


class Stacked:
    """A ridge on the predictions of a ridge and an SVR.

    The final ridge learns from predictions for examples that their model did not see; on its own examples an SVR looks
    better than it is and would get all the weight.
    """

    def __init__(self, features: FloatArray, y: FloatArray) -> None:
        self._first = (Ridge(features, y), SupportVectors(features, y, "rbf"))
        if len(y) < 2 * _FOLDS:
            inputs = self._predictions(features)
        else:
            makers = (Ridge, lambda a, b: SupportVectors(a, b, "rbf"))
            inputs = np.stack([out_of_fold(make, features, y, _FOLDS) for make in makers], axis=1)
        self._last = Ridge(inputs, y)

    def predict(self, features: npt.ArrayLike) -> FloatArray:
        """Return the predictions, ``(n,)``."""
        return self._last.predict(self._predictions(np.asarray(features, dtype=np.float64)))

    def _predictions(self, features: FloatArray) -> FloatArray:
        return np.stack([model.predict(features) for model in self._first], axis=1)


def create(name: str, features: FloatArray, y: FloatArray) -> Stacked:
    """Fit a stacked predictor."""
    del name
    return Stacked(features, y)
