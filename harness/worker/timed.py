"""The results that the timing loop reports: signs of life, and the samples of a batch's networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwnas.harness.measurement.convergence import Convergence
from hwnas.harness.measurement.samples import Samples


@dataclass(frozen=True)
class Tick:
    """A sign of life of the loop, about once a second.

    Attributes:
        round: the round under way; 0 while warming up.
        converged: networks whose interval is narrow enough.
        total: networks of the batch.
        tau: of the two halves, nan before there are any.
    """

    round: int
    converged: int
    total: int
    tau: float


@dataclass(frozen=True)
class Timed:
    """The samples of one network, and how they were taken.

    Attributes:
        samples: the raw samples.
        spent_s: time spent on it, warm-up and dropped runs included.
        warmup_runs: how many runs the warm-up took.
        failure: why it could not be run, or ``None``.
    """

    samples: Samples
    spent_s: float
    warmup_runs: int
    failure: str | None


@dataclass(frozen=True)
class BatchResult:
    """The result of timing a batch, so far or in the end.

    Attributes:
        timed: one per network, in the order given.
        convergence: which networks have converged.
        rounds: how many rounds there were.
        overhead_s: the loop's own time per sample.
        seconds: the whole batch's time.
    """

    timed: tuple[Timed, ...]
    convergence: Convergence
    rounds: int
    overhead_s: float
    seconds: float


Report = Callable[[BatchResult, Mapping[int, bool]], None]
