"""Start a worker process and exchange messages with it; raise ``WorkerDied`` if it dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from hwnas.harness.host import heap, variables
from hwnas.harness.host.child import Child, SharedFile, unnamed_file
from hwnas.harness.measurement.protocol import ProtocolChoice
from hwnas.harness.validation import Message, Refusal
from hwnas.harness.worker.channel import Channel, Closed, Garbled, Silence
from hwnas.harness.worker.messages import SAID, Acknowledgement, Done, Failed, Networks, Order, Ready, Said
from hwnas.supernets import errors

_ATTEMPTS = 2  # to start a worker
_STARTING_S = 60.0  # the least patience with its first message: it loads libraries before, maybe on busy CPUs
_TAIL = 600  # characters of the worker's last words that go into a message


class WorkerDied(Exception):  # noqa: N818 - it is an event; the caller decides whether it is an error
    """The worker ended or went silent.

    Attributes:
        number: the network that it was working on, as numbered by the caller, or ``None``.
    """

    def __init__(self, reason: str, number: int | None) -> None:
        super().__init__(reason)
        self.number = number


class WorkerProcess:
    """A child process that measures on one platform.

    Args:
        order: the first message; its ``marker``, a file descriptor, is filled in here.
        environment: variables that must be set before the worker imports anything, on top of what
            ``hwnas.harness.host.variables`` lets through of this process's own.
        silence_s: a worker that says nothing for this long has hung; before its first message, at least a minute.
        listen: called with each message that comes before it is ready.

    Raises:
        WorkerDied: it did not start.
        HwnasError: it refuses the platform; of the class that the worker raised.
    """

    def __init__(
        self,
        order: Order,
        environment: Mapping[str, str],
        silence_s: float,
        listen: Callable[[Said], None],
    ) -> None:
        self._silence_s = silence_s
        self._listen = listen
        # The worker's standard error goes to a file: a pipe would have to be emptied while it times.
        self._words, self._marker = unnamed_file(), SharedFile()
        self._marker.file.write(_NOTHING.to_bytes(8, "little", signed=True))
        self._marker.file.flush()
        inherited = variables.for_worker(os.environ)
        self._child = Child(
            "hwnas.harness.worker.serve",
            environment={**inherited, **heap.environment(inherited, huge_pages=_in_huge_pages(order)), **environment},
            files=(self._marker.file.fileno(),),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
        )
        self._process = self._child.process
        if self._process.stdin is None or self._process.stdout is None:  # pragma: no cover - PIPE was asked for
            raise errors.MeasurementError("the worker has no pipes")
        self._channel = Channel(self._process.stdout.fileno(), self._process.stdin.fileno())
        try:
            self.ready = self._open(replace(order, marker=self._marker.address))
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def _open(self, order: Order) -> Ready:
        self._send(order)
        patience_s = max(self._silence_s, _STARTING_S)
        while True:
            message, patience_s = self._next(patience_s), self._silence_s
            if isinstance(message, Refusal):
                raise message.raised()
            self._send(Acknowledgement())
            if isinstance(message, Ready):
                return message
            self._listen(message)

    def measure(self, networks: Sequence[tuple[int, Sequence[int]]], seed: int) -> Iterator[Said]:
        """Measure networks, given as numbers and vectors; yield each message as it comes.

        Raises:
            WorkerDied: it ended or went silent; the messages yielded before are valid.
        """
        self._send(Networks([(number, [int(v) for v in vector]) for number, vector in networks], seed))
        while not isinstance(message := self._next(self._silence_s), Done):
            yield message
            self._send(Acknowledgement())
        self._send(Acknowledgement())

    def close(self) -> None:
        """End the worker."""
        self._child.close()
        self._words.close()
        self._marker.close()

    def _send(self, message: Message) -> None:
        try:
            self._channel.send(message)
        except Closed:
            raise self._died() from None

    def _next(self, patience_s: float) -> Said:
        try:
            said: Said = self._channel.receive(SAID, patience_s)
        except Closed:
            raise self._died() from None
        except Garbled as error:
            self._process.kill()
            raise WorkerDied(f"the worker sent no valid message: {error}{self._tail()}", self._at()) from None
        except Silence:
            self._process.kill()
            raise WorkerDied(f"the worker sent nothing for {patience_s:g} s{self._tail()}", self._at()) from None
        return said

    def _died(self) -> WorkerDied:
        code = self._process.wait()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return WorkerDied(f"the worker {how}{self._tail()}", self._at())

    def _at(self) -> int | None:
        self._marker.file.seek(0)
        number = int.from_bytes(self._marker.file.read(8), "little", signed=True)
        return None if number == _NOTHING else number

    def _tail(self) -> str:
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, size - 4 * _TAIL))
        text = self._words.read().decode(errors="replace").strip()
        return f"; its last words: {text[-_TAIL:]}" if text else ""


def _in_huge_pages(order: Order) -> bool:
    """Return whether the protocol wants memory in huge pages, whichever profile the worker chooses."""
    return bool(ProtocolChoice.from_record(order.protocol).of("noisy").huge_pages)


def start_worker(order: Order, environment: Mapping[str, str], silence_s: float) -> WorkerProcess:
    """Start a worker process, once more if it dies; arguments as for ``WorkerProcess``.

    Raises:
        WorkerDied: it died each time.
        MeasurementError: it cannot measure on the platform; says why, with the reasons of failed anchors.
        HwnasError: it refuses the platform for another reason.
    """
    reasons: list[str] = []

    def listen(message: Said) -> None:
        reasons.extend([message.reason] if isinstance(message, Failed) else [])

    for attempt in range(1, _ATTEMPTS + 1):
        reasons.clear()
        try:
            return WorkerProcess(order, environment, silence_s, listen)
        except WorkerDied:
            if attempt == _ATTEMPTS:
                raise
        except errors.MeasurementError as error:
            raise errors.MeasurementError("; ".join([str(error), *dict.fromkeys(reasons)])) from None
    raise AssertionError("unreachable")


_NOTHING = -(2**62)
