"""Say when other programs keep the CPUs busy before something is measured, wait for calm, and watch while it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from typing import Any

from hwnas.harness.host import load
from hwnas.harness.host.load import Load, Reading

# How long to look before measuring. /proc counts in hundredths of a second.
_LOOK_S = 1.0
# Over less, a hundredth of a second more or less would be a tenth of a CPU.
_LEAST_S = 0.1


class LoadWatch:
    """Watches what other programs use of the CPUs that a measurement is to run on.

    Args:
        cpus: those that it may run on.
        threads: how many of them it keeps busy.
        wait_s: how long to wait for calm at most, before the first worker starts; 0: not at all; ``None``: do not look.
        warn: called with a message when there is something to wait for, and when something is measured all the same.
        read: reads what was used up to now; ``None``: the system does not say.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        cpus: Collection[int],
        threads: int,
        wait_s: float | None,
        warn: Callable[[str], None],
        *,
        read: Callable[[], Reading | None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cpus, self._threads, self._wait_s, self._warn = cpus, threads, wait_s, warn
        self._read, self._sleep = read, sleep
        self._before: Reading | None = None
        self._latest: Load | None = None
        self._waited = self._warned = False

    def begin(self) -> None:
        """Begin to watch anew."""
        self._before, self._latest = self._now(), None

    def mark(self, worker: int | None) -> dict[str, Any] | None:
        """Return what to mark with what was measured since ``begin``: ``None`` if enough CPUs were free.

        The first time that they are not, it warns.

        Args:
            worker: the process that measures; ``None``: there is none yet.
        """
        found = self._heavy(worker)
        if found is not None and not self._warned:
            self._warned = True
            self._warn(f"{found}; what is measured beside them is marked, and not used again")
        return None if found is None else found.to_record()

    def wait(self) -> None:
        """Look at the load for a second before the first worker starts, and wait while it is heavy; begin to watch.

        Where there is no time to wait, the load is looked at while the worker starts.
        """
        if self._wait_s and not self._waited:
            self._wait_for_calm(self._wait_s)
        self._waited = True
        self.begin()

    def _wait_for_calm(self, left_s: float) -> None:
        found, waited_s = self._look(_LOOK_S), 0.0
        if found is None:
            return
        self._warn(f"{found}; waiting up to {left_s:g} s for calm")
        while found is not None and waited_s < left_s:
            seconds = max(_LEAST_S, min(_LOOK_S, left_s - waited_s))
            found, waited_s = self._look(seconds), waited_s + seconds
        if found is None:
            self._warn(f"the CPUs are calm after {waited_s:.0f} s")
        self.mark(None)

    def _look(self, seconds: float) -> Load | None:
        self.begin()
        self._sleep(seconds)
        return self._heavy(None)

    def _heavy(self, worker: int | None) -> Load | None:
        """Return the load since ``begin`` if it leaves too few CPUs for the threads, else ``None``.

        After too short a time to tell, this is the answer of the last time.
        """
        after = None if self._before is None else self._now()
        if self._before is not None and after is not None and after.at_s - self._before.at_s >= _LEAST_S:
            self._latest = load.between(self._before, after, self._cpus, os.getpid(), worker)
        return self._latest if self._latest is not None and self._latest.heavy(self._threads) else None

    def _now(self) -> Reading | None:
        return None if self._wait_s is None else (self._read or load.read)()
