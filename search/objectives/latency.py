"""Latency in milliseconds, known from a table or measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from search.objectives.objective import Outcome, Sources
from supernets.space import IntArray

if TYPE_CHECKING:
    from backends import KnowingBackend
    from backends.backend import Settings
    from harness.measure import Measurer
    from harness.measurement import Measurement
    from supernets.supernet import SuperNetwork

_MS = 1e3


class _Latency:
    name = "latency"
    unit = "ms"
    maximise = False
    batched = True


class KnownLatency(_Latency):
    """Latency from a table; no measurement is made of it, so nothing is kept but the evaluation itself."""

    free = True
    cheap = True

    def __init__(self, net: SuperNetwork, backend: KnowingBackend, settings: Settings, source: str) -> None:
        self._net = net
        self._backend = backend
        self._settings = settings
        self.source = source

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the latencies in ms."""
        latency_s = self._backend.latency(self._net, X, self._settings)
        return Outcome.of(latency_s * _MS, f"{self.source} has no latency for it")


class MeasuredLatency(_Latency):
    """Latency measured on the platform; every measurement is kept by the measurer as soon as it is taken."""

    free = False
    cheap = False

    def __init__(self, measurer: Measurer, platform: str) -> None:
        self._measurer = measurer
        self.source = f"{platform} on {measurer.fingerprint}"

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the latencies in ms, measured side by side."""
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X: IntArray, again: IntArray) -> Outcome:
        """Return the latencies in ms, measured side by side with sub-networks that were measured before."""
        measured, repeated = self._measurer.measure_beside(X, again)
        others = {one.key: one.latency_s * _MS for one in repeated}
        return Outcome(
            np.array([one.latency_s * _MS for one in measured]),
            tuple(one.status for one in measured),
            tuple(one.reason for one in measured),
            np.array([one.interval for one in measured]).reshape(-1, 2) * _MS,
            # A value that was stored has the anchors of its own batch beside it, not those of this one.
            tuple(_anchors(one) if one.cached else {**_anchors(one), **others} for one in measured),
        )


def _anchors(measurement: Measurement) -> dict[str, float]:
    return {key: seconds * _MS for key, seconds in measurement.context.get("anchors", {}).items()}


def create(_name: str, sources: Sources) -> KnownLatency | MeasuredLatency:
    """Make the objective; starts the measurer where the platform's backend has to run sub-networks."""
    import backends

    platform = sources.where
    backend = backends.get(platform.backend)
    if isinstance(backend, backends.KnowingBackend):
        return KnownLatency(sources.net, backend, platform.settings, str(platform))
    return MeasuredLatency(sources.measurer, str(platform))
