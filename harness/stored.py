"""What the store has of a platform's measurements: looked up, judged by the anchors, added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hwnas.harness import cache
from hwnas.harness.bench import Network
from hwnas.harness.graph import digests
from hwnas.harness.measurement import Measurement
from hwnas.harness.protocol import TimingProtocol
from hwnas.harness.store import Store
from hwnas.supernets.supernet import SuperNetwork


@dataclass(frozen=True)
class StoredValues:
    """The measurements of one super-network on one platform that were taken in one environment.

    Attributes:
        store: where they are; ``None``: there are none, and none is kept.
        net: the super-network.
        platform: the canonical platform string.
        fingerprint: of the environment.
        since: what was taken since then (ISO 8601, UTC) serves as it is; ``None``: nothing does.
        contents: digests of what the files hold that options of the platform name, by key.
        unsettled: what was measured to its end and did not settle serves as well, while the machine is as it was.
    """

    store: Store | None
    net: SuperNetwork
    platform: str
    fingerprint: str
    since: str | None = None
    contents: Mapping[str, str] = field(default_factory=dict)
    unsettled: bool = False
    _interim: dict[str, int] = field(default_factory=dict, repr=False)  # the numbers of those in the store, by key

    def taken_since(self, networks: Sequence[Network]) -> dict[str, Measurement]:
        """Return those that were taken since ``since``, by key."""
        if self.store is None or self.since is None:
            return {}
        where = self.store, self.net.name, self.platform, self.fingerprint
        return cache.taken_since(*where, self.since, self._graphs(networks), self.contents)

    def candidates(self, networks: Sequence[Network], protocol: TimingProtocol) -> dict[str, list[Measurement]]:
        """Return those that serve if the machine is as it was, by key, latest first."""
        if self.store is None:
            return {}
        return cache.candidates(
            self.store,
            self.net.name,
            self.platform,
            self.fingerprint,
            protocol,
            self._graphs(networks),
            self.contents,
            states=("ok", "unstable") if self.unsettled else ("ok",),
        )

    def keep(self, measurement: Measurement) -> Measurement:
        """Put a measurement into the store and return it; it takes the place of its own interim one."""
        if self.store is None:
            return measurement
        before = self._interim.pop(measurement.key, None)
        record = measurement.to_record()
        number = self.store.put_measurement(record, replaces=before)
        if measurement.interim:
            self._interim[measurement.key] = number
        return measurement

    def _graphs(self, networks: Sequence[Network]) -> Mapping[str, str]:
        rows = np.array([row for _, row in networks], dtype=np.int64).reshape(len(networks), self.net.space.n_var)
        return dict(zip([key for key, _ in networks], digests(self.net, rows), strict=True))
