"""pymoo's evolutionary algorithms behind ask and tell, on canonical vectors.

What pymoo proposes is made canonical, and what was asked for or observed before is mutated until it is new: an
evaluation is never spent twice. Constraints and failed evaluations become pymoo's constraints; objectives are scaled by
the first population's range, since not all of pymoo's algorithms do so themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import LimitsBroken
from hwnas.search.algorithms._observations import Observations
from hwnas.search.algorithms._settings import choose
from hwnas.search.hypervolume import front_ranks
from hwnas.search.operators import CROSSOVERS, MUTATIONS, Crossover, Mutation, reset
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# The paper's Table 4, and what replaces its real-valued operators by default.
DEFAULTS: dict[str, Any] = {"population": 50, "mutation": "reset", "mutate": 0.0, "crossover": "uniform", "cross": 0.9}
PAPER: dict[str, Any] = {"population": 50, "mutation": "polynomial", "mutate": 0.02, "crossover": "sbx", "cross": 0.9}

_RENEWALS = 8
# The violation of a failed evaluation: more than that of any constraints.
_FAILED = 1e6

Make = Callable[..., Any]


class PymooSearch:
    """One of pymoo's algorithms.

    Args:
        name: for messages.
        problem: what is to be minimised.
        evals: the most distinct sub-networks to ask for.
        rng: the source of randomness.
        settings: as in ``DEFAULTS``.
        make: makes the algorithm from ``pop_size``, ``sampling``, ``crossover``, ``mutation`` and ``seed``.
        penalise: put violations into the objectives, for algorithms without constraints.
    """

    def __init__(
        self,
        name: str,
        problem: Problem,
        evals: int,
        rng: np.random.Generator,
        settings: dict[str, Any],
        make: Make,
        penalise: bool = False,
    ) -> None:
        self._problem = problem
        self._rng = rng
        self._observations = Observations(problem, evals, settings["initial"])
        self._population = int(settings["population"])
        self._make = make
        self._penalise = penalise
        self._mutation: tuple[Mutation, float] = (
            choose(name, "mutation", settings["mutation"], MUTATIONS),
            float(settings["mutate"]),
        )
        self._crossover: tuple[Crossover, float] = (
            choose(name, "crossover", settings["crossover"], CROSSOVERS),
            float(settings["cross"]),
        )
        self._algorithm: Any = None
        self._pending: Any = None
        self._scale: tuple[FloatArray, FloatArray] | None = None
        self._violation: LimitsBroken | None = None

    def ask(self) -> IntArray:
        """Return the next generation's sub-networks that were not asked before."""
        first = self._observations.take_initial()
        if len(first):
            return first
        for _ in range(_RENEWALS):
            if not self._observations.left or not self._fills_population():
                break
            self._advance()
            fresh = self._observations.ask(self._proposals())
            if len(fresh):
                return fresh
        return self._observations.ask_random(self._population, self._rng)

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Learn evaluations."""
        self._observations.add(X, F)

    def _advance(self) -> None:
        """Hand the last generation's values to pymoo, as far as they were observed."""
        if self._algorithm is None:
            self._algorithm = self._started()
        if self._pending is not None:
            self._evaluate(self._pending)
            self._algorithm.tell(infills=self._pending)
        self._pending = self._algorithm.ask()

    def _started(self) -> Any:
        algorithm = self._make(
            pop_size=self._population,
            sampling=self._first_population(),
            crossover=_crossover(self._problem.space, *self._crossover),
            mutation=_mutation(self._problem.space, *self._mutation),
            seed=int(self._rng.integers(2**31)),
        )
        return algorithm.setup(_problem(self._problem, self._penalise), termination=_endless())

    def _first_population(self) -> IntArray:
        """The best of what was observed already, filled up with random sub-networks."""
        X, F = self._observations.vectors[self._observations.ok], self._observations.objectives[self._observations.ok]
        best = X[np.argsort(front_ranks(F), kind="stable")[: self._population]]
        fill = sample_unseen(self._problem.space, self._population - len(best), self._rng, self._observations.seen)
        return np.concatenate([best, fill])

    def _fills_population(self) -> bool:
        """Whether there are enough sub-networks for a first population; with fewer, C-TAEA never returns."""
        unobserved = self._problem.space.distinct_size - len(self._observations)
        usable = int(self._observations.ok.sum()) + unobserved
        return self._algorithm is not None or usable >= 2 * self._population

    def _proposals(self) -> IntArray:
        """What pymoo proposes: canonical, and new as far as mutating makes it so."""
        if self._pending is None or not len(self._pending):
            return np.zeros((0, self._problem.space.n_var), dtype=np.int64)
        space = self._problem.space
        X = space.canonical(np.asarray(self._pending.get("X"), dtype=np.int64))
        if self._algorithm.is_initialized:  # the first population may hold what was observed
            X = self._renewed(X)
        self._pending.set("X", X)
        return X

    def _renewed(self, X: IntArray) -> IntArray:
        space, seen = self._problem.space, self._observations.seen
        for _ in range(_RENEWALS):
            old = np.setdiff1d(np.arange(len(X)), unseen_rows(X, seen))
            if not len(old):
                break
            X[old] = space.canonical(reset(space, X[old], self._rng))
        return X

    def _evaluate(self, population: Any) -> None:
        X = np.asarray(population.get("X"), dtype=np.int64)
        F = self._observations.values(X)
        failed = np.asarray(np.isnan(F).any(axis=1))
        if self._scale is None and not failed.all():
            low, high = np.nanmin(F, axis=0), np.nanmax(F, axis=0)
            self._scale = (low, np.where(high > low, high - low, 1.0))
            self._violation = LimitsBroken.of(self._problem, F[~failed])
        low, span = self._scale if self._scale is not None else (np.zeros(F.shape[1]), np.ones(F.shape[1]))
        over = np.zeros(len(X)) if self._violation is None else self._violation(X, F)
        # However much constraints are broken, less than a failure counts.
        violation = np.where(failed, _FAILED, _FAILED * (over / (1 + over)))
        scaled = np.where(failed[:, None], _FAILED, (F - low) / span)
        if self._penalise:
            population.set("F", np.where(violation[:, None] > 0, _FAILED * (1 + violation[:, None]), scaled))
        else:
            population.set("F", scaled, "G", violation[:, None])


