"""Measure sub-networks on a platform: what the layers above call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

import backends
from backends.backend import KnowingBackend, RunningBackend
from harness import cache, environment
from harness.device import Device, WorkerDied
from harness.graph import digests
from harness.lock import DeviceLock
from harness.measurement import Measurement
from harness.platform import Platform, parse
from harness.protocol import TimingProtocol, profile
from harness.records import Writer
from harness.store import Store
from harness.threads import physical_cores
from supernets.errors import MeasurementError
from supernets.space import IntArray
from supernets.supernet import SuperNetwork

# Importing torch and compiling a large graph take a minute on a busy machine.
_SILENCE_S = 180.0
# A network that takes the worker down with it gets a second chance, alone.
_ATTEMPTS = 2
# A worker that dies so often in a row without a single value will not stop doing so.
_DEATHS = 4


@dataclass(frozen=True)
class Progress:
    """What a Measurer is at.

    Attributes:
        phase: "waiting" (for the device), "starting", "preparing" or "timing".
        done: networks done in this phase.
        total: networks in it.
        message: the same in words.
    """

    phase: str
    done: int
    total: int
    message: str


class Measurer:
    """Measures sub-networks of one super-network on one platform; a context manager.

    It holds the device's lock and its worker process from the first batch until it is left.

    Args:
        net: the super-network; the worker makes its own by ``net.name``.
        platform: a platform, or the string of one.
        store: keeps every measurement, and answers for those it has; ``None``: neither.
        protocol: a profile's name, or the numbers; ``None``: the profile that a short calibration chooses.
        progress: told what is going on, between the timings and never during one.
        seed: of the order of the rounds.
        check: compare every network's outputs with the torch module's.
        silence_s: a worker that says nothing for this long has hung.
        anchors: the sub-networks measured along with every batch, vectors (a, n_var) from fast to slow; ``None``: the
            smallest, a middle and the largest.
        since: measurements in the store that were taken since then (ISO 8601, UTC) serve as they are, settled or not;
            older ones serve while the anchors agree. An interrupted study goes on so without measuring anything twice.

    Raises:
        PlatformError: the platform cannot be honoured here.
        UsageError: no such profile.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are options by name
        self,
        net: SuperNetwork,
        platform: Platform | str,
        *,
        store: Store | None = None,
        protocol: TimingProtocol | str | None = None,
        progress: Callable[[Progress], None] | None = None,
        seed: int = 0,
        check: bool = True,
        silence_s: float = _SILENCE_S,
        since: str | None = None,
        anchors: npt.ArrayLike | None = None,
    ) -> None:
        self.net = net
        self.platform = parse(platform) if isinstance(platform, str) else platform
        self.protocol = profile(protocol) if isinstance(protocol, str) else protocol
        self._backend = backends.get(self.platform.backend)
        self.environment: dict[str, Any] = {**environment.collect(), "backend": self._backend.versions()}
        self.fingerprint = environment.fingerprint(self.environment, backend=self._backend.versions())
        self._store = store
        self._say = progress or (lambda _: None)
        self._check = check
        self._silence_s = silence_s
        self._since = since
        self._rng = np.random.default_rng(seed)
        self._anchors = _anchors(net) if anchors is None else net.space.canonical(anchors)
        self._writer = Writer(net, self.platform, self.fingerprint, self._anchors)
        self._device: Device | None = None
        self._lock: DeviceLock | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and release the device."""
        self._stop()
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None

    def measure(self, X: npt.ArrayLike, *, fresh: bool = False) -> list[Measurement]:
        """Measure sub-networks.

        Args:
            X: vectors, (n, n_var).
            fresh: measure anew whatever the store holds.

        Returns:
            One measurement per row, in order; rows of the same network share one.

        Raises:
            ConfigError: ``X`` is no batch of vectors.
            TableError: a table does not fit the super-network.
            MeasurementError: nothing can be measured on this platform; says why.
        """
        return self.measure_beside(X, np.zeros((0, self.net.space.n_var), dtype=np.int64), fresh=fresh)[0]

    def measure_beside(
        self, X: npt.ArrayLike, again: npt.ArrayLike, *, fresh: bool = False
    ) -> tuple[list[Measurement], list[Measurement]]:
        """Measure sub-networks, and in the same batch others anew that were measured before.

        What the others have become since then is the machine's drift.

        Args:
            X: vectors, (n, n_var).
            again: the others, (k, n_var); they are measured with the first batch. What is among ``X`` as well is left
                out.
            fresh: measure ``X`` anew whatever the store holds.

        Returns:
            One measurement per row of ``X``, in order, and the others': none where nothing of ``X`` had to be measured,
            or where nothing is ever measured.

        Raises:
            ConfigError, TableError, MeasurementError: as ``measure``.
        """
        X = self.net.space.canonical(X)
        keys = self.net.space.keys(X)
        unique = dict(zip(keys, X, strict=True))
        rows = np.array(list(unique.values()), dtype=np.int64).reshape(len(unique), X.shape[1])
        others = self.net.space.canonical(again)
        repeated = dict(zip(self.net.space.keys(others), others, strict=True))
        if isinstance(self._backend, KnowingBackend):
            done = self._writer.known(rows, self._backend.latency(self.net, rows, self.platform.settings))
        else:
            done = {} if fresh else self._taken_since(rows, list(unique))
            left = [number for number, key in enumerate(unique) if key not in done]
            if left:
                networks = [(list(unique)[number], rows[number]) for number in left]
                beside = [(key, row) for key, row in repeated.items() if key not in unique]
                done |= self._measured(networks, beside, fresh=fresh)
        return [done[key] for key in keys], [done[key] for key in repeated if key in done and key not in unique]

    # --- stored values -----------------------------------------------------------------------------------------------

    def _measured(
        self, networks: Sequence[tuple[str, IntArray]], beside: list[tuple[str, IntArray]], *, fresh: bool
    ) -> dict[str, Measurement]:
        self._start()
        found = {} if fresh else self._stored(networks)
        unknown = [(key, row) for key, row in networks if key not in found]
        # Where the store has them all, the anchors are measured alone: they say whether the machine is as it was.
        done = self._batches([*beside, *unknown] if unknown else [])
        done |= cache.serving(found, self._writer.anchors_now, self._numbers.anchor_agree)
        left = [(key, row) for key, row in networks if key not in done]
        return done | (self._batches(left if unknown else [*beside, *left]) if left else {})

    def _taken_since(self, rows: IntArray, keys: list[str]) -> dict[str, Measurement]:
        if self._store is None or self._since is None:
            return {}
        graphs = dict(zip(keys, digests(self.net, rows), strict=True))
        platform = str(self.platform)
        return cache.taken_since(self._store, self.net.name, platform, self.fingerprint, self._since, graphs)

    def _stored(self, networks: Sequence[tuple[str, IntArray]]) -> dict[str, list[Measurement]]:
        if self._store is None:
            return {}
        keys, rows = [key for key, _ in networks], np.array([row for _, row in networks])
        graphs = dict(zip(keys, digests(self.net, rows), strict=True))
        platform = str(self.platform)
        return cache.candidates(self._store, self.net.name, platform, self.fingerprint, self._numbers, graphs)

    # --- batches -----------------------------------------------------------------------------------------------------

    def _batches(self, networks: Sequence[tuple[str, IntArray]]) -> dict[str, Measurement]:
        """Measure networks, batch by batch, then one by one those at which a worker died."""
        done: dict[str, Measurement] = {}
        suspects: list[tuple[str, IntArray]] = []
        size = self._numbers.batch
        for start in range(0, max(1, len(networks)), size):
            suspects += self._batch(networks[start : start + size], done)
        for suspect in suspects:
            self._batch([suspect], done, attempt=_ATTEMPTS)
        return done

    def _batch(
        self, networks: Sequence[tuple[str, IntArray]], done: dict[str, Measurement], attempt: int = 1
    ) -> list[tuple[str, IntArray]]:
        """Measure networks side by side into ``done``; return those at which a worker died, for another attempt."""
        suspects, deaths = [], 0
        while True:
            left = {
                number: (key, row)
                for number, (key, row) in enumerate(networks)
                if key not in done and number not in suspects
            }
            if networks and not left:
                break
            before = len(done)
            try:
                for measurement in self._run(left):
                    done[measurement.key] = measurement
                break
            except WorkerDied as death:
                self._stop()
                deaths = deaths + 1 if len(done) == before else 0
                if not networks and deaths >= _ATTEMPTS:
                    raise MeasurementError(f"the anchors cannot be measured on {self.platform}: {death}") from death
                at = death.number if death.number in left and left[death.number][0] not in done else None
                if deaths >= _DEATHS:
                    given_up = [number for number in left if left[number][0] not in done]
                elif at is not None and attempt < _ATTEMPTS:
                    suspects.append(at)
                    given_up = []
                else:
                    given_up = [] if at is None else [at]
                for number in given_up:
                    self._keep(self._writer.failed(left[number][1], str(death)), done)
        return [networks[number] for number in suspects]

    def _run(self, left: Mapping[int, tuple[str, IntArray]]) -> Iterator[Measurement]:
        """Send networks to the worker; yield each one's measurement, stored, as soon as it is there."""
        device = self._start()
        seed = int(self._rng.integers(2**32))
        prepared = 0
        for message in device.measure([(number, row.tolist()) for number, (_, row) in left.items()], seed):
            say, number = message["say"], message.get("number", -1)
            if say == "tick":
                self._say(_timing(message))
            elif number < 0:
                self._writer.anchor(message)
            elif say == "prepared":
                prepared += 1
                self._writer.prepared(message)
                self._say(Progress("preparing", prepared, len(left), f"prepared {prepared} of {len(left)} networks"))
            else:
                yield self._kept(self._writer.measurement(left[number][1], message))

    def _kept(self, measurement: Measurement) -> Measurement:
        if self._store is not None:
            self._store.put_measurement(measurement.to_record())
        return measurement

    def _keep(self, measurement: Measurement, done: dict[str, Measurement]) -> None:
        done[measurement.key] = self._kept(measurement)

    # --- the worker --------------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> TimingProtocol:
        if self.protocol is None:
            raise MeasurementError("the protocol is chosen when the worker starts")
        return self.protocol

    def _start(self) -> Device:
        """Return the worker; where there is none, wait for the device and start one."""
        if self._device is None:
            settings = self.platform.settings
            if self._lock is None:
                lock = DeviceLock(settings.device, lambda text: self._say(Progress("waiting", 0, 1, text)))
                self._lock = lock.__enter__()
            self._say(Progress("starting", 0, 1, f"starting a worker for {self.platform}"))
            self._device = self._started()
            self.protocol = self._writer.begin(self._device.ready)
            self.environment |= {"noise": self._device.ready["noise"], "threads": self._device.ready["threads"]}
        return self._device

    def _started(self) -> Device:
        if not isinstance(self._backend, RunningBackend):
            raise MeasurementError(f"the backend {self.platform.backend!r} runs nothing")
        settings = self.platform.settings
        cores = physical_cores(settings.threads) if settings.device == "cpu" else None
        order = {
            "supernet": self.net.name,
            "backend": self.platform.backend,
            "settings": {**asdict(settings), "options": dict(settings.options)},
            "anchors": self._anchors.tolist(),
            "protocol": self.protocol.to_record() if self.protocol else None,
            "check": self._check,
            "cores": sorted(cores) if cores else None,
        }
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(settings.threads))
        variables = {**counts, **self._backend.environment(settings)}
        for attempt in range(1, _ATTEMPTS + 1):
            reasons: list[str] = []

            def listen(message: Mapping[str, Any], reasons: list[str] = reasons) -> None:
                reasons += [message["reason"]] if message["say"] == "failed" else []

            try:
                return Device(order, variables, self._silence_s, listen)
            except WorkerDied as death:
                if attempt == _ATTEMPTS:
                    raise MeasurementError(f"no worker comes up for {self.platform}: {death}") from death
            except MeasurementError as error:
                raise MeasurementError("; ".join([f"{self.platform}: {error}", *dict.fromkeys(reasons)])) from None
        raise AssertionError("unreachable")

    def _stop(self) -> None:
        if self._device is not None:
            self._device.close()
            self._device = None


def measure(
    net: SuperNetwork,
    configs: Mapping[str, Any] | Iterable[Mapping[str, Any]] | npt.NDArray[np.integer[Any]],
    platform: Platform | str,
    **settings: Any,
) -> list[Measurement]:
    """Measure configs, or vectors ``(n, n_var)``, on a platform; ``settings`` are those of ``Measurer``.

    Returns:
        One measurement per config, in order.
    """
    X = configs if isinstance(configs, np.ndarray) else net.space.encode(configs)
    with Measurer(net, platform, **settings) as measurer:
        return measurer.measure(X)


def _anchors(net: SuperNetwork) -> IntArray:
    """Return the smallest, a middle and the largest network, (3, n_var); fewer where they are the same."""
    space = net.space
    three = np.concatenate([space.smallest(), space.n_options[None, :] // 2, space.largest()])
    canonical = space.canonical(three)
    _, first = np.unique(canonical, axis=0, return_index=True)
    return canonical[np.sort(first)]


def _timing(message: Mapping[str, Any]) -> Progress:
    settled, total = message["settled"], message["total"]
    words = (
        f"round {message['round']}: {settled} of {total} networks have settled" if message["round"] else "warming up"
    )
    return Progress("timing", settled, total, words)
