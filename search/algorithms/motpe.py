"""MOTPE (Ozaki et al., 2020), by Optuna: 24 candidates and a prior weight of 1, which are Optuna's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._inner import LimitsBroken
from hwnas.search.algorithms._model_based import renewed
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._optuna import distribution, optuna_for, suggest
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.sampling import row_keys, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "MOTPE: tree-structured Parzen estimators, by Optuna (an optional package); any number of objectives"
MAX_OBJECTIVES: int | None = None

# What Optuna calls all constraints together: it adds up by how much each is broken, as is done here.
_CONSTRAINTS = "all"

DEFAULTS = {"batch": 4, "first": 10, "candidates": 24}


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a MOTPE search.

    Settings: ``batch`` (asked at a time), ``first`` (random ones before it learns), ``candidates`` (per choice).
    """
    return ParzenSearch(problem, evals, rng, read_settings(name, settings, DEFAULTS))


class ParzenSearch:
    """Optuna's sampler behind ask and tell, on canonical vectors; only choices that matter are suggested."""

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._batch = int(settings["batch"])
        self._optuna = optuna_for("motpe")
        self._study = self._optuna.create_study(
            directions=["minimize"] * problem.n_obj,
            sampler=self._optuna.samplers.TPESampler(
                n_startup_trials=int(settings["first"]),
                n_ei_candidates=int(settings["candidates"]),
                seed=int(rng.integers(2**31)),
            ),
        )
        self._pending: dict[bytes, Any] = {}
        # Made of the first observations: Optuna takes by how much a trial breaks constraints once.
        self._violation: LimitsBroken | None = None

    def ask(self) -> IntArray:
        """Return the sampler's next suggestions, mutated where they were asked before."""
        first = self._observations.take_initial()
        if len(first):
            return first
        self._drop_pending()
        size = min(self._batch, self._observations.left)
        rows = [self._suggest() for _ in range(size)]
        X = self._observations.ask(np.array(rows, dtype=np.int64).reshape(-1, self._problem.space.n_var))
        return X if len(X) else self._observations.ask_random(size, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations, those too that the sampler did not suggest; Optuna takes the values of a trial once."""
        X = self._problem.space.canonical(np.asarray(X, dtype=np.int64).reshape(-1, self._problem.space.n_var))
        before = set(row_keys(self._observations.vectors))
        self._observations.add(X, F)
        X = X[unseen_rows(X, before)]
        F = self._observations.values(X)
        for key, x, f, over in zip(row_keys(X), X, F, self._over(X, F).tolist(), strict=True):
            trial = self._pending.pop(key, None)
            if np.isnan(f).any():
                self._fail(trial)
            elif trial is not None:
                if over > 0:
                    trial.set_constraint(_CONSTRAINTS, over)
                self._study.tell(trial, f.tolist())
            else:
                self._study.add_trial(self._trial(x, f, over))

    def _over(self, X: IntArray, F: FloatArray) -> FloatArray:
        """Return by how much each breaks constraints, ``(n,)``; of what failed, a nan or 0."""
        if self._violation is None:
            ok = self._observations.ok
            if not ok.any():
                return np.zeros(len(X))
            self._violation = LimitsBroken.of(self._problem, self._observations.objectives[ok])
        return self._violation(X, F)

    def _suggest(self) -> IntArray:
        """Ask for one vector: the choices that others depend on come first, then those that they leave active."""
        space = self._problem.space
        trial = self._study.ask()
        x = np.zeros(space.n_var, dtype=np.int64)
        for dependent in (False, True):
            active = space.active(x[None])[0]
            for column, choice in enumerate(space.choices):
                if active[column] and (choice.needs is not None) is dependent:
                    x[column] = suggest(trial, str(column), choice)
        suggested = space.canonical(x[None])
        taken = self._observations.seen | self._pending.keys()
        new = renewed(space, suggested, taken, self._rng)
        if (new == suggested).all():
            self._pending[row_keys(new)[0]] = trial
        else:
            self._fail(trial)
        return np.asarray(new[0])

    def _trial(self, x: IntArray, f: FloatArray, over: float) -> Any:
        space = self._problem.space
        active = np.flatnonzero(space.active(x[None])[0])
        return self._optuna.trial.create_trial(
            values=f.tolist(),
            params={str(column): int(x[column]) for column in active},
            distributions={
                str(column): distribution(self._optuna, space.choices[column]) for column in active.tolist()
            },
            constraints={_CONSTRAINTS: over} if over > 0 else None,
        )

    def _drop_pending(self) -> None:
        """What was asked for and never observed has failed, as far as the sampler is concerned."""
        for trial in self._pending.values():
            self._fail(trial)
        self._pending.clear()

    def _fail(self, trial: Any) -> None:
        if trial is not None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
