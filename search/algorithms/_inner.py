"""The inner search: NSGA-II over predictions, vectorised.

An inner search makes tens of thousands of predictions between two measurements. A generation here is a dozen array
operations, about a third of a millisecond for 50 children, where a general library takes some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hwnas.search.hypervolume import front_ranks
from hwnas.search.operators import Crossover, Mutation
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

Objectives = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Variation:
    """How children are made.

    Attributes:
        crossover: joins two parents.
        cross: the probability of crossing at all.
        mutation: changes a child.
        mutate: the mutation's probability per gene.
    """

    crossover: Crossover
    cross: float
    mutation: Mutation
    mutate: float

    def children(self, space: SearchSpace, A: IntArray, B: IntArray, rng: np.random.Generator) -> IntArray:
        """Return one canonical child per pair of parents, ``(n, n_var)``."""
        crossed = np.where(rng.random((len(A), 1)) < self.cross, self.crossover(space, A, B, rng), A)
        return space.canonical(self.mutation(space, crossed, rng, self.mutate))


def evolve(
    space: SearchSpace,
    objectives: Objectives,
    start: IntArray,
    evals: int,
    rng: np.random.Generator,
    variation: Variation,
    offspring: int | None = None,
) -> tuple[IntArray, FloatArray]:
    """Run NSGA-II (Deb et al., 2002) and return every vector that it looked at.

    Args:
        space: the search space.
        objectives: vectors (n, n_var) to minimised values (n, n_obj).
        start: the first population, ``(population, n_var)``.
        evals: how many predictions to make.
        rng: the source of randomness.
        variation: how children are made.
        offspring: how many children a generation has; ``None``: as many as the population, as in the paper. More of
            them share a generation's fixed costs.

    Returns:
        The distinct vectors ``(k, n_var)`` in lexicographic order, and their values ``(k, n_obj)``.
    """
    X, F = start, objectives(start)
    all_X, all_F = [X], [F]
    size, left = len(start), evals - len(start)
    offspring = size if offspring is None else offspring
    while left > 0:
        rank, crowding = front_ranks(F), crowding_distance(F)
        parents = _tournament(rank, crowding, 2 * offspring, rng)
        children = variation.children(space, X[parents[:offspring]], X[parents[offspring:]], rng)[:left]
        values = objectives(children)
        all_X.append(children)
        all_F.append(values)
        left -= len(children)
        merged_X, merged_F = distinct(np.concatenate([X, children]), np.concatenate([F, values]))
        kept = best_first(merged_F)[:size]
        X, F = merged_X[kept], merged_F[kept]
    return distinct(np.concatenate(all_X), np.concatenate(all_F))


def best_first(F: FloatArray) -> IntArray:
    """Return the order of NSGA-II: by front, within a front the loneliest first; ``(n,)``."""
    return np.lexsort((-crowding_distance(F), front_ranks(F)))


def crowding_distance(F: FloatArray) -> FloatArray:
    """Return each point's crowding distance within its front, ``(n,)``: infinite at a front's ends."""
    distance = np.zeros(len(F))
    if not len(F):
        return distance
    rank = front_ranks(F)
    for values in F.T:
        order = np.lexsort((values, rank))
        level, sorted_values = rank[order], values[order]
        span = max(float(np.ptp(values)), 1e-300)
        gaps = np.full(len(F) + 1, np.inf)
        gaps[1:-1] = np.where(level[1:] == level[:-1], np.diff(sorted_values) / span, np.inf)
        distance[order] += gaps[1:] + gaps[:-1]
    return distance


def penalised(F: FloatArray, limits: FloatArray, violation: FloatArray | float = 0.0) -> FloatArray:
    """Return ``F`` with what breaks constraints pushed beyond everything that does not, by how much it breaks them.

    Args:
        F: minimised objectives, ``(n, n_obj)``; a row with a nan, which failed, stays one.
        limits: the largest allowed ones, ``(n_obj,)``.
        violation: by how much each breaks other constraints, ``(n,)``.
    """
    over = np.maximum(0.0, F - limits).sum(axis=1) + violation
    if not (over > 0).any():
        return F
    known = np.isfinite(F).all(axis=1)
    beyond = np.where(over > 0, 1.0 + over, 0.0) * (1e3 * (1.0 + np.abs(F[known]).max(initial=0.0)))
    return np.asarray(F + beyond[:, None], dtype=np.float64)


def ranges(F: FloatArray) -> FloatArray:
    """Return by how much each objective varies over ``F`` (n, n_obj), ``(n_obj,)``; of one that does not, its size.

    So a corner that lies beyond the worst values by a part of it leaves a volume to dominate in every objective.
    """
    span, size = np.ptp(F, axis=0), np.abs(F).max(axis=0)
    # Rounding may let what is the same for all vary by a little.
    return np.asarray(np.where(span > 1e-12 * size, span, np.where(size > 0, size, 1.0)), dtype=np.float64)


def _tournament(rank: IntArray, crowding: FloatArray, n: int, rng: np.random.Generator) -> IntArray:
    a, b = rng.integers(0, len(rank), size=(2, n))
    better = (rank[a] < rank[b]) | ((rank[a] == rank[b]) & (crowding[a] >= crowding[b]))
    return np.asarray(np.where(better, a, b), dtype=np.int64)


def distinct(X: IntArray, F: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return each vector once, in a fixed order, with its values."""
    # One row of bytes per vector: numpy sorts these far faster than rows of integers.
    packed = np.ascontiguousarray(X.astype(np.uint8)).view(np.dtype((np.void, X.shape[1]))).ravel()
    first = np.unique(packed, return_index=True)[1]
    return X[first], F[first]
