"""The CPUs that the process may use, and those that compute threads run on."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from pathlib import Path

from hwnas.harness.host import cgroup
from hwnas.supernets.errors import MeasurementError

_CPUS = Path("/sys/devices/system/cpu")
_NODES = Path("/sys/devices/system/node")


def affinity() -> set[int]:
    """Return the CPUs that the process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def run_on(cpus: Collection[int]) -> None:
    """Restrict the process to these CPUs.

    Raises:
        MeasurementError: the process may not use any of them any more.
    """
    if set(cpus) == affinity():
        return
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        raise MeasurementError(
            f"the worker may not run on CPU {listed(cpus)}, where this program could when it began ({error}): "
            "its control group was changed; begin again"
        ) from None


def allowed_cpus() -> int:
    """Return the most threads that can run at once: the smaller of the affinity and the control group's quota.

    A quota of 1.5 CPUs lets one thread run unthrottled.
    """
    quota = cgroup.quota()
    cpus = len(affinity())
    return cpus if quota is None else max(1, min(cpus, math.floor(quota + 1e-9)))


def physical_cores(
    threads: int, allowed: set[int] | None = None, cpus: Path = _CPUS, nodes: Path = _NODES
) -> set[int] | None:
    """Return one CPU per physical core of one NUMA node, at least ``threads`` of them, or ``None``.

    ``None`` if there is nothing to choose (one node, no sibling threads), no node has so many cores, or the system
    does not say. The set is not narrowed to ``threads`` CPUs: the kernel may still move a thread away from a CPU that
    another program keeps busy.
    """
    allowed = affinity() if allowed is None else allowed
    cores = _one_per_core(allowed, cpus)
    places = [cores & _listed(node / "cpulist") for node in sorted(nodes.glob("node[0-9]*"))] or [cores]
    best = max(places, key=len)
    return best if threads <= len(best) < len(allowed) else None


def _one_per_core(allowed: set[int], cpus: Path) -> set[int]:
    chosen: dict[frozenset[int], int] = {}
    for cpu in sorted(allowed):
        siblings = _listed(cpus / f"cpu{cpu}" / "topology" / "thread_siblings_list") or {cpu}
        chosen.setdefault(frozenset(siblings), cpu)
    return set(chosen.values())


def _listed(path: Path) -> set[int]:
    """Read a list of CPUs like ``0-3,8`` from a file; empty if there is no such file."""
    try:
        parts = path.read_text().strip().split(",")
    except OSError:
        return set()
    ranges = (part.split("-") for part in parts if part)
    return {cpu for first, *last in ranges for cpu in range(int(first), int(last[0] if last else first) + 1)}


def listed(cpus: Collection[int]) -> str:
    """Format CPUs as ``0-3,8``."""
    found = sorted(cpus)
    starts = [cpu for cpu in found if cpu - 1 not in cpus]
    ends = [cpu for cpu in found if cpu + 1 not in cpus]
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))
