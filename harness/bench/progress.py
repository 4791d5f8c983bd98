"""What a bench says of how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwnas.harness.worker.timed import Tick


@dataclass(frozen=True)
class MeasuringProgress:
    """How far a measurement has come.

    Attributes:
        phase: "waiting" (for the device), "busy" (a warning: other programs keep the CPUs busy), "starting",
            "preparing", "timing" or "done".
        done: networks done in this phase.
        total: networks in it.
        message: the same in words.
    """

    phase: str
    done: int
    total: int
    message: str

    @classmethod
    def begun(cls, phase: str, message: str) -> MeasuringProgress:
        """Return that a phase has begun in which no networks are counted."""
        return cls(phase, 0, 1, message)

    @classmethod
    def timing(cls, tick: Tick) -> MeasuringProgress:
        """Return how far the timing loop is."""
        converged = f"round {tick.round}: {tick.converged} of {tick.total} networks have converged"
        return cls("timing", tick.converged, tick.total, converged if tick.round else "warming up")


OnProgress = Callable[[MeasuringProgress], None]
