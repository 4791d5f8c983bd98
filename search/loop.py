"""The one loop: ask, evaluate what is new, keep it, tell. What is kept is replayed or, from a snapshot, told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np

from search.algorithm import UNREADABLE, Algorithm, Restorable, called, proposed
from search.archive import Archive, Evaluation
from search.clock import Clock
from search.constraints import Constraint, total_violation
from search.drift import Drift
from search.objectives import Objective, Outcome, Repeatable, admitted
from search.stored import Kept, Snapshot
from supernets.errors import UsageError, WorkError
from supernets.space import FloatArray, IntArray, SearchSpace

# An algorithm that asks this often in a row for nothing new has nothing new to ask for.
PATIENCE = 100
# So many of the front are measured again beside a batch, where the batch is so small that it ranks few side by side.
_AGAIN, SMALL = 2, 24

Stop = Callable[[Archive], str | None]


@dataclass(frozen=True)
class Task:
    """What is evaluated.

    Attributes:
        space: the search space.
        objectives: of the search.
        limited: what is only constrained; free.
        constraints: on any of both.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    limited: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]


class Loop:
    """A study under way.

    Args:
        task: what is evaluated.
        algorithm: what proposes.
        archive: empty; holds the evaluations in the end.
        kept: what the store has of the study already, and how it gets more.
        clock: counts the time.
        drifts: of the objectives that drift with the machine, by name; they learn from every evaluation.
    """

    def __init__(
        self,
        task: Task,
        algorithm: Algorithm,
        archive: Archive,
        kept: Kept | None = None,
        clock: Clock | None = None,
        drifts: Mapping[str, Drift] | None = None,
    ) -> None:
        self._task = task
        self._algorithm = algorithm
        self._restorable = algorithm if isinstance(algorithm, Restorable) else None
        self._archive = archive
        self._kept = kept or Kept()
        self._clock = clock or Clock()
        self._drifts = drifts or {}
        seen = {*archive.names, *(one.name for one in task.limited if one.cheap)}
        self._unseen = [one for one in task.constraints if one.name not in seen]
        self._iteration = -1

    def run(self, evals: int, stop: Stop, report: Callable[[], None]) -> str:
        """Run until one of the rules says to stop.

        Args:
            evals: the most evaluations there may be, those kept already among them.
            stop: says after each batch why to stop, or ``None``.
            report: is called after each batch with something new.

        Returns:
            Why it stopped.

        Raises:
            UsageError: the algorithm proposes others than those that are kept.
        """
        idle, recalled = 0, self._restored(evals)
        while True:
            reason = self._finished(evals) or stop(self._archive)
            if reason:
                return reason
            if len(self._archive) < recalled:
                self._tell(self._take_next())
                report()
                continue
            self._save()
            with self._clock.searching():
                X = self._algorithm.ask()
            X = proposed(self._algorithm, X, self._task.space)
            if not len(X):
                return f"the algorithm has nothing left to ask for after {len(self._archive)} evaluations"
            new = self._new_rows(X)[: evals - len(self._archive)]
            idle = 0 if len(new) else idle + 1
            if idle >= PATIENCE:
                return f"the algorithm asked {PATIENCE} times in a row for nothing new"
            if len(new):
                self._iteration += 1
                self._evaluate(X[new])
                report()
            self._tell(X)

    def _finished(self, evals: int) -> str | None:
        if len(self._archive) >= evals:
            return f"{evals} evaluations are done"
        if len(self._archive) >= self._task.space.distinct_size:
            return f"all {len(self._archive)} sub-networks of the space are evaluated"
        return None

    def _new_rows(self, X: IntArray) -> list[int]:
        first = {
            key: row for row, key in reversed(list(enumerate(self._task.space.keys(X)))) if key not in self._archive
        }
        return sorted(first.values())

    def _tell(self, X: IntArray) -> None:
        keys = self._task.space.keys(X)
        indices = [self._archive.index(key) for key in keys if key in self._archive]
        if not indices:
            return
        # What was measured again beside these is known better now.
        again = {key for index in indices for one in self._archive[index].beside.values() for key in one}
        indices += sorted(self._archive.index(key) for key in again - set(keys) if key in self._archive)
        vectors = np.array([self._archive[index].vector for index in indices], dtype=np.int64)
        F = np.array([self._told(index) for index in indices]).reshape(len(indices), -1)
        with self._clock.searching():
            self._algorithm.tell(vectors, F)

    def _told(self, index: int) -> FloatArray:
        """Return what the algorithm learns of an evaluation: nan where it failed; measured values freed from drift.

        A constraint on an objective is the algorithm's own matter, and one on an exactly known quantity is part of its
        problem. One on something else it cannot see; what breaks it is told as failed.
        """
        evaluation, row = self._archive[index], self._archive.row(index)
        broken = any(one.violation(np.array([evaluation.objectives[one.name]]))[0] > 0 for one in self._unseen)
        if broken or evaluation.status == "failed":
            return np.full_like(row, np.nan)
        told = row.copy()
        for column, name in enumerate(self._archive.names):
            if name in self._drifts:
                # What drifts is a time: minimised, as users read it.
                told[column] = self._drifts[name].value(evaluation.key, float(row[column]))
        return told

    # --- going on from the store -------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Let the store have what asking goes on from, so that a study that is resumed need not ask again."""
        if self._restorable is None or not len(self._archive):
            return
        state = self._restorable.state()
        try:
            self._kept.save(Snapshot(len(self._archive), self._batches(), state).to_json())
        except (TypeError, ValueError) as error:
            raise WorkError(f"the state of the algorithm {called(self._algorithm)} is no JSON: {error}") from error

    def _restored(self, evals: int) -> int:
        """Restore the algorithm from the store, and return of how many evaluations it is only to be told.

        Without a snapshot, and with one that cannot be read, that is none: it is asked for everything again, which gets
        to the same place and only takes longer.
        """
        if self._restorable is None or self._kept.snapshot is None:
            return 0
        kept, space = self._kept.evaluations, self._task.space
        try:
            snapshot = Snapshot.from_json(self._kept.snapshot, space)
            if not snapshot.fits(kept, evals):
                return 0
            told = np.array([one.vector for one in kept[: snapshot.evaluations]], dtype=np.int64)
            self._restorable.restore(snapshot.state, np.concatenate([told, *snapshot.under_way]))
        except UNREADABLE:
            return 0
        self._put_under_way(snapshot.under_way)
        return snapshot.evaluations

    def _batches(self) -> tuple[IntArray, ...]:
        """Return what was asked for and has not arrived, by batch."""
        return ()

    def _put_under_way(self, batches: Sequence[IntArray]) -> None:
        """Go on with batches that were under way; here, each has arrived before the next is asked for."""

    def _next_kept(self) -> list[Evaluation]:
        """Return the next batch of what the store has."""
        rest = self._kept.evaluations[len(self._archive) :]
        return list(takewhile(lambda one: one.iteration == rest[0].iteration, rest))

    def _take_next(self) -> IntArray:
        """Take the next batch from the store, ``(k, n_var)``."""
        batch = self._next_kept()
        self._iteration = batch[0].iteration
        self._take(batch)
        return np.array([one.vector for one in batch], dtype=np.int64)

    def _take(self, evaluations: Sequence[Evaluation]) -> None:
        """Take evaluations from the store as they are."""
        self._remember(evaluations)
        if evaluations and len(self._archive) == len(self._kept.evaluations):
            self._clock.restart(evaluations[-1])

    # --- evaluating --------------------------------------------------------------------------------------------------

    def _evaluate(self, X: IntArray) -> None:
        """Evaluate vectors that are not in the archive; those that the store has already come from there."""
        done = len(self._archive)
        replayed = self._kept.evaluations[done : done + len(X)]
        proposed = self._task.space.keys(X[: len(replayed)])
        if proposed != [evaluation.key for evaluation in replayed]:
            raise self.other_than_kept()
        self._take(replayed)
        rest = X[len(replayed) :]
        if len(rest):
            self._evaluate_anew(rest)

    @staticmethod
    def other_than_kept() -> UsageError:
        """Return what is raised where the algorithm proposes others than those that are kept."""
        return UsageError(
            "the algorithm proposes other sub-networks than the study has evaluated: its version or a library's "
            "has changed, or its plan depends on the number of evaluations; begin a new study with this one as its "
            "warm start"
        )

    def _evaluate_anew(self, X: IntArray) -> None:
        self._complete(X, {})

    def _complete(self, X: IntArray, known: Mapping[str, Outcome]) -> None:
        """Evaluate what is not known of ``X`` yet, and keep it."""
        everything = [one for one in (*self._task.objectives, *self._task.limited) if one.name not in known]
        with self._clock.measuring():
            batched = {**known, **{one.name: self._batch(one, X) for one in everything if one.batched}}
        single = [one for one in everything if not one.batched]
        if not single:
            self._add(X, batched)
            return
        for row in range(len(X)):
            with self._clock.measuring():
                alone = {one.name: one.evaluate(X[row : row + 1]) for one in single}
            self._add(X[row : row + 1], {name: _only(outcome, row) for name, outcome in batched.items()} | alone)

    def _batch(self, objective: Objective, X: IntArray) -> Outcome:
        if not isinstance(objective, Repeatable) or objective.name not in self._drifts or len(X) > SMALL:
            return objective.evaluate(X)
        return objective.evaluate_beside(X, self._incumbents(self._drifts[objective.name]))

    def _incumbents(self, drift: Drift) -> IntArray:
        """Return those of the front that were measured least often, the latest first, ``(k, n_var)``."""
        front = sorted(self._archive.front, key=lambda index: (drift.times(self._archive[index].key), -index))
        vectors = [self._archive[index].vector for index in front[:_AGAIN]]
        return np.array(vectors, dtype=np.int64).reshape(len(vectors), self._task.space.n_var)

    def _add(self, X: IntArray, given: dict[str, Outcome]) -> None:
        everything = {one.name: one for one in (*self._task.objectives, *self._task.limited)}
        outcomes = {name: admitted(everything[name], outcome, len(X)) for name, outcome in given.items()}
        values = {name: outcome.values for name, outcome in outcomes.items()}
        violations = total_violation(self._task.constraints, values, len(X))
        keys, configs = self._task.space.keys(X), self._task.space.decode(X)
        order, made = list(everything), []
        for row, vector in enumerate(X):
            status, reason = _status({name: outcomes[name] for name in order}, row)
            made.append(
                Evaluation(
                    index=len(self._archive) + row,
                    iteration=self._iteration,
                    vector=tuple(int(index) for index in vector),
                    config=configs[row],
                    key=keys[row],
                    objectives={name: float(values[name][row]) for name in order},
                    status=status,
                    reason=reason,
                    intervals=_intervals(outcomes, row),
                    beside={name: dict(one.beside[row]) for name, one in outcomes.items() if one.beside},
                    violation=float(violations[row]),
                    **self._clock.now(),
                )
            )
        self._kept.keep(made)
        self._remember(made)

    def _remember(self, evaluations: Sequence[Evaluation]) -> None:
        self._archive.add(evaluations)
        for one in evaluations:
            for name, drift in self._drifts.items():
                drift.learn(one.key, one.objectives[name], one.beside.get(name, {}))


def _status(outcomes: dict[str, Outcome], row: int) -> tuple[str, str]:
    """Return the worst status of all objectives and the reasons of those that are not ok."""
    found = [outcome.status[row] for outcome in outcomes.values()]
    worst = next((status for status in ("failed", "unstable") if status in found), "ok")
    reasons = [f"{name}: {one.reasons[row]}" for name, one in outcomes.items() if one.status[row] != "ok"]
    return worst, "; ".join(reasons)


def _intervals(outcomes: dict[str, Outcome], row: int) -> dict[str, tuple[float, float]]:
    return {
        name: (float(one.intervals[row, 0]), float(one.intervals[row, 1]))
        for name, one in outcomes.items()
        if one.intervals is not None
        and np.isfinite(one.intervals[row]).all()
        and one.intervals[row, 0] <= one.intervals[row, 1]
    }


def _only(outcome: Outcome, row: int) -> Outcome:
    intervals: Any = None if outcome.intervals is None else outcome.intervals[row : row + 1]
    beside = outcome.beside[row : row + 1]
    return Outcome(outcome.values[row : row + 1], (outcome.status[row],), (outcome.reasons[row],), intervals, beside)
