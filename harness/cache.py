"""Find measurements in the store that can be used again: taken on this host, with anchors as fast as they are now."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hwnas.harness.bench.bench import Network
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import EFFORTS, QUICK, THOROUGH, TimingProtocol
from hwnas.harness.store import Store
from hwnas.supernets.contents import identified
from hwnas.supernets.errors import StoreError, StoreFaultError
from hwnas.supernets.supernet import SuperNetwork

Anchors = Mapping[str, float]  # an anchor's key: its latency in seconds


@dataclass(frozen=True)
class StoredValues:
    """The measurements of one super-network on one platform that were taken in one environment.

    Attributes:
        store: where they are; ``None``: nothing is read or stored.
        net: the super-network.
        platform: the canonical platform string.
        fingerprint: of the environment.
        since: measurements taken since then (ISO 8601, UTC) are used whatever the anchors say; ``None``: none are.
        contents: by key, digests of the files that options of the platform name.
        unconverged: use measurements that did not converge in the time they had as well, while the anchors agree.
        effort: the least effort of measurements that are used because they were taken since ``since``.
        older: use older measurements as well, while the anchors agree.
    """

    store: Store | None
    net: SuperNetwork
    platform: str
    fingerprint: str
    since: str | None = None
    contents: Mapping[str, str] = field(default_factory=dict)
    unconverged: bool = False
    effort: str = QUICK
    older: bool = True
    _interim: dict[str, int] = field(default_factory=dict, repr=False)  # the numbers of those in the store, by key

    def taken_since(self, networks: Sequence[Network]) -> dict[str, Measurement]:
        """Return the measurements taken since ``since``, by key."""
        if self.store is None or self.since is None:
            return {}
        return taken_since(self.store, self._criteria(networks), self.since, effort=self.effort)

    def candidates(self, networks: Sequence[Network], protocol: TimingProtocol) -> dict[str, list[Measurement]]:
        """Return the measurements that can be used if the anchors agree, by key, latest first."""
        if self.store is None or not self.older:
            return {}
        states = ("ok", "unstable") if self.unconverged else ("ok",)
        return candidates(self.store, self._criteria(networks), protocol, states=states)

    def put(self, measurement: Measurement) -> Measurement:
        """Put a measurement into the store and return it; it replaces the interim measurement of the same network."""
        if self.store is None:
            return measurement
        before = self._interim.pop(measurement.key, None)
        record = measurement.to_record()
        number = self.store.put_measurement(record, replaces=before)
        if measurement.interim:
            self._interim[measurement.key] = number
        return measurement

    def _criteria(self, networks: Sequence[Network]) -> Criteria:
        graphs = self._graphs(networks)
        return Criteria(self.net.name, self.platform, self.fingerprint, graphs, self.contents)

    def _graphs(self, networks: Sequence[Network]) -> Mapping[str, str]:
        rows = np.array([row for _, row in networks], dtype=np.int64).reshape(len(networks), self.net.space.n_var)
        return dict(zip([key for key, _ in networks], digests(self.net, rows), strict=True))


@dataclass(frozen=True)
class Criteria:
    """What a stored measurement has to be of, so that it can be used for one that is wanted.

    Attributes:
        supernet: the super-network's name.
        platform: the canonical platform string.
        fingerprint: of the environment, the host included.
        graphs: the wanted sub-networks' keys, and the digest that each must still have.
        contents: by key, digests of the files that options of the platform name; their names do not matter.
    """

    supernet: str
    platform: str
    fingerprint: str
    graphs: Mapping[str, str]
    contents: Mapping[str, str] = field(default_factory=dict)

    def records(self, store: Store, **more: Any) -> list[dict[str, Any]]:
        """Return the stored records that may be of it, oldest first; ``more`` filters them as ``Store.measurements``.

        Whether a record's digest is that of its sub-network is not checked: only reading all of it tells.
        """
        more |= {"fingerprint": self.fingerprint, "keys": self.graphs}
        found = store.measurements(supernet=self.supernet, platform=self._platforms(store), **more)
        return [record for record in found if (record.get("contents") or {}) == self.contents]

    def _platforms(self, store: Store) -> str | list[str]:
        """Return the platforms that are the same if their files are: reading every record to see would take long."""
        if not self.contents:
            return self.platform
        same = identified(self.platform, self.contents)
        return [name for name in store.platforms(self.supernet) if identified(name, self.contents) == same]

    def are_met(self, measurement: Measurement) -> bool:
        """Return whether a measurement is of a sub-network that is wanted, as it is now."""
        return measurement.graph == self.graphs.get(measurement.key)


def candidates(
    store: Store, criteria: Criteria, protocol: TimingProtocol, *, states: Collection[str] = ("ok",)
) -> dict[str, list[Measurement]]:
    """Return stored measurements that can be used if the anchors agree, by key, latest first.

    Args:
        store: where to look.
        criteria: what they have to be of.
        protocol: the protocol to follow; values of the quiet profile, which is stricter, and of more effort are used
            as well.
        states: the statuses that are accepted. Of measurements that were cut short, only converged ones are, and none
            that was taken beside a heavy load.
    """
    found: dict[str, list[Measurement]] = {}
    for name in protocol.serving():
        for record in reversed(criteria.records(store, protocol=name, status=states)):
            measurement = _read(store, record)
            doubtful = measurement.load is not None or (measurement.interim and measurement.status != "ok")
            if criteria.are_met(measurement) and not doubtful:
                found.setdefault(measurement.key, []).append(restated(measurement, protocol))
    return found


def taken_since(store: Store, criteria: Criteria, since: str, *, effort: str = QUICK) -> dict[str, Measurement]:
    """Return the latest measurement of each sub-network that was taken here since then, converged or not.

    Args:
        store: where to look.
        criteria: what they have to be of.
        since: ISO 8601, UTC; cut to whole seconds, which is how measurements are dated.
        effort: the least that they were measured with.
    """
    found = {}
    for record in criteria.records(store, since=since[:19], status=("ok", "unstable")):
        measurement = _read(store, record)
        if criteria.are_met(measurement) and _effort(measurement) >= EFFORTS.index(effort):
            found[measurement.key] = measurement
    return found


def _read(store: Store, record: Mapping[str, Any]) -> Measurement:
    try:
        return Measurement.from_record(record, cached=True)
    except StoreError as error:
        raise StoreFaultError(f"the store {store.name}: {error}") from error


def serving(found: Mapping[str, Iterable[Measurement]], now: Anchors, within: float) -> dict[str, Measurement]:
    """Return the latest measurement of each key whose anchors agree with those measured ``now``."""
    return {
        key: chosen
        for key, measurements in found.items()
        if (chosen := next((m for m in measurements if agree(m.context.get("anchors", {}), now, within)), None))
    }


def agree(then: Anchors, now: Anchors, within: float) -> bool:
    """Return whether both are of the same anchors and their latencies agree within a fraction."""
    if not now or set(then) != set(now):
        return False
    return all(_close(then[key], now[key], within) for key in now)


def _close(then: float, now: float, within: float) -> bool:
    return math.isfinite(then) and math.isfinite(now) and abs(then - now) <= within * min(then, now)


def restated(measurement: Measurement, protocol: TimingProtocol) -> Measurement:
    """Return a measurement with the statistic of another protocol, from the same samples.

    A pace is not divided out: its zero is where its batch keeps the values of the other statistic.
    """
    if measurement.statistic == protocol.statistic or measurement.protocol is None:
        return measurement
    numbers = replace(measurement.protocol, statistic=protocol.statistic)
    again = replace(measurement, statistic=protocol.statistic, protocol=numbers, pace=None)
    summary = again.summary
    return replace(again, latency_s=summary.value) if summary else measurement


def _effort(measurement: Measurement) -> int:
    """Return the number of a measurement's level of effort, from the least on."""
    return EFFORTS.index(THOROUGH if measurement.protocol is None else measurement.protocol.effort)
