"""MOTPE (Ozaki et al., 2020), by Optuna: 24 candidates and a prior weight of 1, which are Optuna's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._inner import penalised
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.operators import reset
from hwnas.search.sampling import row_keys, unseen_rows
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "MOTPE: tree-structured Parzen estimators, by Optuna (an optional package); any number of objectives"
MAX_OBJECTIVES: int | None = None

DEFAULTS = {"batch": 4, "first": 10, "candidates": 24}

_RENEWALS = 8


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
        self._optuna = _optuna()
        self._study = self._optuna.create_study(
            directions=["minimize"] * problem.n_obj,
            sampler=self._optuna.samplers.TPESampler(
                n_startup_trials=int(settings["first"]),
                n_ei_candidates=int(settings["candidates"]),
                seed=int(rng.integers(2**31)),
            ),
        )
        self._pending: dict[bytes, Any] = {}

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
        F = penalised(self._observations.values(X), self._problem.limits, self._problem.violations(X))
        for key, x, f in zip(row_keys(X), X, F, strict=True):
            trial = self._pending.pop(key, None)
            if np.isnan(f).any():
                self._fail(trial)
            elif trial is not None:
                self._study.tell(trial, f.tolist())
            else:
                self._study.add_trial(self._trial(x, f))

    def _suggest(self) -> IntArray:
        """Ask for one vector: the choices that others depend on come first, then those that they leave active."""
        space = self._problem.space
        trial = self._study.ask()
        x = np.zeros(space.n_var, dtype=np.int64)
        for dependent in (False, True):
            active = space.active(x[None])[0]
            for column, choice in enumerate(space.choices):
                if active[column] and (choice.needs is not None) is dependent:
                    name, n = str(column), len(choice.values)
                    x[column] = (
                        trial.suggest_int(name, 0, n - 1) if choice.ordered
                        else trial.suggest_categorical(name, range(n))
                    )  # fmt: skip
        suggested = space.canonical(x[None])
        taken = self._observations.seen | self._pending.keys()
        x = self._renewed(suggested, taken)
        if (x == suggested[0]).all():
            self._pending[row_keys(x[None])[0]] = trial
        else:
            self._fail(trial)
        return x

    def _renewed(self, X: IntArray, taken: set[bytes]) -> IntArray:
        for _ in range(_RENEWALS):
            if len(unseen_rows(X, taken)):
                break
            X = self._problem.space.canonical(reset(self._problem.space, X, self._rng))
        return np.asarray(X[0], dtype=np.int64)

    def _trial(self, x: IntArray, f: FloatArray) -> Any:
        space = self._problem.space
        active = np.flatnonzero(space.active(x[None])[0])
        return self._optuna.trial.create_trial(
            values=f.tolist(),
            params={str(column): int(x[column]) for column in active},
            distributions={str(column): self._distribution(column) for column in active.tolist()},
        )

    def _distribution(self, column: int) -> Any:
        choice, kinds = self._problem.space.choices[column], self._optuna.distributions
        n = len(choice.values)
        return kinds.IntDistribution(0, n - 1) if choice.ordered else kinds.CategoricalDistribution(range(n))

    def _drop_pending(self) -> None:
        """What was asked for and never observed has failed, as far as the sampler is concerned."""
        for trial in self._pending.values():
            self._fail(trial)
        self._pending.clear()

    def _fail(self, trial: Any) -> None:
        if trial is not None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise UsageError(
            "algorithm 'motpe' needs Optuna, which is not installed: python -m pip install 'hwnas[motpe]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
