"""Measure how noisy the host is, by timing one network for a moment, and choose the quiet or the noisy profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.protocol import PROFILES, TimingProtocol
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.worker.clocks import Clocks
from hwnas.harness.worker.sampling import TimedNetwork
from hwnas.harness.worker.timed import Timed
from hwnas.harness.worker.timing import time_batch
from hwnas.supernets.errors import MeasurementError

# Fewer samples than this are not enough to call a host quiet.
_SAMPLES = 12


@dataclass(frozen=True)
class Noise:
    """The noise of the host, measured by running one network over and over.

    Attributes:
        disturbed: share of samples whose wall time the CPU time does not explain.
        spread: the 90th percentile's distance from the minimum, relative to it.
        samples: how many there were.
        virtual: the host is a virtual machine: other machines on the same hardware come and go over seconds and
            minutes, so that a calm moment does not make it quiet.
    """

    disturbed: float
    spread: float
    samples: int
    virtual: bool = False

    def profile(self) -> str:
        """Return the name of the protocol profile for a host with this noise."""
        quiet = PROFILES["quiet"]
        calm = self.disturbed <= quiet.quiet_disturbed and self.spread <= quiet.quiet_spread
        return "quiet" if calm and self.samples >= _SAMPLES and not self.virtual else "noisy"


def watch_first(runners: Sequence[TimedNetwork], clocks: Clocks, threads: int, watch_s: float) -> Noise:
    """Measure the host's noise by the first network that can be timed.

    Args:
        runners: the networks, of which one after the other is tried.
        clocks: that they are timed by.
        threads: of each network.
        watch_s: how long one is timed, in seconds.

    Raises:
        MeasurementError: none of them can; says why the last one cannot.
    """
    failure = "there are none"
    for runner in runners:
        timed = _timed(runner, clocks, threads, watch_s)
        if timed.samples.n:
            return _noise(timed.samples, threads)
        failure = timed.failure or "it gave no samples"
    raise MeasurementError(f"none of the anchors can be timed: {failure}")


def _timed(runner: TimedNetwork, clocks: Clocks, threads: int, watch_s: float) -> Timed:
    base = PROFILES["noisy"]
    # Targets that cannot be reached, so that only the time ends it.
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


def _noise(samples: Samples, threads: int) -> Noise:
    """Return the noise of samples, of which there is at least one."""
    seconds = samples.seconds
    spread = float(np.quantile(seconds, 0.9) / seconds.min() - 1)
    disturbed = samples.disturbed(PROFILES["noisy"].disturbed, threads)
    return Noise(float(disturbed.mean()), spread, samples.n)
