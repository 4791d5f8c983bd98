"""Report the state of a farm: its workers and their devices, waiting networks, and the latest errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.messages import AtWork, OrderUnderWay, read_record
from hwnas.harness.farm.offer import Offer
from hwnas.harness.validation import validating

# 1: first form.
SCHEMA = 1


def status(cluster: Cluster) -> dict[str, Any]:
    """Return the state of workers, devices and queue as JSON values."""
    workers = [_worker(address, facts) for address, facts in sorted(cluster.workers().items())]
    return {
        "schema": SCHEMA,
        "scheduler": cluster.address,
        "workers": sorted(workers, key=lambda one: (one["name"], one["pid"] or 0)),
        "queue": {"networks": cluster.queued(), "under_way": sum(len(one["current"]) for one in workers)},
    }


def _worker(address: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    offer = Offer.from_record(facts["offer"])
    whose = f"what worker {offer.name} is at"
    with validating(whose):
        said, seen = facts.get("metrics", {}).get("hwnas", {}), _age(facts.get("last_seen", time.time()))
    at = read_record(AtWork, said, whose)
    state = {
        "current": [_current(one) for one in at.current],
        "measured": at.done,
        "last_error": at.error,
        "silent_s": seen,
    }
    name = str(facts.get("name", ""))
    return {
        "name": offer.name,
        "address": address,
        "pid": int(name.rpartition(":")[2]) if name.rpartition(":")[2].isdigit() else None,
        "host": offer.host,
        "unit": offer.unit,
        "devices": list(offer.devices),
        "backends": {name: {**asdict(one), "devices": list(one.devices)} for name, one in offer.backends.items()},
        "platforms": dict(offer.platforms),
        "accuracy": offer.accuracy,
        "machine": dict(offer.machine),
        "versions": dict(offer.versions),
        **state,
    }


def _current(one: OrderUnderWay) -> dict[str, Any]:
    words = {"device": one.device, "platform": one.platform, "supernet": one.supernet, "message": one.message}
    return {**words, "networks": one.networks, "s": _age(one.since)}


def _age(since: float) -> float:
    return round(max(0.0, time.time() - since), 1)
