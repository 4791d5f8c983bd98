"""Tasks for other processes, which import them by name: the folder is on every process's path."""

from __future__ import annotations

import os
import signal


class UnsendableError(Exception):
    """An error that is not made anew from its message, as ``pickle`` would."""

    def __init__(self, what, where):
        super().__init__(f"{what} is not in {where}")


def double(number):
    return 2 * number


def blocked_signals():
    return sorted(signal.Signals(number).name for number in signal.pthread_sigmask(signal.SIG_BLOCK, []))


def fail(kind):
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "unsendable":
        raise UnsendableError("apple", "the basket")
    raise ValueError(kind)
