"""LINAS in its best form: believe the predictor as far as it knows, and evaluate where that is most useful.

Each choice is explained, with what it is worth, in ``docs/search.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import Variation, best_first, evolve, penalised
from hwnas.search.algorithms._surrogate import Surrogate
from hwnas.search.algorithms._told import Observations, restored
from hwnas.search.hypervolume import free_boxes, improvements, non_dominated
from hwnas.search.operators import CROSSOVERS, MUTATIONS, reset
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

DEFAULTS: dict[str, Any] = {
    "design": "spread",
    "first": 12,
    "batch": 4,
    "predictor": "gp",
    "features": "hierarchical",
    "kappa": 1.0,
    "exact": True,
    "selection": "improvement",
    "inner_evals": 8000,
    "population": 100,
    "cross": 0.15,
}

# What a state means, and what follows from it; with another number it is not restored, but everything asked for again.
# 1: first form.
_STATE = 1
# Of the inner search's candidates, those that are looked at again when a batch is chosen.
_SHORTLIST = 400
# A batch has at least one sub-network for so many evaluations.
_PER_BATCH = 50
# Sub-networks that are drawn for one of the initial design, where there are constraints on what is known of them.
_DRAWS = 20
# How far beyond the worst values hypervolume is measured from, relative to their range.
_MARGIN = 0.01


class DefaultLinas:
    """Fits a Gaussian process to all evaluations, and asks for what would add most to the hypervolume if all went well.

    Args:
        problem: what is to be minimised.
        evals: the most distinct sub-networks to ask for.
        rng: the source of randomness.
        settings: as in ``DEFAULTS``.
    """

    def __init__(self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> None:
        self._problem = problem
        self._space = problem.space
        self._rng = rng
        self._told = Observations(problem, evals, settings["initial"])
        self._settings = settings
        self._surrogate = Surrogate(problem, settings["predictor"], settings["features"], settings["exact"])
        self._variation = Variation(CROSSOVERS["uniform"], float(settings["cross"]), MUTATIONS["reset"], 0.0)
        self._designed = False
        self._kept = np.zeros((0, self._space.n_var), dtype=np.int64)

    def ask(self, pending: IntArray | None = None) -> IntArray:
        """Return the next batch; at first the initial vectors, then the initial design.

        Args:
            pending: what is under way, ``(k, n_var)``; the batch is chosen as if it had turned out as hoped.
        """
        pending = np.zeros((0, self._space.n_var), dtype=np.int64) if pending is None else pending
        first = self._told.take_initial()
        if len(first):
            return first
        if not self._designed:
            self._designed = True
            design = self._told.ask(self._design())
            if len(design):
                return design
        if self._told.ok.sum() < 2:
            if len(pending):
                return pending[:0]  # a guess would be a waste: the design that is under way tells where to look
            return self._told.ask_random(int(self._settings["batch"]), self._rng)
        self._surrogate.fit(self._told.vectors[self._told.ok], self._told.objectives[self._told.ok])
        batch = self._told.ask(self._batch(pending))
        return batch if len(batch) else self._told.ask_random(int(self._settings["batch"]), self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations."""
        self._told.add(X, F)

    # --- going on from a state ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what the next batch follows from; see ``hwnas.search.algorithm.Restorable``."""
        return {
            "version": _STATE,
            "rng": self._rng.bit_generator.state,
            "designed": self._designed,
            "kept": self._kept.tolist(),
            "surrogate": self._surrogate.state(),
        }

    def restore(self, state: Mapping[str, Any], asked: IntArray) -> None:
        """Go on from a state; see ``hwnas.search.algorithm.Restorable``."""
        if state["version"] != _STATE:
            raise ValueError(f"version: expected {_STATE}, got {state['version']!r}")
        designed = bool(state["designed"])
        kept = self._space.canonical(np.asarray(state["kept"], dtype=np.int64).reshape(-1, self._space.n_var))
        bits = restored(self._rng, state["rng"])
        self._surrogate.restore(state["surrogate"])
        # Nothing below fails.
        self._rng.bit_generator.state = bits
        self._designed, self._kept = designed, kept
        self._told.mark(asked)

    # --- the initial design ------------------------------------------------------------------------------------------

    def _design(self) -> IntArray:
        """Sub-networks from the smallest to the largest; fewer where evaluations are known already."""
        n = max(0, int(self._settings["first"]) - int(self._told.ok.sum()))
        if self._settings["design"] != "spread":
            return sample_unseen(self._space, n, self._rng, self._told.seen)
        if self._problem.violation is None:
            return spread(self._space, n, self._rng)
        X = spread(self._space, _DRAWS * n, self._rng)
        violation = self._problem.violations(X)
        # From the smallest to the largest of those that meet the constraints, or that come nearest to it.
        within = np.sort(np.argsort(violation, kind="stable")[: max(n, int((violation == 0).sum()))])
        return X[within[np.linspace(0, len(within) - 1, n).round().astype(np.int64)]]

    # --- a batch -----------------------------------------------------------------------------------------------------

    def _batch(self, pending: IntArray) -> IntArray:
        """Choose sub-networks one by one, each as if those before it, and ``pending``, had turned out as hoped."""
        X, F = self._candidates()
        # The more is known, the less one evaluation more changes what to ask next.
        size = min(max(int(self._settings["batch"]), len(self._told) // _PER_BATCH), self._told.left)
        if self._settings["selection"] == "rank":
            return X[best_first(F)[:size]]
        front, reference = self._front(pending), self._reference()
        chosen: list[int] = []
        listed = np.arange(len(X))
        while len(chosen) < size and len(listed):
            gain = improvements(F[listed], free_boxes(front, reference))
            if gain.max() <= 0:
                listed = np.setdiff1d(listed, chosen)
                chosen.extend(listed[best_first(F[listed])[: size - len(chosen)]].tolist())
                break
            listed = listed[np.argsort(-gain, kind="stable")[:_SHORTLIST]] if not chosen else listed
            best = int(listed[0] if not chosen else listed[gain.argmax()])
            chosen.append(best)
            front = np.concatenate([front, F[[best]]])
            front = front[non_dominated(front)]
        return X[chosen]

    def _candidates(self) -> tuple[IntArray, FloatArray]:
        """Run the inner search from the front and from what the last one ended with."""
        kappa, limits = float(self._settings["kappa"]), self._problem.limits

        def lower_bound(X: IntArray) -> FloatArray:
            return penalised(self._surrogate.lower_bound(X, kappa), limits, self._problem.violations(X))

        X, F = evolve(
            self._space, lower_bound, self._start(), int(self._settings["inner_evals"]), self._rng, self._variation
        )
        new = unseen_rows(X, self._told.seen)
        X, F = X[new], F[new]
        order = best_first(F)[: 4 * int(self._settings["population"])]
        self._kept = X[order[: int(self._settings["population"]) // 2]]
        return X[order], F[order]

    def _start(self) -> IntArray:
        size = int(self._settings["population"])
        X, F = self._told.vectors[self._told.ok], self._told.objectives[self._told.ok]
        broken = self._problem.violations(X)
        best = X[best_first(penalised(F, self._problem.limits, broken))[: max(1, size // 2)]]
        parents = np.concatenate([best, self._kept])[:size]
        mutants = parents[self._rng.integers(0, len(parents), size=size - len(parents))]
        return np.concatenate([parents, self._space.canonical(reset(self._space, mutants, self._rng))])

    def _front(self, pending: IntArray) -> FloatArray:
        """The values of the best sub-networks: as told, or as the predictor sees them where telling is noisy.

        Those of ``pending`` are fantasies: what is hoped of them.
        """
        X, F = self._told.vectors[self._told.ok], self._told.objectives[self._told.ok]
        F = self._surrogate.posterior_mean(X, F)
        if len(pending):
            fantasies = self._surrogate.lower_bound(pending, float(self._settings["kappa"]))
            X, F = np.concatenate([X, pending]), np.concatenate([F, fantasies])
        F = F[(self._problem.limits >= F).all(axis=1) & (self._problem.violations(X) == 0)]
        front: FloatArray = F[non_dominated(F)]
        return front

    def _reference(self) -> FloatArray:
        """A little beyond the worst values seen, so that the front's ends count; the limits where they are tighter."""
        F = self._told.objectives[self._told.ok]
        worst = F.max(axis=0) + _MARGIN * np.ptp(F, axis=0)
        return np.asarray(np.minimum(worst, self._problem.limits), dtype=np.float64)


def spread(space: SearchSpace, n: int, rng: np.random.Generator) -> IntArray:
    """Draw sub-networks spread from the smallest to the largest, canonical and distinct, ``(k <= n, n_var)``.

    The levels go from 0 to 1; each choice of a sub-network is binomial with the level as its mean, so sub-networks of
    every size come up, which uniform sampling never does: the mean of 45 choices is always in the middle.
    """
    levels = np.linspace(0.0, 1.0, n) if n > 1 else np.full(n, 0.5)
    X = space.canonical(rng.binomial(space.n_options - 1, levels[:, None], size=(n, space.n_var)))
    return X[unseen_rows(X, ())]
