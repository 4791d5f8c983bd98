"""Carry out a client's orders on a worker: measure networks, evaluate their quality, and report the worker's state.

Orders and answers are JSON texts: what a client gets from a worker is read, never executed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness.bench.bench import OnMeasurement
from hwnas.harness.bench.progress import MeasuringProgress, OnProgress
from hwnas.harness.farm import files
from hwnas.harness.farm.engine import VERSION
from hwnas.harness.farm.messages import (
    AtWork,
    DescriptionUnknown,
    EvaluateAnswer,
    EvaluateDescription,
    EvaluateOrder,
    MeasureAnswer,
    MeasureDescription,
    MeasureOrder,
    OrderUnderWay,
    PlatformRead,
    SettingsRead,
    WeightsLacking,
    read_message,
)
from hwnas.harness.farm.offer import Offer
from hwnas.harness.farm.open_benches import OpenBenches
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.pinned import pinned_settings
from hwnas.harness.platform import parse, surroundings
from hwnas.harness.quality.quality import ScoredQuality
from hwnas.harness.validation import Refusal
from hwnas.supernets.errors import HwnasError, MeasurementError, QualityError
from hwnas.supernets.plug_ins import FAILURES, blamed, reason_of

# How many descriptions are remembered.
_KNOWN = 100
# A device that no order uses for this long is released to other programs of its machine.
IDLE_S = 60.0


class WorkerService:
    """Carries out the orders that a worker gets.

    Args:
        offer: the worker's offer.
    """

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._known: dict[str, str] = {}
        self._qualities: dict[str, ScoredQuality] = {}
        self._benches = OpenBenches(offer, self._progress_of)
        self._lock = Lock()
        self._current: dict[str, OrderUnderWay] = {}
        self._done = 0
        self._error = ""

    def facts(self) -> dict[str, Any]:
        """Return the worker's state as JSON values; it is sent to the scheduler with heartbeats."""
        return asdict(AtWork(list(self._current.values()), self._done, self._error))

    @property
    def busy(self) -> bool:
        """Whether it measures right now."""
        return bool(self._current)

    def parsed(self, spelled: str) -> str:
        """Parse a platform string on this machine; return a ``PlatformRead`` or ``Refusal``."""
        try:
            found = parse(self.offer.platforms.get(spelled, spelled))
        except HwnasError as error:
            return _refused(error)
        environment, fingerprint = surroundings(found)
        settings = SettingsRead(**pinned_settings(found).to_record())
        return PlatformRead(found.backend, settings, fingerprint, environment).to_text()

    def measure(
        self,
        digest: str,
        order: str,
        description: str = "",
        on_begin: Callable[[], None] = lambda: None,
        on_measurement: OnMeasurement = lambda measurement: measurement,
    ) -> str:
        """Measure the networks of an order on the bench of its description.

        Args:
            digest: of the description.
            order: a ``MeasureOrder``.
            description: a ``MeasureDescription``; "": the one that was sent with an earlier order.
            on_begin: called when the order has been read, before anything is measured.
            on_measurement: called with each measurement as soon as it is there, and with interim ones between rounds.

        Returns:
            A ``MeasureAnswer``, ``DescriptionUnknown`` or ``Refusal``.
        """
        if not self._knows(digest, description):
            return DescriptionUnknown().to_text()
        try:
            what = read_message(MeasureDescription, self._known[digest], "the description of an order")
            given = read_message(MeasureOrder, order, "an order")
        except MeasurementError as error:
            return _refused(error)
        on_begin()
        self._under_way(what, len(given.networks))
        try:
            answer = self._measured(what, given, on_measurement)
        except FAILURES as error:  # the error of a backend is the answer; the worker goes on
            self._error = reason_of(error)[:500]
            return _refused(error)
        finally:
            self._current.pop(what.device, None)
        self._done += len(answer.measurements)
        failed = [str(one["reason"]) for one in answer.measurements if one["status"] == "failed"]
        self._error = failed[-1][:500] if failed else self._error
        return answer.to_text()

    def evaluate(
        self,
        digest: str,
        order: str,
        description: str = "",
        on_begin: Callable[[], None] = lambda: None,
        content: bytes = b"",
    ) -> str:
        """Evaluate the quality of a sub-network: an ``EvaluateOrder`` with an ``EvaluateDescription``.

        The other arguments are as in ``measure``; ``content`` is the weights, which the answer ``WeightsLacking``
        asks for.
        """
        if not self._knows(digest, description):
            return DescriptionUnknown().to_text()
        try:
            what = read_message(EvaluateDescription, self._known[digest], "the description of an order")
            given = read_message(EvaluateOrder, order, "an order")
            weights = _weights(what, content)
        except MeasurementError as error:
            return _refused(error)
        if weights is None:
            return WeightsLacking().to_text()
        on_begin()
        try:
            with self._lock:
                if digest not in self._qualities:
                    self._qualities[digest] = self._quality(what, weights)
                quality = self._qualities[digest]
            (score,) = quality.scores([given.vector])
        except FAILURES as error:  # as above
            self._error = reason_of(error)[:500]
            return _refused(error)
        return EvaluateAnswer(score.record()).to_text()

    def release(self, idle_s: float = IDLE_S) -> None:
        """Close the benches that have not been used for this long."""
        self._benches.release(idle_s, self._current)

    def _knows(self, digest: str, description: str) -> bool:
        if description:
            self._known[digest] = description
            for old in list(self._known)[:-_KNOWN]:
                self._known.pop(old, None)
        return digest in self._known

    def _under_way(self, what: MeasureDescription, networks: int) -> None:
        """Add an order to those that ``facts`` reports."""
        order = OrderUnderWay(what.device, what.platform, what.supernet, networks, time.time())
        self._current[what.device] = order

    def _progress_of(self, device: str) -> OnProgress:
        """Return a callback that updates the progress of the order on a device, as ``facts`` reports it."""

        def report(event: MeasuringProgress) -> None:
            if device in self._current:
                self._current[device] = replace(self._current[device], message=event.message)

        return report

    def _quality(self, what: EvaluateDescription, weights: str) -> ScoredQuality:
        """Make a quality source, and verify that its data is the same as the client's."""
        from hwnas.harness import quality

        options = quality.QualityOptions(weights, what.subset, what.workers)
        try:
            made = quality.get(what.quality, supernets.get(what.supernet), options)
        except QualityError as error:
            if not what.beside or weights == str(Path(what.weights)):
                raise
            raise MeasurementError(
                f"worker {self.offer.name}: lacks the {' and '.join(what.beside)} beside the weights, "
                f"which were sent to it alone: put {what.weights} and what lies beside it there, "
                f"under the same names ({error})"
            ) from error
        if made.source != what.source or not isinstance(made, ScoredQuality):
            raise MeasurementError(
                f"worker {self.offer.name}: evaluates with {made.source}, the search with {what.source}: "
                "put the same data there"
            )
        return made

    # --- measuring ---------------------------------------------------------------------------------------------------

    def _measured(self, what: MeasureDescription, order: MeasureOrder, on_measurement: OnMeasurement) -> MeasureAnswer:
        if what.version != VERSION:
            raise MeasurementError(f"the order is of form {what.version}, this worker reads {VERSION}: update hwnas")
        opened = self._benches.get(what)
        protocol = opened.bench.begin()
        measurements: Sequence[Measurement] = ()
        if order.networks or order.anchors:
            networks = _networks(what.supernet, order.networks)
            opened.bench.reseed(order.seed)
            measurements = list(opened.bench.take(networks, on_measurement).values())
        opened.used = time.monotonic()
        return MeasureAnswer(
            measurements=[one.to_record() for one in measurements],
            anchors=dict(opened.bench.anchors_now),
            protocol=protocol.to_record(),
            environment={**opened.bench.environment, "farm": {"worker": self.offer.name, "unit": self.offer.unit}},
            fingerprint=opened.bench.fingerprint,
            worker=self.offer.name,
        )


def _weights(what: EvaluateDescription, content: bytes) -> str | None:
    """Return this machine's file of the weights that an order names, or ``None``."""
    if content:
        files.put(content, what.content)
    found = files.here(what.weights, what.content)
    return None if found is None else str(found)


def _networks(supernet: str, given: Sequence[Sequence[Any]]) -> list[tuple[str, Any]]:
    """Return the networks of an order; verify that this machine builds the same graphs as the client."""
    net = supernets.get(supernet)
    if not given:
        return []
    X = np.array([vector for _, vector, _ in given], dtype=np.int64)
    for (key, _, digest), found in zip(given, digests(net, X), strict=True):
        if digest != found:
            raise MeasurementError(
                f"{supernet} {key}: this worker builds another network than the client: their versions of hwnas or "
                "of the super-network's package differ"
            )
    return [(key, row) for (key, _, _), row in zip(given, X, strict=True)]


def _refused(error: BaseException) -> str:
    named = error if isinstance(error, HwnasError) else blamed(error)
    kind = "MeasurementError" if named is None else type(named).__name__
    return Refusal(kind, reason_of(error)).to_text()
