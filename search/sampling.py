"""Draw random sub-networks without repeats."""

from __future__ import annotations

import itertools
from collections.abc import Collection

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# A space up to this size is enumerated when drawing at random no longer finds what is left.
_ENUMERABLE = 200_000
_TRIES = 20


def row_keys(X: IntArray) -> list[bytes]:
    """Return a hashable name of each row, ``(n,)``; rows are equal if and only if their names are."""
    return [row.tobytes() for row in np.ascontiguousarray(X, dtype=np.int64)]


def unseen_rows(X: IntArray, seen: Collection[bytes]) -> IntArray:
    """Return the rows' numbers that are not in ``seen`` and not earlier in ``X``, ascending."""
    first = {key: number for number, key in reversed(list(enumerate(row_keys(X)))) if key not in seen}
    return np.array(sorted(first.values()), dtype=np.int64)


def sample_unseen(space: SearchSpace, n: int, rng: np.random.Generator, seen: Collection[bytes] = ()) -> IntArray:
    """Draw up to ``n`` distinct canonical vectors whose keys are not in ``seen``; ``(k, n_var)``.

    Fewer come only when no more are found: never in a large space, and in a small one when it is exhausted.
    """
    known = set(seen)
    found: list[IntArray] = []
    missing = n
    for _ in range(_TRIES):
        if missing <= 0:
            break
        X = space.canonical(space.sample(2 * missing + 8, rng))
        X = X[unseen_rows(X, known)][:missing]
        known.update(row_keys(X))
        found.append(X)
        missing -= len(X)
    if missing > 0 and space.size <= _ENUMERABLE:
        X = every_point(space)
        X = X[unseen_rows(X, known)]
        found.append(X[np.sort(rng.permutation(len(X))[:missing])])
    return np.concatenate([np.zeros((0, space.n_var), dtype=np.int64), *found])


def every_point(space: SearchSpace) -> IntArray:
    """Return every canonical vector of a small space, ``(distinct_size, n_var)``, in lexicographic order."""
    ranges = (range(int(options)) for options in space.n_options)
    X = np.array(list(itertools.product(*ranges)), dtype=np.int64).reshape(-1, space.n_var)
    return np.unique(space.canonical(X), axis=0)


def spread(space: SearchSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Draw sub-networks spread from the smallest to the largest, canonical and distinct, ``(k <= n, n_var)``.

    The levels go from 0 to 1; each choice of a sub-network is binomial with the level as its mean, so sub-networks of
    every size come up, which uniform sampling never does: the mean of 45 choices is always in the middle.
    """
    levels = np.linspace(0.0, 1.0, n) if n > 1 else np.full(n, 0.5)
    X = space.canonical(_of_levels(space, levels, rng))
    return X[unseen_rows(X, ())]


def of_all_sizes(space: SearchSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Draw about ``n`` distinct canonical vectors, ``(k, n_var)``: the smallest, the largest, and all between.

    Half of them are of every size (see ``spread``), and half are uniform, which is what choices whose values have no
    order need.
    """
    sized = _of_levels(space, rng.random(n - n // 2), rng)
    drawn = np.concatenate([space.smallest(), space.largest(), sized, space.sample(n // 2, rng)])
    return np.unique(space.canonical(drawn), axis=0)


def _of_levels(space: SearchSpace, levels: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw a vector of each level, ``(n, n_var)``: each choice is binomial with the level as its mean.

    Values that have no order know no levels: they are drawn uniformly.
    """
    X = rng.binomial(space.n_options - 1, levels[:, None], size=(len(levels), space.n_var))
    return X if space.ordered.all() else np.where(space.ordered, X, space.sample(len(levels), rng))
