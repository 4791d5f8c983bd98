"""Describe what a worker offers, its devices and backends, as resources that Dask's scheduler counts."""

from __future__ import annotations

import platform as host
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from hwnas import backends
from hwnas.backends.backend import RunningBackend, libraries, refusal, why_not
from hwnas.harness.farm.engine import versions
from hwnas.harness.farm.messages import read_record
from hwnas.harness.host import environment
from hwnas.harness.platform import Platform, default_settings, named_platforms, parse
from hwnas.harness.validation import Count, Message
from hwnas.supernets.errors import PlatformError, PlugInError
from hwnas.supernets.names import check_name

# The scheduler counts tokens of devices. Environments are resources too, which say who can do a job and never run out.
_PLENTY = 1_000_000.0
ACCURACY = "accuracy"


@dataclass(frozen=True)
class OfferedPlatform(Platform):
    """A platform of other machines, which all have the same environment.

    Attributes:
        spelled: the platform string for its workers.
        label: distinguishes it from platforms of other machines in names and reports; "" on this machine.
        host: a digest that identifies its host.
        fingerprint: of its environment; a worker with another one never measures for it.
        environment: of the worker that parsed the platform string.
    """

    spelled: str = ""
    label: str = ""
    host: str = ""
    fingerprint: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{super().__str__()}@{self.label}" if self.label else super().__str__()


@dataclass(frozen=True)
class OfferedBackend(Message):
    """A backend of a worker.

    Attributes:
        fingerprint: of the environment that it measures in.
        versions: of its libraries.
        devices: the devices that it measures on.
    """

    fingerprint: str
    versions: dict[str, str]
    devices: tuple[str, ...]


@dataclass(frozen=True)
class Offer(Message):
    """A worker's offer.

    Attributes:
        name: of the worker, as users write it behind ``@``.
        host: a digest that identifies its host.
        unit: which of several equal devices of its host it has, if each has a worker of its own; else ``None``.
        devices: physical devices; one measurement at a time runs on each.
        backends: by name.
        platforms: names that it gives to platforms.
        accuracy: how many sub-networks it evaluates for their quality at a time.
        versions: the versions that must be the same in a whole farm.
        machine: facts for people, such as the name of the CPU.
    """

    name: str
    host: str
    unit: Count | None
    devices: tuple[str, ...]
    backends: dict[str, OfferedBackend]
    platforms: dict[str, str]
    accuracy: Count
    versions: dict[str, str]
    machine: dict[str, Any] = field(default_factory=dict)

    def resources(self) -> dict[str, float]:
        """Return the resources for Dask: a token per device, the environments, and slots for evaluating quality."""
        found = {token(device, self.host): 1.0 for device in self.devices}
        found |= {place(name, backend.fingerprint): _PLENTY for name, backend in self.backends.items()}
        return found | ({ACCURACY: float(self.accuracy)} if self.accuracy else {})

    def serves(self, backend: str, fingerprint: str, device: str) -> bool:
        """Return whether it can measure on a backend's device in an environment."""
        offered = self.backends.get(backend)
        return offered is not None and offered.fingerprint == fingerprint and device in offered.devices

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Any) -> Offer:
        """Return what ``to_record`` wrote; raises ``MeasurementError`` where it is of another form."""
        return read_record(cls, record, "a worker's offer")


def token(device: str, host: str) -> str:
    """Return the name of the resource that one measurement on a device takes."""
    return f"device:{device.lower()}@{host}"


def place(backend: str, fingerprint: str) -> str:
    """Return the name of the resource that stands for a backend in an environment."""
    return f"{backend}@{fingerprint}"


def offer_here(
    platforms: Iterable[str] = (),
    *,
    name: str | None = None,
    unit: int | None = None,
    accuracy: int = 1,
    measure: bool = True,
) -> Offer:
    """Return what this machine can offer.

    Args:
        platforms: ``NAME=PLATFORM``, a name of ``hwnas.toml``, or a platform string; none: every backend that works.
        name: of the worker; ``None``: the machine's, with the unit.
        unit: which of several equal devices of this machine it is.
        accuracy: sub-networks evaluated for their quality at a time.
        measure: offer devices at all.

    Raises:
        PlatformError: a platform does not work here.
    """
    facts = environment.collect()
    named, pairs = _named(platforms) if measure else ({}, set())
    if measure and not pairs:
        pairs = _everything()
    offered: dict[str, OfferedBackend] = {}
    for backend, devices in groupby(sorted(pairs), key=itemgetter(0)):
        packages = libraries(backends.get(backend))
        fingerprint = environment.fingerprint({**facts, "backend": packages}, backend=packages)
        offered[backend] = OfferedBackend(fingerprint, packages, tuple(device for _, device in devices))
    default = host.node() or "worker"
    if name is not None:
        check_name("worker", name)
    return Offer(
        name=name or (default if unit is None else f"{default}-{unit}"),
        host=str(facts["host"]),
        unit=unit,
        devices=tuple(sorted({device for _, device in pairs})),
        backends=offered,
        platforms=named,
        accuracy=accuracy,
        versions=versions(),
        machine={key: facts.get(key) for key in ("cpu", "cpus", "memory", "system", "machine")},
    )


def _named(platforms: Iterable[str]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    known = named_platforms()
    names: dict[str, str] = {}
    pairs = set()
    for given in platforms:
        name, equals, spelled = given.partition("=")
        if given in known:
            name, spelled = given, given
        elif not equals or ":" in name:
            name, spelled = "", given
        found = parse(spelled)
        if not found.runs:
            raise PlatformError(f"platform {given!r}: a table needs no worker; give it to the search itself")
        pairs.add((found.backend, found.settings.device))
        if name:
            check_name("platform", name, PlatformError)
            names[name] = str(found)
    return names, pairs


def _everything() -> set[tuple[str, str]]:
    """Return every backend that runs networks here, with every device that it accepts."""
    return {(name, device) for name in backends.registry.working() for device in _devices(name)}


def _devices(name: str) -> list[str]:
    """Return the devices that a backend accepts here; of a plug-in that fails, none."""
    try:
        with backends.registry.at_work(name):
            backend = backends.get(name)
            if not isinstance(backend, RunningBackend) or why_not(backend) is not None:
                return []
            settings = default_settings(backend)
            devices = backend.devices or (settings.device,)
            return [one for one in devices if refusal(backend, replace(settings, device=one)) is None]
    except PlugInError:
        return []
