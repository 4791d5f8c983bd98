"""The exact front, where every objective adds up over the layers: by dynamic programming instead of a search.

A latency from a lookup table, MACs, parameters and additive predictions of quality are sums over the places of a
super-network, and what stands in one place depends on few choices (its kernel, its width, its stage's depth). The front
of two places that share no choice is the front of all sums of a point of the one and a point of the other
(Nemhauser and Ullmann, 1969, for knapsacks). Where places share a choice, such as a stage's depth, each of its values
is taken in turn. So a front among 10^19 sub-networks takes seconds.

What each place contributes is learned from the objectives themselves, by linear equations of random sub-networks, and
tried on others: an objective that does not add up is refused, and named.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import read_settings
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

SUMMARY = "the exact front, where every objective is known exactly and adds up over the layers; one or two objectives"
MAX_OBJECTIVES: int | None = 2

NEEDS_EXACT = True

DEFAULTS: dict[str, Any] = {}

# Equations for each unknown contribution, and sub-networks that the solution is tried on.
_EQUATIONS, _TRIED = 3, 500
# What the sums may be off by, relative to the objective's range: rounding, and nothing else.
_TOLERANCE = 1e-7
# More unknown contributions are not solved for: their matrix would not fit into memory.
_MOST = 6000


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make the search; it asks for the front alone, for at most ``evals`` of it, evenly spread."""
    predicted = [label for label, exact in zip(problem.names, problem.exact, strict=True) if exact is None]
    if predicted:
        raise UsageError(f"{name}: {' and '.join(predicted)} is not known exactly without evaluating; use linas")
    if not problem.places:
        raise UsageError(f"{name}: the super-network does not say which choices decide each of its layers; use linas")
    if problem.violation is not None:
        raise UsageError(f"{name}: expected constraints on objectives only; make the constrained one an objective")
    return ExactFront(name, problem, evals, rng, read_settings(name, settings, DEFAULTS))


class ExactFront:
    """Asks for the exact front.

    Args:
        name: in messages.
        problem: what is to be minimised.
        evals: the most sub-networks to ask for.
        rng: draws the sub-networks from which the layers' contributions are learned.
        settings: none but ``initial``.
    """

    def __init__(
        self, name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]
    ) -> None:
        self._name, self._problem, self._rng = name, problem, rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._done = False

    def ask(self) -> IntArray:
        """Return the initial vectors, then the front, from one end to the other; then nothing."""
        first = self._observations.take_initial()
        if len(first) or self._done:
            return first
        self._done = True
        X = exact_front(self._problem, self._rng, self._name)[0]
        return self._observations.ask(X[_spread(len(X), self._observations.left)])

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations; they change nothing."""
        self._observations.add(X, F)


def _spread(n: int, most: int) -> IntArray:
    """Return up to ``most`` of ``n`` numbers, both ends among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))


def exact_front(problem: Problem, rng: np.random.Generator, name: str = "exact") -> tuple[IntArray, FloatArray]:
    """Return the front of a problem whose objectives are exact and additive.

    Args:
        problem: with one or two objectives, all exact, and ``places``.
        rng: draws the sub-networks from which the layers' contributions are learned.
        name: in messages.

    Returns:
        Canonical vectors ``(k, n_var)`` in the order of the first objective, and their minimised objectives
        ``(k, n_obj)``. Of sub-networks with equal objectives there is one.

    Raises:
        UsageError: an objective does not add up over the places; names it.
    """
    places = _places(problem, rng, name)
    nothing = np.zeros((1, problem.space.n_var), dtype=np.int64)
    found = _front(places, _Points(nothing, np.zeros((1, problem.n_obj))))
    X = problem.space.canonical(found.X)
    # The sums were rounded: what is reported are the objectives themselves.
    F = _objectives(problem, X)
    kept = np.flatnonzero((problem.limits >= F).all(axis=1))
    kept = kept[_pareto(F[kept])]
    return X[kept], F[kept]


