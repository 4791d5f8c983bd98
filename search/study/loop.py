"""The one loop of a study: ask, evaluate, tell, with one batch under way or many.

``run`` drives it (``hwnas.search``), or a caller does, step by step (``replay``, ``ask`` and ``tell``, behind
``hwnas.create_study``).

``asking`` asks the algorithm and tells it, ``evaluating`` evaluates, ``replay`` answers from the store where the study
is resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hwnas.search.algorithm import Algorithm
from hwnas.search.objectives import Outcome, Startable
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.asking import Asking, Batch
from hwnas.search.study.clock import Clock
from hwnas.search.study.drift import Drift
from hwnas.search.study.evaluating import Evaluating
from hwnas.search.study.replay import Replay
from hwnas.search.study.stored import StudyCheckpoint
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.shown import counted
from hwnas.supernets.space import IntArray

Stop = Callable[[Archive], str | None]


class Loop:
    """A study under way.

    Args:
        task: what is evaluated.
        algorithm: what proposes.
        archive: empty; holds the evaluations in the end.
        checkpoint: what the store has of the study already, and how it gets more.
        clock: counts the time.
        drifts: of the objectives that drift with the machine, by name; they learn from every evaluation.
        window: how many batches are under way at most.
        measured: the objective that takes time, where the window is of more than one batch.
    """

    def __init__(
        self,
        task: EvaluationTask,
        algorithm: Algorithm,
        archive: Archive,
        checkpoint: StudyCheckpoint | None = None,
        clock: Clock | None = None,
        drifts: Mapping[str, Drift] | None = None,
        *,
        window: int = 1,
        measured: Startable | None = None,
    ) -> None:
        checkpoint, drifts = checkpoint or StudyCheckpoint(), drifts or {}
        self._space = task.space
        self._archive = archive
        self._clock = clock or Clock()
        self._asking = Asking(task, algorithm, archive, self._clock, drifts, window)
        self._evaluating = Evaluating(task, archive, checkpoint, self._clock, drifts, measured if window > 1 else None)
        self._replay = Replay(checkpoint, algorithm, self._asking, archive, task.space)

    def run(self, evals: int, stop: Stop, report: Callable[[], None]) -> str:
        """Run until one of the rules says to stop.

        Args:
            evals: the most evaluations there may be, those that are replayed among them.
            stop: says after each whole batch why to stop, or ``None``.
            report: is called after each batch with something new.

        Returns:
            Why it stopped.

        Raises:
            UsageError: the algorithm proposes others than those that the store has.
        """
        restored = self._replay.restore(evals)
        while True:
            # A rule sees whole batches, as it did in a search that nobody interrupted.
            reason = self._finished(evals) or (None if self._asking.within_batch else stop(self._archive))
            if reason:
                return reason
            if len(self._archive) < restored:
                self._asking.observe(self._replayed(self._replay.next()))
                report()
                continue
            self._asking.fill(evals, self._replay.save)
            if not self._asking.batches:
                return self._asking.exhausted
            X = self._answered()
            if X is not None:
                report()
                self._asking.tell(X)

    # --- driven by a caller ------------------------------------------------------------------------------------------

    def replay(self, evals: int) -> None:
        """Replay all that the store has; what was asked for and not evaluated is what ``ask`` returns next.

        Args:
            evals: the most evaluations there may be, those that are replayed among them.

        Raises:
            UsageError: the algorithm proposes others than those that the store has.
        """
        restored = self._replay.restore(evals)
        while len(self._archive) < restored:
            self._asking.observe(self._replayed(self._replay.next()))
        if restored:
            # The snapshot is of the moment before the algorithm was asked: with this under way, and nothing else.
            self._asking.look_ahead(evals, self._replay.save)
        while self._replay.rest:
            arrived = self._replay.next()
            self._replay.found(arrived, evals)
            self._asking.tell(self._replayed(arrived))
        self._asking.put_back()

    def ask(self, evals: int, size: int | None) -> IntArray:
        """Return what to evaluate next, ``(k, n_var)``; no rows: nothing now, and why is what ``stopped`` returns.

        Args:
            evals: the most evaluations there may be.
            size: how many, fewer where the algorithm asks for no more; ``None``: what it asks for at once.
        """
        X = self._asking.no_rows()
        while size is None or len(X) < size:
            batch = self._asking.next_batch(evals, self._replay.save, None if size is None else size - len(X))
            if batch is None:
                break
            X = np.concatenate([X, batch.X])
            if size is None:
                break
        return X

    def tell(self, X: IntArray, known: Mapping[str, Outcome]) -> None:
        """Evaluate what is not known of sub-networks that are under way, store them, and tell the algorithm.

        Where that fails or is interrupted, the algorithm is told what was stored by then, and the rest stays under way.

        Args:
            X: sub-networks that are under way, ``(k, n_var)``.
            known: what is known of them, by objective.
        """
        keys = self._space.keys(X)
        try:
            self._evaluating.complete(Batch(X), known)
        finally:
            stored = [key in self._archive for key in keys]
            self._asking.take_out(key for key in keys if key in self._archive)
            self._asking.tell(X[stored])

    @property
    def pending(self) -> IntArray:
        """What was asked for and was not evaluated yet, ``(k, n_var)``."""
        return self._asking.pending

    def stopped(self, evals: int) -> str:
        """Return why there is nothing to ask for; "" where something is under way or may be asked for."""
        if len(self._asking.pending):
            return ""
        return self._finished(evals) or self._asking.exhausted

    # --- both --------------------------------------------------------------------------------------------------------

    def _finished(self, evals: int) -> str | None:
        if len(self._archive) >= evals:
            return f"{counted(evals, 'evaluation')} {'is' if evals == 1 else 'are'} done"
        if len(self._archive) >= self._space.distinct_size:
            return f"all {len(self._archive)} sub-networks of the space are evaluated"
        return None

    def _answered(self) -> IntArray | None:
        """Return the next of what is under way that has its values, ``(k, n_var)``; ``None``: nothing yet."""
        if self._replay.rest:
            arrived = self._replay.next()
            self._replay.matched(arrived)
            return self._replayed(arrived)
        batch = self._evaluating.next(self._asking.batches)
        if batch is None:
            return None
        self._asking.batches.remove(batch)
        return batch.X

    def _replayed(self, evaluations: Sequence[Evaluation]) -> IntArray:
        """Put evaluations of the store into the archive as they are, and return them, ``(k, n_var)``."""
        self._evaluating.remember(evaluations)
        if not self._replay.rest:
            self._clock.restart(evaluations[-1])
        return np.array([one.vector for one in evaluations], dtype=np.int64)
