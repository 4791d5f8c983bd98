"""qLogNEHVI (Daulton et al., 2021; Ament et al., 2023), by BoTorch, over a space of choices.

One ``SingleTaskGP`` with BoTorch's own priors per objective; the acquisition has 128 quasi-Monte Carlo samples, and a
batch is chosen one by one, those before it pending. What maximises the acquisition is looked for among canonical
vectors: random ones and mutants of the front, and from the best of them by steps of one choice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms._inner import LimitsBroken, constrained_ranks, ranges
from hwnas.search.algorithms._local_search import climb
from hwnas.search.algorithms._model_based import ModelBased
from hwnas.search.algorithms._optional import optional
from hwnas.search.algorithms._settings import read_settings
from hwnas.search.operators import reset
from hwnas.search.sampling import row_keys, sample_unseen
from hwnas.supernets.space import BoolArray, FloatArray, IntArray, SearchSpace

SUMMARY = "qLogNEHVI: Gaussian processes, noisy expected hypervolume improvement, by BoTorch (an optional package)"
# Its partition of the dominated space grows beyond use with more.
MIN_OBJECTIVES = 2
MAX_OBJECTIVES: int | None = 4

DEFAULTS = {
    "batch": 4,  # asked at a time
    "first": 12,  # random ones before the first model
    "samples": 128,  # quasi-Monte Carlo samples of the acquisition
    "candidates": 256,  # what it is evaluated on first: half random, half mutants of the front
    "starts": 2,  # the best of them, from each of which a local search sets out
}

# How far beyond the worst values hypervolume is measured from, relative to their range.
_MARGIN = 0.01
# The variance of what has no noise, in units of an objective's variance: none would make matrices singular.
_EXACT = 1e-6

# Vectors that the acquisition is evaluated on at a time: each makes a matrix of all that was evaluated.
_CHUNK = 256


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a search by qLogNEHVI; settings: ``DEFAULTS``."""
    read = read_settings(name, settings, DEFAULTS)
    return ModelBased(problem, evals, rng, read, Acquisition(problem, read))


class Acquisition:
    """Proposes what maximises qLogNEHVI."""

    def __init__(self, problem: Problem, settings: Mapping[str, Any]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            optional("qlognehvi", "botorch", "BoTorch", "botorch")
        self._problem = problem
        self._settings = settings

    def propose(self, X: IntArray, F: FloatArray, pending: IntArray, n: int, rng: np.random.Generator) -> IntArray:
        """Return the best that a local search finds, one by one; see ``Proposer``."""
        import torch

        space, within = self._problem.space, self._problem.violations(X) == 0
        taken, chosen = {*row_keys(X), *row_keys(pending)}, pending
        with _seeded(int(rng.integers(2**31))):
            acquisition = self._acquisition(X, F, within)

            def score(candidates: IntArray) -> FloatArray:
                parts = [_features(space, candidates[row : row + _CHUNK]) for row in range(0, len(candidates), _CHUNK)]
                with torch.no_grad():
                    found = torch.cat([acquisition(torch.as_tensor(part[:, None])) for part in parts]).numpy()
                return np.where(self._problem.violations(candidates) == 0, found, -np.inf)

            for _ in range(n):
                acquisition.set_X_pending(torch.as_tensor(_features(space, chosen)) if len(chosen) else None)
                best = climb(space, score, self._candidates(X, F, rng), taken, int(self._settings["starts"]))
                taken.update(row_keys(best))
                chosen = np.concatenate([chosen, best])
        return chosen[len(pending) :]

    def _acquisition(self, X: IntArray, F: FloatArray, within: BoolArray) -> Any:
        """Return qLogNEHVI, of standardised objectives that are maximised."""
        import torch
        from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
        from botorch.sampling.normal import SobolQMCNormalSampler

        mean, spread = F.mean(axis=0), F.std(axis=0)
        scale = np.where(spread > 1e-12 * np.abs(F).max(axis=0), spread, ranges(F))
        worst = np.minimum(F.max(axis=0) + _MARGIN * ranges(F), self._problem.limits)
        features = torch.as_tensor(_features(self._problem.space, X))
        return qLogNoisyExpectedHypervolumeImprovement(
            model=self._fitted(features, torch.as_tensor((mean - F) / scale), np.abs(mean) / scale),
            ref_point=((mean - worst) / scale).tolist(),
            X_baseline=features[torch.as_tensor(within)] if within.any() else features,
            sampler=SobolQMCNormalSampler(torch.Size([int(self._settings["samples"])]), seed=0),
            constraints=self._constraints(mean, scale),
            prune_baseline=True,
        )

    def _fitted(self, features: Any, Y: Any, size: FloatArray) -> Any:
        """Return a process per objective; the noise is told where it is known, ``size`` times its relative one."""
        import torch
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from gpytorch.mlls import SumMarginalLogLikelihood

        processes = []
        for column in range(self._problem.n_obj):
            noise = self._problem.noise_of(column)
            variance = None if noise is None else max(float(noise * size[column]) ** 2, _EXACT)
            y = Y[:, [column]]
            told = None if variance is None else torch.full_like(y, variance)
            processes.append(SingleTaskGP(features, y, told, outcome_transform=None))
        model = ModelListGP(*processes)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        return model

    def _constraints(self, mean: FloatArray, scale: FloatArray) -> list[Callable[[Any], Any]] | None:
        """Return what is at most 0 where an objective keeps its limit, of samples ``(..., n_obj)``."""
        least = (mean - self._problem.limits) / scale
        bounded = np.flatnonzero(np.isfinite(least)).tolist()

        def breaks(column: int) -> Callable[[Any], Any]:
            return lambda Z: float(least[column]) - Z[..., column]

        return [breaks(column) for column in bounded] or None

    def _candidates(self, X: IntArray, F: FloatArray, rng: np.random.Generator) -> IntArray:
        """Return random vectors and mutants of the front, ``(candidates, n_var)``."""
        space, half = self._problem.space, int(self._settings["candidates"]) // 2
        front = X[constrained_ranks(F, LimitsBroken.of(self._problem, F)(X, F)) == 0]
        mutants = space.canonical(reset(space, front[rng.integers(0, len(front), size=half)], rng))
        return np.concatenate([sample_unseen(space, half, rng), mutants])


def _features(space: SearchSpace, X: IntArray) -> FloatArray:
    """Return ordered choices as numbers from 0 to 1, and one column per option of the others, ``(n, d)``."""
    scaled = X[:, space.ordered] / np.maximum(space.n_options[space.ordered] - 1, 1)
    labels = [X[:, [column]] == np.arange(space.n_options[column]) for column in np.flatnonzero(~space.ordered)]
    return np.concatenate([scaled, *labels], axis=1).astype(np.float64)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Let torch draw from a seed of its own, and BoTorch keep to itself what it thinks of the data."""
    import torch

    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        yield
