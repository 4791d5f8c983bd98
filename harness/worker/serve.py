"""The main program of a worker process, which prepares and times networks on one platform.

The parent starts ``python -m hwnas.harness.worker.serve`` with the environment variables of the platform, and sends
orders to its standard input. The worker sends each result as soon as there is one and waits for an acknowledgement, so
that the parent does nothing while the worker times. It ends when its parent does.
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
from hwnas.harness.host import cpus, heap, threads
from hwnas.harness.host import huge_pages as memory
from hwnas.harness.host.child import SharedFile, joined
from hwnas.harness.host.environment import is_virtual
from hwnas.harness.measurement.protocol import ProtocolChoice, TimingProtocol
from hwnas.harness.validation import Refusal
from hwnas.harness.worker.budget import Budget
from hwnas.harness.worker.channel import Channel, Closed
from hwnas.harness.worker.clocks import system_clocks
from hwnas.harness.worker.messages import (
    Acknowledgement,
    BatchFacts,
    Done,
    Measured,
    Networks,
    Order,
    Progressed,
    Ready,
    Said,
)
from hwnas.harness.worker.noise import watch_first
from hwnas.harness.worker.preparing import PreparedBatch, Preparer
from hwnas.harness.worker.sessions import Inference, Preparation
from hwnas.harness.worker.timed import BatchResult
from hwnas.harness.worker.timing import time_batch
from hwnas.supernets.errors import HwnasError, MeasurementError
from hwnas.supernets.memory import BYTES
from hwnas.supernets.plug_ins import FAILURES, blamed, reason_of
from hwnas.supernets.space import IntArray

# A network that runs this long has enough work to be spread over a few threads.
_SHARED_S = 1e-3
# Anchors stay as long as the worker: they are prepared several times only if that takes at most this share of memory.
_ANCHORS_SHARE = 0.25


class Worker:
    """The worker of one platform: handles the parent's orders.

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
        self._mark = _Marker(order.marker)
        choice = ProtocolChoice.from_record(order.protocol)
        # Until a profile is chosen, the numbers that all profiles have in common.
        self._preparing = choice.of("noisy")
        self._anchors: dict[int, Inference] = {}
        self._check, self._budget = order.check, Budget()
        self._preparer = Preparer(
            self._preparation, self._weights, self._preparing, self._budget, self._say, self._mark, self._spare_anchors
        )
        self._anchors = self._prepare_anchors(order.anchors)
        self._protocol = self._begin(choice)
        # Before and after each batch garbage is collected. What libraries have made, a million objects, stays: to look
        # at it each time takes as long as to measure a network briefly.
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Measure batches until the parent closes the channel."""
        while True:
            order: Networks = self._channel.receive(Networks)
            pending = list(order.networks)
            rng = np.random.default_rng(order.seed)
            while True:  # without networks, the anchors alone
                prepared = self._preparer.prepare(pending)
                pending = prepared.left
                self._measure(prepared, rng)
                if not pending:
                    break
            self._say(Done())

    # --- the beginning -----------------------------------------------------------------------------------------------

    def _prepare_anchors(self, vectors: list[list[int]]) -> dict[int, Inference]:
        """Prepare the anchors; report those that cannot be prepared, and leave them out."""
        anchors = [(-1 - number, vector) for number, vector in enumerate(vectors)]
        ready = self._preparer.prepare(anchors, _ANCHORS_SHARE).ready
        if vectors and not ready:
            raise MeasurementError(
                "none of the anchors (the smallest, a middle, the largest) can be prepared; see above"
            )
        return ready

    def _spare_anchors(self) -> bool:
        """Close all anchors but the first, so that a network has room; return whether there were any."""
        spared = list(self._anchors)[1:]
        for number in spared:
            _release(self._anchors.pop(number))
        gc.collect()
        heap.release()
        return bool(spared)

    def _begin(self, choice: ProtocolChoice) -> TimingProtocol:
        """Verify the threads, choose the protocol, and report both to the parent."""
        ready = list(self._anchors.values())
        largest, middle = ready[-1], len(ready) // 2
        if self._preparing.huge_pages:
            memory.collapse()
        check = self._verify(largest)
        with system_clocks() as clocks:
            anchors = ready[middle:] + ready[:middle]
            noise = watch_first(anchors, clocks, self._settings.threads, self._preparing.calibration_s)
        if self._settings.device == "cpu":
            noise = replace(noise, virtual=is_virtual())
        protocol = choice.of(noise.profile())
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

    def _preparation(self, vector: list[int]) -> Preparation:
        config = self._net.space.decode(_row(vector))[0]
        room = heap.own_stretch if self._preparing.own_memory else nullcontext
        guard = self._budget.guarded
        return Preparation(self._net, config, self._backend, self._settings, self._check, room, guard)

    def _weights(self, vector: list[int]) -> int:
        """Return the bytes of a network's parameters, which its module has in fp32."""
        return BYTES["fp32"] * int(self._net.params(_row(vector))[0])

    def _measure(self, prepared: PreparedBatch, rng: np.random.Generator) -> None:
        anchors, ready = self._anchors, prepared.ready
        numbers, runners = [*anchors, *ready], [*anchors.values(), *ready.values()]
        huge_pages, own_memory = self._memory()

        def facts(result: BatchResult) -> BatchFacts:
            tau, wanted = result.convergence.tau, bool(self._protocol.own_memory)
            seconds = result.overhead_s, result.seconds
            reason = own_memory if wanted else None
            own, side_by_side = wanted and reason is None, len(ready)
            return BatchFacts(result.rounds, tau, *seconds, huge_pages, own, reason, side_by_side, prepared.memory)

        def report(result: BatchResult, due: Mapping[int, bool]) -> None:
            """Report networks before their batch ends, the anchors first."""
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
        # The sessions' settings are read again after the work: only then they show whether a clock was throttled.
        ends = [_read_back(inference) for inference in runners]
        for inference in ready.values():
            _release(inference)
        gc.collect()
        heap.release()
        for index, number in enumerate(numbers):
            self._say(_measured(number, runners[index], result, index, facts(result), ends[index]))

    def _memory(self) -> tuple[float | None, str | None]:
        """Put memory into huge pages if the protocol says so.

        Returns:
            The share of memory in huge pages, and why sessions cannot get memory stretches of their own, or ``None``.
        """
        return (memory.collapse() if self._protocol.huge_pages else memory.share()), heap.why_not()

    def _say(self, message: Said) -> None:
        """Send a message and wait for its acknowledgement, so that the parent works while nothing is timed."""
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
    """Return the message about a timed network.

    Args:
        number: the network's.
        inference: the prepared network.
        result: of the batch.
        index: of the network in the batch.
        facts: of the batch.
        end: the settings that its sessions report after the work, and why they do not; ``None``: they are read here.
    """
    timed, paces = result.timed[index], result.convergence.paces
    pace = paces[index] if paces else None
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
        pace=pace.to_record() if pace else None,
    )


def _read_back(inference: Inference) -> tuple[list[dict[str, Any]], str | None]:
    """Return the settings that its sessions report now, and why they cannot be read, or ``None``."""
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
    """Writes the number of the current network into a file that the parent reads if the worker dies.

    Args:
        file: the address of the file, which both processes have open.
    """

    def __init__(self, file: int | str) -> None:
        self._memory = mmap.mmap(SharedFile.opened(file), 8)

    def __call__(self, number: int) -> None:
        self._memory[:8] = number.to_bytes(8, "little", signed=True)


def _row(vector: list[int]) -> IntArray:
    return np.array([vector], dtype=np.int64)


def _channel() -> Channel:
    """Return the channel on standard input and output, and redirect what libraries print to standard error."""
    read, write = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return Channel(read, write)


def main(serve: Callable[[Channel], None] | None = None) -> int:
    """Run the worker until its parent closes the channel."""
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
        cpus.run_on(order.cores)
        worker = Worker(channel, order)
    except FAILURES as error:
        named = error if isinstance(error, HwnasError) else blamed(error)
        if named is None:
            raise
        channel.send(Refusal(type(named).__name__, str(named)))
        return
    worker.serve()


if __name__ == "__main__":
    sys.exit(main())
