"""What measures batches: a bench of this machine (``local.py``), or one of a farm (``hwnas.harness.farm.bench``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from hwnas.harness.bench.progress import OnProgress
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import ProtocolChoice, TimingProtocol
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import SuperNetwork

# Importing torch and compiling a large graph take a minute on a busy machine.
SILENCE_S = 180.0

Network = tuple[str, IntArray]  # its key and its vector, (n_var,)
OnMeasurement = Callable[[Measurement], Measurement]


@dataclass(frozen=True, eq=False)
class BenchOptions:
    """How a bench measures, wherever it stands.

    Attributes:
        protocol: how the protocol's numbers are chosen; by default the profile that a short calibration chooses.
        on_progress: called when progress has been made, never during a timing.
        seed: of the order of the networks in each round.
        check: compare every network's outputs with the torch module's.
        silence_s: a worker that says nothing for this long has hung.
        wait_s: where other programs keep the CPUs busy, wait so long for calm before anything is measured; 0: only say
            so; ``None``: do not look.
    """

    protocol: ProtocolChoice = field(default_factory=lambda: ProtocolChoice.wanted(None))
    on_progress: OnProgress = lambda _: None
    seed: int = 0
    check: bool = True
    silence_s: float = SILENCE_S
    wait_s: float | None = 0.0


class Bench(Protocol):
    """Measures the networks of one super-network on one platform, side by side with anchors.

    Attributes:
        environment: of the machine that measures.
        fingerprint: of it; values of different ones are never mixed.
        anchors_now: the anchors' keys and latencies, seconds, in the latest batch.
    """

    @property
    def environment(self) -> dict[str, Any]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def anchors_now(self) -> Mapping[str, float]: ...

    def begin(self) -> TimingProtocol:
        """Start a worker, unless there is one already; return the protocol that it follows."""
        ...

    def take(self, networks: Sequence[Network], on_measurement: OnMeasurement) -> dict[str, Measurement]:
        """Measure networks along with the anchors; without networks, the anchors alone.

        Args:
            networks: keys and vectors.
            on_measurement: called with each measurement as soon as it is there, and with interim ones before; returns
                what is to be returned in its place.

        Returns:
            The measurements, by key.
        """
        ...

    def close(self) -> None:
        """End the worker and release the device."""
        ...


@runtime_checkable
class Elsewhere(Protocol):
    """A platform whose networks are measured by other machines."""

    def bench(self, net: SuperNetwork, anchors: IntArray, options: BenchOptions) -> Bench:
        """Return a bench there."""
        ...


@runtime_checkable
class ParallelBench(Protocol):
    """A bench with several devices.

    Attributes:
        parallel: how many measure at a time.
    """

    @property
    def parallel(self) -> int: ...

    def send(self, networks: Sequence[Network], on_measurement: OnMeasurement) -> int:
        """Send networks to be measured side by side, and return a ticket at once.

        ``on_measurement`` is called with interim measurements until the ticket has arrived.
        """
        ...

    def arrived(self, timeout_s: float) -> Iterator[tuple[int, list[Measurement]]]:
        """Yield tickets whose networks are all measured; wait for the first one at most ``timeout_s``."""
        ...
