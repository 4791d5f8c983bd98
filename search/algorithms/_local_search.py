"""A local search over canonical vectors: what maximises an acquisition that is dear to evaluate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwnas.search.sampling import unseen_rows
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# A search ends earlier where no step of one choice is better.
_STEPS = 10


def climb(
    space: SearchSpace,
    score: Callable[[IntArray], FloatArray],
    candidates: IntArray,
    taken: set[bytes],
    starts: int,
) -> IntArray:
    """Return the new vector of the highest score that is found, ``(1, n_var)``, or none where all are taken.

    Args:
        space: the search space.
        score: vectors (n, n_var) to what is maximised, (n,).
        candidates: canonical vectors, ``(n, n_var)``; from the best new ones, searches set out.
        taken: keys of the vectors that are not new.
        starts: how many searches there are; in each step, each goes to the best of all that differ by one choice.
    """
    X = candidates[unseen_rows(candidates, taken)]
    values = score(X) if len(X) else np.zeros(0)
    order = np.argsort(-values, kind="stable")[:starts]
    X, values = X[order], values[order]
    climbing = np.arange(len(X))
    for _ in range(_STEPS):
        around = [neighbours(space, X[number]) for number in climbing]
        around = [Y[unseen_rows(Y, taken)] for Y in around]
        if not sum(map(len, around)):
            break
        found = np.split(score(np.concatenate(around)), np.cumsum([len(Y) for Y in around])[:-1])
        moved = []
        for number, Y, reached in zip(climbing.tolist(), around, found, strict=True):
            if len(Y) and reached.max() > values[number]:
                X[number], values[number] = Y[reached.argmax()], reached.max()
                moved.append(number)
        climbing = np.array(moved, dtype=np.int64)
    return X[[int(values.argmax())]] if len(X) else X


def neighbours(space: SearchSpace, x: IntArray) -> IntArray:
    """Return every canonical vector that differs from ``x``, ``(n_var,)``, by one choice that has an effect."""
    active = space.active(x[None])[0]
    changed = [
        np.where(np.arange(space.n_var) == column, option, x)
        for column in np.flatnonzero(active)
        for option in range(space.n_options[column])
        if option != x[column]
    ]
    return space.canonical(np.array(changed, dtype=np.int64).reshape(-1, space.n_var))
