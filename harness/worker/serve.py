"""The process that prepares and times networks: ``python -m hwnas.harness.worker.serve``, orders on its standard input.

It is spawned once per platform, with its environment set before it imports anything. It says each thing as soon as it
knows it, and waits for the parent's acknowledgement: while it times, the parent sleeps, and when the parent ends, so
does it.
"""

from __future__ import annotations

import gc
import mmap
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from hwnas import backends, supernets
from hwnas.backends.backend import RunningBackend, Settings
from hwnas.harness.host import heap, threads
from hwnas.harness.host import huge_pages as memory
from hwnas.harness.host.child import joined
from hwnas.harness.host.environment import is_virtual
from hwnas.harness.measurement.protocol import PROFILES, TimingProtocol
from hwnas.harness.worker.channel import Channel, Closed
from hwnas.harness.worker.clocks import system_clocks
from hwnas.harness.worker.messages import (
    Acknowledgement,
    BatchFacts,
    Done,
    Failed,
    Measured,
    Networks,
    Order,
    Prepared,
    Progressed,
    Ready,
    Refused,
    Said,
)
from hwnas.harness.worker.noise import watch_first
from hwnas.harness.worker.sessions import Inference, Preparation
from hwnas.harness.worker.timed import BatchResult
from hwnas.harness.worker.timing import time_batch
from hwnas.supernets.errors import HwnasError, MeasurementError
from hwnas.supernets.plug_ins import FAILURES, blamed, reason_of

# A network that runs this long is work enough to be spread over a few threads.
_SHARED_S = 1e-3
# Preparing stops, and what is ready is measured, when less of the memory than this is left.
_MEMORY_LEFT = 0.15


class Worker:
    """One platform's worker.

    Args:
        channel: to the parent.
        order: the parent's first message.
    """

    def __init__(self, channel: Channel, order: Order) -> None:
        self._channel = channel
        self._net = supernets.get(order.supernet)
        backend = backends.get(order.backend)
        if not isinstance(backend, RunningBackend):
            raise MeasurementError(f"the backend {order.backend!r} runs nothing")
        self._backend = backend
        self._settings = Settings(**order.settings)
        self._check = order.check
        self._mark = _Marker(order.marker)
        numbers = order.protocol
        # Until a profile is chosen, what all of them have in common.
        self._preparing = TimingProtocol.from_record(numbers) if numbers else PROFILES["noisy"]
        self._anchors = self._prepare_anchors(order.anchors)
        self._protocol = self._begin(order.protocol)

    def serve(self) -> None:
        """Measure batches until the parent closes the channel."""
        while True:
            order: Networks = self._channel.receive(Networks)
            pending = list(order.networks)
            rng = np.random.default_rng(order.seed)
            while pending:
                ready, pending = self._prepare_some(pending)
                self._measure(ready, rng)
            if not order.networks:
                self._measure({}, rng)
            self._say(Done())

    # --- the beginning -----------------------------------------------------------------------------------------------

    def _prepare_anchors(self, vectors: list[list[int]]) -> list[Inference]:
        """Prepare the anchors; one that cannot be is left out, and said so."""
        ready, _ = self._prepare_some([(-1 - number, vector) for number, vector in enumerate(vectors)])
        if vectors and not ready:
            raise MeasurementError(
                "none of the anchors (the smallest, a middle, the largest) can be prepared; see above"
            )
        return list(ready.values())

    def _begin(self, record: dict[str, Any] | None) -> TimingProtocol:
        """Verify the threads, choose the protocol, and tell the parent."""
        largest, middle = self._anchors[-1], len(self._anchors) // 2
        if record is None or record["huge_pages"]:
            memory.collapse()
        check = self._verify(largest)
        with system_clocks() as clocks:
            anchors = self._anchors[middle:] + self._anchors[:middle]
            noise = watch_first(anchors, clocks, self._settings.threads, self._preparing.calibration_s)
        if self._settings.device == "cpu":
            noise = replace(noise, virtual=is_virtual())
        protocol = noise.profile() if record is None else TimingProtocol.from_record(record)
        self._say(Ready(protocol.to_record(), noise, check, os.getpid()))
        return protocol

    def _verify(self, largest: Inference) -> threads.ThreadCheck | None:
        if self._settings.device != "cpu" or "threads" not in self._backend.keys:
            return None
        with system_clocks() as clocks:
            start = clocks.wall()
            largest.run()
            shared = clocks.wall() - start >= _SHARED_S * 1e9
        return threads.verify(largest.run, self._settings.threads, shared)

    # --- a batch -----------------------------------------------------------------------------------------------------

    def _prepare_some(
        self, pending: list[tuple[int, list[int]]]
    ) -> tuple[dict[int, Inference], list[tuple[int, list[int]]]]:
        """Prepare networks while memory lasts; return those ready and those left for later."""
        numbers, before = self._preparing, _memory_left()
        preparing: dict[int, Preparation] = {}
        left: list[tuple[int, list[int]]] = []
        for position, (number, vector) in enumerate(pending):
            now = _memory_left()
            if preparing and now - (numbers.sessions - 1) * (before - now) < _MEMORY_LEFT:
                left = pending[position:]
                break
            one = self._making(vector)
            if self._made_once(number, one):
                preparing[number] = one
        for time in range(1, numbers.sessions):
            for number, one in list(preparing.items()):
                if time < one.affordable(numbers.sessions, numbers.sessions_cap_s) and not self._made_once(number, one):
                    del preparing[number]
        return {number: one.inference() for number, one in preparing.items()}, left

    def _making(self, vector: list[int]) -> Preparation:
        config = self._net.space.decode(np.array([vector], dtype=np.int64))[0]
        room = heap.own_stretch if self._preparing.own_memory else nullcontext
        return Preparation(self._net, config, self._backend, self._settings, self._check, room)

    def _made_once(self, number: int, one: Preparation) -> bool:
        """Make a network ready once more; what that raises is its failure, and the others go on."""
        self._mark(number)
        try:
            preparation = one.once()
        except FAILURES as error:  # a backend is anybody's code
            self._say(Failed(number, reason_of(error)))
            return False
        self._say(Prepared(number, one.times > 1, preparation))
        return True

    def _measure(self, ready: dict[int, Inference], rng: np.random.Generator) -> None:
        anchors = {-1 - position: inference for position, inference in enumerate(self._anchors)}
        numbers, runners = [*anchors, *ready], [*anchors.values(), *ready.values()]
        huge_pages, own_memory = self._memory()

        def facts(result: BatchResult) -> BatchFacts:
            tau, wanted = result.convergence.tau, bool(self._protocol.own_memory)
            seconds = result.overhead_s, result.seconds
            reason = own_memory if wanted else None
            return BatchFacts(result.rounds, tau, *seconds, huge_pages, wanted and reason is None, reason)

        def report(result: BatchResult, due: Mapping[int, bool]) -> None:
            """Report networks in the midst of their batch, the anchors before them."""
            for index, number in enumerate(numbers):
                if number < 0 or index in due:
                    message = _measured(number, runners[index], result, index, facts(result))
                    self._say(replace(message, interim=True, converged=due.get(index, False)))

        with system_clocks() as clocks:
            result = time_batch(
                runners,
                self._protocol,
                clocks,
                rng,
                anchors=len(anchors),
                threads=self._settings.threads,
                enter=lambda index: self._mark(numbers[index]),
                tick=lambda tick: self._say(Progressed(tick)),
                report=report,
            )
        # What sessions say of themselves is read again: whether a clock was throttled shows only after the work.
        ends = [_read_back(inference) for inference in runners]
        for inference in ready.values():
            _release(inference)
        gc.collect()
        heap.release()
        for index, number in enumerate(numbers):
            self._say(_measured(number, runners[index], result, index, facts(result), ends[index]))

    def _memory(self) -> tuple[float | None, str | None]:
        """Put memory into huge pages where the protocol says so.

        Returns:
            The share that is in them, and why sessions cannot lie on stretches of their own, or ``None``.
        """
        return (memory.collapse() if self._protocol.huge_pages else memory.share()), heap.why_not()

    def _say(self, message: Said) -> None:
        """Say something and wait for its acknowledgement: the parent works while nothing is timed."""
        self._channel.send(message)
        self._channel.receive(Acknowledgement)


