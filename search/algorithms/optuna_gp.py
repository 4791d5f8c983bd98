"""Optuna's GPSampler: Gaussian processes and the expected hypervolume improvement, by Optuna 5.

Every choice is suggested in every trial, those too that the others leave without effect, which get the value that
canonical vectors have there: what is suggested in some trials only, GPSampler draws at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._model_based import ModelBased, renewed
from hwnas.search.algorithms._optuna import distribution, optuna_for, suggest
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.sampling import row_keys
from hwnas.supernets.space import FloatArray, IntArray

SUMMARY = "Optuna's GPSampler: Gaussian processes, log EHVI (an optional package); any number of objectives"
MAX_OBJECTIVES: int | None = None

# As Optuna's own loop: one at a time, after ten random ones. In a batch, those before are running trials, whose values
# the sampler draws: it thinks longer then about each.
DEFAULTS = {"batch": 1, "first": 10}


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a search by GPSampler; settings: ``batch`` (asked at a time), ``first`` (random ones before it learns)."""
    read = read_settings(name, settings, DEFAULTS)
    return ModelBased(problem, evals, rng, read, Sampler(problem, optuna_for(name)))


class Sampler:
    """Proposes what GPSampler suggests; trials that run are what is pending, and the batch so far."""

    def __init__(self, problem: Problem, optuna: Any) -> None:
        self._problem = problem
        self._optuna = optuna
        self._distributions = {
            str(column): distribution(optuna, choice) for column, choice in enumerate(problem.space.choices)
        }
        self._bounded = np.flatnonzero(np.isfinite(problem.limits))

    def propose(self, X: IntArray, F: FloatArray, pending: IntArray, n: int, rng: np.random.Generator) -> IntArray:
        """Return suggestions, mutated where they were evaluated before; see ``Proposer``."""
        study = self._study(X, F, pending, int(rng.integers(2**31)))
        taken, chosen = {*row_keys(X), *row_keys(pending)}, []
        for _ in range(n):
            trial = study.ask()
            suggested = [
                suggest(trial, str(column), choice) for column, choice in enumerate(self._problem.space.choices)
            ]
            # What is evaluated is the canonical vector, so that one is told to be running in place of the suggested.
            study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
            x = renewed(self._problem.space, self._problem.space.canonical([suggested]), taken, rng)
            taken.update(row_keys(x))
            study.add_trial(self._running(x[0]))
            chosen.append(x)
        return np.concatenate(chosen)

    def _study(self, X: IntArray, F: FloatArray, pending: IntArray, seed: int) -> Any:
        """Return a study of all evaluations, and a sampler that has seen nothing else.

        An objective that is the same for all is left out: with it no hypervolume is left to improve, and the sampler
        would draw at random.
        """
        sampler = self._optuna.samplers.GPSampler(seed=seed, n_startup_trials=2, warn_independent_sampling=False)
        varies = np.ptp(F, axis=0) > 0
        told = F[:, varies] if varies.any() else F
        study = self._optuna.create_study(directions=["minimize"] * told.shape[1], sampler=sampler)
        broken = self._constraints(X, F)
        study.add_trials(
            self._trial(x, values=f.tolist(), constraints=constraints)
            for x, f, constraints in zip(X, told, broken, strict=True)
        )
        study.add_trials(self._running(x) for x in pending)
        return study

    def _constraints(self, X: IntArray, F: FloatArray) -> list[dict[str, float] | None]:
        """Return by how much each breaks what constraints there are: above 0, it does."""
        columns = {self._problem.names[column]: F[:, column] - self._problem.limits[column] for column in self._bounded}
        if self._problem.violation is not None:
            columns["known"] = self._problem.violations(X)
        if not columns:
            return [None] * len(X)
        return [{name: float(values[row]) for name, values in columns.items()} for row in range(len(X))]

    def _running(self, x: IntArray) -> Any:
        return self._trial(x, state=self._optuna.trial.TrialState.RUNNING)

    def _trial(self, x: IntArray, **given: Any) -> Any:
        params = {str(column): int(value) for column, value in enumerate(x)}
        return self._optuna.trial.create_trial(params=params, distributions=self._distributions, **given)
