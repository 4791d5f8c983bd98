"""One predictor per objective, trained on what was observed, for algorithms that search on predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hwnas.search.algorithm import Known
from hwnas.search.algorithms._inner import Objectives
from hwnas.search.algorithms._observations import Observations
from hwnas.search.predictors import fit
from hwnas.supernets.space import FloatArray, IntArray


def trained(observations: Observations, kinds: Sequence[str], exact: Sequence[Known | None] = ()) -> Objectives:
    """Fit a predictor to each objective, and return the function that predicts all of them.

    Args:
        observations: at least one that has not failed; those that have are left out.
        kinds: of the predictors, as in ``hwnas.search.predictors``, one per objective.
        exact: what is known of each objective exactly, which is not predicted then; empty: nothing is of any.

    Returns:
        A function from vectors ``(n, n_var)`` to minimised objectives ``(n, n_obj)``.
    """
    space, ok = observations.problem.space, observations.ok
    features = space.one_hot(observations.vectors[ok])
    columns = zip(exact or (None,) * len(kinds), observations.objectives[ok].T, kinds, strict=True)
    objectives = [_objective(known, features, values, kind) for known, values, kind in columns]

    def predict(X: IntArray) -> FloatArray:
        features = space.one_hot(X)
        return np.stack([objective(X, features) for objective in objectives], axis=1)

    return predict


def _objective(
    known: Known | None, features: FloatArray, values: FloatArray, kind: str
) -> Callable[[IntArray, FloatArray], FloatArray]:
    """Return an objective as a function of vectors and their features."""
    if known is not None:
        return lambda X, _: known(X)
    predictor = fit(features, values, kind)
    return lambda _, features: predictor.predict(features)
