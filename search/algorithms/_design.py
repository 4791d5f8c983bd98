"""The first population of LINAS: sub-networks from the smallest to the largest.

Where other platforms, the sources, say what latencies are, it is spread over what they say. A range of latencies, from
the shortest to the longest, is one part of it, and each gives one sub-network: in turn any one of the range, which
explores, and the one of most MACs, which is what a front consists of as far as that can be known before anything is
evaluated. The sources' models of latency are good from the first evaluations on (``hwnas.search.predictors.adapt``), so
that fewer do than without sources.
"""

from __future__ import annotations

import numpy as np

from hwnas.search.algorithm import Problem
from hwnas.search.sampling import spread
from hwnas.supernets.space import FloatArray, IntArray

# Sub-networks that are drawn for one of the first population: where there are constraints on what is exactly known, and
# where sources say what latencies are.
_DRAWS, _DRAWS_BY_SOURCES = 20, 40


def sized(problem: Problem, n: int, rng: np.random.Generator) -> IntArray:
    """Return sub-networks from the smallest to the largest, canonical, ``(k <= n, n_var)``, within the constraints."""
    if problem.violation is None:
        return spread(problem.space, n, rng)
    X = _within(problem, spread(problem.space, _DRAWS * n, rng), n)
    return X[np.linspace(0, len(X) - 1, n).round().astype(np.int64)]


def by_sources(problem: Problem, n: int, rng: np.random.Generator, candidates: IntArray, said: FloatArray) -> IntArray:
    """Return sub-networks from the shortest to the longest latency that sources expect, ``(k <= n, n_var)``.

    Args:
        problem: what is known exactly of sub-networks; where that is nothing, all explore.
        n: how many.
        rng: the source of randomness.
        candidates: see ``candidates_of``, ``(m, n_var)``.
        said: what the sources expect of them, increasing with latency, ``(m,)``.
    """
    edges = np.linspace(said.min(), said.max(), n + 1)[1:-1]
    part = np.searchsorted(edges, said)
    size = problem.known[0](candidates) if problem.known else None
    chosen = []
    for number in range(n):
        inside = np.flatnonzero(part == number)
        if not len(inside):
            continue
        largest = None if size is None or number % 2 == 0 else inside[size[inside].argmax()]
        chosen.append(int(rng.choice(inside) if largest is None else largest))
    return candidates[chosen]


def candidates_of(problem: Problem, n: int, rng: np.random.Generator) -> IntArray:
    """Return what ``by_sources`` chooses ``n`` sub-networks from: of all sizes, distinct, within the constraints."""
    return _within(problem, spread(problem.space, _DRAWS_BY_SOURCES * n, rng), n)


def _within(problem: Problem, X: IntArray, n: int) -> IntArray:
    """Return those that meet the constraints, or the ``n`` that come nearest, from the smallest to the largest."""
    violation = problem.violations(X)
    return X[np.sort(np.argsort(violation, kind="stable")[: max(n, int((violation == 0).sum()))])]
