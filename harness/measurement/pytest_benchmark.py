"""Export measurements as JSON in pytest-benchmark's layout, which ``pytest-benchmark compare`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hwnas.harness.measurement.measurement import Measurement
from hwnas.supernets.space import FloatArray

# The version of pytest-benchmark whose layout this is. Its reader does not check it; it is for people.
_LAYOUT = "5.1.0"


def to_pytest_benchmark(measurements: Sequence[Measurement], environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document; measurements without samples (failed ones, a table's) are left out.

    A platform is a group, a sub-network a benchmark. Disturbed samples are among the data, as in the record: that
    format has no word for them.
    """
    return {
        "machine_info": {
            "node": environment.get("host"),
            "machine": environment.get("machine"),
            "system": environment.get("system"),
            "release": environment.get("kernel"),
            "python_version": environment.get("python"),
            "cpu": {"brand_raw": environment.get("cpu"), "count": environment.get("cpus")},
        },
        "commit_info": {
            "id": environment.get("commit") or "unversioned",
            "time": None,
            "dirty": False,
            "project": "hwnas",
        },
        "benchmarks": [_benchmark(one) for one in measurements if one.samples.n],
        "datetime": datetime.now(UTC).isoformat(),
        "version": _LAYOUT,
    }


def _benchmark(one: Measurement) -> dict[str, Any]:
    name = f"{one.supernet}[{one.key}]"
    return {
        "group": one.platform,
        "name": name,
        "fullname": f"{one.platform}::{name}",
        "params": None,
        "param": None,
        "extra_info": {"config": one.config, "status": one.status, "statistic": one.statistic, "macs": one.macs},
        "options": {"disable_gc": True, "timer": "perf_counter", "warmup": True},
        "stats": _statistics(one.samples_s),
    }


def _statistics(seconds: FloatArray) -> dict[str, Any]:
    """Return the statistics in the format, of ``(n,)`` samples; outliers by Tukey's fences and standard deviation."""
    q1, median, q3 = (float(value) for value in np.percentile(seconds, [25, 50, 75]))
    iqr = q3 - q1
    inside = seconds[(seconds >= q1 - 1.5 * iqr) & (seconds <= q3 + 1.5 * iqr)]
    mean = float(seconds.mean())
    spread = float(seconds.std(ddof=1)) if len(seconds) > 1 else 0.0
    tukey, sigma = len(seconds) - len(inside), int((np.abs(seconds - mean) > spread).sum())
    return {
        "min": float(seconds.min()),
        "max": float(seconds.max()),
        "mean": mean,
        "stddev": spread,
        "rounds": len(seconds),
        "median": median,
        "iqr": iqr,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": tukey,
        "stddev_outliers": sigma,
        "outliers": f"{sigma};{tukey}",
        "ld15iqr": float(inside.min()),
        "hd15iqr": float(inside.max()),
        "ops": 1 / mean,
        "total": float(seconds.sum()),
        "iterations": 1,
    }
