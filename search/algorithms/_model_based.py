"""Searches whose model and acquisition are a library's: a random first population, then small batches of proposals.

What a library has to offer is a ``Proposer``. Everything else is the same for all of them, and is here: the budget,
initial vectors, evaluations that failed, what is pending, and the state. A proposer is given all evaluations each time
and keeps nothing in between, so that a search follows from them and from its generator alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._observations import Observations, restored
from hwnas.search.operators import reset
from hwnas.search.sampling import unseen_rows
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# What a state means, and what follows from it. 1: first form.
_STATE = 1
# How often a proposal that was asked for before is mutated until it is new.
_RENEWALS = 8


class Proposer(Protocol):
    """A model of all objectives and an acquisition: says what to evaluate next."""

    def propose(self, X: IntArray, F: FloatArray, pending: IntArray, n: int, rng: np.random.Generator) -> IntArray:
        """Return up to ``n`` canonical vectors, distinct and none of those given, ``(k <= n, n_var)``.

        Args:
            X: all that was evaluated, ``(m, n_var)``, at least two rows.
            F: their minimised objectives, ``(m, n_obj)``, finite.
            pending: what is being evaluated, ``(p, n_var)``.
            n: how many, at least one.
            rng: the only source of randomness.
        """
        ...


class ModelBased:
    """A search by a ``Proposer``.

    Args:
        problem: what is to be minimised.
        evals: the most distinct sub-networks to ask for.
        rng: the source of randomness.
        settings: ``first`` (random ones before the first model), ``batch`` (asked at a time), ``initial``.
        proposer: see there.
    """

    def __init__(
        self, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any], proposer: Proposer
    ) -> None:
        self._problem = problem
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._first, self._batch = int(settings["first"]), int(settings["batch"])
        self._proposer = proposer
        self._began = False

    def ask(self, pending: IntArray | None = None) -> IntArray:
        """Return the initial vectors, then the first population, then batches; ``pending`` is still being evaluated."""
        pending = np.zeros((0, self._problem.space.n_var), dtype=np.int64) if pending is None else pending
        asked = self._observations.take_initial()
        if len(asked) or not self._observations.left:
            return asked
        ok = self._observations.ok
        if not self._began:
            self._began = True
            asked = self._observations.ask_random(max(0, self._first - int(ok.sum())), self._rng)
        if not len(asked) and ok.sum() < 2:
            return pending[:0] if len(pending) else self._observations.ask_random(self._batch, self._rng)
        return asked if len(asked) else self._proposed(pending)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations."""
        self._observations.add(X, F)

    def _proposed(self, pending: IntArray) -> IntArray:
        ok, n = self._observations.ok, min(self._batch, self._observations.left)
        X, F = self._observations.vectors[ok], self._observations.objectives[ok]
        batch = self._observations.ask(self._new(self._proposer.propose(X, F, pending, n, self._rng)))
        return batch if len(batch) else self._observations.ask_random(n, self._rng)

    def _new(self, X: IntArray) -> IntArray:
        """Return proposals, those mutated that were asked for before, whose evaluation failed for instance."""
        space, taken = self._problem.space, self._observations.seen
        return np.concatenate([X[:0], *(renewed(space, x[None], taken, self._rng) for x in X)])

    def state(self) -> dict[str, Any]:
        """Return what the next batch follows from; see ``hwnas.search.algorithm.Restorable``."""
        return {"version": _STATE, "rng": self._rng.bit_generator.state, "began": self._began}

    def restore(self, state: Mapping[str, Any], asked: IntArray) -> None:
        """Go on from a state; see ``hwnas.search.algorithm.Restorable``."""
        if state["version"] != _STATE:
            raise ValueError(f"version: expected {_STATE}, got {state['version']!r}")
        began, bits = bool(state["began"]), restored(self._rng, state["rng"])
        # Nothing below fails.
        self._rng.bit_generator.state = bits
        self._began = began
        self._observations.mark(asked)


def renewed(space: SearchSpace, x: IntArray, taken: set[bytes], rng: np.random.Generator) -> IntArray:
    """Return a canonical vector, ``(1, n_var)``, mutated until it is none of ``taken``, for some tries."""
    for _ in range(_RENEWALS):
        if len(unseen_rows(x, taken)):
            break
        x = space.canonical(reset(space, x, rng))
    return x
