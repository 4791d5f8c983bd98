"""Where the time of measuring goes: waiting, starting workers, preparing sub-networks, timing them."""

from __future__ import annotations

import time
from collections.abc import Callable

PHASES = ("waiting", "starting", "preparing", "timing")


class Timings:
    """Counts seconds by phase; each moment belongs to one phase or to none.

    Args:
        clock: returns seconds.

    Attributes:
        seconds: by phase.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._since = clock()
        self.seconds = dict.fromkeys(PHASES, 0.0)

    def begin(self) -> None:
        """Let the time up to now belong to no phase."""
        self._since = self._clock()

    def lap(self, phase: str) -> None:
        """Let the time since the last lap belong to a phase."""
        now = self._clock()
        self.seconds[phase] += now - self._since
        self._since = now
