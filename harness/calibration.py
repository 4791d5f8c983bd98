"""Watch the host for a moment, and choose the profile that fits it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.clocks import Clocks
from harness.protocol import PROFILES, TimingProtocol
from harness.samples import Samples
from harness.timing import Runner, time_batch


@dataclass(frozen=True)
class Noise:
    """What one network, run over and over, showed of the host.

    Attributes:
        disturbed: share of samples whose wall time the CPU time does not explain.
        spread: the median's distance from the minimum, relative to it.
        samples: how many there were.
    """

    disturbed: float
    spread: float
    samples: int

    def profile(self) -> TimingProtocol:
        """Return the named profile for such a host."""
        quiet = PROFILES["quiet"]
        fits = self.disturbed <= quiet.quiet_disturbed and self.spread <= quiet.quiet_spread
        return quiet if fits else PROFILES["noisy"]


def watch(runner: Runner, clocks: Clocks, threads: int) -> Noise:
    """Time one network for as long as the protocol says, and return what that showed."""
    base = PROFILES["noisy"]
    # Intervals and ranks that cannot be reached: only the time ends it.
    endless = TimingProtocol(
        "calibration", base.statistic, interval=0.0, steady=0.0, tau=2.0, cap_s=base.calibration_s, samples=1
    )
    result = time_batch([runner], endless, clocks, np.random.default_rng(0), threads=threads)
    return noise(result.timed[0].samples, base.disturbed, threads)


def noise(samples: Samples, ratio: float, threads: int) -> Noise:
    """Return what samples show."""
    if not samples.n:
        return Noise(1.0, float("inf"), 0)
    seconds = samples.seconds
    spread = float(np.median(seconds) / seconds.min() - 1)
    return Noise(float(samples.disturbed(ratio, threads).mean()), spread, samples.n)
