"""The kernel of the Gaussian process: a sum of terms over blocks of features, with its gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.search.predictors._blocks import FeatureBlock
from hwnas.supernets.space import FloatArray


class Kernel:
    """The kernel on fixed training features.

    What does not depend on the parameters (inner products, squared distances) is computed once.

    Args:
        features: of the training examples, ``(n, d)``.
        blocks: the terms.
    """

    def __init__(self, features: FloatArray, blocks: Sequence[FeatureBlock]) -> None:
        self._blocks = tuple(blocks)
        self._shifts = [features[:, block.columns].mean(axis=0) for block in self._blocks]
        # One scale per block: columns that hardly vary stay small and weigh little.
        spreads = [float(np.sqrt(features[:, block.columns].var(axis=0).sum())) for block in self._blocks]
        self._spreads = [spread if spread > 1e-9 else 1.0 for spread in spreads]
        self._training = self._scaled(features)
        self._fixed = [self._invariant(block, P) for block, P in zip(self._blocks, self._training, strict=True)]

    @property
    def expected(self) -> FloatArray:
        """The parameters' expected values, ``(p,)``: per block its amplitude, then its length scales, as logarithms."""
        return np.concatenate([[block.amplitude, *[block.scale] * block.n_scales] for block in self._blocks])

    def terms(self, parameters: FloatArray) -> list[FloatArray]:
        """Return each block's term on the training examples, ``(n, n)`` each."""
        result = []
        for block, fixed, own in zip(self._blocks, self._fixed, self._split(parameters), strict=True):
            variance = np.exp(2.0 * own[0])
            if block.linear:
                result.append(variance * fixed[0])
            else:
                result.append(variance * np.exp(-0.5 * np.tensordot(np.exp(-2.0 * own[1:]), fixed, 1)))
        return result

    def matrix(self, parameters: FloatArray) -> FloatArray:
        """Return the kernel of the training examples, ``(n, n)``."""
        return np.asarray(sum(self.terms(parameters)))

    def gradient(self, parameters: FloatArray, terms: Sequence[FloatArray], sensitivity: FloatArray) -> FloatArray:
        """Return the sum of ``sensitivity`` times the kernel's derivative by each parameter, ``(p,)``."""
        slopes: list[float] = []
        for block, fixed, own, term in zip(self._blocks, self._fixed, self._split(parameters), terms, strict=True):
            weighted = sensitivity * term
            slopes.append(2.0 * float(weighted.sum()))
            if not block.linear:
                slopes.extend(np.exp(-2.0 * own[1:]) * np.tensordot(fixed, weighted, 2))
        return np.array(slopes)

    def across(self, features: FloatArray, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the kernel of ``features`` (k, d) with the training examples (k, n), and the own one (k,)."""
        total, own_variance = np.zeros((len(features), len(self._training[0]))), np.zeros(len(features))
        rows = zip(self._blocks, self._scaled(features), self._training, self._split(parameters), strict=True)
        for block, A, B, own in rows:
            variance = np.exp(2.0 * own[0])
            if block.linear:
                total += variance * (A @ B.T)
                own_variance += variance * (A**2).sum(axis=1)
            else:
                weights = np.exp(-own[1:])[block.groups]
                total += variance * np.exp(-0.5 * squared_distances(A * weights, B * weights))
                own_variance += variance
        return total, own_variance

    def _scaled(self, features: FloatArray) -> list[FloatArray]:
        rows = zip(self._blocks, self._shifts, self._spreads, strict=True)
        return [(features[:, block.columns] - shift) / spread for block, shift, spread in rows]

    @staticmethod
    def _invariant(block: FeatureBlock, P: FloatArray) -> FloatArray:
        """The inner products ``(1, n, n)`` of a linear block, or the squared distances per length scale."""
        if block.linear:
            return (P @ P.T)[None]
        groups = (P[:, block.groups == group] for group in range(block.n_scales))
        return np.stack([squared_distances(Q, Q) for Q in groups])

    def _split(self, parameters: FloatArray) -> list[FloatArray]:
        ends = np.cumsum([1 + block.n_scales for block in self._blocks])
        return np.split(parameters, ends[:-1])


def squared_distances(A: FloatArray, B: FloatArray) -> FloatArray:
    """Return the squared distances between the rows of ``A`` (n, d) and of ``B`` (m, d), ``(n, m)``."""
    squares = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1) - 2.0 * (A @ B.T)
    return np.asarray(np.maximum(squares, 0.0), dtype=np.float64)
