"""Run a worker of a farm in a child process, and restart it whenever it ends, until it is refused or interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from hwnas.harness.farm.security import Tls
from hwnas.harness.farm.worker import REFUSED
from hwnas.harness.host.child import Child, unnamed_file
from hwnas.supernets.errors import UsageError

# How long to wait before a worker is started again; longer each time until one starts.
_FIRST_S, _LONGEST_S = 0.5, 10.0
# A worker that ran for this long, or was killed, has started.
_LIVED_S = 10.0
_END_S = 1.5  # after Ctrl-C, the user waits this long at most


@dataclass(frozen=True)
class JoinOrder:
    """How a worker joins a farm.

    Attributes:
        scheduler: the address.
        tls: the files of TLS.
        platforms: the platforms it offers; none: everything that works here.
        name: of the worker; ``None``: the machine's name.
        unit: which of several equal devices of this machine it is.
        accuracy: sub-networks evaluated for their quality at a time.
        measure: offer devices at all.
    """

    scheduler: str
    tls: Tls = field(default_factory=Tls)
    platforms: tuple[str, ...] = ()
    name: str | None = None
    unit: int | None = None
    accuracy: int = 1
    measure: bool = True

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps({**vars(self), "tls": vars(self.tls)})


class JoinedWorker:
    """A child process that joins a farm as a worker; a context manager that ends it.

    Args:
        order: how it joins.
        environment: further environment variables.
    """

    def __init__(self, order: JoinOrder, environment: Mapping[str, str] | None = None) -> None:
        self._words = unnamed_file()
        self._child = Child(
            "hwnas.harness.farm.worker",
            environment={**os.environ, **(environment or {})},
            stdin=subprocess.PIPE,
            stderr=self._words,
            stdout=subprocess.DEVNULL,
        )
        self.process = self._child.process
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(order.to_json().encode() + b"\n")
                self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def words(self) -> str:
        """Return the last line that it wrote to standard error."""
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Ask the process to end, and kill it if it does not."""
        self._child.close(_END_S)
        self._words.close()


def supervise(order: JoinOrder, say: Callable[[str], None]) -> None:
    """Run a worker, and restart it whenever it ends, until the program is interrupted.

    Raises:
        UsageError: the worker was refused; says why.
    """
    wait = _FIRST_S
    while True:
        started = time.monotonic()
        with JoinedWorker(order) as worker:
            code = worker.process.wait()
            words = worker.words()
        if code == REFUSED:
            raise UsageError(words)
        came_up = code < 0 or time.monotonic() - started > _LIVED_S
        wait = _FIRST_S if came_up else min(_LONGEST_S, 2 * wait)
        say(f"the worker ended ({words or f'exit code {code}'}); it starts again in {wait:g} s")
        time.sleep(wait)
