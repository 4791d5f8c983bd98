"""Watch the host for a moment, and choose the profile that fits it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.protocol import PROFILES, TimingProtocol
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.worker.clocks import Clocks
from hwnas.harness.worker.timed import Timed
from hwnas.harness.worker.timing import TimedNetwork, time_batch
from hwnas.supernets.errors import MeasurementError

# Fewer samples show too little of a host to call it quiet.
_SAMPLES = 12


@dataclass(frozen=True)
class Noise:
    """What one network, run over and over, showed of the host.

    Attributes:
        disturbed: share of samples whose wall time the CPU time does not explain.
        spread: the 90th percentile's distance from the minimum, relative to it.
        samples: how many there were.
        virtual: the host is a virtual machine: its neighbours come and go over seconds and minutes, which a moment of
            calm says nothing about.
    """

    disturbed: float
    spread: float
    samples: int
    virtual: bool = False

    def profile(self) -> TimingProtocol:
        """Return the named profile for such a host."""
        quiet = PROFILES["quiet"]
        calm = self.disturbed <= quiet.quiet_disturbed and self.spread <= quiet.quiet_spread
        return quiet if calm and self.samples >= _SAMPLES and not self.virtual else PROFILES["noisy"]


def watch_first(runners: Sequence[TimedNetwork], clocks: Clocks, threads: int, watch_s: float) -> Noise:
    """Watch the host for so long through the first network that can be timed.

    Raises:
        MeasurementError: none of them can; says why the last one cannot.
    """
    failure = "there are none"
    for runner in runners:
        timed = _timed(runner, clocks, threads, watch_s)
        if timed.samples.n:
            return noise(timed.samples, PROFILES["noisy"].disturbed, threads)
        failure = timed.failure or "it gave no samples"
    raise MeasurementError(f"none of the anchors can be timed: {failure}")


def watch(
    runner: TimedNetwork, clocks: Clocks, threads: int, watch_s: float = PROFILES["noisy"].calibration_s
) -> Noise:
    """Time one network for so long, and return what that showed."""
    return noise(_timed(runner, clocks, threads, watch_s).samples, PROFILES["noisy"].disturbed, threads)


def _timed(runner: TimedNetwork, clocks: Clocks, threads: int, watch_s: float) -> Timed:
    base = PROFILES["noisy"]
    # Intervals and ranks that cannot be reached: only the time ends it.
    endless = TimingProtocol(
        "calibration",
        base.statistic,
        interval=0.0,
        steady=0.0,
        tau=2.0,
        warmup_cap_s=watch_s / 2,
        cap_s=1.5 * watch_s,
        samples=_SAMPLES,
    )
    return time_batch([runner], endless, clocks, np.random.default_rng(0), threads=threads).timed[0]


def noise(samples: Samples, ratio: float, threads: int) -> Noise:
    """Return what samples show."""
    if not samples.n:
        return Noise(1.0, float("inf"), 0)
    seconds = samples.seconds
    spread = float(np.quantile(seconds, 0.9) / seconds.min() - 1)
    return Noise(float(samples.disturbed(ratio, threads).mean()), spread, samples.n)
