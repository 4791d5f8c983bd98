"""What an algorithm has asked for, and its observations: the evaluations that it learns from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.search.algorithm import Problem
from hwnas.search.sampling import row_keys, sample_unseen, unseen_rows
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import BoolArray, FloatArray, IntArray

# How many random sub-networks are drawn for one that meets the constraints.
_DRAWS = 50


class Observations:
    """The evaluations that an algorithm knows, and what it has asked for.

    Args:
        problem: of the algorithm.
        evals: the most distinct sub-networks it may ask for.
        initial: what to ask first; any vectors, ``(k, n_var)``.
    """

    def __init__(self, problem: Problem, evals: int, initial: npt.ArrayLike | None = None) -> None:
        self.problem = problem
        self.evals = evals
        self.initial = _initial(problem, initial)
        self._row_of: dict[bytes, int] = {}
        self._X: list[IntArray] = []
        self._F: list[FloatArray] = []
        self._asked: set[bytes] = set()

    # --- asking ------------------------------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """How many more distinct sub-networks may be asked for."""
        return max(0, self.evals - len(self._asked))

    @property
    def seen(self) -> set[bytes]:
        """The keys of all that was asked for or observed."""
        return self._asked | self._row_of.keys()

    def take_initial(self) -> IntArray:
        """Return what is left of the initial vectors, marked as asked."""
        return self.ask(self.initial)

    def ask(self, X: IntArray) -> IntArray:
        """Return the rows of ``X`` that were neither asked for nor observed, up to the budget, marked as asked."""
        fresh = X[unseen_rows(X, self.seen)][: self.left]
        self.mark(fresh)
        return fresh

    def mark(self, X: IntArray) -> None:
        """Mark canonical vectors, ``(k, n_var)``, as asked."""
        self._asked.update(row_keys(X))

    def ask_random(self, n: int, rng: np.random.Generator) -> IntArray:
        """Ask for ``n`` random sub-networks, fewer where no more are left.

        Where there are constraints on known quantities they are drawn until they meet them; after so many draws, those
        that come nearest have to do.
        """
        n = min(n, self.left)
        if self.problem.violation is None:
            return self.ask(sample_unseen(self.problem.space, n, rng, self.seen))
        X = sample_unseen(self.problem.space, _DRAWS * n, rng, self.seen)
        return self.ask(X[np.argsort(self.problem.violations(X), kind="stable")[:n]])

    # --- observing ---------------------------------------------------------------------------------------------------

    def add(self, X: npt.ArrayLike, F: npt.ArrayLike) -> None:
        """Add observations; a row with a nan is one that failed (all nan), and a later one replaces an earlier one."""
        X = self.problem.space.canonical(np.asarray(X, dtype=np.int64).reshape(-1, self.problem.space.n_var))
        F = np.array(F, dtype=np.float64, ndmin=2).reshape(-1, self.problem.n_obj)
        if len(X) != len(F):
            raise ValueError(f"F: expected one row per row of X ({len(X)}), got {len(F)}")
        F[np.isnan(F).any(axis=1)] = np.nan
        for key, x, f in zip(row_keys(X), X, F, strict=True):
            row = self._row_of.setdefault(key, len(self._X))
            if row == len(self._X):
                self._X.append(x)
                self._F.append(f)
            else:
                self._F[row] = f

    def __len__(self) -> int:
        return len(self._X)

    @property
    def vectors(self) -> IntArray:
        """All that was observed, ``(n, n_var)``, in the order of the first observation."""
        return np.array(self._X, dtype=np.int64).reshape(-1, self.problem.space.n_var)

    @property
    def objectives(self) -> FloatArray:
        """Their objectives, ``(n, n_obj)``; failed rows are nan."""
        return np.array(self._F, dtype=np.float64).reshape(-1, self.problem.n_obj)

    @property
    def ok(self) -> BoolArray:
        """Which of them have values, ``(n,)``."""
        return np.asarray(np.isfinite(self.objectives).all(axis=1))

    def values(self, X: IntArray) -> FloatArray:
        """Return the objectives of ``X``, ``(k, n_obj)``: nan where nothing was observed."""
        nothing = np.full(self.problem.n_obj, np.nan)
        rows = (self._row_of.get(key) for key in row_keys(X))
        found = [nothing if row is None else self._F[row] for row in rows]
        return np.array(found).reshape(-1, self.problem.n_obj)


def restored(rng: np.random.Generator, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the state of a generator's bits, once a generator of its kind has taken it: it is whole."""
    bits = type(rng.bit_generator)()
    bits.state = state
    taken: Mapping[str, Any] = bits.state
    return taken


def _initial(problem: Problem, initial: npt.ArrayLike | None) -> IntArray:
    if initial is None:
        return np.zeros((0, problem.space.n_var), dtype=np.int64)
    given = np.asarray(initial)
    if given.ndim != 2 or (given.size and not np.issubdtype(given.dtype, np.integer)):
        raise UsageError(
            f"initial: expected vectors, (k, {problem.space.n_var}) integers, got {given.shape} {given.dtype}"
        )
    if not given.size:
        return np.zeros((0, problem.space.n_var), dtype=np.int64)
    return problem.space.canonical(given)
