"""Evaluate batches: ask every objective for its values, and store evaluations as soon as they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hwnas.search.objectives import Objective, Outcome, Repeatable, Startable, admitted
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.asking import Batch
from hwnas.search.study.clock import Clock
from hwnas.search.study.constraints import total_violation
from hwnas.search.study.drift import Drift
from hwnas.search.study.outcomes import effort_of, intervals_of, load_of, rows_of, status_of
from hwnas.search.study.stored import StudyCheckpoint
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.space import IntArray

# So many of the front are measured again beside a batch, where the batch is so small that it ranks few side by side.
_AGAIN, SMALL = 2, 24
_WAIT_S = 0.5


class Evaluating:
    """The objectives of a study at work.

    Args:
        task: what is evaluated.
        archive: holds the evaluations.
        checkpoint: stores them.
        clock: counts the time of evaluating.
        drifts: of the objectives that drift with the machine, by name; they learn from every evaluation.
        measured: the objective of which several batches are measured at a time; ``None``: one batch after the other.
    """

    def __init__(
        self,
        task: EvaluationTask,
        archive: Archive,
        checkpoint: StudyCheckpoint,
        clock: Clock,
        drifts: Mapping[str, Drift],
        measured: Startable | None = None,
    ) -> None:
        self._task = task
        self._archive = archive
        self._checkpoint = checkpoint
        self._clock = clock
        self._drifts = drifts
        self._measured = measured
        self._iteration = -1

    def next(self, batches: Sequence[Batch]) -> Batch | None:
        """Evaluate: the one batch, or whichever of several arrives first; the archive has it then.

        Args:
            batches: under way, at least one.

        Returns:
            The batch that is evaluated; ``None``: none has arrived yet.
        """
        if self._measured is None:
            batch, known = batches[0], dict[str, Outcome]()
        else:
            arrived = self._arrived(self._measured, batches)
            if arrived is None:
                return None
            batch, known = arrived
        self.complete(batch, known)
        return batch

    def _arrived(self, measured: Startable, batches: Sequence[Batch]) -> tuple[Batch, dict[str, Outcome]] | None:
        """Send what was not sent yet, and wait a moment for a batch; return it with what was measured."""
        for batch in batches:
            if batch.ticket is None:
                drift = self._drifts.get(measured.name)
                batch.ticket = measured.start(batch.X, self._incumbents(drift))
        with self._clock.measuring():
            answer = measured.arrived(_WAIT_S)
        if answer is None:
            return None
        ticket, outcome = answer
        return next(one for one in batches if one.ticket == ticket), {measured.name: outcome}

    def complete(self, batch: Batch, known: Mapping[str, Outcome]) -> None:
        """Evaluate what is not known of a batch yet, and store it; the archive has it then.

        Args:
            batch: to be evaluated.
            known: what was found of it already, by objective: one outcome for the batch each.
        """
        X, iteration = batch.X, self._iteration + 1 if batch.iteration is None else batch.iteration
        rest = [one for one in self._task.quantities if one.name not in known]
        with self._clock.measuring():
            batched = {**known, **{one.name: self._outcome(one, X) for one in rest if one.batched}}
        single = [one for one in rest if not one.batched]
        if not single:
            self._store(X, batched, iteration)
            return
        for row in range(len(X)):
            with self._clock.measuring():
                alone = {one.name: one.evaluate(X[row : row + 1]) for one in single}
            outcomes = {name: rows_of(outcome, [row]) for name, outcome in batched.items()} | alone
            self._store(X[row : row + 1], outcomes, iteration)

    def _outcome(self, objective: Objective, X: IntArray) -> Outcome:
        if not isinstance(objective, Repeatable) or objective.name not in self._drifts or len(X) > SMALL:
            return objective.evaluate(X)
        return objective.evaluate_beside(X, self._incumbents(self._drifts[objective.name]))

    def _incumbents(self, drift: Drift | None) -> IntArray:
        """Return whom to measure again beside a small batch, ``(k, n_var)``.

        They are those of the front that were measured least often, the latest first; none where the objective does not
        drift, or in a brief search on a machine that has not moved.
        """
        front: list[int] = []
        if drift is not None and drift.repeats:
            front = sorted(self._archive.front, key=lambda one: (drift.times(self._archive[one].key), -one))
        vectors = [self._archive[index].vector for index in front[:_AGAIN]]
        return np.array(vectors, dtype=np.int64).reshape(len(vectors), self._task.space.n_var)

    # --- evaluations -------------------------------------------------------------------------------------------------

    def _store(self, X: IntArray, given: Mapping[str, Outcome], iteration: int) -> None:
        made = self._evaluations(X, given, iteration)
        self._checkpoint.put(made)
        self.remember(made)

    def _evaluations(self, X: IntArray, given: Mapping[str, Outcome], iteration: int) -> list[Evaluation]:
        outcomes = {one.name: admitted(one, given[one.name], len(X)) for one in self._task.quantities}
        values = {name: outcome.values for name, outcome in outcomes.items()}
        violations = total_violation(self._task.constraints, values, len(X))
        keys, configs = self._task.space.keys(X), self._task.space.decode(X)
        made = []
        for row, vector in enumerate(X):
            status, reason = status_of(outcomes, row)
            made.append(
                Evaluation(
                    index=len(self._archive) + row,
                    iteration=iteration,
                    vector=tuple(int(index) for index in vector),
                    config=configs[row],
                    key=keys[row],
                    objectives={name: float(column[row]) for name, column in values.items()},
                    status=status,
                    reason=reason,
                    intervals=intervals_of(outcomes, row),
                    beside={name: dict(one.beside[row]) for name, one in outcomes.items() if one.beside},
                    load=load_of(outcomes, row),
                    violation=float(violations[row]),
                    effort=effort_of(outcomes, row),
                    **self._clock.now(),
                )
            )
        return made

    def remember(self, evaluations: Sequence[Evaluation]) -> None:
        """Put evaluations into the archive; what drifts learns from them."""
        self._archive.add(evaluations)
        for one in evaluations:
            self._iteration = max(self._iteration, one.iteration)
            for name, drift in self._drifts.items():
                drift.learn(one.key, one.objectives[name], one.beside.get(name, {}), one.intervals.get(name))
