"""The first population of LINAS: sub-networks from the smallest to the largest.

Before anything is evaluated, MACs and parameters are known exactly, and costs where they are read from a table. A front
consists of networks that make the most of their cost, and of parameters more is better nearly everywhere. So the first
population are those of most parameters for their cost, from the cheapest to the most expensive: no front, but nearer to
it than networks of every size are.

Where other searches have found accuracies the front itself can be expected, and is where the search begins. What other
platforms say of latencies alone changes nothing here, but the predictions, from the first batch on: populations that
were spread over it were worse, those of most parameters for it no better (``docs/transfer.md``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.search.algorithm import Known, Problem
from hwnas.search.algorithms._inner import LimitsBroken, Variation, constrained_ranks, evolve, ranges
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import row_keys, spread, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray

# Sub-networks that are drawn for one of the first population, where there are constraints on what is exactly known.
_DRAWS = 20
# The evolution that looks for those of most parameters for their cost: how many vectors it looks at, and how.
_LOOKS, _POPULATION, _OFFSPRING = 8000, 100, 400
_VARIATION = Variation(CROSSOVERS["uniform"], 0.15, MUTATIONS["reset"], 0.0)


def sized(problem: Problem, n: int, rng: np.random.Generator) -> IntArray:
    """Return sub-networks from the smallest to the largest, canonical, ``(k <= n, n_var)``, within the constraints."""
    if problem.violation is None:
        return spread(problem.space, n, rng)
    X = _within(problem, spread(problem.space, _DRAWS * n, rng), n)
    return X[np.linspace(0, len(X) - 1, n).round().astype(np.int64)]


def largest(problem: Problem, n: int, rng: np.random.Generator) -> IntArray:
    """Return the sub-networks of most parameters for their cost, from the cheapest on, ``(k <= n, n_var)``.

    The cost is every objective that is known exactly, or where none is, the first quantity that is known: MACs. Where
    nothing is known to be large, or there is no cost, they are those of ``sized``; so are those that are missing where
    few sub-networks are on the front of cost and size.
    """
    bounded = [(exact, limit) for exact, limit in zip(problem.exact, problem.limits, strict=True) if exact is not None]
    costs: list[tuple[Known, float]] = bounded or [(known, np.inf) for known in problem.known[:-1]]
    if not n or not costs or not problem.known:
        return sized(problem, n, rng)
    size, limits = problem.known[-1], np.array([*(limit for _, limit in costs), np.inf])
    return _along_front(problem, [*(cost for cost, _ in costs), lambda X: -size(X)], limits, n, rng)


def expected(problem: Problem, n: int, rng: np.random.Generator, known: Sequence[Known | None]) -> IntArray:
    """Return sub-networks along the front that is expected, canonical, ``(k <= n, n_var)``.

    Args:
        problem: what is to be minimised.
        n: how many.
        rng: the source of randomness.
        known: what is known of each objective before anything is evaluated, see ``Surrogate.expected``. In place of
            what is not stands the first quantity that is known exactly: MACs. Latencies of other platforms would be
            nearer, and were no better (``docs/transfer.md``); where they mislead, they mislead from the beginning.
    """
    costs = [one for one in known if one is not None]
    limits = problem.limits[[one is not None for one in known]]
    if problem.known and len(costs) < problem.n_obj:
        costs, limits = [problem.known[0], *costs], np.array([np.inf, *limits])
    return _along_front(problem, costs, limits, n, rng)


def _along_front(
    problem: Problem, costs: Sequence[Known], limits: FloatArray, n: int, rng: np.random.Generator
) -> IntArray:
    """Return sub-networks of the front of what is minimised, at even steps of the first; those of ``sized`` for more.

    Args:
        problem: the problem.
        costs: what is minimised.
        limits: of each of them.
        n: how many sub-networks.
        rng: the source of randomness.
    """

    def values(X: IntArray) -> FloatArray:
        return np.stack([cost(X) for cost in costs], axis=1).astype(np.float64)

    start = spread(problem.space, _POPULATION, rng)
    violation = LimitsBroken(limits, ranges(values(start)), problem.violations)
    X, F = evolve(problem.space, values, start, _LOOKS, rng, _VARIATION, _OFFSPRING, violation)
    on_front = constrained_ranks(F, violation(X, F)) == 0
    X, first = X[on_front], F[on_front, 0]
    levels = np.linspace(first.min(), first.max(), n)
    chosen = X[list(dict.fromkeys(np.abs(first - levels[:, None]).argmin(axis=1).tolist()))]
    more = sized(problem, n - len(chosen), rng)
    return np.concatenate([chosen, more[unseen_rows(more, set(row_keys(chosen)))]])


def _within(problem: Problem, X: IntArray, n: int) -> IntArray:
    """Return those that meet the constraints, or the ``n`` that come nearest, from the smallest to the largest."""
    violation = problem.violations(X)
    return X[np.sort(np.argsort(violation, kind="stable")[: max(n, int((violation == 0).sum()))])]
