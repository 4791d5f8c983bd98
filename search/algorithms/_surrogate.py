"""What a search knows of each objective: exact where it costs nothing, predicted from evaluations otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from hwnas.search.algorithm import Known, Problem
from hwnas.search.predictors import Predictor, fit
from hwnas.search.predictors._averaged import Averaged, n_parameters
from hwnas.search.predictors._blocks import SpaceFeatures
from hwnas.search.predictors._sources import Models, SourceFeatures
from hwnas.search.predictors.gp import GaussianProcess
from hwnas.search.sampling import row_keys, unseen_rows
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import FloatArray, IntArray

_FEATURES = ("hierarchical", "one-hot")
# Kernel parameters are searched for anew when the evaluations have grown by this much, and kept in between.
_GROWTH = 1.05
_FIRST_STEPS, _STEPS = 30, 10


class Surrogate:
    """One predictor per objective.

    Args:
        problem: whose objectives they are.
        kind: of the predictors; "gp" alone knows how sure it is.
        features: "hierarchical" or "one-hot".
        exact: use exact objectives where there are any, instead of predicting them too.
    """

    def __init__(self, problem: Problem, kind: str, features: str, exact: bool) -> None:
        if features not in _FEATURES:
            raise UsageError(f"features: unknown {features!r}{suggestion(features, _FEATURES)}")
        self._problem = problem
        self._kind = kind
        hierarchical = features == "hierarchical"
        self._features = SpaceFeatures(problem.space, hierarchical)
        self._sources = [
            None if prior is None else SourceFeatures(problem.space, prior, hierarchical=hierarchical, searching=True)
            for prior in problem.priors
        ]
        # Where there is a source prior, several models of the objective are averaged.
        self._models: list[Models] = [
            (self._features.blocks,) if sources is None else sources.models for sources in self._sources
        ]
        # The features of what other searches have evaluated, by objective.
        self._others = {
            column: self._input(column, one[0], self._features(one[0]))
            for column, one in enumerate(problem.evaluated)
            if one is not None
        }
        self._exact = problem.exact if exact else (None,) * problem.n_obj
        self._parameters: list[FloatArray | None] = [None] * problem.n_obj
        self._fitted_to = 0
        self._predictors: list[Predictor | None] = [None] * problem.n_obj
        # Asking computes with one thread (hwnas.search.threads), but what is only loaded meanwhile has as many as there
        # are: the first sums of a process would come out otherwise, and with them a study that is resumed.
        import_module("scipy.linalg")

    def expected(self) -> list[Known | None]:
        """Return what is known of each objective's values before anything is evaluated; ``None``: nothing is.

        Of latency sources know the order at best, not the values.
        """
        return [self._expected(column) for column in range(self._problem.n_obj)]

    def _expected(self, column: int) -> Known | None:
        evaluated = self._problem.evaluated[column]
        if self._exact[column] is not None or evaluated is None:
            return self._exact[column]
        predictor = self._fit_one(column, self._others[column], evaluated[1], renew=True)
        return lambda X: predictor.predict(self._input(column, X, self._features(X)))

    def fit(self, X: IntArray, F: FloatArray) -> None:
        """Learn all evaluations, ``(n, n_var)`` and ``(n, n_obj)``, none of them failed."""
        features = self._inputs(X)
        renew = len(X) >= _GROWTH * self._fitted_to
        if renew:
            self._fitted_to = len(X)
        for column in range(self._problem.n_obj):
            if self._exact[column] is None:
                known, values = self._with_other_searches(column, X, features[column], F[:, column])
                self._predictors[column] = self._fit_one(column, known, values, renew)

    def lower_bound(self, X: IntArray, kappa: float) -> FloatArray:
        """Return the lower confidence bound, ``(n, n_obj)``: the mean minus ``kappa`` standard deviations."""
        mean, deviation = self._predict(X, kappa != 0)
        return mean - kappa * deviation

    def posterior_mean(self, X: IntArray, F: FloatArray) -> FloatArray:
        """Return observed objectives, ``(n, n_obj)``; of noisy ones the posterior mean, others as they are."""
        result = F.copy()
        noisy = [column for column in range(self._problem.n_obj) if self._problem.noise_of(column)]
        if noisy:
            result[:, noisy] = self._predict(X, False)[0][:, noisy]
        return result

    def state(self) -> dict[str, Any]:
        """Return what the next fit starts from, as JSON values."""
        parameters = [None if one is None else one.tolist() for one in self._parameters]
        return {"parameters": parameters, "fitted_to": self._fitted_to}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Start the next fit from what ``state`` returned; what it raises of another one has changed nothing."""
        pairs = zip(state["parameters"], self._models, strict=True)
        parameters = [None if one is None else _parameters(one, models) for one, models in pairs]
        self._fitted_to, self._parameters = int(state["fitted_to"]), parameters

    def _with_other_searches(
        self, column: int, X: IntArray, features: FloatArray, y: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Add what other searches have evaluated of an objective, and this one has not, to features and values."""
        evaluated = self._problem.evaluated[column]
        if evaluated is None:
            return features, y
        new = unseen_rows(evaluated[0], set(row_keys(X)))
        return np.concatenate([features, self._others[column][new]]), np.concatenate([y, evaluated[1][new]])

    def _fit_one(self, column: int, features: FloatArray, y: FloatArray, renew: bool) -> Predictor:
        if self._kind != "gp":
            return fit(features, y, self._kind)
        relative = self._problem.noise_of(column)
        noise = None if relative is None else relative * float(np.abs(y).mean())
        start = self._parameters[column]
        steps = (_FIRST_STEPS if start is None else _STEPS) if renew else 0
        models = self._models[column]
        fitted: GaussianProcess | Averaged
        if self._sources[column] is None:
            fitted = GaussianProcess(features, y, models[0], noise, start, steps)
        else:
            # As they are, like latencies that start from nothing: the lower confidence bound of logarithms is another
            # one, with which fronts are found later (``docs/transfer.md``).
            fitted = Averaged(features, y, models, noise, start, steps, logarithms=False)
        self._parameters[column] = fitted.parameters
        return fitted

    def _inputs(self, X: IntArray) -> list[FloatArray]:
        """Return each objective's features; where it has source priors, what those say is in front of them."""
        features = self._features(X)
        return [self._input(column, X, features) for column in range(self._problem.n_obj)]

    def _input(self, column: int, X: IntArray, features: FloatArray) -> FloatArray:
        sources = self._sources[column]
        return features if sources is None else sources(X, features)

    def _predict(self, X: IntArray, uncertain: bool) -> tuple[FloatArray, FloatArray]:
        features = self._inputs(X)
        mean, deviation = np.empty((len(X), self._problem.n_obj)), np.zeros((len(X), self._problem.n_obj))
        for column, (exact, predictor) in enumerate(zip(self._exact, self._predictors, strict=True)):
            if exact is not None:
                mean[:, column] = exact(X)
            elif uncertain and isinstance(predictor, (GaussianProcess, Averaged)):
                mean[:, column], deviation[:, column] = predictor.predict(features[column], return_std=True)
            elif predictor is not None:
                mean[:, column] = predictor.predict(features[column])
        return mean, deviation


def _parameters(stored: Sequence[float], models: Models) -> FloatArray:
    """Return the parameters of all models' kernels as they were."""
    found = np.array(stored, dtype=np.float64)
    expected = (sum(n_parameters(models)),)
    if found.shape != expected or not np.isfinite(found).all():
        raise ValueError(f"parameters: expected {expected} finite numbers, got {stored!r}")
    return found
