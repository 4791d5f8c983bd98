"""Latency in milliseconds, known from a table or measured."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.backend import Tabulated, known_latency
from hwnas.harness.pinned import identity
from hwnas.search.objectives.objective import Outcome, Sources
from hwnas.search.objectives.rows import Rows
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    from hwnas.backends import KnowingBackend
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.platform import Platform
    from hwnas.supernets.supernet import SuperNetwork

_MS = 1e3


class _Latency:
    name = "latency"
    unit = "ms"
    maximise = False
    batched = True


class KnownLatency(_Latency):
    """Latency from a table; nothing is measured, so only the evaluation itself is stored."""

    costs_nothing = True
    exact = True

    def __init__(self, net: SuperNetwork, backend: KnowingBackend, platform: Platform) -> None:
        self._net = net
        self._backend = backend
        self._platform = platform
        self.source = identity(platform)

    def recorded_as(self, source: str) -> bool:
        """Tell whether ``source`` is the platform's string, as sources were recorded once."""
        return source == str(self._platform)

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the latencies in ms."""
        platform = self._platform
        found = known_latency(self._backend, self._net, X, platform.settings, str(platform), self._missing)
        return Outcome.known(found.times(_MS))

    @cached_property
    def rows(self) -> Rows | None:
        """The sub-networks that have a latency; ``None``: all."""
        if not isinstance(self._backend, Tabulated):
            return None
        return Rows(str(self._platform), len(self._backend.lookup(self._net, self._platform.settings).values))

    @cached_property
    def _missing(self) -> str:
        """Why a sub-network has no latency; a table says how few it knows, of which a search can hit upon none."""
        missing = f"{self._platform} has no latency for it"
        if self.rows is None:
            return missing
        return (
            f"{missing}: the table has {self.rows.n:,} of the space's {self._net.space.distinct_size:,.3g} "
            "sub-networks, and a search proposes others; a surrogate or a lookup table knows all of them"
        )


class MeasuredLatency(_Latency):
    """Latency measured on the platform; the measurer stores every measurement as soon as it is taken."""

    costs_nothing = False
    exact = False

    def __init__(self, measurer: Measurer, platform: Platform) -> None:
        self._measurer = measurer
        self._platform = platform
        self.source = f"{identity(platform)} on {measurer.fingerprint}"

    def recorded_as(self, source: str) -> bool:
        """Tell whether ``source`` is the platform's string on this machine, as sources were recorded once."""
        return source == f"{self._platform} on {self._measurer.fingerprint}"

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the latencies in ms, measured side by side."""
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X: IntArray, again: IntArray) -> Outcome:
        """Return the latencies in ms, measured side by side with sub-networks that were measured before."""
        return _outcome(*self._measurer.measure_beside(X, again))

    @property
    def devices(self) -> int:
        """On how many devices batches are measured at a time."""
        return self._measurer.parallel

    def start(self, X: IntArray, again: IntArray) -> int:
        """Send sub-networks to be measured; return a ticket."""
        return self._measurer.start(X, again)

    def arrived(self, timeout_s: float) -> tuple[int, Outcome] | None:
        """Return the ticket and the latencies in ms of what is done, or ``None`` after so long."""
        found = self._measurer.arrived(timeout_s)
        return None if found is None else (found[0], _outcome(*found[1]))


def _outcome(measured: Sequence[Measurement], repeated: Sequence[Measurement]) -> Outcome:
    return Outcome(
        np.array([one.latency_s * _MS for one in measured]),
        tuple(one.status for one in measured),
        tuple(one.reason for one in measured),
        np.array([one.interval for one in measured]).reshape(-1, 2) * _MS,
        tuple(_beside(one, repeated) for one in measured),
        tuple(one.load for one in measured),
    )


def _beside(measurement: Measurement, repeated: Sequence[Measurement]) -> dict[str, float]:
    """Return the anchors of a measurement's batch, and those of the others that were in the same one.

    A batch is known by what its anchors were: a stored value has those of its own, and a device's are not another's.
    """
    anchors = _anchors(measurement)
    if measurement.cached:
        return anchors
    return anchors | {one.key: one.latency_s * _MS for one in repeated if _anchors(one) == anchors}


def _anchors(measurement: Measurement) -> dict[str, float]:
    return {key: seconds * _MS for key, seconds in measurement.context.get("anchors", {}).items()}


def create(_name: str, sources: Sources) -> KnownLatency | MeasuredLatency:
    """Make the objective; starts the measurer where the platform's backend has to run sub-networks."""
    from hwnas import backends

    platform = sources.where
    backend = backends.get(platform.backend)
    if isinstance(backend, backends.KnowingBackend):
        return KnownLatency(sources.net, backend, platform)
    return MeasuredLatency(sources.measurer, platform)
