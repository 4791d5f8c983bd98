"""Measure networks on one platform, in batches, in a worker process that may crash without harm to the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property

import numpy as np

from hwnas import backends
from hwnas.backends.backend import RunningBackend
from hwnas.harness.bench.bench import BenchOptions, Network, OnMeasurement
from hwnas.harness.bench.progress import MeasuringProgress
from hwnas.harness.bench.timings import Timings
from hwnas.harness.host.calm import LoadWatch
from hwnas.harness.host.cpus import affinity, physical_cores
from hwnas.harness.host.lock import DeviceLock
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import ProtocolChoice, TimingProtocol
from hwnas.harness.platform import Platform, surroundings
from hwnas.harness.worker.builder import MeasurementBuilder
from hwnas.harness.worker.messages import Failed, Measured, Order, Prepared, Progressed
from hwnas.harness.worker.process import WorkerDied, WorkerProcess, start_worker
from hwnas.supernets.errors import MeasurementError
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

# A network that takes the worker down with it gets a second chance, alone.
_ATTEMPTS = 2
# A worker that dies so often in a row without a single value will not stop doing so.
_DEATHS = 4


class LocalBench:
    """Measures in a process of this machine, under the device's lock.

    Args:
        net: the super-network; the worker makes its own by ``net.name``.
        platform: the platform.
        anchors: the sub-networks measured along with every batch, vectors (a, n_var), from fast to slow.
        options: how it measures; ``None``: as by default.
        unit: which of several equal devices of this host it is, where there are several; each has its own lock.

    Attributes:
        on_progress: as given; may be replaced between two batches.
        timings: where the time has gone.
    """

    def __init__(
        self,
        net: SuperNetwork,
        platform: Platform,
        anchors: IntArray,
        options: BenchOptions | None = None,
        *,
        unit: int | None = None,
    ) -> None:
        self._net, self._platform, self._anchors = net, platform, anchors
        self._options = options = options or BenchOptions()
        self._choice = options.protocol
        self._protocol: TimingProtocol | None = None  # once a worker has chosen it
        self.on_progress = options.on_progress
        self._rng = np.random.default_rng(options.seed)
        self.timings = Timings()
        self._backend = backends.get(platform.backend)
        self.environment, self.fingerprint = surroundings(platform)
        # Workers run on the CPUs that the environment records, whatever a library does to this process's own later.
        self._cpus = affinity()
        self._watch = LoadWatch(
            self._cores, platform.settings.threads, options.wait_s, lambda text: self._say("busy", text)
        )
        self._builder = MeasurementBuilder(net, platform, self.fingerprint, anchors)
        self._worker: WorkerProcess | None = None
        self._prepared = 0  # networks, by this worker
        self._lock: DeviceLock | None = None
        self._locked = platform.settings.device if unit is None else f"{platform.settings.device}-unit{unit}"

    @property
    def anchors_now(self) -> Mapping[str, float]:
        """The anchors' keys and latencies, seconds, in the latest batch."""
        return self._builder.anchors_now

    @property
    def pid(self) -> int | None:
        """The worker's process id; ``None`` where there is no worker."""
        return None if self._worker is None else self._worker.pid

    def begin(self) -> TimingProtocol:
        """Start a worker as soon as the device is free, unless there is one already; return its protocol."""
        self._start()
        return self._numbers

    def take(self, networks: Sequence[Network], on_measurement: OnMeasurement) -> dict[str, Measurement]:
        """Measure networks, batch by batch, then one by one those at which a worker died.

        Raises:
            MeasurementError: nothing can be measured on this platform; says why.
        """
        size = self.begin().batch
        done: dict[str, Measurement] = {}
        suspects: list[Network] = []
        for start in range(0, max(1, len(networks)), size):
            suspects += self._batch(networks[start : start + size], done, on_measurement)
        for suspect in suspects:
            self._batch([suspect], done, on_measurement, attempt=_ATTEMPTS)
        return done

    def reseed(self, seed: int) -> None:
        """Seed the order of networks within rounds, from the next batch on."""
        self._rng = np.random.default_rng(seed)

    def close(self) -> None:
        """End the worker and release the device."""
        self._stop()
        if self._lock is not None:
            self._lock.__exit__(None, None, None)
            self._lock = None

    # --- batches -----------------------------------------------------------------------------------------------------

    def _batch(
        self, networks: Sequence[Network], done: dict[str, Measurement], on_measurement: OnMeasurement, attempt: int = 1
    ) -> list[Network]:
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
                    stored = on_measurement(measurement)
                    if not measurement.interim:
                        done[measurement.key] = stored
                break
            except WorkerDied as death:
                self._stop()
                deaths = deaths + 1 if len(done) == before else 0
                if not networks and deaths >= _ATTEMPTS:
                    raise MeasurementError(f"the anchors cannot be measured on {self._platform}: {death}") from death
                at = death.number if death.number in left and left[death.number][0] not in done else None
                if deaths >= _DEATHS:
                    given_up = [number for number in left if left[number][0] not in done]
                elif at is not None and attempt < _ATTEMPTS:
                    suspects.append(at)
                    given_up = []
                else:
                    given_up = [] if at is None else [at]
                for number in given_up:
                    key, row = left[number]
                    done[key] = on_measurement(self._builder.failed(row, str(death)))
        return [networks[number] for number in suspects]

    def _run(self, left: Mapping[int, Network]) -> Iterator[Measurement]:
        """Send networks to the worker; yield each one's measurement as soon as it is there."""
        worker = self._fresh(len(left))
        self._watch.begin()
        seed = int(self._rng.integers(2**32))
        prepared = 0
        for message in worker.measure([(number, row.tolist()) for number, (_, row) in left.items()], seed):
            self.timings.lap("preparing" if isinstance(message, Prepared | Failed) else "timing")
            match message:
                case Progressed(tick=tick):
                    self.on_progress(MeasuringProgress.timing(tick))
                case Prepared(again=again):
                    if not again:
                        prepared += 1
                        self._builder.prepared(message)
                    words = f"prepared {prepared} of {len(left)} networks{', and some again' * again}"
                    self.on_progress(MeasuringProgress("preparing", prepared, len(left), words))
                case Failed(number=number, reason=reason):
                    yield self._builder.failed(left[number][1], reason)
                case Measured(number=number) if number < 0:
                    if self._builder.anchor(message):  # the first of those that are timed together
                        self._builder.load = self._watch.mark(self.pid)
                        if not message.interim:  # where memory is short, the rest is prepared and timed after them
                            self._watch.begin()
                case Measured(number=number):
                    yield self._builder.measurement(left[number][1], message)
                case _:
                    raise MeasurementError(f"the worker sent {message.say!r} in the middle of a batch")

    # --- the worker --------------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> TimingProtocol:
        if self._protocol is None:
            raise MeasurementError("the protocol is chosen when the worker starts")
        return self._protocol

    def _fresh(self, n: int) -> WorkerProcess:
        """Return a worker for ``n`` more networks: a new one if the last has prepared too many others.

        In a process that has opened and closed many sessions, memory is fragmented. Later sessions are placed worse
        there, each differently, and a network's latency varies twice as much from one process to the next.
        """
        fresh = self._numbers.fresh
        if fresh and self._prepared and self._prepared + n > fresh:
            self._stop()
        self._prepared += n
        return self._start()

    def _start(self) -> WorkerProcess:
        """Return the worker; if there is none, wait for the device and start one."""
        self.timings.begin()
        if self._worker is None:
            if self._lock is None:
                lock = DeviceLock(self._locked, lambda text: self._say("waiting", text))
                self._lock = lock.__enter__()
            self._watch.wait()
            self.timings.lap("waiting")
            self._say("starting", f"starting a worker for {self._platform}")
            self._worker = self._started()
            self.timings.lap("starting")
            self._watch.mark(self.pid)
            ready = self._worker.ready
            noise, threads = asdict(ready.noise), ready.threads
            self._protocol = self._builder.begin(ready.protocol, noise, None if threads is None else threads.verified)
            # A worker after this one follows the same, whatever noise it meets.
            self._choice = ProtocolChoice.exactly(self._protocol)
            self.environment |= {"noise": noise, "threads": None if threads is None else asdict(threads)}
        return self._worker

    def _started(self) -> WorkerProcess:
        if not isinstance(self._backend, RunningBackend):
            raise MeasurementError(f"the backend {self._platform.backend!r} runs nothing")
        settings = self._platform.settings
        order = Order(
            supernet=self._net.name,
            backend=self._platform.backend,
            settings=settings.to_record(),
            anchors=self._anchors.tolist(),
            protocol=self._choice.to_record(),
            check=self._options.check,
            cores=sorted(self._cores),
            marker=-1,
        )
        counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(settings.threads))
        with backends.registry.at_work(self._platform.backend):
            own = {str(name): str(value) for name, value in dict(self._backend.environment(settings)).items()}
        try:
            return start_worker(order, {**counts, **own}, self._options.silence_s)
        except WorkerDied as death:
            raise MeasurementError(f"no worker comes up for {self._platform}: {death}") from death
        except MeasurementError as error:
            raise MeasurementError(f"{self._platform}: {error}") from None

    @cached_property
    def _cores(self) -> set[int]:
        """The CPUs that workers run on."""
        settings = self._platform.settings
        return (physical_cores(settings.threads, self._cpus) if settings.device == "cpu" else None) or self._cpus

    def _say(self, phase: str, words: str) -> None:
        self.on_progress(MeasuringProgress.begun(phase, words))

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self._prepared = 0
