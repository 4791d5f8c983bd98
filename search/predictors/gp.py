"""A Gaussian process: predictions with standard deviations (Rasmussen and Williams, 2006, chapters 2 and 5).

The kernel is a sum of linear terms and of squared exponential terms with one length scale per kind of variable. Its
few parameters are those of the largest posterior probability: the marginal likelihood times a log-normal prior, without
which forty examples would fit whatever they like.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from hwnas.search.predictors._blocks import FeatureBlock, plain_blocks
from hwnas.search.predictors._kernel import Kernel
from hwnas.supernets.space import FloatArray

# Standard deviation of the logarithm of a kernel parameter around what is expected.
_PRIOR = 0.5
# The logarithm of the noise that is expected, in standard deviations of the target: of a deterministic objective, and
# of one whose noise nobody knows.
_EXACT, _UNKNOWN = -4.0, -2.5
_JITTER = 1e-7
_CHUNK = 4096
_PENALTY = 1e25


class GaussianProcess:
    """A fitted Gaussian process.

    Args:
        features: ``(n, d)``.
        y: ``(n,)``.
        blocks: what the kernel does with the features.
        noise: standard deviation of one value of y, in its unit; 0: y is exact; ``None``: learned from the data.
        start: kernel parameters to start from, those of a fit to slightly less data.
        iterations: how many steps to search for better ones; 0: ``start`` is used as it is.
    """

    def __init__(
        self,
        features: FloatArray,
        y: FloatArray,
        blocks: Sequence[FeatureBlock],
        noise: float | None = 0.0,
        start: FloatArray | None = None,
        iterations: int = 30,
    ) -> None:
        self._mean = float(y.mean())
        self._scale = float(y.std()) or 1.0
        self._kernel = Kernel(features, blocks)
        self._z = (y - self._mean) / self._scale
        self._expected = np.append(self._kernel.expected, self._expected_noise(noise))
        first = self._expected if start is None else start
        self.parameters = self._search(first, self._expected, iterations) if iterations else first
        self._condition()

    @property
    def evidence(self) -> float:
        """The logarithm of the posterior probability of the kernel parameters, but for what depends on y alone."""
        return -self._objective(self.parameters, self._expected)[0]

    @overload
    def predict(self, features: npt.ArrayLike, return_std: Literal[False] = False) -> FloatArray: ...

    @overload
    def predict(self, features: npt.ArrayLike, return_std: Literal[True]) -> tuple[FloatArray, FloatArray]: ...

    def predict(self, features: npt.ArrayLike, return_std: bool = False) -> FloatArray | tuple[FloatArray, FloatArray]:
        """Return the posterior means ``(n,)``, with ``return_std`` also the standard deviations, noise left out."""
        X = np.asarray(features, dtype=np.float64)
        parts = [self._posterior(X[i : i + _CHUNK], return_std) for i in range(0, len(X), _CHUNK)]
        mean = self._mean + self._scale * np.concatenate([np.zeros(0), *(part[0] for part in parts)])
        if not return_std:
            return mean
        return mean, self._scale * np.sqrt(np.concatenate([np.zeros(0), *(part[1] for part in parts)]))

    def _posterior(self, X: FloatArray, with_variance: bool) -> tuple[FloatArray, FloatArray]:
        """Equation 2.25 and 2.26, on standardised targets."""
        from scipy.linalg import solve_triangular

        across, own = self._kernel.across(X, self.parameters[:-1])
        mean = across @ self._weights
        if not with_variance:
            return mean, np.zeros(0)
        solved = solve_triangular(self._factor, across.T, lower=True, check_finite=False)
        return mean, np.maximum(own - (solved**2).sum(axis=0), 1e-12)

    def _condition(self) -> None:
        from scipy.linalg import cho_solve

        K = self._kernel.matrix(self.parameters[:-1])
        K[np.diag_indices_from(K)] += np.exp(2.0 * self.parameters[-1]) + _JITTER
        self._factor = np.linalg.cholesky(K)
        self._weights = cho_solve((self._factor, True), self._z, check_finite=False)

    def _search(self, start: FloatArray, expected: FloatArray, iterations: int) -> FloatArray:
        from scipy.optimize import minimize

        bounds = [(-8.0, 5.0)] * len(start)
        options = {"maxiter": iterations}
        found = minimize(self._objective, start, (expected,), "L-BFGS-B", jac=True, bounds=bounds, options=options)
        return np.asarray(found.x, dtype=np.float64)

    def _objective(self, parameters: FloatArray, expected: FloatArray) -> tuple[float, FloatArray]:
        """Return the negative log posterior of the kernel parameters and its gradient (equations 5.8 and 5.9)."""
        from scipy.linalg import cho_solve, lapack

        terms = self._kernel.terms(parameters[:-1])
        K = sum(terms[1:], terms[0].copy())
        noise = float(np.exp(2.0 * parameters[-1]))
        K[np.diag_indices_from(K)] += noise + _JITTER
        try:
            factor = np.linalg.cholesky(K)
        except np.linalg.LinAlgError:
            return _PENALTY, np.zeros_like(parameters)
        weights = cho_solve((factor, True), self._z, check_finite=False)
        inverse = lapack.dpotri(factor, lower=1)[0]
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        sensitivity = np.outer(weights, weights) - inverse
        slope = self._kernel.gradient(parameters[:-1], terms, sensitivity)
        slope = -0.5 * np.append(slope, 2.0 * noise * np.trace(sensitivity))
        deviation = (parameters - expected) / _PRIOR
        value = (
            0.5 * float(self._z @ weights) + float(np.log(np.diag(factor)).sum()) + 0.5 * float(deviation @ deviation)
        )
        return value, slope + deviation / _PRIOR

    def _expected_noise(self, noise: float | None) -> float:
        if noise is None:
            return _UNKNOWN
        return float(np.log(max(noise / self._scale, np.exp(_EXACT))))


def create(name: str, features: FloatArray, y: FloatArray) -> GaussianProcess:
    """Fit a Gaussian process to features of which nothing is known, and to values whose noise is not known."""
    del name
    return GaussianProcess(features, y, plain_blocks(features.shape[1]), noise=None)