@dataclass(frozen=True, eq=False)
class _Points:
    """Partial sub-networks, and what they contribute to each objective.

    Attributes:
        X: vectors, ``(k, n_var)``; 0 where nothing is chosen yet.
        F: contributions, ``(k, n_obj)``.
    """

    X: IntArray
    F: FloatArray

    def front(self) -> _Points:
        """Return those on the front."""
        kept = _pareto(self.F)
        return _Points(self.X[kept], self.F[kept])


@dataclass(frozen=True, eq=False)
class _Place:
    """A place of the super-network.

    Attributes:
        columns: the choices that decide what stands there and are not fixed yet.
        states: their values in every state that there is, ``(s, len(columns))``.
        F: what each state contributes, ``(s, n_obj)``.
    """

    columns: tuple[int, ...]
    states: IntArray
    F: FloatArray

    def fixed(self, column: int, value: int) -> _Place:
        """Return the place where a choice has a value."""
        if column not in self.columns:
            return self
        where = self.columns.index(column)
        rows = self.states[:, where] == value
        columns = tuple(other for other in self.columns if other != column)
        return replace(self, columns=columns, states=np.delete(self.states[rows], where, axis=1), F=self.F[rows])


# --- the front --------------------------------------------------------------------------------------------------------


def _front(places: Sequence[_Place], before: _Points) -> _Points:
    """Return the front of all sub-networks that complete partial ones by what stands in some places."""
    parts = _components(places)
    if len(parts) > 1:
        nothing = _Points(np.zeros_like(before.X[:1]), np.zeros_like(before.F[:1]))
        fronts = sorted((_front(part, nothing) for part in parts), key=lambda one: len(one.F))
        return reduce(_joined, fronts, before)
    if len(places) == 1:
        return _joined(before, _alone(places[0], before.X.shape[1]))
    # One choice more is fixed: that which most places share.
    column = Counter(itertools.chain.from_iterable(place.columns for place in places)).most_common(1)[0][0]
    sharing = [place for place in places if column in place.columns]
    values = np.unique(np.concatenate([place.states[:, place.columns.index(column)] for place in sharing]))
    found = []
    for value in values.tolist():
        left = [place.fixed(column, value) for place in places]
        if all(len(place.F) for place in left):
            X = before.X.copy()
            X[:, column] = value
            found.append(_front(left, _Points(X, before.F)))
    return _Points(np.concatenate([one.X for one in found]), np.concatenate([one.F for one in found])).front()


def _components(places: Sequence[_Place]) -> list[list[_Place]]:
    """Return the places in groups that share no choice."""
    groups: list[tuple[set[int], list[_Place]]] = []
    for place in places:
        columns, members = set(place.columns), [place]
        apart = []
        for known, others in groups:
            if known & columns:
                columns, members = columns | known, others + members
            else:
                apart.append((known, others))
        groups = [*apart, (columns, members)]
    return [members for _, members in groups]


def _alone(place: _Place, n_var: int) -> _Points:
    X = np.zeros((len(place.F), n_var), dtype=np.int64)
    X[:, list(place.columns)] = place.states
    return _Points(X, place.F).front()


def _joined(first: _Points, second: _Points) -> _Points:
    """Return the front of all sums; no choice is made in both."""
    sums = (first.F[:, None] + second.F[None]).reshape(-1, first.F.shape[1])
    kept = _pareto(sums)
    a, b = np.divmod(kept, len(second.F))
    return _Points(first.X[a] + second.X[b], sums[kept])


def _pareto(F: FloatArray) -> IntArray:
    """Return the rows on the front, in the order of the first objective; of equal ones the first."""
    if F.shape[1] == 1:
        return np.array([int(F[:, 0].argmin())]) if len(F) else np.zeros(0, dtype=np.int64)
    order = np.lexsort((F[:, 1], F[:, 0]))
    second = F[order, 1]
    best = np.minimum.accumulate(second)
    better = np.append(True, second[1:] < best[:-1])[: len(F)]
    return np.asarray(order[better], dtype=np.int64)


