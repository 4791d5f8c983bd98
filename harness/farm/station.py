"""The worker's side: keeps benches open, carries out orders on them, and says what it is at.

Orders and answers are JSON texts: what comes back from a worker is read, never run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

import supernets
from harness.bench import Keep, LocalBench, Progress, surroundings
from harness.farm import files
from harness.farm.engine import VERSION
from harness.farm.offer import Offer
from harness.farm.understanding import message, text, understood
from harness.graph import digests
from harness.measurement import Measurement
from harness.pinned import pinned, pinned_settings
from harness.platform import Platform, parse
from harness.protocol import TimingProtocol
from harness.quality.quality import ScoredQuality
from supernets import errors
from supernets.contents import SHOWN
from supernets.errors import HwnasError, MeasurementError, QualityError
from supernets.plug_ins import FAILURES, blamed, reason_of

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


class Station:
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
        self._current: dict[str, dict[str, Any]] = {}
        self._done = 0
        self._error = ""

    def facts(self) -> dict[str, Any]:
        """Return what it is at, as JSON values; heartbeats carry it to the scheduler."""
        return {"current": list(self._current.values()), "done": self._done, "error": self._error}

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
        shown = {
            "backend": found.backend,
            "settings": pinned_settings(found).to_record(),
            "fingerprint": fingerprint,
            "environment": environment,
        }
        return json.dumps(shown, default=str)

    def measure(
        self,
        digest: str,
        order: str,
        description: str = "",
        begun: Callable[[], None] = lambda: None,
        known: Keep = lambda measurement: measurement,
    ) -> str:
        """Measure what an order names on the bench of a description.

        Args:
            digest: of the description.
            order: JSON, as ``harness.farm.bench`` writes it.
            description: JSON, likewise; empty: the one that was sent with an earlier order.
            begun: called when it is known what to do.
            known: given each measurement as soon as it is there, interim ones between two rounds.

        Returns:
            JSON: "measurements", "anchors", "protocol" and the worker's "environment"; or "unknown": the description
            has to be sent along; or an "error".
        """
        if not self._knows(digest, description):
            return json.dumps({"unknown": digest})
        try:
            what, told = self._read(digest, order)
            current = _about(what, told)
        except MeasurementError as error:
            return _refused(error)
        begun()
        device = current["device"]
        self._current[device] = current
        try:
            answer = self._measured(what, told, current, known)
        except FAILURES as error:  # whatever a backend raises is the answer, and the worker goes on
            self._error = reason_of(error)[:500]
            return _refused(error)
        finally:
            self._current.pop(device, None)
        self._done += len(answer["measurements"])
        failed = [one["reason"] for one in answer["measurements"] if one["status"] == "failed"]
        self._error = failed[-1][:500] if failed else self._error
        return json.dumps(answer, default=str)

    def evaluate(
        self,
        digest: str,
        order: str,
        description: str = "",
        begun: Callable[[], None] = lambda: None,
        content: bytes = b"",
    ) -> str:
        """Run a sub-network for its quality, as ``harness.farm.quality`` orders it.

        As ``measure``; ``content`` is the weights, which the answer "lacks" asks for.
        """
        if not self._knows(digest, description):
            return json.dumps({"unknown": digest})
        try:
            what, told = self._read(digest, order)
            weights = _weights(what, content)
        except MeasurementError as error:
            return _refused(error)
        if weights is None:
            return json.dumps({"lacks": what["content"]})
        begun()
        try:
            with self._lock:
                if digest not in self._qualities:
                    self._qualities[digest] = self._quality(what, weights)
                quality = self._qualities[digest]
            (score,) = quality.scores([told["vector"]])
        except FAILURES as error:  # as above
            self._error = reason_of(error)[:500]
            return _refused(error)
        return json.dumps({"score": score.record()})

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

    def _read(self, digest: str, order: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a description and an order; raises ``MeasurementError`` where they are none."""
        return message(self._known[digest], "the description of an order"), message(order, "an order")

    def _quality(self, what: Mapping[str, Any], weights: str) -> ScoredQuality:
        """Make a quality source, and verify that its data is the client's."""
        from harness import quality

        options = quality.QualityOptions(weights, what["subset"], what["workers"])
        try:
            made = quality.get(what["quality"], supernets.get(what["supernet"]), options)
        except QualityError as error:
            # Clients of earlier versions do not say what lies beside.
            if not what.get("beside") or weights == str(Path(what["weights"])):
                raise
            raise MeasurementError(
                f"worker {self.offer.name}: lacks the {' and '.join(map(text, what['beside']))} beside the weights, "
                f"which were sent to it alone: put {text(what['weights'])} and what lies beside it there, "
                f"under the same names ({error})"
            ) from error
        if made.source != what["source"] or not isinstance(made, ScoredQuality):
            raise MeasurementError(
                f"worker {self.offer.name}: evaluates with {made.source}, the search with {what['source']}: "
                "put the same data there"
            )
        return made

    # --- measuring ---------------------------------------------------------------------------------------------------

    def _measured(
        self, what: Mapping[str, Any], told: Mapping[str, Any], current: dict[str, Any], known: Keep
    ) -> dict[str, Any]:
        if what["version"] != VERSION:
            raise MeasurementError(f"the order is of form {what['version']}, this worker reads {VERSION}: update hwnas")
        place = self._bench(what, current)
        protocol = place.bench.begin()
        measurements: Sequence[Measurement] = ()
        if told["networks"] or told["anchors"]:
            networks = _networks(what["supernet"], told["networks"])
            place.bench.reseed(told["seed"])
            measurements = list(place.bench.take(networks, known).values())
        place.used = time.monotonic()
        return {
            "measurements": [one.to_record() for one in measurements],
            "anchors": dict(place.bench.anchors_now),
            "protocol": protocol.to_record(),
            "environment": {**place.bench.environment, "farm": {"worker": self.offer.name, "unit": self.offer.unit}},
            "fingerprint": place.bench.fingerprint,
            "worker": self.offer.name,
        }

    def _bench(self, what: Mapping[str, Any], current: dict[str, Any]) -> _Open:
        """Return the bench of a description; opens it where there is none, and closes the one unused longest."""
        key = json.dumps({name: value for name, value in what.items() if name != "protocol"}, sort_keys=True)
        with self._lock:
            found = self._open.pop(key, None)
        if found is not None and what["protocol"] not in (None, found.bench.begin().to_record()):
            found.bench.close()
            found = None
        if found is None:
            found = self._opened(what, current)
        elif time.monotonic() - found.looked > _LOOK_S:
            self._check(what, found.platform)
            found.looked = time.monotonic()
        found.bench.tell = _into(current)
        with self._lock:
            self._open[key] = found
            others = [k for k, one in self._open.items() if one.platform.settings.device == what["device"]]
            for old in others[:-_OPEN]:
                self._open.pop(old).bench.close()
        return found

    def _opened(self, what: Mapping[str, Any], current: dict[str, Any]) -> _Open:
        platform = pinned(parse(what["platform"]))
        self._check(what, platform)
        net = supernets.get(what["supernet"])
        bench = LocalBench(
            net,
            platform,
            np.array(what["anchors"], dtype=np.int64).reshape(-1, net.space.n_var),
            protocol=None if what["protocol"] is None else TimingProtocol.from_record(what["protocol"]),
            tell=_into(current),
            check=what["check"],
            silence_s=what["silence_s"],
            unit=self.offer.unit,
        )
        return _Open(bench, platform)

    def _check(self, what: Mapping[str, Any], platform: Platform) -> None:
        there, meant = pinned_settings(platform).contents, what.get("contents")
        if meant is not None and there != meant:
            raise MeasurementError(
                f"worker {self.offer.name}: {platform}: what its files hold there is {_short(there)}, the search is of "
                f"{_short(meant)}; put the same files there"
            )
        _, now = surroundings(platform)
        if now != what["fingerprint"]:
            raise MeasurementError(
                f"worker {self.offer.name}: its environment is {now} now, the search is of {what['fingerprint']}; "
                "values of the two are not mixed: begin a new study, or put the machine back as it was"
            )


