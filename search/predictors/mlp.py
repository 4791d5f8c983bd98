"""A perceptron of three layers, as once-for-all's accuracy predictor (Cai et al., 2020), by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._standard import Standard
from hwnas.supernets.space import FloatArray

_LAYERS = (400, 400, 400)
_EPOCHS = 300


class Perceptron:
    """A multi-layer perceptron on standardised features and target, trained by Adam.

    Args:
        features: ``(n, d)``.
        y: ``(n,)``.
    """

    def __init__(self, features: FloatArray, y: FloatArray) -> None:
        from sklearn.neural_network import MLPRegressor

        self._features = Standard.of(features)
        self._target = Standard.of(y)
        # Of a target that is the same for all examples, what the perceptron says of others is its random start.
        self._constant = bool(np.ptp(y) == 0)
        self._model = MLPRegressor(hidden_layer_sizes=_LAYERS, max_iter=_EPOCHS, random_state=0)
        with warnings.catch_warnings():
            # So many epochs are meant, converged or not.
            warnings.simplefilter("ignore")
            self._model.fit(self._features.apply(features), self._target.apply(y))

    def predict(self, features: npt.ArrayLike) -> FloatArray:
        """Return the predictions, ``(n,)``."""
        X = self._features.apply(np.asarray(features, dtype=np.float64))
        return self._target.undo(np.zeros(len(X)) if self._constant or not len(X) else self._model.predict(X))


def create(name: str, features: FloatArray, y: FloatArray) -> Perceptron:
    """Train a perceptron."""
    del name
    return Perceptron(features, y)