def directions(n_obj: int, n: int) -> FloatArray:
    """Return reference directions of least Riesz s-energy, ``(n, n_obj)``: evenly spaced ones for two objectives."""
    if n_obj == 1:
        return np.ones((1, 1))
    if n_obj == 2:
        first = np.linspace(0.0, 1.0, n)
        return np.stack([first, 1.0 - first], axis=1)
    return _energy_directions(n_obj, n)


@functools.cache
def _energy_directions(n_obj: int, n: int) -> FloatArray:
    from pymoo.util.ref_dirs import get_reference_directions

    return np.asarray(get_reference_directions("energy", n_obj, n, seed=1))


def _problem(problem: Problem, penalise: bool) -> Any:
    from pymoo.core.problem import Problem as PymooProblem

    constraints = 0 if penalise else 1
    space = problem.space
    return PymooProblem(
        n_var=space.n_var,
        n_obj=problem.n_obj,
        n_ieq_constr=constraints,
        xl=np.zeros(space.n_var, dtype=np.int64),
        xu=space.n_options - 1,
        vtype=int,
    )


def _endless() -> Any:
    from pymoo.core.termination import NoTermination

    return NoTermination()


def _crossover(space: SearchSpace, cross: Crossover, probability: float) -> Any:
    from pymoo.core.crossover import Crossover as PymooCrossover

    class Adapter(PymooCrossover):  # type: ignore[misc]
        def _do(
            self, _problem: Any, X: IntArray, *_args: Any, random_state: np.random.Generator, **_kw: Any
        ) -> IntArray:
            return np.stack([cross(space, X[0], X[1], random_state), cross(space, X[1], X[0], random_state)])

    return Adapter(2, 2, prob=probability)


def _mutation(space: SearchSpace, mutate: Mutation, probability: float) -> Any:
    from pymoo.core.mutation import Mutation as PymooMutation

    class Adapter(PymooMutation):  # type: ignore[misc]
        def _do(
            self, _problem: Any, X: IntArray, *_args: Any, random_state: np.random.Generator, **_kw: Any
        ) -> IntArray:
            return mutate(space, np.asarray(X, dtype=np.int64), random_state, probability)

    return Adapter()
