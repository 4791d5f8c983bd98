"""Go on with a study that the store has: its evaluations are replayed, none is made again.

An algorithm that is restored from a snapshot only observes the evaluations before it. Any other, and any without a
snapshot, is asked for everything again and answered from the store, which leads to the same place and takes longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from hwnas.search.algorithm import UNREADABLE, Algorithm, Restorable, called
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.asking import Asking, Batch
from hwnas.search.study.stored import Snapshot, StudyCheckpoint
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.space import SearchSpace

_OTHERS = (
    "the algorithm proposes other sub-networks than the study has evaluated: its version or a library's has changed, "
    "its plan depends on the number of evaluations, or a caller drove the study and told it in another order, which "
    "hwnas.create_study goes on with; else begin a new study with this one as its warm start"
)


class Replay:
    """What the store has of a study under way.

    Args:
        checkpoint: what it has, and how it gets more.
        algorithm: what proposes.
        asking: the same at work.
        archive: what was evaluated or replayed by now.
        space: the search space.
    """

    def __init__(
        self, checkpoint: StudyCheckpoint, algorithm: Algorithm, asking: Asking, archive: Archive, space: SearchSpace
    ) -> None:
        self._checkpoint = checkpoint
        self._algorithm = algorithm if isinstance(algorithm, Restorable) and asking.restorable else None
        self._asking = asking
        self._archive = archive
        self._space = space

    @property
    def rest(self) -> Sequence[Evaluation]:
        """What is still to be replayed."""
        return self._checkpoint.evaluations[len(self._archive) :]

    def next(self) -> list[Evaluation]:
        """Return the next of ``rest`` that arrived together."""
        rest = self.rest
        return list(takewhile(lambda one: one.iteration == rest[0].iteration, rest))

    def matched(self, evaluations: Sequence[Evaluation]) -> None:
        """Take from what is under way what has arrived as these.

        Raises:
            UsageError: the algorithm has not asked for them.
        """
        keys = [one.key for one in evaluations]
        for batch in self._asking.batches:
            if self._space.keys(batch.X)[: len(keys)] == keys:
                batch.X, batch.iteration = batch.X[len(keys) :], evaluations[0].iteration
                if not len(batch.X):
                    self._asking.batches.remove(batch)
                return
        raise UsageError(_OTHERS)

    def found(self, evaluations: Sequence[Evaluation], evals: int) -> None:
        """Take these out of what is under way; the algorithm is asked until they are there.

        So it is asked in the order in which a caller who evaluates all before he asks again has asked.

        Args:
            evaluations: that arrived together.
            evals: the most evaluations of the study.

        Raises:
            UsageError: the algorithm does not ask for them.
        """
        keys = {one.key for one in evaluations}
        while not keys <= set(self._space.keys(self._asking.pending)):
            if self._asking.next_batch(evals, self.save) is None:
                raise UsageError(_OTHERS)
        self._asking.take_out(keys)

    def save(self) -> None:
        """Let the store have what asking goes on from, so that a study that is resumed need not ask again."""
        if self._algorithm is None or not len(self._archive):
            return
        under_way = tuple(one.X for one in self._asking.batches)
        try:
            self._checkpoint.save(Snapshot(len(self._archive), under_way, self._algorithm.state()).to_json())
        except (TypeError, ValueError) as error:
            raise WorkError(f"the state of the algorithm {called(self._algorithm)} is no JSON: {error}") from error

    def restore(self, evals: int) -> int:
        """Restore the algorithm from the latest snapshot, and return how many evaluations it is only to observe.

        Without a snapshot, and with one that cannot be read, that is none.
        """
        if self._algorithm is None or self._checkpoint.snapshot is None:
            return 0
        checkpoint = self._checkpoint.evaluations
        try:
            snapshot = Snapshot.from_json(self._checkpoint.snapshot, self._space)
            if not snapshot.fits(checkpoint, evals):
                return 0
            arrived = np.array([one.vector for one in checkpoint[: snapshot.evaluations]], dtype=np.int64)
            self._algorithm.restore(snapshot.state, np.concatenate([arrived, *snapshot.under_way]))
        except UNREADABLE:
            return 0
        self._asking.batches = [Batch(X) for X in snapshot.under_way]
        return snapshot.evaluations
