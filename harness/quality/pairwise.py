"""Fit a regression of a sub-network's quality on its choices and on pairs of choices.

With masked one-hot features ``o`` of a sub-network, ``y = mean + w . o + sum of W_ij o_i o_j`` over pairs i < j.
The weights have independent Gaussian priors, and the fit is their posterior mean, found in the dual: the prior of the
pairs is the kernel ``(o S o')**2`` with a diagonal S (Rasmussen and Williams, 2006, section 4.2.2). S is how much each
choice matters in a first ridge regression on single choices: one that matters by itself matters in its pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.supernets.errors import QualityError
from hwnas.supernets.space import FloatArray, IntArray

# Prior variance of single choices relative to the target's; between 0.01 and 0.3 the error does not change.
_LINEAR = 0.1
_FIRST_RIDGE = 1.0
# Candidates of the priors: standard deviation of pairs, and variance of the noise, relative to the target's.
_PAIRS = (0.005, 0.01, 0.02, 0.05, 0.15, 0.5)
_NOISES = (3e-4, 1e-3, 3e-3, 1e-2, 1e-1)
# They depend little on the number of rows, while trying them costs its cube.
_PRIOR_ROWS = 1_000
_FOLDS = 5
# The dual problem grows with the cube of the rows: 4,000 take some seconds.
MOST_ROWS = 4_000
_CHUNK = 8_192
# 1: the first.
SCHEMA = 1


@dataclass(frozen=True, eq=False)
class PairwiseModel:
    """A fitted regression; immutable.

    Attributes:
        mean: of the training targets.
        linear: weights of single features, ``(f,)``.
        pairs: weights of pairs of features, ``(f, f)``, above the diagonal only.
    """

    mean: float
    linear: FloatArray
    pairs: FloatArray

    def predict(self, features: FloatArray) -> FloatArray:
        """Return the predictions, ``(n,)``, for ``features``, ``(n, f)``."""
        result = np.empty(len(features))
        for start in range(0, len(features), _CHUNK):
            part = features[start : start + _CHUNK]
            result[start : start + _CHUNK] = np.einsum("ij,ij->i", part, part @ self.pairs + self.linear)
        return result + self.mean

    def to_json(self) -> dict[str, Any]:
        """Return the coefficients as plain data, to seven digits."""
        rows = [[_rounded(value) for value in row[number + 1 :]] for number, row in enumerate(self.pairs)]
        return {
            "schema": SCHEMA,
            "mean": _rounded(self.mean),
            "linear": [_rounded(value) for value in self.linear],
            "pairs": rows,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> PairwiseModel:
        """Return the model that ``to_json`` was called on."""
        linear = np.array(document["linear"], dtype=np.float64)
        pairs = np.zeros((len(linear), len(linear)))
        pairs[np.triu_indices(len(linear), 1)] = list(itertools.chain.from_iterable(document["pairs"]))
        return cls(float(document["mean"]), linear, pairs)


@dataclass(frozen=True)
class CrossValidation:
    """How well a model predicts held-out rows: means over folds.

    Attributes:
        n: distinct sub-networks.
        tau: Kendall's rank correlation.
        mape: mean absolute error, in per cent of the value.
        rmse: root mean square error, in the target's unit.
    """

    n: int
    tau: float
    mape: float
    rmse: float


def fit(features: FloatArray, groups: IntArray, y: FloatArray) -> PairwiseModel:
    """Fit the regression; the priors are those of a small grid under which ``y`` is most likely.

    Args:
        features: masked one-hot features, ``(n, f)``, one row per distinct sub-network.
        groups: the choice that each feature belongs to, ``(f,)``.
        y: the target, ``(n,)``.

    Raises:
        QualityError: all targets are equal, so there is nothing to learn.
    """
    mean, spread = float(y.mean()), float(y.std())
    if spread == 0:
        raise QualityError(f"all {len(y)} measured values are {mean:g}: there is nothing to learn from them")
    target = (y - mean) / spread
    scale = _relevance(features, groups, target)
    tried = np.random.default_rng(0).permutation(len(y))[:_PRIOR_ROWS]
    pair, noise = _likeliest(features[tried], scale, target[tried])
    singles, products = _kernels(features, scale)
    _, dual = _posterior(singles + pair**2 * products, noise, target)
    linear = _LINEAR * scale**2 * (features.T @ dual)
    full = pair**2 * np.outer(scale, scale) * ((features.T * dual) @ features)
    # A feature's pair with itself is the feature; a pair i, j stands twice in the symmetric form.
    linear += np.diag(full)
    return PairwiseModel(mean + spread * float(dual.sum()), spread * linear, spread * np.triu(2 * full, 1))


def cross_validate(features: FloatArray, groups: IntArray, y: FloatArray, seed: int = 0) -> CrossValidation:
    """Fit on four fifths and predict the last, five times; arguments as in ``fit``."""
    from scipy.stats import kendalltau

    fold = np.random.default_rng(seed).permutation(len(y)) % _FOLDS
    scores = []
    for held in range(_FOLDS):
        train, test = fold != held, fold == held
        error = fit(features[train], groups, y[train]).predict(features[test]) - y[test]
        tau = float(kendalltau(y[test] + error, y[test]).statistic)
        scores.append((tau, float(np.mean(np.abs(error / y[test]))) * 100, math.sqrt(float(np.mean(error**2)))))
    tau, mape, rmse = np.mean(scores, axis=0)
    return CrossValidation(len(y), float(tau), float(mape), float(rmse))


def _relevance(features: FloatArray, groups: IntArray, target: FloatArray) -> FloatArray:
    """Return how much each feature's choice matters by itself, ``(f,)``, the most being 1."""
    centred = features - features.mean(axis=0)
    gram = centred.T @ centred + _FIRST_RIDGE * np.eye(features.shape[1])
    effect = np.linalg.solve(gram, centred.T @ target)
    share = features.mean(axis=0)
    power = np.bincount(groups, weights=share * effect**2) / np.maximum(np.bincount(groups, weights=share), 1e-12)
    scale: FloatArray = np.sqrt(power / max(power.max(), 1e-12))[groups]
    return scale


def _kernels(features: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    return 1 + _LINEAR * (features * scale**2) @ features.T, ((features * scale) @ features.T) ** 2


def _likeliest(features: FloatArray, scale: FloatArray, target: FloatArray) -> tuple[float, float]:
    singles, products = _kernels(features, scale)

    def evidence(prior: tuple[float, float]) -> float:
        pair, noise = prior
        return _posterior(singles + pair**2 * products, noise, target)[0]

    return max(itertools.product(_PAIRS, _NOISES), key=evidence)


def _posterior(kernel: FloatArray, noise: float, target: FloatArray) -> tuple[float, FloatArray]:
    """Return the log evidence (Rasmussen and Williams, 2006, equation 2.30, less its constant) and the dual weights."""
    from scipy.linalg import cho_solve, cholesky

    factor = cholesky(kernel + noise * np.eye(len(target)), lower=True)
    dual = cho_solve((factor, True), target)
    return -0.5 * float(target @ dual) - float(np.log(np.diag(factor)).sum()), dual


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")
