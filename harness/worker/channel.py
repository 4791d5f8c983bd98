"""Send messages between the program and its worker process: JSON, preceded by its length in four bytes."""

from __future__ import annotations

import os
import queue
import select
import struct
import threading
import time
from typing import Any

from hwnas.harness.validation import InvalidMessageError, Message, read

_LENGTH = struct.Struct(">I")
_MOST = 1 << 20  # bytes that are read at once
# Windows waits for sockets alone.
WAITS_FOR_PIPES = hasattr(os, "fork")


class Silence(Exception):  # noqa: N818 - an event; the caller decides whether it is an error
    """No message came in time."""


class Closed(Exception):  # noqa: N818 - likewise
    """The other side has closed the channel."""


class Garbled(Exception):  # noqa: N818 - likewise
    """What came is not an expected message: another program or another version of hwnas writes to the other end."""


class Channel:
    """Two file descriptors and whole messages over them.

    Args:
        read: the descriptor that messages are read from.
        write: the descriptor that they are written to.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._parts: queue.SimpleQueue[bytes] | None = None  # what a thread has read, where pipes cannot be waited for
        self._left = b""

    def send(self, message: Message) -> None:
        """Send a message; raises ``Closed`` when nobody reads any more."""
        body = message.to_text().encode()
        view = memoryview(_LENGTH.pack(len(body)) + body)
        try:
            while view:
                view = view[os.write(self._write, view) :]
        except BrokenPipeError as error:
            raise Closed from error

    def receive(self, expected: Any, within_s: float | None = None) -> Any:
        """Wait for a message, asleep until there is one.

        Args:
            expected: the class that it is, or an annotated union of several.
            within_s: how long to wait; ``None``: as long as it takes.

        Raises:
            Silence: nothing for ``within_s`` seconds.
            Closed: the other side has ended.
            Garbled: the message is of another form, lacks a field, or has an unknown one.
        """
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size, within_s))
        body = self._exactly(length, within_s)
        try:
            return read(expected, body)
        except InvalidMessageError as error:
            raise Garbled(f"{body[:40]!r}: {error}") from error

    def _exactly(self, n: int, within_s: float | None) -> bytes:
        parts: list[bytes] = []
        deadline = None if within_s is None else time.monotonic() + within_s
        while n:
            part = self._part(n, None if deadline is None else max(0.0, deadline - time.monotonic()))
            if not part:
                raise Closed
            parts.append(part)
            n -= len(part)
        return b"".join(parts)

    def _part(self, n: int, within_s: float | None) -> bytes:
        """Return up to ``n`` bytes as soon as there are any; none: the other side has ended."""
        if within_s is not None and not WAITS_FOR_PIPES:
            return self._part_by_thread(n, within_s)
        if within_s is not None and not select.select([self._read], [], [], within_s)[0]:
            raise Silence
        return os.read(self._read, min(n, _MOST))

    def _part_by_thread(self, n: int, within_s: float) -> bytes:
        if self._parts is None:
            self._parts = queue.SimpleQueue()
            threading.Thread(target=_pass_on, args=(self._read, self._parts), daemon=True).start()
        if not self._left:
            try:
                self._left = self._parts.get(timeout=within_s)
            except queue.Empty:
                raise Silence from None
        if not self._left:
            self._parts.put(b"")  # the end stays the end
        part, self._left = self._left[:n], self._left[n:]
        return part


def _pass_on(descriptor: int, parts: queue.SimpleQueue[bytes]) -> None:
    part = b"?"
    while part:
        try:
            part = os.read(descriptor, _MOST)
        except OSError:  # this side has closed it
            part = b""
        parts.put(part)
