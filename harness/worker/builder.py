"""Build ``Measurement`` objects from the messages of a worker process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.pace import Pace, summary
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.measurement.record import LOAD
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import Summary
from hwnas.harness.measurement.verdict import judge, unfinished
from hwnas.harness.platform import Platform
from hwnas.harness.worker.messages import Measured, PreparationFacts, Prepared
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import Values


class MeasurementBuilder:
    """Builds the measurements of one super-network on one platform.

    Args:
        net: the super-network.
        platform: the platform.
        fingerprint: of the environment.
        anchors: the anchors' vectors, (a, n_var); the worker numbers them -1, -2, ...

    Attributes:
        anchors_now: the anchors' keys and latencies, seconds, in the latest batch.
        load: what other programs kept busy beside the batch, where that is too much, as a record; else ``None``.
    """

    def __init__(self, net: SuperNetwork, platform: Platform, fingerprint: str, anchors: IntArray) -> None:
        self._net, self._platform, self._fingerprint = net, platform, fingerprint
        self._anchor_keys = net.space.keys(anchors)
        self._preparations: dict[int, PreparationFacts] = {}
        self._protocol: TimingProtocol | None = None
        self._noise: dict[str, Any] | None = None
        self._threads_verified: bool | None = None
        self._last_anchor: float = -math.inf
        self.anchors_now: dict[str, float] = {}
        self.load: dict[str, Any] | None = None

    def begin(
        self, protocol: Mapping[str, Any], noise: Mapping[str, Any] | None, threads_verified: bool | None = None
    ) -> TimingProtocol:
        """Remember the protocol and the host's noise, which a worker reports when it is ready.

        Args:
            protocol: the protocol that the worker follows, as a record.
            noise: the noise of the host, as JSON values; ``None``: not known.
            threads_verified: whether as many threads run as were asked for; ``None``: not known.

        Returns:
            The protocol.
        """
        self._noise = None if noise is None else dict(noise)
        self._threads_verified = threads_verified
        self._protocol = TimingProtocol.from_record(protocol)
        return self._protocol

    def anchor(self, message: Measured) -> bool:
        """Remember an anchor's latency, which is stored with each measurement of its batch.

        Returns:
            Whether it is the first of those that are timed together.
        """
        samples = Samples.from_record(message.samples)
        # They are numbered downwards, and any of them may be missing: it could not be prepared.
        first, self._last_anchor = message.number >= self._last_anchor, message.number
        if first:
            self.anchors_now = {}
        if samples.n:
            value = self._summary(samples, _pace(message, samples)).value
            self.anchors_now[self._anchor_keys[-1 - message.number]] = value
        return first

    def prepared(self, message: Prepared) -> None:
        """Remember facts of a network's preparation, such as its time and memory, until the network is measured."""
        self._preparations[message.number] = message.preparation

    def measurement(self, row: IntArray, message: Measured) -> Measurement:
        """Build the measurement of a network, vector (n_var,), from a worker's message."""
        preparation = replace(self._preparations[message.number], read_back=message.read_back)
        if not message.interim:
            del self._preparations[message.number]
        if message.failure is not None:
            return self._write(row, "failed", message.failure, math.nan, **_prepared(preparation))
        samples = Samples.from_record(message.samples)
        pace = _pace(message, samples)
        found = self._summary(samples, pace)
        verdict = judge(
            samples,
            found,
            self._numbers,
            threads=self._platform.settings.threads,
            rules=message.rules,
            spent_s=message.spent_s,
            throttled=_throttled(message.read_back),
            pace=pace,
        )
        if message.interim and not message.converged:
            verdict = unfinished(verdict, message.batch.rounds)
        context = {**message.batch.to_record(), "anchors": dict(self.anchors_now), "noise": self._noise}
        context |= {} if self.load is None else {LOAD: self.load}
        return self._write(
            row,
            verdict.status,
            verdict.reason,
            math.nan if verdict.status == "failed" else found.value,
            samples=samples,
            pace=pace,
            spent_s=message.spent_s,
            context=context | ({"interim": True} if message.interim else {}),
            sessions=message.sessions,
            **_prepared(preparation),
        )

    def failed(self, row: IntArray, reason: str) -> Measurement:
        """Build the measurement of a network that could not be measured."""
        return self._write(row, "failed", reason, math.nan)

    def known(self, rows: IntArray, found: Values) -> dict[str, Measurement]:
        """Build the measurements of vectors, (n, n_var), from a table's latencies in seconds; returned by key."""
        states = [("failed", reason) if reason else ("ok", "") for reason in found.reasons]
        written = [
            self._write(row, *state, float(value)) for row, state, value in zip(rows, states, found.values, strict=True)
        ]
        return {measurement.key: measurement for measurement in written}

    @property
    def _numbers(self) -> TimingProtocol:
        if self._protocol is None:
            raise RuntimeError("no worker has said which protocol it follows")
        return self._protocol

    def _summary(self, samples: Samples, pace: Pace | None) -> Summary:
        return summary(samples, self._numbers, self._platform.settings.threads, pace)

    def _write(self, row: IntArray, status: str, reason: str, latency_s: float, **more: Any) -> Measurement:
        one = np.asarray(row)[None, :]
        return Measurement(
            supernet=self._net.name,
            config=self._net.space.decode(one)[0],
            key=self._net.space.keys(one)[0],
            graph=digests(self._net, one)[0],
            platform=str(self._platform),
            status=status,
            reason=reason,
            statistic=self._protocol.statistic if self._protocol else "table",
            latency_s=latency_s,
            macs=int(self._net.macs(one)[0]),
            params=int(self._net.params(one)[0]),
            batch=self._platform.settings.batch,
            threads=self._platform.settings.threads,
            threads_verified=self._threads_verified,
            protocol=self._protocol,
            fingerprint=self._fingerprint,
            contents=dict(self._platform.settings.contents),
            measured_at=datetime.now(tz=UTC).isoformat(timespec="seconds"),
            **more,
        )


def _pace(message: Measured, samples: Samples) -> Pace | None:
    return None if message.pace is None else Pace.from_record(message.pace, len(samples.round))


def _throttled(read_back: list[dict[str, Any]]) -> str:
    """Return the reason that a device reports for a throttled clock; "" if it is not throttled or not reported."""
    reasons = [str(one["throttled"]) for one in read_back if one.get("throttled")]
    return next((reason for reason in reasons if not reason.startswith("unknown")), "")


def _prepared(preparation: PreparationFacts) -> dict[str, Any]:
    return {
        "prepare_s": preparation.prepare_s,
        "first_inference_s": preparation.first_inference_s,
        "memory_bytes": preparation.memory_bytes,
        "error": math.nan if preparation.error is None else preparation.error,
        "stages": tuple(preparation.stages),
        "read_back": tuple(preparation.read_back),
    }
