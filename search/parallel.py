"""The loop where several batches are measured at a time, on as many devices.

Each batch is told as it arrives, and the next one is asked for with those under way in view. An algorithm that can do
so (``search.algorithm.AsksBeside``) counts them as if they had turned out as hoped; any other is asked again when all
that it asked for has arrived, as in the plain loop.

What is asked for follows from the order in which batches arrived, and from nothing else: not from how many devices
there were, nor from when they answered. The archive keeps that order, so a study is replayed from it like any other, or
goes on from a snapshot, which has what was under way as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.algorithm import AsksBeside, proposed
from search.loop import PATIENCE, SMALL, Loop, Stop
from search.objectives import Objective, Startable
from supernets.errors import UsageError
from supernets.space import IntArray

# Sub-networks that a device measures side by side: each batch holds the anchors as well, and some of the front.
SIDE_BY_SIDE = 4
_WAIT_S = 0.5


@dataclass(eq=False)
class _Batch:
    """A batch under way.

    Attributes:
        X: what has not arrived of it, ``(k, n_var)``.
        ticket: its number with the objective that is measured; ``None``: it is not sent yet.
    """

    X: IntArray
    ticket: int | None = None


class ParallelLoop(Loop):
    """A study under way, with up to ``ways`` batches measured at a time; for the others see ``Loop``.

    Args:
        measured: the objective that takes time, among those of the task.
        ways: how many batches are under way at most.
        side_by_side: sub-networks of one batch.
    """

    def __init__(
        self, *args: Any, measured: Startable, ways: int, side_by_side: int = SIDE_BY_SIDE, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        if not isinstance(self._algorithm, AsksBeside):
            self._restorable = None  # it is told at once of all that it asked for, not batch by batch
        self._measured = measured
        self._ways = ways
        self._side_by_side = side_by_side
        self._under_way: list[_Batch] = []
        self._waiting = self._none()  # asked for, in no batch yet
        self._asked = self._none()  # the last of an algorithm that is told everything at once
        self._dry = ""

    def run(self, evals: int, stop: Stop, report: Callable[[], None]) -> str:
        """Run until one of the rules says to stop; see ``Loop.run``."""
        recalled = self._restored(evals)
        while True:
            reason = self._finished(evals) or stop(self._archive)
            if reason:
                return reason
            if len(self._archive) < recalled:
                self._tell(self._take_next())
                report()
                continue
            self._fill(evals)
            if not self._under_way:
                return self._dry
            replays = len(self._archive) < len(self._kept.evaluations)
            arrived = self._replayed() if replays else self._arrived()
            if arrived is not None:
                self._told_of(arrived)
                report()

    # --- asking ------------------------------------------------------------------------------------------------------

    def _fill(self, evals: int) -> None:
        """Ask for as many batches as there is room for."""
        idle = 0
        while len(self._under_way) < self._ways and len(self._archive) + self._pending() < self._most(evals):
            if not len(self._waiting):
                X = self._ask()
                if X is None:
                    return
                new = X[self._new_rows(X)]
                self._waiting = new[~np.isin(self._task.space.keys(new), self._pending_keys())]
                idle = 0 if len(self._waiting) else idle + 1
                if idle >= PATIENCE:
                    self._dry = f"the algorithm asked {PATIENCE} times in a row for nothing new"
                    return
                if not len(self._waiting) and not self._under_way:
                    self._tell(X)
                continue
            room = self._most(evals) - len(self._archive) - self._pending()
            batch, self._waiting = np.split(self._waiting, [min(self._side_by_side, room)])
            self._under_way.append(_Batch(batch))

    def _ask(self) -> IntArray | None:
        """Return what the algorithm asks for, canonical; ``None`` where it has to be told something first."""
        if not isinstance(self._algorithm, AsksBeside):
            if self._under_way:
                return None
            with self._clock.searching():
                X = self._algorithm.ask()
            self._asked = X = proposed(self._algorithm, X, self._task.space)
        else:
            self._save()  # nothing is waiting: all that was asked for has arrived or is under way
            with self._clock.searching():
                X = self._algorithm.ask_beside(np.vstack([self._none(), *self._batches()]))
            X = proposed(self._algorithm, X, self._task.space)
        if not len(X):
            self._dry = f"the algorithm has nothing left to ask for after {len(self._archive)} evaluations"
            return None
        return X

    def _most(self, evals: int) -> int:
        return min(evals, self._task.space.distinct_size)

    def _pending(self) -> int:
        return sum(len(one.X) for one in self._under_way)

    def _pending_keys(self) -> list[str]:
        return [key for one in self._under_way for key in self._task.space.keys(one.X)]

    def _none(self) -> IntArray:
        return np.zeros((0, self._task.space.n_var), dtype=np.int64)

    # --- arriving ----------------------------------------------------------------------------------------------------

    def _told_of(self, X: IntArray) -> None:
        """Tell the algorithm what has arrived, or, where it wants all at once, what it asked for when all has."""
        if isinstance(self._algorithm, AsksBeside):
            self._tell(X)
        elif not self._under_way and not len(self._waiting):
            self._tell(self._asked)

    def _replayed(self) -> IntArray:
        """Take the next batch from the store; it was asked for again."""
        keys = {one.key for one in self._next_kept()}
        batch = self._containing(keys)
        self._shrink(batch, np.array([key in keys for key in self._task.space.keys(batch.X)]))
        return self._take_next()

    def _containing(self, wanted: set[str]) -> _Batch:
        for batch in self._under_way:
            if wanted <= set(self._task.space.keys(batch.X)):
                return batch
        raise self.other_than_kept()

    def _arrived(self) -> IntArray | None:
        """Wait for a batch and keep its evaluations; ``None``: nothing yet."""
        for batch in self._under_way:
            if batch.ticket is None:
                batch.ticket = self._measured.start(batch.X, self._beside(batch.X))
        with self._clock.measuring():
            answer = self._measured.arrived(_WAIT_S)
        if answer is None:
            return None
        ticket, outcome = answer
        batch = next(one for one in self._under_way if one.ticket == ticket)
        self._under_way.remove(batch)
        self._iteration += 1
        self._complete(batch.X, {self._measured.name: outcome})
        return batch.X

    def _beside(self, X: IntArray) -> IntArray:
        drift = self._drifts.get(self._measured.name)
        return self._none() if drift is None or len(X) > SMALL else self._incumbents(drift)

    def _batches(self) -> tuple[IntArray, ...]:
        return tuple(one.X for one in self._under_way)

    def _put_under_way(self, batches: Sequence[IntArray]) -> None:
        self._under_way = [_Batch(X) for X in batches]

    def _shrink(self, batch: _Batch, gone: Any) -> None:
        batch.X = batch.X[~gone]
        if not len(batch.X):
            self._under_way.remove(batch)


def startable(objectives: Sequence[Objective]) -> Startable | None:
    """Return the objective whose batches can be measured several at a time, where there is one."""
    return next((one for one in objectives if isinstance(one, Startable)), None)


def ways_of(measured: Startable | None, wanted: int | None, begun: int | None) -> int:
    """Return how many batches to have under way.

    Args:
        measured: the objective that takes time.
        wanted: what the user says.
        begun: what the study was begun with, where it is resumed.

    Raises:
        UsageError: nothing is measured, so that nothing can be measured in parallel.
    """
    if begun is not None and wanted not in {None, begun}:
        raise UsageError(f"parallel {wanted}: the study was begun with {begun} batches at a time, which it keeps")
    if wanted is not None and wanted > 1 and measured is None:
        raise UsageError(f"parallel {wanted}: nothing is measured in this search, so there is nothing to wait for")
    if wanted is not None or begun is not None or measured is None:
        return wanted or begun or 1
    # One more than there are devices, so that none of them waits while the algorithm thinks.
    return measured.devices + 1 if measured.devices > 1 else 1
