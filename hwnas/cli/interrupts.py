"""Ctrl-C, SIGTERM and a closed terminal: end the command soon, print what is stored and how to resume."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from types import FrameType, TracebackType
from typing import Any, Self

_WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _WORDS[signal.SIGHUP] = "the terminal is gone"
_SIGNALS = tuple(_WORDS)
# A command that does not come to its end by itself, because a library computes on or a database is locked, is ended.
# It is made for that: the store's transactions are whole or not there, and children end with their parent.
PATIENCE_S = 2.0
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupted(KeyboardInterrupt):
    """A signal that asks the command to end.

    Attributes:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


class Interrupts:
    """Handles the signals while a command runs: a context manager, for the main thread.

    The first one raises ``Interrupted``, and further ones are ignored: the command is ending already.

    Args:
        arguments: of the command line, after ``hwnas``.
        end: ends the process with an exit code, where the command does not end by itself.
    """

    def __init__(self, arguments: Sequence[str], end: Callable[[int], Any] = os._exit) -> None:
        self._arguments = list(arguments)
        self._end = end
        self._saved: tuple[str, tuple[str, ...]] | None = None
        self._before: dict[int, Any] = {}
        self._number: int | None = None
        self._over = threading.Event()
        self._wake: socket.socket | None = None
        self._wake_before = -1

    def note_saved(self, what: str, *more: str) -> None:
        """Remember what is stored by now, and the arguments with which the same command can be resumed."""
        self._saved = what, more

    def words(self, number: int) -> list[str]:
        """Return the lines that are printed at the end: what is stored, and the command that resumes."""
        said = _WORDS[signal.Signals(number)]
        if self._saved is None:
            return [said]
        what, more = self._saved
        return [f"{said}; {what}", f"to go on: {shlex.join(['hwnas', *going_on(self._arguments, more)])}"]

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in _SIGNALS:
            # What whoever started us has switched off (nohup, a shell's background) stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)
        # Not a pipe: on Windows, only a socket can be written to without waiting.
        woken, self._wake = socket.socketpair()
        self._wake.setblocking(False)
        # The system writes to it at once, whatever the main thread computes meanwhile.
        self._wake_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(woken,), name="hwnas-interrupts", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._wake is None:
            return
        signal.set_wakeup_fd(self._wake_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._wake.close()  # which ends the thread

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self._number is None:
            self._number = number
            raise Interrupted(number)

    def _watch(self, woken: socket.socket) -> None:
        """End the process where a signal came and the command has not ended soon after."""
        with woken:
            while heard := woken.recv(1):
                if heard[0] in self._before and not self._over.wait(PATIENCE_S):
                    self._say(heard[0])
                    self._end(128 + heard[0])

    def _say(self, number: int) -> None:
        # Straight to the descriptor: the main thread may hold the lock of a stream.
        with contextlib.suppress(OSError):
            cursor = _SHOW_CURSOR if os.isatty(2) else b""
            os.write(2, cursor + "".join(f"{line}\n" for line in self.words(number)).encode())


def going_on(arguments: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return the arguments of the command that resumes: the same ones and ``more``, without secrets.

    Args:
        arguments: as they were given.
        more: options, each followed by its value where it has one, that are put at the end where they are not given.
    """
    shown = [_unsecret(one, arguments[place - 1] if place else "") for place, one in enumerate(arguments)]
    given = {one.partition("=")[0] for one in arguments}
    options: list[list[str]] = []
    for one in more:
        if one.startswith("--"):
            options.append([one])
        else:
            options[-1].append(one)
    return [*shown, *(word for option in options if option[0] not in given for word in option)]


def _unsecret(argument: str, before: str) -> str:
    """Return an argument, and in the place of a database's address, which may hold a password, the word URL."""
    option, equals, value = argument.partition("=")
    if before == "--store":
        option, equals, value = "", "", argument
    elif option != "--store":
        return argument
    is_file = "://" not in value or value.startswith("sqlite:")
    return f"{option}{equals}{value if is_file else 'URL'}"
