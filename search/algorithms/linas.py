"""LINAS: evaluate few sub-networks, predict many.

::

    import numpy as np

    from hwnas import supernet
    from hwnas.search import algorithms
    from hwnas.search.algorithm import Problem

    net = supernet("ofa-mbv3-w1.2")
    problem = Problem(net.space, ("macs", "-params"))  # both are minimised: many parameters for few MACs
    algorithm = algorithms.create("linas", problem, evals=20, rng=np.random.default_rng(0))
    while len(X := algorithm.ask()):  # (k, n_var) vectors; no rows: all 20 evaluations are done
        F = np.column_stack([net.macs(X), -net.params(X)])
        algorithm.tell(X, F)
        print(f"evaluated {len(X)} sub-networks, from {F[:, 0].min() / 1e6:.0f} to {F[:, 0].max() / 1e6:.0f} M MACs")

prints ::

    evaluated 12 sub-networks, from 193 to 843 M MACs
    evaluated 4 sub-networks, from 313 to 672 M MACs
    evaluated 4 sub-networks, from 236 to 676 M MACs

Algorithm 1 of the paper (Cummings et al., arXiv 2205.10358) repeats four steps, which are numbered beside the lines
below:

1. Evaluate a population of sub-networks, and add it to all evaluations.
2. Fit a predictor per objective to all evaluations.
3. Run an evolutionary algorithm on the predictors: the inner search.
4. The best of what it looked at, that was not evaluated yet, is the next population.

``preset=paper`` does exactly that (``_published.py``). The default, in this file, keeps the steps and differs in each
of them; ``docs/search.md`` says what each difference is worth, measured one by one:

- Step 1: the first population has sub-networks of most parameters for their cost, from the cheapest to the most
  expensive (``_design.py``), where the paper draws uniformly at random, because a front has ends and its networks make
  the most of their cost. A population has a dozen sub-networks at first and four later, where the paper's has fifty,
  because the predictor learns from every evaluation.
- Step 2: the predictor is a Gaussian process, where the paper has ridge regression and support vectors, because a few
  dozen evaluations leave much unknown, and it knows how much. What is known exactly is not predicted.
- Step 3: the inner search minimises the lower confidence bound, the mean minus ``kappa`` standard deviations (GP-LCB;
  Srinivas et al., arXiv 0912.3995), where the paper minimises the mean, so that evaluations also go where they teach
  something. It starts from the front, where the paper's starts at random.
- Step 4: the acquisition is the hypervolume improvement of the lower confidence bound, as in SMS-EGO (Ponweiser et al.,
  2008), where the paper takes the front of the predictions. A batch is chosen one by one with fantasies: each chosen
  sub-network counts as if its evaluation had given its lower confidence bound, as a kriging believer does with the mean
  (Ginsbourger et al., 2010). So a batch spreads along the front by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.search.algorithms import _published
from hwnas.search.algorithms._design import expected, largest, sized
from hwnas.search.algorithms._inner import LimitsBroken, Variation, best_first, evolve, ranges
from hwnas.search.algorithms._observations import Observations, restored
from hwnas.search.algorithms._settings import choose, read_settings
from hwnas.search.algorithms._surrogate import Surrogate
from hwnas.search.hypervolume import free_boxes, hypervolume, improvements, non_dominated
from hwnas.search.operators import CROSSOVERS, MUTATIONS, reset
from hwnas.search.sampling import sample_unseen, unseen_rows
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import BoolArray, FloatArray, IntArray

SUMMARY = "LINAS: measures few sub-networks, predicts many; any number of objectives"
MAX_OBJECTIVES: int | None = None
USES_PRIORS = True

DEFAULTS: dict[str, Any] = {
    # The first population: "largest", of most parameters for what they cost, "spread" from the smallest network to the
    # largest, or "random".
    "design": "largest",
    "first": 12,  # its size; one batch where other searches' accuracies say where to look
    "batch": 4,  # the size of those after it
    "predictor": "gp",  # as in hwnas.search.predictors
    "features": "hierarchical",  # what it sees of a sub-network: that, or "one-hot"
    "kappa": 1.0,  # the standard deviations between the mean and the lower confidence bound
    "exact": True,  # do not predict what is known exactly
    # Batches cover the front where hypervolume grew by less than this share over the last 20 evaluations; 0: never.
    "stagnation": 0.005,
    "selection": "improvement",  # the acquisition: hypervolume improvement, or "rank": front and crowding distance
    "inner_evals": 8000,  # predictions of an inner search
    "population": 100,  # of the inner search
    "cross": 0.15,  # its probability of crossing two parents
}

_DESIGNS = {"largest": largest, "spread": sized, "random": None}
_SELECTIONS = {"improvement": True, "rank": False}
# What a state means, and what follows from it; with another number it is not restored, but everything asked for again.
# 1: first form.
_STATE = 1
# Children of the inner search's generations, for one of its population: larger generations take less time.
_OFFSPRING = 4
# Of the inner search's candidates, those that are looked at again when a batch is chosen.
_SHORTLIST = 400
# A batch has at least one sub-network for so many evaluations.
_PER_BATCH = 50
# So many evaluations are the last ones, of which it is asked whether they have improved the front.
_LATELY = 20
# How far beyond the worst values hypervolume is measured from, relative to their range.
_MARGIN = 0.01


def create(name: str, problem: Problem, evals: int, rng: np.random.Generator, settings: Mapping[str, Any]) -> Algorithm:
    """Make a LINAS search; settings: ``DEFAULTS``, or for ``preset="paper"`` those of ``_published.py``."""
    if settings.get("preset") == "paper":
        if problem.known_elsewhere:
            raise UsageError(f"{name}: preset 'paper' makes no use of what is known on another platform; leave it out")
        return _published.PublishedLinas(problem, evals, rng, read_settings(name, settings, _published.DEFAULTS))
    return DefaultLinas(problem, evals, rng, read_settings(name, settings, DEFAULTS))


class DefaultLinas:
    """LINAS with a Gaussian process, whose acquisition is the hypervolume improvement of the lower confidence bound.

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
        self._observations = Observations(problem, evals, settings["initial"])
        self._settings = settings
        self._design_of = choose("linas", "design", settings["design"], _DESIGNS)
        self._by_improvement = choose("linas", "selection", settings["selection"], _SELECTIONS)
        self._surrogate = Surrogate(problem, settings["predictor"], settings["features"], settings["exact"])
        self._variation = Variation(CROSSOVERS["uniform"], float(settings["cross"]), MUTATIONS["reset"], 0.0)
        self._designed = False
        # The best of what the last inner search looked at: the next one starts from them too.
        self._elite = np.zeros((0, self._space.n_var), dtype=np.int64)
        # The lower confidence bounds by which the last ones were chosen, ``(k, n_obj)``.
        self._hoped = np.zeros((0, problem.n_obj))

    def ask(self, pending: IntArray | None = None) -> IntArray:
        """Return the next batch; at first the initial vectors, then the first population.

        Args:
            pending: what is being evaluated, ``(k, n_var)``; the batch is chosen with fantasies of its values.
        """
        pending = np.zeros((0, self._space.n_var), dtype=np.int64) if pending is None else pending
        first = self._first_population()
        if len(first):
            return first
        if self._observations.ok.sum() < 2:
            # A predictor without data would say nothing: the first population, where it is pending, says where to look.
            return pending[:0] if len(pending) else self._random()
        # Step 2: fit a predictor per objective to all evaluations.
        self._surrogate.fit(*self._evaluated())
        # Step 3: run an evolutionary algorithm on the predictors.
        X, bounds = self._inner_search()
        # Step 4: the best of it is the next population.
        batch = self._observations.ask(self._best_batch(X, bounds, pending))
        return batch if len(batch) else self._random()

    def tell(self, X: IntArray, F: FloatArray) -> None:
        """Add evaluations to all evaluations."""
        # Step 1: the caller has evaluated a population.
        self._observations.add(X, F)

    # --- step 1: the first population --------------------------------------------------------------------------------

    def _first_population(self) -> IntArray:
        """Return what is asked for before anything is predicted, ``(k, n_var)``: no rows from then on."""
        initial = self._observations.take_initial()
        if len(initial) or self._designed:
            return initial
        self._designed = True
        return self._observations.ask(self._design())

    def _design(self) -> IntArray:
        """Sub-networks from cheap to expensive; fewer where evaluations are known already."""
        n = max(0, int(self._settings["first"]) - int(self._observations.ok.sum()))
        if self._design_of is None:
            return sample_unseen(self._space, n, self._rng, self._observations.seen)
        if n and any(one is not None for one in self._problem.evaluated):
            # What other searches have found says where to look: there is no need to look everywhere first.
            n = min(n, int(self._settings["batch"]))
            return expected(self._problem, n, self._rng, self._surrogate.expected())
        designed: IntArray = self._design_of(self._problem, n, self._rng)
        return designed

    def _random(self) -> IntArray:
        return self._observations.ask_random(int(self._settings["batch"]), self._rng)

    def _evaluated(self) -> tuple[IntArray, FloatArray]:
        """Return all evaluations that did not fail, ``(n, n_var)`` and ``(n, n_obj)``."""
        ok = self._observations.ok
        return self._observations.vectors[ok], self._observations.objectives[ok]

    # --- step 3: the inner search ------------------------------------------------------------------------------------

    def _inner_search(self) -> tuple[IntArray, FloatArray]:
        """Minimise the lower confidence bound; return the best new sub-networks and their bounds, best first."""
        kappa, violation = float(self._settings["kappa"]), self._violation()

        def lower_bound(X: IntArray) -> FloatArray:
            return self._surrogate.lower_bound(X, kappa)

        budget, offspring = int(self._settings["inner_evals"]), _OFFSPRING * int(self._settings["population"])
        start, variation = self._start(violation), self._variation
        X, bounds = evolve(self._space, lower_bound, start, budget, self._rng, variation, offspring, violation)
        new = unseen_rows(X, self._observations.seen)
        X, bounds = X[new], bounds[new]
        order = best_first(bounds, violation(X, bounds))[: 4 * int(self._settings["population"])]
        self._elite = X[order[: int(self._settings["population"]) // 2]]
        return X[order], bounds[order]

    def _start(self, violation: LimitsBroken) -> IntArray:
        """Return the inner search's first population: the front, the last search's best, and mutants of both."""
        size = int(self._settings["population"])
        X, F = self._evaluated()
        best = X[best_first(F, violation(X, F))[: max(1, size // 2)]]
        parents = np.concatenate([best, self._elite])[:size]
        mutants = parents[self._rng.integers(0, len(parents), size=size - len(parents))]
        return np.concatenate([parents, self._space.canonical(reset(self._space, mutants, self._rng))])

    # --- step 4: the best batch --------------------------------------------------------------------------------------

    def _best_batch(self, X: IntArray, bounds: FloatArray, pending: IntArray) -> IntArray:
        """Choose one by one what improves the hypervolume most, with fantasies of those before it and of ``pending``.

        Args:
            X: candidates, ``(n, n_var)``.
            bounds: their lower confidence bounds, ``(n, n_obj)``.
            pending: what is being evaluated, ``(k, n_var)``.
        """
        # The more is known, the less one evaluation more changes what to ask next.
        wanted = max(int(self._settings["batch"]), len(self._observations) // _PER_BATCH)
        size = min(wanted, self._observations.left)
        over = self._violation()(X, bounds)
        if not self._by_improvement:
            return X[best_first(bounds, over)[:size]]
        # Of noisy values the posterior mean: the luckiest of them would be the front.
        known, F = self._evaluated()
        reference, F = self._reference(), self._surrogate.posterior_mean(known, F)
        front = self._front(known, F, pending)
        covered = self._hoped if self._stagnates(known, F, reference) else self._hoped[:0]
        chosen: list[int] = []
        listed = np.arange(len(X))
        while len(chosen) < size and len(listed):
            gain = improvements(bounds[listed], free_boxes(np.concatenate([front, covered]), reference))
            gain[over[listed] > 0] = 0.0
            if gain.max() <= 0 and len(covered):
                covered = covered[:0]
                continue
            if gain.max() <= 0:
                listed = np.setdiff1d(listed, chosen)
                chosen.extend(listed[best_first(bounds[listed], over[listed])[: size - len(chosen)]].tolist())
                break
            listed = listed[np.argsort(-gain, kind="stable")[:_SHORTLIST]] if not chosen else listed
            best = int(listed[0] if not chosen else listed[gain.argmax()])
            chosen.append(best)
            # The fantasy: its evaluation gives its lower confidence bound.
            front = np.concatenate([front, bounds[[best]]])
            front = front[non_dominated(front)]
        hoped = bounds[chosen][over[chosen] <= 0]
        self._hoped = np.concatenate([self._hoped, hoped])[-_LATELY:]
        return X[chosen]

    def _front(self, X: IntArray, F: FloatArray, pending: IntArray) -> FloatArray:
        """Return the front of what is known, ``F`` of ``X``, and of fantasies of ``pending``, ``(k, n_obj)``."""
        if len(pending):
            fantasies = self._surrogate.lower_bound(pending, float(self._settings["kappa"]))
            X, F = np.concatenate([X, pending]), np.concatenate([F, fantasies])
        F = F[self._feasible(X, F)]
        front: FloatArray = F[non_dominated(F)]
        return front

    def _violation(self) -> LimitsBroken:
        return LimitsBroken.of(self._problem, self._evaluated()[1])

    def _feasible(self, X: IntArray, F: FloatArray) -> BoolArray:
        """Return which of ``X`` meet the constraints with objectives ``F``, ``(n,)``."""
        return np.asarray((self._problem.limits >= F).all(axis=1) & (self._problem.violations(X) == 0))

    def _stagnates(self, X: IntArray, F: FloatArray, reference: FloatArray) -> bool:
        """Return whether the last of the evaluations ``F`` of ``X`` have hardly improved the hypervolume."""
        if len(X) < 2 * _LATELY:
            return False
        feasible = self._feasible(X, F)
        before, now = (hypervolume(F[:end][feasible[:end]], reference) for end in (-_LATELY, len(F)))
        return now - before < float(self._settings["stagnation"]) * now

    def _reference(self) -> FloatArray:
        """A little beyond the worst values seen, so that the front's ends count; the limits where they are tighter."""
        _, F = self._evaluated()
        worst = F.max(axis=0) + _MARGIN * ranges(F)
        return np.asarray(np.minimum(worst, self._problem.limits), dtype=np.float64)

    # --- going on from a state ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what the next batch follows from; see ``hwnas.search.algorithm.Restorable``."""
        return {
            "version": _STATE,
            "rng": self._rng.bit_generator.state,
            "designed": self._designed,
            "kept": self._elite.tolist(),
            "hoped": self._hoped.tolist(),
            "surrogate": self._surrogate.state(),
        }

    def restore(self, state: Mapping[str, Any], asked: IntArray) -> None:
        """Go on from a state; see ``hwnas.search.algorithm.Restorable``."""
        if state["version"] != _STATE:
            raise ValueError(f"version: expected {_STATE}, got {state['version']!r}")
        designed = bool(state["designed"])
        elite = self._space.canonical(np.asarray(state["kept"], dtype=np.int64).reshape(-1, self._space.n_var))
        # Studies of version 0.2 have no such bounds: they go on, and cover the front once there are some.
        hoped = np.asarray(state.get("hoped", []), dtype=np.float64).reshape(-1, self._problem.n_obj)
        bits = restored(self._rng, state["rng"])
        self._surrogate.restore(state["surrogate"])
        # Nothing below fails.
        self._rng.bit_generator.state = bits
        self._designed, self._elite, self._hoped = designed, elite, hoped
        self._observations.mark(asked)