def _short(contents: Mapping[str, str]) -> str:
    return ", ".join(f"{key} {str(digest)[:SHOWN]}" for key, digest in contents.items()) or "none"


def _about(what: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of an order while it is carried out."""
    with understood("an order"):
        return {
            "device": text(what["device"]),
            "platform": text(what["platform"]),
            "supernet": text(what["supernet"]),
            "networks": len(told["networks"]),
            "since": time.time(),
            "message": "",
        }


def _weights(what: Mapping[str, Any], content: bytes) -> str | None:
    """Return this machine's file of the weights that an order names; ``None`` where there is none."""
    with understood("the description of an order"):
        name, digest = text(what["weights"]), text(what["content"])
    if content:
        files.keep(content, digest)
    found = files.here(name, digest)
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


def _into(current: dict[str, Any]) -> Any:
    def tell(event: Progress) -> None:
        current["message"] = event.message

    return tell


def _refused(error: BaseException) -> str:
    named = error if isinstance(error, HwnasError) else blamed(error)
    kind = "MeasurementError" if named is None else type(named).__name__
    return json.dumps({"error": kind, "message": reason_of(error)})


def raised(answer: Mapping[str, Any]) -> HwnasError | None:
    """Return the error that an answer stands for, or ``None``."""
    if "error" not in answer:
        return None
    said = str(answer.get("message", "")).strip()
    return errors.again(answer["error"], said or f"a worker refused, and does not say why ({answer['error']})")
