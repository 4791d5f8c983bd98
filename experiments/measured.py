"""Measure sub-networks in full for an experiment, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.experiments.bench import Workspace
from hwnas.supernets.space import IntArray
from hwnas.supernets.values import json_number

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform


def measured(supernet: str, platform: Platform, X: IntArray, bench: Workspace) -> dict[str, Any]:
    """Return latencies with their intervals in ms, and how each was measured; stored measurements serve.

    Args:
        supernet: its name.
        platform: where to measure.
        X: the sub-networks, vectors ``(n, n_var)``.
        bench: has the store.
    """
    from hwnas import supernets
    from hwnas.harness.measure import Measurer
    from hwnas.harness.store import Store

    with (
        Store.open(bench.store) as store,
        Measurer(supernets.get(supernet), platform, store=store) as measurer,
    ):
        found = measurer.measure(X)
    return {
        "latency_ms": [json_number(1e3 * one.latency_s) for one in found],
        "interval_ms": [[json_number(1e3 * end) for end in one.interval] for one in found],
        "status": [one.status for one in found],
        "reason": [one.reason for one in found],
    }
