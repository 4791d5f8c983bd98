"""Measure networks on the workers of a farm that have the same environment, one job per device at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.harness.bench.bench import BenchOptions, Network, OnMeasurement
from hwnas.harness.bench.progress import MeasuringProgress
from hwnas.harness.farm.cluster import Cluster, Job
from hwnas.harness.farm.engine import VERSION
from hwnas.harness.farm.messages import Answer, Died, MeasureAnswer, MeasureDescription, MeasureOrder
from hwnas.harness.farm.offer import OfferedPlatform, place, token
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import ProtocolChoice, TimingProtocol
from hwnas.harness.validation import Refusal, validating
from hwnas.harness.worker.builder import MeasurementBuilder
from hwnas.supernets.errors import MeasurementError
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

# With fewer networks than this side by side, rankings are less reliable and anchors take a larger share of the time.
_SIDE_BY_SIDE = 8
_WAIT_S = 1.0
# How often to look for further devices, and to report how many networks wait.
_LOOK_S = 2.0


@dataclass(frozen=True)
class _Sent:
    """An order that has been sent and not answered.

    Attributes:
        ticket: the caller's number for it; several orders may share one.
        networks: the networks to measure.
        on_measurement: called with interim measurements.
    """

    ticket: int
    networks: list[Network]
    on_measurement: OnMeasurement


class FarmBench:
    """Measures the networks of one super-network on a platform of the farm; see ``hwnas.harness.bench.bench.Bench``.

    Args:
        cluster: the connection.
        platform: of the farm.
        net: the super-network.
        anchors: vectors (a, n_var).
        options: how its workers measure; ``None``: as by default.
    """

    def __init__(
        self,
        cluster: Cluster,
        platform: OfferedPlatform,
        net: SuperNetwork,
        anchors: IntArray,
        options: BenchOptions | None = None,
    ) -> None:
        self._cluster, self._platform, self._net, self._anchors = cluster, platform, net, anchors
        self._options = options or BenchOptions()
        self._choice = self._options.protocol
        self._protocol: TimingProtocol | None = None  # once a worker has chosen it
        self._rng = np.random.default_rng(self._options.seed)
        self._begun = False
        self.environment: dict[str, Any] = dict(platform.environment)
        self.fingerprint = platform.fingerprint
        self.anchors_now: Mapping[str, float] = {}
        self._builder = MeasurementBuilder(net, platform, platform.fingerprint, anchors)
        self._under_way: dict[int, _Sent] = {}  # by a job's number
        self._found: dict[int, list[Measurement]] = {}  # a ticket: what has arrived of it
        self._name = hashlib.sha256(repr((id(self), platform.fingerprint)).encode()).hexdigest()[:8]

    @property
    def parallel(self) -> int:
        """How many devices of the farm measure in this environment, at least 1."""
        device, backend = self._platform.settings.device, self._platform.backend
        return max(1, sum(offer.serves(backend, self.fingerprint, device) for offer in self._cluster.offers()))

    def begin(self) -> TimingProtocol:
        """Wait for a worker to be ready, unless one is; return the protocol that it follows."""
        if not self._begun:
            self._options.on_progress(
                MeasuringProgress("starting", 0, 1, f"waiting for a worker to be ready for {self._platform}")
            )
            self._alone(anchors=False)
            self._begun = True
        return self._numbers

    def take(self, networks: Sequence[Network], on_measurement: OnMeasurement) -> dict[str, Measurement]:
        """Measure networks, spread over the devices.

        ``on_measurement`` is called with each measurement as soon as it arrives, and with interim ones before.

        Raises:
            MeasurementError: nothing can be measured on this platform; says why.
        """
        numbers = self.begin()
        if not networks:
            self._alone(anchors=True)
            return {}
        devices = self.parallel
        size = min(numbers.batch, max(_SIDE_BY_SIDE, -(-len(networks) // devices)))
        waiting = [networks[start : start + size] for start in range(0, len(networks), size)]
        waiting.reverse()
        done: dict[str, Measurement] = {}
        looked = 0.0
        while waiting or self._under_way:
            while waiting and len(self._under_way) < devices + _ahead(devices, len(waiting)):
                self.send(waiting.pop(), on_measurement)
            if time.monotonic() - looked > _LOOK_S:
                # Each of these asks the scheduler, so they are not done between any two measurements.
                looked = time.monotonic()
                self._cluster.say_queued(self._name, sum(map(len, waiting)) + self.under_way)
                devices = max(devices, self.parallel)
            for _, found in self.arrived(_WAIT_S):
                done |= {one.key: on_measurement(one) for one in found}
            words = f"{len(done)} of {len(networks)} networks on {devices} device{'s' * (devices > 1)}"
            self._options.on_progress(MeasuringProgress("timing", len(done), len(networks), words))
        return done

    def send(self, networks: Sequence[Network], on_measurement: OnMeasurement) -> int:
        """Send networks to be measured side by side; return a ticket, with which ``arrived`` yields the measurements.

        Until then, ``arrived`` calls ``on_measurement`` with interim measurements.
        """
        return self._send(list(networks), on_measurement)

    def arrived(self, timeout_s: float) -> Iterator[tuple[int, list[Measurement]]]:
        """Yield tickets whose networks are all measured; wait for the first one at most ``timeout_s``."""
        answered = self._cluster.next(timeout_s)
        while answered is not None:
            number, answer = answered
            if number in self._under_way:
                sent = self._under_way.pop(number)
                self._found[sent.ticket] += self._read(sent, answer)
                if all(sent.ticket != other.ticket for other in self._under_way.values()):
                    yield sent.ticket, self._found.pop(sent.ticket)
            answered = self._cluster.next(0.0)

    @property
    def under_way(self) -> int:
        """How many networks have been sent and not been measured yet."""
        return sum(len(sent.networks) for sent in self._under_way.values())

    def close(self) -> None:
        """Give up what is under way; workers release their devices by themselves when no order comes for a while."""
        self._cluster.say_queued(self._name, None)
        for number in self._under_way:
            self._cluster.forget(number)
        self._under_way.clear()

    # --- orders and answers ------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> TimingProtocol:
        if self._protocol is None:
            raise MeasurementError("the protocol is chosen when a worker starts")
        return self._protocol

    def _alone(self, *, anchors: bool) -> None:
        """Order the anchors alone, or only a worker to be ready, and wait for the answer."""
        ticket = self._send([], anchors=anchors)
        while not any(number == ticket for number, _ in self.arrived(_WAIT_S)):
            pass

    def _send(
        self,
        networks: list[Network],
        on_measurement: OnMeasurement = lambda measurement: measurement,
        *,
        anchors: bool = True,
        ticket: int | None = None,
    ) -> int:
        rows = np.array([row for _, row in networks], dtype=np.int64).reshape(len(networks), self._net.space.n_var)
        graphs = digests(self._net, rows)
        order = MeasureOrder(
            networks=[(key, row.tolist(), graph) for (key, row), graph in zip(networks, graphs, strict=True)],
            anchors=anchors,
            seed=int(self._rng.integers(2**32)),
        )
        host = self._platform.host
        resources = {
            token(self._platform.settings.device, host): 1.0,
            place(self._platform.backend, self.fingerprint): 1.0,
        }
        keys = frozenset(key for key, _ in networks)
        job = Job(
            self._description(),
            order.to_text(),
            resources,
            str(self._platform),
            on_interim=lambda record: self._interim(record, keys, on_measurement),
        )
        number = self._cluster.send(job)
        ticket = number if ticket is None else ticket
        self._under_way[number] = _Sent(ticket, networks, on_measurement)
        self._found.setdefault(ticket, [])
        return ticket

    def _description(self) -> str:
        return MeasureDescription(
            version=VERSION,
            supernet=self._net.name,
            platform=self._platform.spelled,
            device=self._platform.settings.device,
            fingerprint=self.fingerprint,
            anchors=self._anchors.tolist(),
            protocol=self._choice.to_record(),
            check=self._options.check,
            silence_s=self._options.silence_s,
            contents=dict(self._platform.settings.contents),
            wait_s=self._options.wait_s,
        ).to_text()

    def _interim(self, record: Mapping[str, Any], keys: Collection[str], on_measurement: OnMeasurement) -> None:
        """Pass on an interim measurement of an order's networks; ignore those of others."""
        with validating("a worker's report"):
            found = Measurement.from_record({**record, "platform": str(self._platform)})
        if found.interim and found.fingerprint == self.fingerprint and found.key in keys:
            on_measurement(found)

    def _read(self, sent: _Sent, answer: Answer | Died) -> list[Measurement]:
        """Return the measurements of an answer; none if the networks were sent again, one by one."""
        match answer:
            case Died(reason):
                return self._died(sent, reason)
            case Refusal():
                raise answer.raised()
            case MeasureAnswer():
                with validating("a worker's answer"):
                    return self._measurements(answer)
        raise MeasurementError(f"a worker's answer: expected measurements, got {type(answer).__name__}")

    def _measurements(self, answer: MeasureAnswer) -> list[Measurement]:
        if answer.fingerprint != self.fingerprint:
            raise MeasurementError(
                f"worker {answer.worker} measured in the environment {answer.fingerprint}, expected "
                f"{self.fingerprint}: values of the two are not mixed"
            )
        shown = str(self._platform)
        measurements = [Measurement.from_record({**one, "platform": shown}) for one in answer.measurements]
        protocol = self._builder.begin(answer.protocol, answer.environment.get("noise"))
        if self._protocol is None:
            # Workers after this one follow the same, whatever noise they meet.
            self._protocol, self._choice = protocol, ProtocolChoice.exactly(protocol)
        self.environment |= answer.environment
        self.anchors_now = answer.anchors
        return measurements

    def _died(self, sent: _Sent, reason: str) -> list[Measurement]:
        """Handle an order whose workers died repeatedly: send its networks one by one, or give up a single one."""
        networks = sent.networks
        if not networks:
            raise MeasurementError(f"the anchors cannot be measured on {self._platform}: {reason}")
        if len(networks) == 1:
            return [self._builder.failed(networks[0][1], reason)]
        for network in networks:
            self._send([network], sent.on_measurement, ticket=sent.ticket)
        return []


def _ahead(devices: int, waiting: int) -> int:
    """Return how many jobs to send beyond one per device.

    So a device has its next job before the client has read its last answer. A job that is sent stays with its device,
    so the last jobs are held back for the device that is free first.
    """
    return max(1, min(devices, waiting // 2))
