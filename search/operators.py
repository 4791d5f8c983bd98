"""Mutation and crossover of integer vectors.

In a space of a few values per choice, operators made for real numbers change next to nothing: polynomial mutation at
probability 0.02 moves a gene by less than half a step in most cases, and rounding takes that back. The operators here
work on the integers themselves; the real-valued ones stay nameable, for comparison with published results.

All of them take and return batches, change no input, and are deterministic in the generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from hwnas.supernets.space import BoolArray, FloatArray, IntArray, SearchSpace

Mutation = Callable[[SearchSpace, IntArray, np.random.Generator, float], IntArray]
Crossover = Callable[[SearchSpace, IntArray, IntArray, np.random.Generator], IntArray]


def reset(space: SearchSpace, X: IntArray, rng: np.random.Generator, probability: float = 0.0) -> IntArray:
    """Give each chosen gene another value, uniform over the others; ``(n, n_var)``.

    Args:
        space: the search space.
        X: parents, ``(n, n_var)``.
        rng: the source of randomness.
        probability: per gene; at least one over the number of active genes is used, and at least one active gene of
            every row changes, so a child is another network than its parent wherever the space has another.
    """
    chosen = _chosen(space, X, rng, probability)
    return np.where(chosen, _others(space, X, rng), X)


def neighbour(space: SearchSpace, X: IntArray, rng: np.random.Generator, probability: float = 0.0) -> IntArray:
    """Move each chosen gene one step up or down, inwards at the ends; arguments as for ``reset``.

    Genes whose values have no order get another one, as by ``reset``.
    """
    chosen = _chosen(space, X, rng, probability)
    step = np.where(rng.random(X.shape) < 0.5, -1, 1)
    outside = (X + step < 0) | (X + step >= space.n_options)
    moved = X + np.where(outside, -step, step)
    return np.where(chosen & (space.n_options > 1), _where_ordered(space, moved, X, rng), X)


def polynomial(space: SearchSpace, X: IntArray, rng: np.random.Generator, probability: float = 0.02) -> IntArray:
    """Polynomial mutation (Deb and Agrawal, 1999; distribution index 20) with rounding: the published setting.

    Genes whose values have no order get another one, as by ``reset``.
    """
    eta = 20.0
    chosen = rng.random(X.shape) < probability
    span = np.maximum(space.n_options - 1, 1).astype(np.float64)
    u = rng.random(X.shape)
    low, high = X / span, 1.0 - X / span
    down = (2.0 * u + (1.0 - 2.0 * u) * (1.0 - low) ** (eta + 1.0)) ** (1.0 / (eta + 1.0)) - 1.0
    up = 1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * (1.0 - high) ** (eta + 1.0)) ** (1.0 / (eta + 1.0))
    moved = X + np.where(u < 0.5, down, up) * span
    return np.where(chosen, _where_ordered(space, _rounded(space, moved), X, rng), X)


def uniform(space: SearchSpace, A: IntArray, B: IntArray, rng: np.random.Generator) -> IntArray:
    """Take each gene of a child from one of its two parents, as likely from either; ``(n, n_var)``."""
    del space
    return np.where(rng.random(A.shape) < 0.5, A, B)


def two_point(space: SearchSpace, A: IntArray, B: IntArray, rng: np.random.Generator) -> IntArray:
    """Take a stretch of genes from the second parent, the rest from the first."""
    cuts = np.sort(rng.integers(0, space.n_var + 1, size=(len(A), 2)), axis=1)
    columns = np.arange(space.n_var)
    return np.where((columns >= cuts[:, :1]) & (columns < cuts[:, 1:]), B, A)


def sbx(space: SearchSpace, A: IntArray, B: IntArray, rng: np.random.Generator) -> IntArray:
    """Simulated binary crossover (Deb and Agrawal, 1995; distribution index 15) with rounding, as published.

    There is nothing between values that have no order: such genes are taken from the second parent.
    """
    eta = 15.0
    u = rng.random(A.shape)
    beta = np.where(u <= 0.5, (2.0 * u) ** (1.0 / (eta + 1.0)), (2.0 * (1.0 - u)) ** (-1.0 / (eta + 1.0)))
    sign = np.where(rng.random(A.shape) < 0.5, 1.0, -1.0)
    crossed = 0.5 * ((A + B) + sign * beta * np.abs(B - A))
    return np.where(rng.random(A.shape) < 0.5, np.where(space.ordered, _rounded(space, crossed), B), A)


MUTATIONS: Mapping[str, Mutation] = MappingProxyType({"reset": reset, "neighbour": neighbour, "polynomial": polynomial})
CROSSOVERS: Mapping[str, Crossover] = MappingProxyType({"uniform": uniform, "two-point": two_point, "sbx": sbx})


def _chosen(space: SearchSpace, X: IntArray, rng: np.random.Generator, probability: float) -> BoolArray:
    """Choose the genes to change: active ones that have another value, at least one per row."""
    able: BoolArray = space.active(X) & (space.n_options > 1)
    rate = np.maximum(probability, 1.0 / np.maximum(able.sum(axis=1, keepdims=True), 1))
    draws = rng.random(X.shape)
    chosen: BoolArray = able & (draws < rate)
    # The able gene with the smallest draw is the one most nearly chosen.
    surest = np.argmin(np.where(able, draws, 2.0), axis=1)
    rows = np.arange(len(X))
    chosen[rows, surest] |= able[rows, surest]
    return chosen


def _others(space: SearchSpace, X: IntArray, rng: np.random.Generator) -> IntArray:
    """Return another value of each gene, uniform over the others."""
    shift = rng.integers(1, np.maximum(space.n_options, 2), size=X.shape)
    return np.asarray((X + shift) % space.n_options, dtype=np.int64)


def _where_ordered(space: SearchSpace, moved: IntArray, X: IntArray, rng: np.random.Generator) -> IntArray:
    """Return ``moved`` where values have an order, and others than those of ``X`` where they have none."""
    return moved if space.ordered.all() else np.where(space.ordered, moved, _others(space, X, rng))


def _rounded(space: SearchSpace, values: FloatArray) -> IntArray:
    return np.clip(np.rint(values), 0, space.n_options - 1).astype(np.int64)
