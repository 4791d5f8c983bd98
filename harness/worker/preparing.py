"""Prepare the networks of a batch, as many side by side and as often as memory allows."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from hwnas.harness.host import heap
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.worker.budget import Budget, Left, ran_short
from hwnas.harness.worker.messages import Failed, MemoryFacts, Prepared, Said
from hwnas.harness.worker.sessions import Inference, Preparation
from hwnas.supernets.plug_ins import FAILURES, reason_of

# A network as a batch numbers it, and its vector.
Numbered = tuple[int, list[int]]


@dataclass(frozen=True)
class PreparedBatch:
    """The networks that are prepared together.

    Attributes:
        ready: the prepared ones, by number.
        left: those that are to be prepared when these have been measured.
        memory: what the memory has allowed, where it was short; ``None``: it was not.
    """

    ready: dict[int, Inference]
    left: list[Numbered]
    memory: MemoryFacts | None


@dataclass(frozen=True)
class _Failure:
    """Why a network is not prepared, and whether memory was short."""

    reason: str
    short: bool


class Preparer:
    """Prepares sub-networks of one super-network on one platform.

    Args:
        preparation: makes the preparation of a vector.
        weights: returns the bytes of a vector's parameters in its module.
        protocol: how often each is prepared, if memory allows.
        budget: of the memory.
        say: sends a message to the parent.
        mark: called with a network's number before it is prepared.
        make_room: closes what is prepared beside, if it can be spared; returns whether there was anything.
    """

    def __init__(
        self,
        preparation: Callable[[list[int]], Preparation],
        weights: Callable[[list[int]], int],
        protocol: TimingProtocol,
        budget: Budget,
        say: Callable[[Said], None],
        mark: Callable[[int], None],
        make_room: Callable[[], bool],
    ) -> None:
        self._preparation, self._weights = preparation, weights
        self._protocol, self._budget = protocol, budget
        self._say, self._mark, self._make_room = say, mark, make_room

    def prepare(self, pending: Sequence[Numbered], share: float = 1.0) -> PreparedBatch:
        """Prepare networks while memory lasts, at least one of them, and report each.

        Args:
            pending: the networks.
            share: of the memory that is left, at most, for preparing the networks more than once.
        """
        begun, wanted = self._budget.left(), self._protocol.sessions
        weights = {number: self._weights(vector) for number, vector in pending}
        sessions = self._budget.sessions(list(weights.values()), wanted, share)
        made: dict[int, Preparation] = {}
        left = list(pending)
        while left and (not made or self._has_room(weights[left[0][0]], begun, sessions)):
            number, vector = left[0]
            one = self._first(number, vector, weights[number])
            if not isinstance(one, _Failure):
                made[number] = one
            elif one.short and made:
                break  # it is tried again when these have been measured and closed
            elif one.short and self._make_room():
                continue
            else:
                self._say(Failed(number, one.reason))
            del left[0]
        again = self._again(made, sessions, weights)
        short = None
        if begun is not None and (left or again < wanted):
            chosen = {"networks": len(made), "of_networks": len(pending), "sessions": again, "of_sessions": wanted}
            short = MemoryFacts(begun.name, begun.bytes, begun.limit, **chosen)
        return PreparedBatch(
            {number: one.inference(self._protocol.stage_runs) for number, one in made.items()}, left, short
        )

    def _first(self, number: int, vector: list[int], weights: int) -> Preparation | _Failure:
        """Prepare a network for the first time, and report that."""
        self._mark(number)
        one = self._preparation(vector)
        return self._once(number, one, weights, again=False) or one

    def _again(self, made: dict[int, Preparation], sessions: int, weights: Mapping[int, int]) -> int:
        """Prepare each network up to ``sessions`` times, in turns; return how often memory has allowed it."""
        for time in range(1, sessions):
            for number, one in list(made.items()):
                if time >= one.affordable(sessions, self._protocol.sessions_cap_s):
                    continue
                self._mark(number)
                failure = self._once(number, one, weights[number], again=True)
                if failure is not None and failure.short:
                    return time
                if failure is not None:
                    self._say(Failed(number, failure.reason))
                    del made[number]
        return sessions

    def _once(self, number: int, one: Preparation, weights: int, *, again: bool) -> _Failure | None:
        """Prepare a network, and report that; return why not, or ``None``."""
        refusal = self._budget.refusal(weights)
        if refusal is not None:
            return _Failure(refusal, short=True)
        try:
            # What a network takes is learnt from its first preparation: later ones find some of it ready.
            with nullcontext() if again else self._budget.noting(weights):
                facts = one.once()
        except FAILURES as error:  # a backend is anybody's code
            failure = self._failure(weights, error)
        else:
            self._say(Prepared(number, again, facts))
            return None
        _give_back()
        return failure

    def _failure(self, weights: int, error: BaseException) -> _Failure:
        reason, short = reason_of(error), ran_short(error)
        return _Failure(self._budget.ran_out(weights, reason) if short else reason, short)

    def _has_room(self, weights: int, begun: Left | None, sessions: int) -> bool:
        now = self._budget.left()
        taken = 0 if begun is None or now is None else begun.bytes - now.bytes
        return self._budget.has_room(weights, taken, sessions)


def _give_back() -> None:
    """Give the memory of what has failed back to the system, so that others find it."""
    gc.collect()
    heap.release()
