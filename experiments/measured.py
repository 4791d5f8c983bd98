"""Measure sub-networks in full for an experiment, as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.experiments.bench import Workspace
from hwnas.supernets.space import IntArray
from hwnas.supernets.values import json_numbers

if TYPE_CHECKING:
    from hwnas.harness.platform import Platform


def measured(supernet: str, platform: Platform, X: IntArray, bench: Workspace) -> dict[str, Any]:
    """Return latencies with their intervals in ms, and how each was measured; stored measurements serve.

    Where they are too many for one batch, they are freed from the machine's drift between batches.

    Args:
        supernet: its name.
        platform: where to measure.
        X: the sub-networks, vectors ``(n, n_var)``.
        bench: has the store.
    """
    from hwnas import supernets
    from hwnas.harness.store import Store
    from hwnas.search.comparison.together import at_one_pace
    from hwnas.search.objectives import Sources, make

    net = supernets.get(supernet)
    with Store.open(bench.store) as store, Sources(net, platform, store=store) as sources:
        (latency,) = make(("latency",), sources)
        found = at_one_pace(latency.evaluate(X), net.space.keys(X))
    intervals = np.full((len(X), 2), np.nan) if found.intervals is None else found.intervals
    return {
        "latency_ms": json_numbers(found.values),
        "interval_ms": json_numbers(intervals),
        "status": list(found.status),
        "reason": list(found.reasons),
    }