def _measured(
    number: int,
    inference: Inference,
    result: BatchResult,
    index: int,
    facts: BatchFacts,
    end: tuple[list[dict[str, Any]], str | None] | None = None,
) -> Measured:
    """Return what is said of a timed network.

    Args:
        number: the network's.
        inference: the same, ready.
        result: of the batch.
        index: of the network in it.
        facts: of the batch.
        end: what its sessions said of themselves after the work, and what kept them from it; ``None``: they are asked.
    """
    timed = result.timed[index]
    read_back, failure = _read_back(inference) if end is None else end
    return Measured(
        number=number,
        samples=timed.samples.to_record(),
        spent_s=timed.spent_s,
        warmup_runs=timed.warmup_runs,
        failure=timed.failure if failure is None else failure,
        rules=result.convergence.rules(index),
        batch=facts,
        read_back=read_back,
        sessions=inference.n_sessions,
    )


def _read_back(inference: Inference) -> tuple[list[dict[str, Any]], str | None]:
    """Return what its sessions say of themselves now, and why one cannot, or ``None``."""
    try:
        return inference.describe(), None
    except FAILURES as error:  # as above: the network's failure, and the others go on
        return [], reason_of(error)


def _release(inference: Inference) -> None:
    try:
        inference.close()
    except FAILURES as error:  # what was measured stands all the same
        sys.stderr.write(f"a session could not be closed: {reason_of(error)}\n")


class _Marker:
    """Leaves word of the network at hand where the parent can read it after the worker has died.

    Args:
        file: the descriptor of a file that both have open.
    """

    def __init__(self, file: int) -> None:
        self._memory = mmap.mmap(file, 8)

    def __call__(self, number: int) -> None:
        self._memory[:8] = number.to_bytes(8, "little", signed=True)


def _memory_left() -> float:
    """Return the share of memory that is left, of the host's and of every limit; 1 where the system does not say."""
    return min((left / limit for _, left, limit in memory.limits() if limit), default=1.0)


def _channel() -> Channel:
    """Take standard input and output for the messages; what libraries print goes to standard error instead."""
    read, write = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Channel(read, write)


def main(serve: Callable[[Channel], None] | None = None) -> int:
    """Run the worker until its parent has had enough."""
    joined()
    channel = _channel()
    try:
        (serve or _serve)(channel)
    except Closed:
        return 0
    return 1


def _serve(channel: Channel) -> None:
    order: Order = channel.receive(Order)
    try:
        threads.run_on(order.cores)
        worker = Worker(channel, order)
    except FAILURES as error:
        named = error if isinstance(error, HwnasError) else blamed(error)
        if named is None:
            raise
        channel.send(Refused(type(named).__name__, str(named)))
        return
    worker.serve()


if __name__ == "__main__":
    sys.exit(main())
