"""Measure the latency of sub-networks on a platform; this is what searches and commands call."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from hwnas import backends
from hwnas.backends.backend import KnowingBackend, known_latency
from hwnas.harness import cache
from hwnas.harness.bench.bench import SILENCE_S, Bench, BenchOptions, Elsewhere, Network, ParallelBench
from hwnas.harness.bench.local import LocalBench
from hwnas.harness.bench.progress import MeasuringProgress, OnProgress
from hwnas.harness.cache import StoredValues
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.measurement.request import Given
from hwnas.harness.pinned import pinned
from hwnas.harness.platform import Platform, parse
from hwnas.harness.project_file import chosen
from hwnas.harness.store import Store
from hwnas.harness.worker.builder import MeasurementBuilder
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

__all__ = ["Measurer", "MeasuringProgress", "measure"]


class _Sent:
    """A batch that is measured: what was asked for, each network once, and what is there of it."""

    def __init__(self, net: SuperNetwork, X: npt.ArrayLike, again: npt.ArrayLike) -> None:
        rows, others = net.space.canonical(X), net.space.canonical(again)
        self._keys = net.space.keys(rows)
        unique = dict(zip(self._keys, rows, strict=True))
        repeated = dict(zip(net.space.keys(others), others, strict=True))
        self.networks: list[Network] = list(unique.items())
        self.beside: list[Network] = [(key, row) for key, row in repeated.items() if key not in unique]
        self.done: dict[str, Measurement] = {}

    def answer(self) -> tuple[list[Measurement], list[Measurement]]:
        """Return the measurements of the rows, in order, and of the others as far as there are any."""
        return [self.done[key] for key in self._keys], [self.done[key] for key, _ in self.beside if key in self.done]


class Measurer:
    """Measures sub-networks of one super-network on one platform; a context manager.

    It holds the device's lock and its worker process from the first batch until it is left.

    Args:
        net: the super-network; the worker makes its own by ``net.name``.
        platform: a platform, or the string of one.
        store: stores every measurement, and stored ones are used again; ``None``: no store.
        protocol: a profile's name, or numbers of the protocol by name ({"cap_s": 5}, "profile" may be among them), over
            what ``hwnas.toml`` asks for; or a whole protocol, or how it is chosen. What is not given is the profile's
            that a short calibration chooses.
        effort: of a protocol that is not given as such: "quick", "normal" or "thorough"; ``None``: thorough, unless
            ``hwnas.toml`` says another.
        progress: called between timings, never during one.
        seed: of the order of the networks in each round.
        check: compare every network's outputs with the torch module's.
        silence_s: a worker that says nothing for this long has hung.
        anchors: the sub-networks measured along with every batch, vectors (a, n_var) from fast to slow; ``None``: the
            smallest, a middle and the largest.
        since: stored measurements taken since then (ISO 8601, UTC) are used as they are, converged or not; older ones
            only if the anchors agree. So an interrupted study goes on without measuring anything twice.
        wait_s: where other programs keep the CPUs busy, wait so long for calm before anything is measured; 0: only say
            so; ``None``: do not look. What is measured beside them is marked, and is not used again.
        unconverged: use stored measurements that did not converge as well, if the anchors agree.
        older: use stored measurements from before ``since`` at all.

    Raises:
        PlatformError: the platform cannot be honoured here.
        UsageError: no such profile or number of the protocol, or a value that it cannot have.
    """

    def __init__(  # noqa: PLR0913 - all but the first two are options by name
        self,
        net: SuperNetwork,
        platform: Platform | str,
        *,
        store: Store | None = None,
        protocol: Given = None,
        effort: str | None = None,
        progress: OnProgress | None = None,
        seed: int = 0,
        check: bool = True,
        silence_s: float = SILENCE_S,
        since: str | None = None,
        wait_s: float | None = 0.0,
        unconverged: bool = False,
        older: bool = True,
        anchors: npt.ArrayLike | None = None,
    ) -> None:
        self.net = net
        self.platform = pinned(parse(platform) if isinstance(platform, str) else platform)
        choice = chosen(protocol, effort)
        self.protocol: TimingProtocol | None = None  # once the host's noise is known
        self._backend = backends.get(self.platform.backend)
        vectors = _anchors(net) if anchors is None else net.space.canonical(anchors)
        options = BenchOptions(choice, progress or (lambda _: None), seed, check, silence_s, wait_s)
        self._bench: Bench = (
            self.platform.bench(net, vectors, options)
            if isinstance(self.platform, Elsewhere)
            else LocalBench(net, self.platform, vectors, options)
        )
        self.fingerprint = self._bench.fingerprint
        contents = self.platform.settings.contents
        where = store, net, str(self.platform), self.fingerprint
        self._stored = StoredValues(*where, since, contents, unconverged, choice.effort, older)
        self._sent: dict[int, _Sent] = {}  # by ticket
        self._ready: deque[int] = deque()
        self._knows = MeasurementBuilder(net, self.platform, self.fingerprint, vectors)

    @property
    def environment(self) -> dict[str, Any]:
        """The environment of the measuring machine; after the first batch with its noise and verified threads."""
        return self._bench.environment

    @property
    def timings(self) -> dict[str, float]:
        """Where the time of measuring on this machine has gone, in seconds, by phase; empty where others measure."""
        return dict(self._bench.timings.seconds) if isinstance(self._bench, LocalBench) else {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and release the device."""
        self._bench.close()

    def measure(self, X: npt.ArrayLike, *, fresh: bool = False) -> list[Measurement]:
        """Measure sub-networks.

        Args:
            X: vectors, (n, n_var).
            fresh: measure again even if the store has a measurement.

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
        """Measure sub-networks, and re-measure others in the same batch, which were measured before.

        By how much the others have changed since then is the machine's drift.

        Args:
            X: vectors, (n, n_var).
            again: the sub-networks to re-measure, (k, n_var), in the first batch; rows that are in ``X`` too are left
                out.
            fresh: measure ``X`` again even if the store has measurements.

        Returns:
            One measurement per row of ``X``, in order, and those of ``again``: none if nothing of ``X`` had to be
            measured, or if the platform is a table.

        Raises:
            ConfigError, TableError, MeasurementError: as ``measure``.
        """
        batch = _Sent(self.net, X, again)
        if isinstance(self._backend, KnowingBackend):
            rows = np.array([row for _, row in batch.networks], dtype=np.int64).reshape(-1, self.net.space.n_var)
            settings, name = self.platform.settings, str(self.platform)
            batch.done = self._knows.known(rows, known_latency(self._backend, self.net, rows, settings, name))
        else:
            batch.done = {} if fresh else self._stored.taken_since(batch.networks)
            left = [(key, row) for key, row in batch.networks if key not in batch.done]
            if left:
                batch.done |= self._measured(left, batch.beside, fresh=fresh)
        return batch.answer()

    # --- several batches at a time -----------------------------------------------------------------------------------

    @property
    def parallel(self) -> int:
        """How many batches are measured at a time: the number of devices in the farm, or 1 on this machine."""
        return self._bench.parallel if isinstance(self._bench, ParallelBench) else 1

    def start(self, X: npt.ArrayLike, again: npt.ArrayLike) -> int:
        """Send sub-networks to be measured side by side, as ``measure_beside`` does, and return a ticket.

        Of the stored values, only those taken since ``since`` are used. Without a farm, this call measures them.
        """
        batch = _Sent(self.net, X, again)
        batch.done = self._stored.taken_since(batch.networks)
        left = [(key, row) for key, row in batch.networks if key not in batch.done]
        if not left or not isinstance(self._bench, ParallelBench):
            ticket = min(0, 0, *self._sent) - 1  # a bench counts from 0
            self._sent[ticket] = batch
            if left:
                batch.done |= self._measured(left, batch.beside, fresh=False)
            self._ready.append(ticket)
            return ticket
        self.protocol = self._bench.begin()
        ticket = self._bench.send([*batch.beside, *left], self._stored.put)
        self._sent[ticket] = batch
        return ticket

    def arrived(self, timeout_s: float) -> tuple[int, tuple[list[Measurement], list[Measurement]]] | None:
        """Wait for a ticket; return it with what ``measure_beside`` returns, or ``None`` after ``timeout_s``.

        Raises:
            MeasurementError: nothing can be measured on this platform; says why.
        """
        if not self._ready and isinstance(self._bench, ParallelBench):
            for ticket, found in self._bench.arrived(timeout_s):
                if ticket in self._sent:
                    self._sent[ticket].done |= {one.key: self._stored.put(one) for one in found}
                    self._ready.append(ticket)
        if not self._ready:
            return None
        ticket = self._ready.popleft()
        return ticket, self._sent.pop(ticket).answer()

    # --- one after the other -----------------------------------------------------------------------------------------

    def _measured(
        self, networks: Sequence[Network], beside: Sequence[Network], *, fresh: bool
    ) -> dict[str, Measurement]:
        numbers = self.protocol = self._bench.begin()
        found = {} if fresh else self._stored.candidates(networks, numbers)
        unknown = [(key, row) for key, row in networks if key not in found]
        # If the store has them all, the anchors are measured alone: they say whether the machine is as it was.
        done = self._take([*beside, *unknown] if unknown else [])
        done |= cache.serving(found, self._bench.anchors_now, numbers.anchor_agree)
        left = [(key, row) for key, row in networks if key not in done]
        return done | (self._take(left if unknown else [*beside, *left]) if left else {})

    def _take(self, networks: Sequence[Network]) -> dict[str, Measurement]:
        return self._bench.take(networks, self._stored.put)


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
    """Return the smallest, a middle and the largest network, (3, n_var); fewer if some are the same."""
    space = net.space
    three = np.concatenate([space.smallest(), space.n_options[None, :] // 2, space.largest()])
    canonical = space.canonical(three)
    _, first = np.unique(canonical, axis=0, return_index=True)
    return canonical[np.sort(first)]
