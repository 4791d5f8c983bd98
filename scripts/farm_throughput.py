"""How much a farm adds to a measurement, and how throughput grows with devices.

The devices are those of the tests (``tests/stand_ins``), which sleep as long as they say: one measurement takes half a
second on a machine of any speed. docs/farm.md has what this printed::

    python scripts/farm_throughput.py --workers 8
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "stand_ins"), str(ROOT / "tests" / "plugin")]

import numpy as np  # noqa: E402
from fleet import Fleet  # noqa: E402

from hwnas import supernets  # noqa: E402
from hwnas.harness.bench.progress import MeasuringProgress  # noqa: E402
from hwnas.harness.farm.cluster import Cluster  # noqa: E402
from hwnas.harness.farm.platforms import find  # noqa: E402
from hwnas.harness.measure import Measurer  # noqa: E402
from hwnas.harness.measurement.protocol import profile  # noqa: E402
from hwnas.harness.platform import Platform, parse  # noqa: E402
from hwnas.supernets.space import IntArray  # noqa: E402
from hwnas.supernets.supernet import SuperNetwork  # noqa: E402

# One network at a time, beside one anchor; about half a second. Nothing of such a network lies in the host's memory.
PROTOCOL = replace(
    profile("noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, cap_s=0.1, warmup_s=0.0, samples=1),
    batch=1,
    sessions=1,
    own_memory=0,
    huge_pages=0,
)


# Passes over a few networks tell what one costs. A long queue tells throughput: at its end devices have nothing to do.
_PASSES, _FEW = 3, 12


class _EnoughError(Exception):
    """Ends a queue that nobody wants to wait for."""


def main() -> int:
    """Measure, and print JSON."""
    options = _options()
    net = supernets.get("toy:layers=8")
    X = np.unique(net.space.sample(12_000, 0), axis=0)
    device = f"scripted-device:us={options.us}"
    alike = _alike(net, X, options.each * options.workers)
    few, many = alike[:_FEW], alike
    report = {"alone_s": _seconds_each(net, parse(device), few)}
    for n in (1, options.workers):
        with tempfile.TemporaryDirectory() as folder:
            fleet = Fleet(folder)
            try:
                for unit in range(n):
                    fleet.add("--unit", unit)
                cluster = Cluster(fleet.address)
                fleet.ready(n, cluster)
                report[f"farm_of_{n}_s"] = _seconds_each(
                    net, find(device, cluster), few if n == 1 else many, warm=2 * n
                )
                if n > 1:
                    report |= _queue(net, find(device, cluster), X[:10_000])
                cluster.close()
            finally:
                fleet.close()
    report["overhead_ms"] = 1e3 * (report["farm_of_1_s"] - report["alone_s"])
    report["speed_up"] = report["farm_of_1_s"] / report[f"farm_of_{options.workers}_s"]
    sys.stdout.write(json.dumps({name: round(value, 4) for name, value in report.items()}) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--each", type=int, default=30, help="measurements of each worker")
    parser.add_argument("--us", type=int, default=1950, help="microseconds per unit of a network")
    return parser.parse_args()


def _alike(net: SuperNetwork, X: IntArray, n: int) -> IntArray:
    """Return ``n`` networks that take the same time, so that few of them stand for many."""
    units = np.array([net.stages(config, 1)[0].module.units for config in net.space.decode(X)])
    values, counts = np.unique(units, return_counts=True)
    return X[units == values[counts.argmax()]][:n]


def _seconds_each(net: SuperNetwork, platform: Platform, X: IntArray, warm: int = 2) -> float:
    """Return the seconds that one measurement takes, when the benches are open."""
    with Measurer(net, platform, check=False, protocol=PROTOCOL, anchors=net.space.smallest()) as measurer:
        measurer.measure(net.space.canonical(X[-warm:]))
        passes = []
        for _ in range(_PASSES if len(X) == _FEW else 1):
            start = time.perf_counter()
            measurer.measure(X)
            passes.append((time.perf_counter() - start) / len(X))
    # The devices only sleep: what one pass takes longer than another is this machine's doing.
    return min(passes)


def _queue(net: SuperNetwork, platform: Platform, X: IntArray) -> dict[str, float]:
    """Return what the client's memory becomes with so many networks queued."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    until = time.perf_counter() + 3.0

    def tell(event: MeasuringProgress) -> None:
        if event.phase == "timing" and time.perf_counter() > until:
            raise _EnoughError

    try:
        with Measurer(
            net, platform, check=False, protocol=PROTOCOL, anchors=net.space.smallest(), progress=tell
        ) as measurer:
            measurer.measure(X)
    except _EnoughError:
        pass
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"queued": len(X), "client_mib": after / 1024, "of_that_for_the_queue_mib": (after - before) / 1024}


if __name__ == "__main__":
    sys.exit(main())
