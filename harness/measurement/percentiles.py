"""Percentiles of a measurement's samples as they were taken, and in words what its value is."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.statistics import Summary, summarise
from hwnas.supernets.values import json_number

PERCENTILES = ("median", "p95", "p99")

_EXPLAINED = {
    "min": "the fastest of the samples",
    "p10": "the 10th percentile of undisturbed samples",
    "p15": "the mean of the fastest 30 % of undisturbed samples (p15)",
    "median": "the median of undisturbed samples",
    "table": "as the table has it",
}


def percentile(measurement: Measurement, name: str) -> Summary | None:
    """Return a percentile of all samples, disturbed ones included, as the ``value`` of a summary, with its interval.

    ``None`` where there are no samples. The upper end of the interval is infinite where these are too few to bound a
    percentile so high: of the 99th it takes 368 independent ones at 95 % confidence.

    Args:
        measurement: of a network.
        name: "median", "p95" or "p99".
    """
    samples, protocol = measurement.samples, measurement.protocol
    if protocol is None or not samples.n:
        return None
    everything = np.ones(samples.n, dtype=bool)
    return summarise(samples.seconds, everything, name, protocol.confidence, samples.visit)


def percentiles_json(measurement: Measurement) -> dict[str, Any]:
    """Return the percentiles and their intervals in milliseconds, by name; ``None`` for what is not known."""
    found = {}
    for name in PERCENTILES:
        one = percentile(measurement, name)
        values = (None, None, None) if one is None else (one.value, one.low, one.high)
        milliseconds = [None if value is None else json_number(1e3 * value) for value in values]
        found[name] = dict(zip(("value", "ci_low", "ci_high"), milliseconds, strict=True))
    return found


def explained(measurement: Measurement) -> str:
    """Say in words what the value of a measurement is: its statistic, and whether the host's pace is divided out."""
    pace = measurement.pace
    if pace is None or not pace.slower.any():
        return _EXPLAINED.get(measurement.statistic, measurement.statistic)
    return f"{_EXPLAINED.get(pace.statistic, pace.statistic)}, the host's pace divided out"
