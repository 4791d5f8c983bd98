"""A measurement: the raw samples of one sub-network on one platform, with the metadata needed to interpret them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from hwnas.harness.measurement.pace import Calm, Pace, stage_summary, summary
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.measurement.record import LOAD, check, latency
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.shown import html_of, in_words
from hwnas.harness.measurement.statistics import Summary
from hwnas.supernets.errors import MALFORMED, StoreError
from hwnas.supernets.space import BoolArray, Config, FloatArray
from hwnas.supernets.values import json_number

# 1: first form.
SCHEMA = 1


@dataclass(frozen=True, eq=False)
class Measurement:
    """One sub-network on one platform. Times are seconds.

    Attributes:
        supernet: the super-network's name.
        config: the sub-network.
        key: its canonical vector's name.
        graph: a digest of the sub-network's blocks.
        platform: the canonical platform string.
        status: "ok", "unstable" (measured, but not converged) or "failed".
        reason: why it is not ok, and what would help; empty when it is.
        statistic: "min", "p10", "p15", "median", or "table" where a table knows the value.
        latency_s: the statistic; nan when failed.
        macs: multiply-accumulates at batch 1.
        params: parameters.
        batch: samples per inference.
        threads: compute threads; they say how CPU time explains wall time.
        samples: the raw samples; none of a table's value.
        pace: of the host at its visits, which its value is without; ``None``: not known.
        protocol: the protocol it was taken with; ``None`` for a table's value.
        fingerprint: of the environment.
        measured_at: ISO 8601, UTC.
        prepare_s: export and compilation.
        first_inference_s: the first run.
        memory_bytes: growth of the worker's resident memory from before preparing to after the first inference.
        error: the largest difference from the torch module's outputs, relative to the largest; nan: not compared.
        threads_verified: as many threads ran as were asked for; ``None`` if that is not known.
        sessions: how often it was prepared: the visit of round r went to session r modulo this.
        stages: the stages' names.
        read_back: the settings that each stage's runtime reports.
        spent_s: time spent on it.
        context: facts of its batch: the anchors' values, rounds, tau between the halves, the loop's overhead.
        cached: a stored value, used because the anchors agree.
        contents: by key, digests of the files that options of the platform name.
    """

    supernet: str
    config: Config
    key: str
    platform: str
    status: str
    reason: str
    statistic: str
    latency_s: float
    macs: int
    params: int
    graph: str = ""
    batch: int = 1
    threads: int = 1
    samples: Samples = field(default_factory=Samples.none)
    pace: Pace | None = None
    protocol: TimingProtocol | None = None
    fingerprint: str = ""
    measured_at: str = ""
    prepare_s: float = math.nan
    first_inference_s: float = math.nan
    memory_bytes: int | None = None
    error: float = math.nan
    threads_verified: bool | None = None
    sessions: int = 1
    stages: tuple[str, ...] = ()
    read_back: tuple[Mapping[str, Any], ...] = ()
    spent_s: float = 0.0
    context: Mapping[str, Any] = field(default_factory=dict)
    cached: bool = False
    contents: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Measurement {in_words(self)}>"

    def _repr_html_(self) -> str:
        return html_of([self])

    @property
    def interim(self) -> bool:
        """Whether it was reported before its batch ended; the final measurement replaces it, unless there is none."""
        return bool(self.context.get("interim", False))

    @property
    def load(self) -> Mapping[str, Any] | None:
        """What kept CPUs busy beside it, "busy" and "programs", if that left too few; ``None``: enough were left."""
        return self.context.get(LOAD)

    @property
    def latency_ms(self) -> float:
        """The latency in milliseconds."""
        return 1e3 * self.latency_s

    @property
    def samples_s(self) -> FloatArray:
        """Seconds of one inference, ``(n,)``; disturbed samples included."""
        return self.samples.seconds

    @property
    def throughput(self) -> float:
        """Samples per second."""
        return self.batch / self.latency_s

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of the latency, seconds; of a table's value, the value twice."""
        summary = self.summary
        return (summary.low, summary.high) if summary else (self.latency_s, self.latency_s)

    @property
    def summary(self) -> Summary | None:
        """The statistics of the samples, or ``None`` where there are none."""
        if self.protocol is None or not self.samples.n:
            return None
        return summary(self.samples, self.protocol, self.threads, self.pace)

    @property
    def halves(self) -> tuple[float, float]:
        """The latency by the even rounds alone and by the odd ones alone, seconds; nan where there are no samples."""
        if self.protocol is None or not self.samples.n:
            return math.nan, math.nan
        return Calm.of(self.samples, self.protocol, self.threads, self.pace).halves

    @property
    def disturbed(self) -> float:
        """The share of disturbed samples; nan where there are none."""
        return float(self._disturbed_samples().mean()) if self.samples.n else math.nan

    def _disturbed_samples(self) -> BoolArray:
        if self.protocol is None:
            return np.zeros(self.samples.n, dtype=bool)
        return self.samples.disturbed(self.protocol.disturbed, self.threads)

    @property
    def stage_s(self) -> dict[str, float]:
        """Seconds of one inference spent in each stage, by the same statistic; empty for one stage.

        A minimum of sums is no sum of minima: they add up to the latency nearly.
        """
        return {name: one.value for name, one in self.stage_summaries.items()}

    @property
    def stage_summaries(self) -> dict[str, Summary]:
        """The statistics of each stage in one inference, all of its runs together; empty where stages were not timed.

        They are not where there is one stage, and where the device's own clock says what an inference takes.
        """
        if self.protocol is None or not self.samples.stage_ns.any():
            return {}
        return {
            name: stage_summary(self.samples, number, self.protocol, self.threads, self.pace)
            for number, name in enumerate(self.stages)
        }

    # --- records -----------------------------------------------------------------------------------------------------

    def to_record(self) -> dict[str, Any]:
        """Return everything, JSON-able, for the store."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _APART}
        numbers = self.protocol
        return {
            **{name: _plain(value) for name, value in plain.items()},
            "schema": SCHEMA,
            "samples": self.samples.to_record(),
            **({"pace": self.pace.to_record()} if self.pace else {}),
            "protocol": numbers.name if numbers else "table",
            "protocol_numbers": numbers.to_record() if numbers else None,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any], **changes: Any) -> Measurement:
        """Read what ``to_record`` wrote.

        Raises:
            StoreError: the record is of a newer schema, or damaged.
        """
        try:
            made = cls._of(record, changes)
            check(vars(made))
        except MALFORMED as error:
            number = f" (number {record['id']} of the store)" if isinstance(record, Mapping) and "id" in record else ""
            raise StoreError(f"the record of a measurement is damaged{number}: {error!r}") from error
        return made

    @classmethod
    def _of(cls, record: Mapping[str, Any], changes: Mapping[str, Any]) -> Measurement:
        if record.get("schema", 0) > SCHEMA:
            raise StoreError(
                f"the measurement is of schema {record['schema']}, this version reads up to {SCHEMA}: update hwnas"
            )
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        values["latency_s"] = latency(values.get("latency_s"))
        for name in ("prepare_s", "first_inference_s", "error"):
            values[name] = math.nan if values.get(name) is None else float(values[name])
        numbers = record["protocol_numbers"]
        values["protocol"] = TimingProtocol.from_record(numbers) if numbers else None
        samples, pace = Samples.from_record(record["samples"]), record.get("pace")
        values["samples"] = samples
        values["pace"] = None if pace is None else Pace.from_record(pace, len(samples.round))
        values["stages"], values["read_back"] = tuple(record["stages"]), tuple(record["read_back"])
        return cls(**{**values, **changes})

    def to_json(self, *, samples: bool = False) -> dict[str, Any]:
        """Return one of ``measurements`` in the JSON of ``hwnas profile``; with ``samples``, the raw ones too."""
        shown = {
            "supernet": self.supernet,
            "config": self.config,
            "key": self.key,
            "platform": self.platform,
            "status": self.status,
            "reason": self.reason,
            "latency_ms": self._latency_json(),
            "throughput_per_s": _plain(self.throughput),
            "macs": self.macs,
            "params": self.params,
            "prepare_s": _plain(self.prepare_s),
            "first_inference_ms": _plain(1e3 * self.first_inference_s),
            "threads_verified": self.threads_verified,
            "memory_bytes": self.memory_bytes,
            "sessions": self.sessions,
            "disturbed": _plain(self.disturbed),
            "cores": _plain(self.samples.cores() if self.samples.n else math.nan),
            "stages_ms": {name: 1e3 * seconds for name, seconds in self.stage_s.items()},
            "spent_s": self.spent_s,
            "error": _plain(self.error),
            "read_back": list(self.read_back),
            "protocol": self.protocol.to_record() if self.protocol else None,
            "fingerprint": self.fingerprint,
            **({"contents": dict(self.contents)} if self.contents else {}),
            **({"pace": self.pace.to_record()} if samples and self.pace else {}),
            "measured_at": self.measured_at,
            "cached": self.cached,
            "context": _plain(self.context),
        }
        if samples:
            shown["samples_ms"] = (1e3 * self.samples_s).tolist()
            shown["samples"] = self.samples.to_record()
            shown["samples_disturbed"] = self._disturbed_samples().tolist()
        return shown

    def _latency_json(self) -> dict[str, Any]:
        summary = self.summary
        if summary is None:
            value = _plain(self.latency_ms)
            none = dict.fromkeys(("min", "p10", "median", "p90", "ci_low", "ci_high"))
            return {"value": value, "statistic": self.statistic, **none, "n": 0}
        names = {"min": "min", "p10": "p10", "median": "median", "p90": "p90", "ci_low": "low", "ci_high": "high"}
        times = {name: _plain(1e3 * getattr(summary, attribute)) for name, attribute in names.items()}
        return {"value": _plain(self.latency_ms), "statistic": self.statistic, **times, "n": summary.n}


_APART = ("samples", "pace", "protocol", "cached")  # of the record


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: nan and infinity become null."""
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(entry) for entry in value]
    return value
