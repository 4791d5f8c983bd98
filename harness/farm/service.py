"""The worker's side: keeps benches open, carries out orders on them, and says what it is at.

Orders and answers are JSON texts: what comes back from a worker is read, never run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness.bench import LocalBench, MeasuringProgress, OnMeasurement, OnProgress, surroundings
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
    Refusal,
    SettingsRead,
    WeightsLacking,
    read_message,
)
from hwnas.harness.farm.offer import Offer
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.pinned import pinned, pinned_settings
from hwnas.harness.platform import Platform, parse
from hwnas.harness.quality.quality import ScoredQuality
from hwnas.supernets.contents import SHOWN
from hwnas.supernets.errors import HwnasError, MeasurementError, QualityError
from hwnas.supernets.plug_ins import FAILURES, blamed, reason_of

# Benches that stay open on a device: searches that share it do not wait for each other's worker to start.
_OPEN = 3
# Descriptions that are remembered.
_KNOWN = 100
# A device that nobody asks for is released to other programs of its machine.
IDLE_S = 60.0
# How often the environment is read again: somebody may have changed the clock's governor, or a library.
_LOOK_S = 60.0


class _Open:
    """An open bench."""

    def __init__(self, bench: LocalBench, platform: Platform) -> None:
        self.bench, self.platform = bench, platform
        self.used = self.looked = time.monotonic()


class WorkerService:
    """Carries out a worker's orders.

    Args:
        offer: of the worker.
    """

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self._known: dict[str, str] = {}
        self._qualities: dict[str, ScoredQuality] = {}
        self._open: dict[str, _Open] = {}
        self._lock = Lock()
        self._current: dict[str, OrderUnderWay] = {}
        self._done = 0
        self._error = ""

    def facts(self) -> dict[str, Any]:
        """Return what it is at, as JSON values; heartbeats carry it to the scheduler."""
        return asdict(AtWork(list(self._current.values()), self._done, self._error))

    @property
    def busy(self) -> bool:
        """Whether it measures right now."""
        return bool(self._current)

    def parsed(self, spelled: str) -> str:
        """Return a platform as this machine reads it, as JSON."""
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
        """Measure what an order names on the bench of a description.

        Args:
            digest: of the description.
            order: a ``MeasureOrder``.
            description: a ``MeasureDescription``; empty: the one that was sent with an earlier order.
            on_begin: called when it is known what to do.
            on_measurement: given each measurement as soon as it is there, interim ones between two rounds.

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
        except FAILURES as error:  # whatever a backend raises is the answer, and the worker goes on
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
        """Run a sub-network for its quality: an ``EvaluateOrder`` by an ``EvaluateDescription``.

        As ``measure``; ``content`` is the weights, which the answer ``WeightsLacking`` asks for.
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
        """Close benches that were not used for so long."""
        with self._lock:
            for key, one in list(self._open.items()):
                if time.monotonic() - one.used > idle_s and one.platform.settings.device not in self._current:
                    del self._open[key]
                    one.bench.close()

    def _knows(self, digest: str, description: str) -> bool:
        if description:
            self._known[digest] = description
            for old in list(self._known)[:-_KNOWN]:
                self._known.pop(old, None)
        return digest in self._known

    def _under_way(self, what: MeasureDescription, networks: int) -> None:
        """Let ``facts`` say that an order is carried out."""
        order = OrderUnderWay(what.device, what.platform, what.supernet, networks, time.time())
        self._current[what.device] = order

    def _progress_of(self, device: str) -> OnProgress:
        """Return what lets ``facts`` say what an order on a device is at."""

        def report(event: MeasuringProgress) -> None:
            if device in self._current:
                self._current[device] = replace(self._current[device], message=event.message)

        return report

    def _quality(self, what: EvaluateDescription, weights: str) -> ScoredQuality:
        """Make a quality source, and verify that its data is the client's."""
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
        place = self._bench(what)
        protocol = place.bench.begin()
        measurements: Sequence[Measurement] = ()
        if order.networks or order.anchors:
            networks = _networks(what.supernet, order.networks)
            place.bench.reseed(order.seed)
            measurements = list(place.bench.take(networks, on_measurement).values())
        place.used = time.monotonic()
        return MeasureAnswer(
            measurements=[one.to_record() for one in measurements],
            anchors=dict(place.bench.anchors_now),
            protocol=protocol.to_record(),
            environment={**place.bench.environment, "farm": {"worker": self.offer.name, "unit": self.offer.unit}},
            fingerprint=place.bench.fingerprint,
            worker=self.offer.name,
        )

    def _bench(self, what: MeasureDescription) -> _Open:
        """Return the bench of a description; opens it where there is none, and closes the one unused longest."""
        key = replace(what, protocol=None).to_text()
        with self._lock:
            found = self._open.pop(key, None)
        if found is not None and what.protocol not in (None, found.bench.begin().to_record()):
            found.bench.close()
            found = None
        if found is None:
            found = self._opened(what)
        elif time.monotonic() - found.looked > _LOOK_S:
            self._check(what, found.platform)
            found.looked = time.monotonic()
        found.bench.on_progress = self._progress_of(what.device)
        with self._lock:
            self._open[key] = found
            others = [k for k, one in self._open.items() if one.platform.settings.device == what.device]
            for old in others[:-_OPEN]:
                self._open.pop(old).bench.close()
        return found

    def _opened(self, what: MeasureDescription) -> _Open:
        platform = pinned(parse(what.platform))
        self._check(what, platform)
        net = supernets.get(what.supernet)
        bench = LocalBench(
            net,
            platform,
            np.array(what.anchors, dtype=np.int64).reshape(-1, net.space.n_var),
            protocol=None if what.protocol is None else TimingProtocol.from_record(what.protocol),
            on_progress=self._progress_of(what.device),
            check=what.check,
            silence_s=what.silence_s,
            unit=self.offer.unit,
        )
        return _Open(bench, platform)

    def _check(self, what: MeasureDescription, platform: Platform) -> None:
        there, meant = pinned_settings(platform).contents, what.contents
        if meant is not None and there != meant:
            raise MeasurementError(
                f"worker {self.offer.name}: {platform}: what its files hold there is {_short(there)}, the search is of "
                f"{_short(meant)}; put the same files there"
            )
        _, now = surroundings(platform)
        if now != what.fingerprint:
            raise MeasurementError(
                f"worker {self.offer.name}: its environment is {now} now, the search is of {what.fingerprint}; "
                "values of the two are not mixed: begin a new study, or put the machine back as it was"
            )


def _short(contents: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {str(digest)[:SHOWN]}" for key, digest in contents.items()) or "none"


def _weights(what: EvaluateDescription, content: bytes) -> str | None:
    """Return this machine's file of the weights that an order names; ``None`` where there is none."""
    if content:
        files.put(content, what.content)
    found = files.here(what.weights, what.content)
    return None if found is None else str(found)


def _networks(supernet: str, given: Sequence[Sequence[Any]]) -> list[tuple[str, Any]]:
    """Return the networks of an order, each verified to be what the client means by it."""
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