# --- what each place contributes -------------------------------------------------------------------------------------


def _places(problem: Problem, rng: np.random.Generator, name: str) -> list[_Place]:
    """Return the places with their contributions, of every objective and of every state that a sub-network can have."""
    space = problem.space
    numbered = [_Numbering(space, columns) for columns in dict.fromkeys(problem.places) if columns]
    unknown = sum(one.n for one in numbered)
    if unknown > _MOST:
        raise UsageError(f"{name}: {unknown:,} states of layers are more than {_MOST:,}; fix the resolution (r=224)")
    X = _design(space, numbered, rng)
    A, starts = _indicators(numbered, X)
    F = _objectives(problem, X)
    centre = F.mean(axis=0)
    solution = np.linalg.lstsq(A, F - centre, rcond=None)[0]
    _check(problem, numbered, solution, centre, rng, name)
    places = []
    for one, start in zip(numbered, starts, strict=True):
        seen = np.unique(one.states(X))
        places.append(_Place(one.columns, one.values(seen), solution[start + seen]))
    return places


class _Numbering:
    """The states of a place, numbered."""

    def __init__(self, space: SearchSpace, columns: Sequence[int]) -> None:
        self.columns = tuple(columns)
        self._sizes = tuple(int(space.n_options[column]) for column in columns)
        self.n = int(np.prod(self._sizes))

    def states(self, X: IntArray) -> IntArray:
        """Return the number of the state that each vector has here, ``(n,)``."""
        return np.asarray(np.ravel_multi_index(tuple(X[:, list(self.columns)].T), self._sizes), dtype=np.int64)

    def values(self, states: IntArray) -> IntArray:
        """Return the choices' values in each state, ``(s, len(columns))``."""
        return np.stack(np.unravel_index(states, self._sizes), axis=1).astype(np.int64)


def _design(space: SearchSpace, places: Sequence[_Numbering], rng: np.random.Generator) -> IntArray:
    """Return canonical vectors in which every state of every place occurs that can, and enough random ones."""
    parts = []
    for place in places:
        X = space.sample(place.n, rng)
        X[:, list(place.columns)] = place.values(np.arange(place.n))
        parts.append(X)
    more = space.sample((_EQUATIONS - 1) * sum(place.n for place in places), rng)
    return space.canonical(np.concatenate([*parts, more]))


def _indicators(places: Sequence[_Numbering], X: IntArray) -> tuple[FloatArray, IntArray]:
    """Return which states each vector has, ``(n, states of all places)``, and where each place's begin."""
    starts = np.cumsum([0, *(place.n for place in places)])
    A = np.zeros((len(X), int(starts[-1])))
    for place, start in zip(places, starts[:-1], strict=True):
        A[np.arange(len(X)), start + place.states(X)] = 1.0
    return A, starts[:-1]


def _check(
    problem: Problem,
    places: Sequence[_Numbering],
    solution: FloatArray,
    centre: FloatArray,
    rng: np.random.Generator,
    name: str,
) -> None:
    X = problem.space.canonical(problem.space.sample(_TRIED, rng))
    F = _objectives(problem, X)
    off = np.abs(_indicators(places, X)[0] @ solution + centre - F).max(axis=0)
    span = np.maximum(np.ptp(F, axis=0), 1e-300)
    for label, share in zip(problem.names, off / span, strict=True):
        if share > _TOLERANCE:
            raise UsageError(
                f"{name}: {label} is not a sum over the layers: the best sum is off by up to {share:.2%} of its range; "
                "use linas"
            )


def _objectives(problem: Problem, X: IntArray) -> FloatArray:
    """Return the minimised objectives, ``(n, n_obj)``, all of which are exact."""
    return np.stack([exact(X) for exact in problem.exact if exact is not None], axis=1)
