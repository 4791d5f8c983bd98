"""The inner search: NSGA-II over predictions, vectorised.

An inner search makes tens of thousands of predictions between two measurements. A generation here is a dozen array
operations, about a third of a millisecond for 50 children, where a general library takes some milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hwnas.search.algorithm import Known, Problem
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


class Violation(Protocol):
    """Says by how much sub-networks break constraints."""

    def __call__(self, X: IntArray, F: FloatArray) -> FloatArray:
        """Return it for vectors ``(n, n_var)`` with minimised objectives ``(n, n_obj)``: ``(n,)``, 0 where none is."""
        ...


@dataclass(frozen=True)
class LimitsBroken:
    """The ``Violation`` of limits on objectives, and of constraints on other quantities.

    What an objective exceeds its limit by counts in units of how much the objective varies. So neither the unit of an
    objective matters nor how large others are, and two batches are on one scale.

    Attributes:
        limits: the largest allowed minimised objectives, ``(n_obj,)``; infinite where there is none.
        spans: by how much each objective varies, ``(n_obj,)``, above 0; see ``ranges``.
        others: by how much vectors break constraints on other quantities, which has no unit.
    """

    limits: FloatArray
    spans: FloatArray
    others: Known

    @classmethod
    def of(cls, problem: Problem, F: FloatArray) -> LimitsBroken:
        """Return that of a problem of which finite objectives ``F``, ``(n >= 1, n_obj)``, were observed."""
        return cls(problem.limits, ranges(F), problem.violations)

    def __call__(self, X: IntArray, F: FloatArray) -> FloatArray:
        """Return by how much each breaks its constraints, ``(n,)``: above 0, it does."""
        over = np.maximum(0.0, F - self.limits)
        # A quotient may vanish: what breaks a limit still does.
        shares = np.where(over > 0, np.maximum(over / self.spans, np.finfo(np.float64).tiny), 0.0)
        return np.asarray(shares.sum(axis=1) + self.others(X), dtype=np.float64)


def evolve(
    space: SearchSpace,
    objectives: Objectives,
    start: IntArray,
    evals: int,
    rng: np.random.Generator,
    variation: Variation,
    offspring: int | None = None,
    violation: Violation | None = None,
) -> tuple[IntArray, FloatArray]:
    """Run NSGA-II (Deb et al., 2002) and return every vector that it looked at.

    Constraints are those of its section VI: what meets them is ahead of all that does not, whatever the objectives.

    Args:
        space: the search space.
        objectives: vectors (n, n_var) to minimised values (n, n_obj).
        start: the first population, ``(population, n_var)``.
        evals: how many predictions to make.
        rng: the source of randomness.
        variation: how children are made.
        offspring: how many children a generation has; ``None``: as many as the population, as in the paper. More of
            them share a generation's fixed costs.
        violation: by how much vectors break constraints; ``None``: there are none.

    Returns:
        The distinct vectors ``(k, n_var)`` in lexicographic order, and their values ``(k, n_obj)``.
    """
    X, F = start, objectives(start)
    over = _over(violation, X, F)
    all_X, all_F = [X], [F]
    size, left = len(start), evals - len(start)
    offspring = size if offspring is None else offspring
    while left > 0:
        rank = constrained_ranks(F, over)
        crowding = crowding_distance(F, rank)
        parents = _tournament(rank, crowding, 2 * offspring, rng)
        children = variation.children(space, X[parents[:offspring]], X[parents[offspring:]], rng)[:left]
        values = objectives(children)
        all_X.append(children)
        all_F.append(values)
        left -= len(children)
        merged_X, merged_F = np.concatenate([X, children]), np.concatenate([F, values])
        merged_over = np.concatenate([over, _over(violation, children, values)])
        once = _once(merged_X)
        kept = once[best_first(merged_F[once], merged_over[once])[:size]]
        X, F, over = merged_X[kept], merged_F[kept], merged_over[kept]
    return distinct(np.concatenate(all_X), np.concatenate(all_F))


def _over(violation: Violation | None, X: IntArray, F: FloatArray) -> FloatArray:
    return np.zeros(len(X)) if violation is None else violation(X, F)


def best_first(F: FloatArray, over: FloatArray | None = None) -> IntArray:
    """Return the order of NSGA-II: by front, within a front the loneliest first; ``(n,)``.

    Args:
        F: minimised objectives, ``(n, n_obj)``, finite.
        over: by how much each breaks constraints, ``(n,)``; ``None``: none does.
    """
    rank = front_ranks(F) if over is None else constrained_ranks(F, over)
    return np.lexsort((-crowding_distance(F, rank), rank))


def constrained_ranks(F: FloatArray, over: FloatArray) -> IntArray:
    """Return each point's front by constrained domination (Deb et al., 2002, definition 1), ``(n,)``.

    The fronts of what meets all constraints come first; what breaks them follows, by how much it does.

    Args:
        F: minimised objectives, ``(n, n_obj)``, finite.
        over: by how much each breaks constraints, ``(n,)``, 0 where it meets them.
    """
    meets = over <= 0
    if meets.all():
        return front_ranks(F)
    rank = np.empty(len(F), dtype=np.int64)
    rank[meets] = front_ranks(F[meets])
    rank[~meets] = np.unique(over[~meets], return_inverse=True)[1] + rank[meets].max(initial=-1) + 1
    return rank


def crowding_distance(F: FloatArray, rank: IntArray | None = None) -> FloatArray:
    """Return each point's crowding distance within its front, ``(n,)``: infinite at a front's ends.

    Args:
        F: minimised objectives, ``(n, n_obj)``, finite.
        rank: each point's front, ``(n,)``; ``None``: that without constraints.
    """
    distance = np.zeros(len(F))
    if not len(F):
        return distance
    rank = front_ranks(F) if rank is None else rank
    for values in F.T:
        order = np.lexsort((values, rank))
        level, sorted_values = rank[order], values[order]
        span = max(float(np.ptp(values)), 1e-300)
        gaps = np.full(len(F) + 1, np.inf)
        gaps[1:-1] = np.where(level[1:] == level[:-1], np.diff(sorted_values) / span, np.inf)
        distance[order] += gaps[1:] + gaps[:-1]
    return distance


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
    first = _once(X)
    return X[first], F[first]


def _once(X: IntArray) -> IntArray:
    """Return the rows that hold each vector for the first time, in the vectors' order."""
    # One row of bytes per vector: numpy sorts these far faster than rows of integers.
    packed = np.ascontiguousarray(X.astype(np.uint8)).view(np.dtype((np.void, X.shape[1]))).ravel()
    return np.unique(packed, return_index=True)[1]
