"""Keep a worker alive: started again whenever it ends, until it is refused or told to stop."""

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

# How long it waits before it starts a worker again; longer each time, as long as none comes up.
_FIRST_S, _LONGEST_S = 0.5, 10.0
# A worker that lived so long, or was killed, was no failure to start.
_LIVED_S = 10.0
_END_S = 1.5  # whoever presses Ctrl-C waits for it


@dataclass(frozen=True)
class JoinOrder:
    """How a worker joins.

    Attributes:
        scheduler: the address.
        tls: the files of TLS.
        platforms: what it offers; none: everything that works here.
        name: of the worker; ``None``: the machine's.
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
    """A worker's process; a context manager that ends it.

    Args:
        order: how it joins.
        environment: further variables.
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
        """Return the last line that it said on standard error."""
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def close(self) -> None:
        """Let it finish in order, or end it."""
        self._child.close(_END_S)
        self._words.close()


def supervise(order: JoinOrder, say: Callable[[str], None]) -> None:
    """Keep a worker alive until the program is interrupted.

    Raises:
        UsageError: it was refused; says why.
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
