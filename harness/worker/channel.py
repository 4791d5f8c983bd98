"""Send messages between the program and its worker process: JSON, preceded by its length in four bytes."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import Any

from hwnas.harness.validation import InvalidMessageError, Message, read

_LENGTH = struct.Struct(">I")


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
            if (
                deadline is not None
                and not select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))[0]
            ):
                raise Silence
            part = os.read(self._read, min(n, 1 << 20))
            if not part:
                raise Closed
            parts.append(part)
            n -= len(part)
        return b"".join(parts)
