"""Ask an algorithm for batches, as many as are evaluated at a time, and tell it their evaluations.

With a window of one batch, the algorithm is asked, all that it asked for is evaluated, and it is told. With a wider
window, it is told of a batch as it arrives, and asked for the next one while others are under way: an algorithm that
takes ``pending`` takes them into account by its predictions. Any other is asked again when all that it asked for has
arrived.

What is asked for follows from the order in which batches arrived, and from nothing else: not from how many devices
there were, nor from when they answered. The archive keeps that order, so a study is replayed from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hwnas.search.algorithm import Algorithm, proposed, that_takes_pending
from hwnas.search.study.archive import Archive
from hwnas.search.study.clock import Clock
from hwnas.search.study.drift import Drift
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.shown import counted
from hwnas.supernets.space import FloatArray, IntArray

# An algorithm that asks this often in a row for nothing new has nothing new to ask for.
PATIENCE = 100
# Sub-networks that a device measures side by side where several batches are under way: each holds the anchors as well,
# and some of the front.
SIDE_BY_SIDE = 4


@dataclass(eq=False)
class Batch:
    """A batch under way.

    Attributes:
        X: what has not arrived of it, ``(k, n_var)``.
        iteration: its number in the study; ``None``: nothing of it has arrived, so it has none yet.
        ticket: its number with the objective that measures it; ``None``: it was not sent yet.
    """

    X: IntArray
    iteration: int | None = None
    ticket: int | None = None


class Asking:
    """An algorithm at work on a study.

    Args:
        task: what is evaluated.
        algorithm: what proposes.
        archive: what was evaluated.
        clock: counts the algorithm's time.
        drifts: of the objectives that drift with the machine, by name.
        window: how many batches are under way at most.
    """

    def __init__(
        self,
        task: EvaluationTask,
        algorithm: Algorithm,
        archive: Archive,
        clock: Clock,
        drifts: Mapping[str, Drift],
        window: int,
    ) -> None:
        self._space = task.space
        self._algorithm = algorithm
        self._archive = archive
        self._clock = clock
        self._drifts = drifts
        self._window = window
        seen = {*archive.names, *(one.name for one in task.limited if one.exact)}
        self._unseen = [one for one in task.constraints if one.name not in seen]
        self._parallel = that_takes_pending(algorithm) if window > 1 else None
        self._asked = self._waiting = self.no_rows()
        self.batches: list[Batch] = []
        self.exhausted = ""

    @property
    def restorable(self) -> bool:
        """Its state before an asking says all: what it had observed by then is what had arrived."""
        return self._window == 1 or self._parallel is not None

    @property
    def within_batch(self) -> bool:
        """Some of a batch has arrived and some has not, as where a search was interrupted within it."""
        return any(one.iteration is not None for one in self.batches)

    def no_rows(self) -> IntArray:
        """Return a batch of no sub-networks, ``(0, n_var)``."""
        return np.zeros((0, self._space.n_var), dtype=np.int64)

    # --- asking ------------------------------------------------------------------------------------------------------

    def fill(self, evals: int, save: Callable[[], None]) -> None:
        """Ask until as many batches are under way as there is room for, or nothing more can be asked now.

        Where none is under way afterwards, ``exhausted`` says why.

        Args:
            evals: the most evaluations of the study.
            save: is called before the algorithm is asked, while its state is that of what has arrived.
        """
        while len(self.batches) < self._window:
            # With a window of one, a batch is all that was asked for.
            if self.next_batch(evals, save, None if self._window == 1 else SIDE_BY_SIDE) is None:
                return

    def next_batch(self, evals: int, save: Callable[[], None], size: int | None = None) -> Batch | None:
        """Put one more batch under way, and return it; ``None``: nothing more can be asked now.

        Args:
            evals: see ``fill``.
            save: see ``fill``.
            size: the most sub-networks of the batch; ``None``: all that the algorithm asks for at once.
        """
        if not self.look_ahead(evals, save):
            return None
        room = self.room(evals)
        batch = Batch(self._waiting[: room if size is None else min(size, room)])
        # With a window of one, what there is no room for is not evaluated.
        self._waiting = self.no_rows() if self._window == 1 else self._waiting[len(batch.X) :]
        self.batches.append(batch)
        return batch

    def look_ahead(self, evals: int, save: Callable[[], None]) -> bool:
        """Ask for what is not under way yet, where none is waiting; ``False``: nothing can be asked now."""
        if self.room(evals) <= 0:
            return False
        idle = 0
        while not len(self._waiting):
            if not self._ask(save):
                return False
            idle += 1
            if not len(self._waiting) and idle >= PATIENCE:
                self.exhausted = f"the algorithm asked {PATIENCE} times in a row for nothing new"
                return False
            if not len(self._waiting) and not self.batches:
                self.observe(self._asked)
        return True

    def put_back(self) -> None:
        """Let all that is under way wait, in its order: whoever was to evaluate it is no more."""
        self._waiting = np.concatenate([self.pending, self._waiting])
        self.batches = []

    def take_out(self, keys: Iterable[str]) -> None:
        """Take sub-networks, by their keys, out of what is under way."""
        gone = set(keys)
        for batch in self.batches:
            batch.X = batch.X[[key not in gone for key in self._space.keys(batch.X)]]
        self.batches = [batch for batch in self.batches if len(batch.X)]

    def _ask(self, save: Callable[[], None]) -> bool:
        """Ask the algorithm; what is new of its answer is waiting then. ``False``: it has nothing to ask for now."""
        if self.batches and self._parallel is None:
            return False  # it has to observe all that it asked for first
        save()
        with self._clock.searching():
            X = self._algorithm.ask() if self._parallel is None else self._parallel.ask(pending=self.pending)
        X = proposed(self._algorithm, X, self._space)
        if not len(X):
            self.exhausted = (
                f"the algorithm has nothing left to ask for after {counted(len(self._archive), 'evaluation')}"
            )
            return False
        self._asked, self._waiting = X, self._new(X)
        return True

    def _new(self, X: IntArray) -> IntArray:
        """Return those that were not evaluated, are not under way, and come for the first time, in their order."""
        taken = set(self._space.keys(self.pending))
        first = {key: row for row, key in reversed(list(enumerate(self._space.keys(X))))}
        return X[sorted(row for key, row in first.items() if key not in self._archive and key not in taken)]

    @property
    def pending(self) -> IntArray:
        """All that is under way, ``(k, n_var)``."""
        return np.vstack([self.no_rows(), *(one.X for one in self.batches)])

    def room(self, evals: int) -> int:
        """Return how many more sub-networks may be put under way."""
        return min(evals, self._space.distinct_size) - len(self._archive) - len(self.pending)

    # --- telling -----------------------------------------------------------------------------------------------------

    def tell(self, X: IntArray) -> None:
        """Tell the algorithm of evaluations that have arrived, or, where it waits for all it asked for, when all have.

        Args:
            X: those that have arrived, ``(k, n_var)``; the archive has them.
        """
        self.exhausted = ""
        if self._parallel is not None:
            self.observe(X)
        elif not self.batches and not len(self._waiting):
            self.observe(self._asked if len(self._asked) else X)

    def observe(self, X: IntArray) -> None:
        """Tell the algorithm what is known by now of sub-networks, as far as the archive has them."""
        keys = self._space.keys(X)
        indices = [self._archive.index(key) for key in keys if key in self._archive]
        if not indices:
            return
        # What was measured again beside these is known better now.
        again = {key for index in indices for one in self._archive[index].beside.values() for key in one}
        indices += sorted(self._archive.index(key) for key in again - set(keys) if key in self._archive)
        vectors = np.array([self._archive[index].vector for index in indices], dtype=np.int64)
        F = np.array([self._observation(index) for index in indices]).reshape(len(indices), -1)
        with self._clock.searching():
            self._algorithm.tell(vectors, F)

    def _observation(self, index: int) -> FloatArray:
        """Return what the algorithm learns of an evaluation: nan where it failed; measured values freed from drift.

        A constraint on an objective is the algorithm's own matter, and one on an exactly known quantity is part of its
        problem. One on something else it cannot see; what breaks it counts as failed.
        """
        evaluation, row = self._archive[index], self._archive.row(index)
        broken = any(one.violation(np.array([evaluation.objectives[one.name]]))[0] > 0 for one in self._unseen)
        if broken or evaluation.status == "failed":
            return np.full_like(row, np.nan)
        observed = row.copy()
        for column, name in enumerate(self._archive.names):
            if name in self._drifts:
                # A drift knows values as users read them, which are positive; of a rate the minimised one is negative.
                level = self._drifts[name].value(evaluation.key, abs(float(row[column])))
                observed[column] = math.copysign(level, row[column])
        return observed
