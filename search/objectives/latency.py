"""Latency in milliseconds, its percentiles and that of single stages, and throughput, from a table or measured."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from hwnas.backends.backend import Tabulated, known_latency
from hwnas.harness.pinned import identity
from hwnas.search.objectives._measured import (
    LATENCY,
    READINGS,
    THROUGHPUT,
    MeasuredBatches,
    Reading,
    outcome,
    stage_reading,
)
from hwnas.search.objectives.objective import Outcome
from hwnas.search.objectives.rows import Rows
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.blocks import stages_of
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.one_stage import OneStage
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    from hwnas.backends import KnowingBackend
    from hwnas.harness.measure import Measurer
    from hwnas.harness.platform import Platform
    from hwnas.supernets.supernet import SuperNetwork

NAMES = tuple(READINGS)
ARGUMENTS = {LATENCY: "STAGE"}
LISTED = {
    "latency": ("ms", "less", "what an inference takes where nothing disturbs it; latency:STAGE: one run of a stage"),
    "latency:median": ("ms", "less", "the median of all samples"),
    "latency:p95": ("ms", "less", "the 95th percentile of all samples"),
    "latency:p99": ("ms", "less", "the 99th percentile of all samples"),
    "throughput": ("/s", "more", "samples per second: the batch size over the latency"),
}

_MS = 1e3


class _Latency:
    name = LATENCY
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


class KnownThroughput(KnownLatency):
    """Samples per second, from a table's latency."""

    name, unit, maximise = THROUGHPUT, READINGS[THROUGHPUT].unit, True

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the throughputs in samples per second."""
        found = super().evaluate(X)
        return replace(found, values=self._platform.settings.batch * _MS / found.values)


class MeasuredLatency(_Latency):
    """Latency measured on the platform; the measurer stores every measurement as soon as it is taken.

    Args:
        measurer: on the platform, started.
        platform: the platform.
        reading: what the values of this objective are.
        batches: measures for several objectives at once; ``None``: there is no other one.
    """

    costs_nothing = False
    exact = False

    def __init__(
        self,
        measurer: Measurer,
        platform: Platform,
        reading: Reading = READINGS[LATENCY],
        batches: MeasuredBatches | None = None,
    ) -> None:
        self._measurer = measurer
        self._batches = batches or MeasuredBatches(measurer)
        self._platform = platform
        self._reading = reading
        self.name, self.unit, self.maximise = reading.name, reading.unit, reading.maximise
        self.source = f"{identity(platform)} on {measurer.fingerprint}"

    def recorded_as(self, source: str) -> bool:
        """Tell whether ``source`` is the platform's string on this machine, as sources were recorded once."""
        return source == f"{self._platform} on {self._measurer.fingerprint}"

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the values, measured side by side."""
        return self.evaluate_beside(X, X[:0])

    def evaluate_beside(self, X: IntArray, again: IntArray) -> Outcome:
        """Return the values, measured side by side with sub-networks that were measured before."""
        return outcome(self._reading, *self._batches.measure(self.name, X, again))

    @property
    def devices(self) -> int:
        """On how many devices batches are measured at a time."""
        return self._measurer.parallel

    def start(self, X: IntArray, again: IntArray) -> int:
        """Send sub-networks to be measured; return a ticket."""
        return self._batches.start(X, again)

    def arrived(self, timeout_s: float) -> tuple[int, Outcome] | None:
        """Return the ticket and the values of what is done, or ``None`` after so long."""
        found = self._batches.arrived(self.name, timeout_s)
        return None if found is None else (found[0], outcome(self._reading, *found[1]))


class KnownStage(KnownLatency):
    """The latency of one run of a stage, from a table of blocks; see ``KnownLatency``."""

    def __init__(self, reading: Reading, stage: OneStage, backend: KnowingBackend, platform: Platform) -> None:
        super().__init__(stage, backend, platform)
        self.name, self.unit, self.maximise = reading.name, reading.unit, reading.maximise

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the values."""
        found = super().evaluate(X)
        rate = self._platform.settings.batch * _MS / found.values
        return replace(found, values=rate) if self.maximise else found


def create(name: str, sources: Sources) -> KnownLatency | MeasuredLatency:
    """Make the objective; starts the measurer where the platform's backend has to run sub-networks.

    Raises:
        UsageError: it is a percentile, of which a table has none, or of a stage that the super-network does not have.
    """
    from hwnas import backends

    if name not in READINGS:
        stage = stage_of(name, name.partition(":")[2], sources)
        return of_stage(stage_reading(name, *stage), stage[0], sources)
    platform = sources.where
    backend = backends.get(platform.backend)
    if not isinstance(backend, backends.KnowingBackend):
        return _measured(READINGS[name], sources)
    if name == THROUGHPUT:
        return KnownThroughput(sources.net, backend, platform)
    if name != LATENCY:
        raise UsageError(
            f"objective {name!r}: {platform} has one latency of each sub-network, and no percentiles; ask for latency, "
            "or name a platform that measures"
        )
    return KnownLatency(sources.net, backend, platform)


def arguments(_name: str, net: SuperNetwork) -> list[str]:
    """Return the stages whose latency can be asked for."""
    return list(stages_of(net.slots))


def stage_of(name: str, stage: str, sources: Sources) -> tuple[str, int]:
    """Return a stage and how often it runs; raises ``UsageError`` if the super-network has no such stage.

    Args:
        name: of the objective.
        stage: the stage's name.
        sources: the super-network's.
    """
    net, stages = sources.net, stages_of(sources.net.slots)
    known = [f"{LATENCY}:{one}" for one in stages]
    if stage not in stages:
        what = f"has no stage {stage!r}" if stages else "has one stage"
        raise UsageError(f"objective {name!r}: {net.name} {what}{suggestion(name, [*known, *READINGS])}")
    return stage, stages[stage]


def of_stage(reading: Reading, stage: str, sources: Sources) -> KnownLatency | MeasuredLatency:
    """Return an objective that reads one stage; raises ``UsageError`` if the platform is a table of whole networks."""
    from hwnas import backends

    platform = sources.where
    backend = backends.get(platform.backend)
    if not isinstance(backend, backends.KnowingBackend):
        return _measured(reading, sources)
    if isinstance(backend, Tabulated):
        raise UsageError(
            f"objective {reading.name!r}: {platform} has one latency of each sub-network, and no stages; ask for "
            "latency, or name a platform that measures"
        )
    return KnownStage(reading, OneStage(sources.net, stage), backend, platform)


def _measured(reading: Reading, sources: Sources) -> MeasuredLatency:
    batches = sources.shared.setdefault("batches", MeasuredBatches(sources.measurer))
    return MeasuredLatency(sources.measurer, sources.where, reading, batches)
