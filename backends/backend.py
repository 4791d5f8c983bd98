"""The protocols of backends, their options and settings; checks of what a backend returns.

A backend either *runs* a stage on a device (``RunningBackend``), or looks up the latency of a whole sub-network in a
table (``KnowingBackend``). It is one file in this package, or an installed package's entry point in ``hwnas.backends``.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hwnas.supernets.errors import BackendError, PlatformError, suggestion
from hwnas.supernets.fitting import misfit, wrong_type
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.quoting import shortened
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import Stage, SuperNetwork
from hwnas.supernets.values import Values

if TYPE_CHECKING:
    from hwnas.latency_luts.lookup import Lookup


@dataclass(frozen=True)
class Option:
    """A key of the platform string that a backend has in addition to the common ones.

    Attributes:
        key: its name in the platform string.
        help: what it does, in a few words.
        allowed: the values it can take; ``None``: any text.
        default: the value if the key is not given, or ``None``.
        holds: "file", "images" (a folder that int8 is calibrated on) or "tables" (a folder of lookup tables) if the
            value names one, whose content decides latencies and is identified by ``Settings.contents``; "" if the value
            itself does.
    """

    key: str
    help: str
    allowed: tuple[str, ...] | None = None
    default: str | None = None
    holds: str = ""


@dataclass(frozen=True)
class Settings:
    """The settings in a platform string, checked and with all defaults filled in.

    Attributes:
        device: "cpu", "cuda:0", "GPU", "NPU".
        threads: compute threads.
        batch: samples per inference.
        precision: "fp32", "fp16", "bf16" or "int8".
        options: the backend's own keys.
        contents: by key, digests of the files that some of ``options`` name; see ``hwnas.harness.pinned``. A backend
            that reads such a file and finds another content raises ``ChangedError``. Empty: not checked.
    """

    device: str = "cpu"
    threads: int = 1
    batch: int = 1
    precision: str = "fp32"
    options: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)

    def to_record(self) -> dict[str, Any]:
        """Return every setting as JSON values; ``Settings(**record)`` reads them."""
        contents = {"contents": dict(self.contents)} if self.contents else {}
        return {
            **contents,
            "device": self.device,
            "threads": self.threads,
            "batch": self.batch,
            "precision": self.precision,
            "options": dict(self.options),
        }


class Backend(Protocol):
    """What backends of both kinds have in common.

    A backend may also have ``refuses(settings) -> str | None``, which returns why valid settings cannot be honoured on
    this machine and what would help, such as a precision that needs another package; see ``refusal``.

    Attributes:
        name: as registered.
        keys: the common keys it supports, of "device", "threads", "batch", "precision".
        options: its own keys.
        devices: the devices that it supports, the default first.
        precisions: the precisions that it supports, the default first.
    """

    name: str
    keys: frozenset[str]
    options: tuple[Option, ...]
    devices: tuple[str, ...]
    precisions: tuple[str, ...]

    def why_not(self) -> str | None:
        """Return why it cannot be used on this machine and what would help, or ``None`` if it can."""
        ...

    def versions(self) -> dict[str, str]:
        """Return the versions of the libraries that it runs on."""
        ...


class Session(Protocol):
    """A stage that is ready to run on a device, with inputs that are allocated and bound once.

    A session may also have

    - ``time_runs(n) -> FloatArray``, which returns the seconds of each of ``n`` runs by the device's own clock, and is
      then used instead of the wall clock;
    - ``feed(*arrays)``, which replaces the inputs by others of the same shapes; see ``hwnas.backends.runner``.
    """

    def run(self) -> None:
        """Run one inference by the backend's fastest call that waits for complete outputs."""
        ...

    def outputs(self) -> tuple[npt.NDArray[np.generic], ...]:
        """Return the outputs of the last run."""
        ...

    def describe(self) -> dict[str, str | int | float | bool]:
        """Return the settings that the runtime reports, and the graph's hash."""
        ...

    def close(self) -> None:
        """Release what the session holds."""
        ...


@runtime_checkable
class RunningBackend(Backend, Protocol):
    """A backend that runs stages."""

    def environment(self, settings: Settings) -> dict[str, str]:
        """Return the environment variables that must be set before the worker imports anything."""
        ...

    def prepare(self, stage: Stage, settings: Settings) -> Session:
        """Make ``stage`` ready.

        Raises:
            PlatformError: settings that cannot be honoured; says which can.
            BackendError: the runtime fails on the stage.
        """
        ...


@runtime_checkable
class KnowingBackend(Backend, Protocol):
    """A backend that looks up latencies without running anything."""

    def latency(self, net: SuperNetwork, X: npt.ArrayLike, settings: Settings) -> FloatArray:
        """Return the latency of each sub-network in seconds, ``(n,)``; nan if the table has none.

        Raises:
            TableError: the table does not fit the super-network; names what would.
        """
        ...


@runtime_checkable
class Tabulated(Protocol):
    """A backend whose table has a fixed list of sub-networks."""

    def lookup(self, net: SuperNetwork, settings: Settings) -> Lookup:
        """Return the sub-networks of ``net`` in the table, and their latencies in seconds."""
        ...


def known_latency(
    backend: KnowingBackend, net: SuperNetwork, X: npt.ArrayLike, settings: Settings, source: str, missing: str = ""
) -> Values:
    """Look up latencies by a backend, and check them: an invalid one becomes nan with the reason.

    Args:
        backend: the backend.
        net: the super-network.
        X: vectors, ``(n, n_var)``.
        settings: of the platform.
        source: the platform's name in reasons.
        missing: the reason if the table has no latency; "": a default one.

    Returns:
        Seconds.

    Raises:
        TableError: as ``KnowingBackend.latency``.
        WorkError: the backend does not return one latency for each sub-network.
    """
    missing = missing or f"{source} has no latency for it"
    try:
        given = backend.latency(net, X, settings)
    except FAILURES as error:
        named, rows = blamed(error), np.asarray(X)
        if named is None:
            raise
        if len(rows) == 1:
            return Values(np.array([np.nan]), (str(named),))
        # Only some sub-networks fail; the others have their values.
        each = [known_latency(backend, net, row[None], settings, source, missing) for row in rows]
        return Values(np.concatenate([one.values for one in each]), tuple(why for one in each for why in one.reasons))
    return Values.of(given, len(np.asarray(X)), source=source, missing=missing, time=True)


def prepared(backend: RunningBackend, stage: Stage, settings: Settings) -> Session:
    """Call ``prepare`` of a backend, and raise ``BackendError`` if the result is not a session."""
    session = backend.prepare(stage, settings)
    reason = misfit(session, Session)
    if reason is not None:
        raise BackendError(f"{backend.name}: prepare gave what is no session: {reason}")
    return session


def why_not(backend: Backend) -> str | None:
    """Return ``Backend.why_not``; raises ``BackendError`` if that is neither text nor ``None``."""
    reason = backend.why_not()
    wrong = wrong_type("why_not()", reason, str | None)
    if wrong is not None:
        raise BackendError(f"{backend.name}: {wrong}")
    return reason


def libraries(backend: Backend) -> dict[str, str]:
    """Return ``Backend.versions``; raises ``BackendError`` if that is not a mapping from names to versions."""
    found = backend.versions()
    if not isinstance(found, Mapping) or not all(isinstance(one, str) for pair in found.items() for one in pair):
        raise BackendError(f"{backend.name}: versions() gave {shortened(repr(found))}, expected names and versions")
    return dict(found)


class ClosedSessionError:
    """Takes the place of the runtime's objects in a closed session, and raises ``BackendError`` when used."""

    def __getattr__(self, name: str) -> Any:
        raise BackendError("the session is closed")


def refusal(backend: Backend, settings: Settings) -> str | None:
    """Return why the backend cannot honour ``settings`` here and what would help, or ``None`` if it can."""
    refuses: Callable[[Settings], str | None] | None = getattr(backend, "refuses", None)
    reason = None if refuses is None else refuses(settings)
    wrong = wrong_type("refuses(settings)", reason, str | None)
    if wrong is not None:
        raise BackendError(f"{backend.name}: {wrong}")
    return reason


def check_settings(backend: Backend, settings: Settings) -> dict[str, str]:
    """Return the backend's own options, complete with their defaults.

    Raises:
        PlatformError: the backend does not have a device, precision or option (says which it has), or cannot honour
            the settings here (says what would help).
    """
    for key, value, allowed in (
        ("device", settings.device, backend.devices),
        ("precision", settings.precision, backend.precisions),
    ):
        if value not in allowed:
            raise PlatformError(f"{backend.name}: {key}={value}: expected one of {', '.join(allowed)}")
    if settings.threads < 1 or settings.batch < 1:
        raise PlatformError(f"{backend.name}: threads and batch: expected at least 1")
    chosen = {option.key: option.default for option in backend.options if option.default is not None}
    for key, value in settings.options.items():
        option = next((option for option in backend.options if option.key == key), None)
        if option is None:
            raise PlatformError(f"{backend.name} has no option {key!r}{suggestion(key, map(_key, backend.options))}")
        if option.allowed is not None and value not in option.allowed:
            raise PlatformError(f"{backend.name}: {key}={value}: expected one of {', '.join(option.allowed)}")
        chosen[key] = value
    reason = refusal(backend, settings)
    if reason is not None:
        raise PlatformError(f"{backend.name}: {reason}")
    return chosen


def thread_environment(threads: int, spinning: bool = False) -> dict[str, str]:
    """Return the environment variables that limit the OpenMP runtimes and BLAS libraries to ``threads``.

    Args:
        threads: compute threads.
        spinning: let idle threads spin for some milliseconds before they sleep, as OpenMP does by default. If another
            program uses a core, the other threads spin until the last one gets its turn: with two threads on two
            shared cores, torch took 780 to 3,000 ms for what takes 110 to 230 ms when threads sleep at once.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    # With dynamic adjustment there would silently be fewer threads on a busy machine.
    fixed = {"OMP_DYNAMIC": "FALSE", "MKL_DYNAMIC": "FALSE"}
    waiting = {} if spinning else {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
    return {**dict.fromkeys(names, str(threads)), **fixed, **waiting}


def installed_versions(*packages: str) -> dict[str, str]:
    """Return the versions of those of ``packages`` that are installed, without importing them."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _key(option: Option) -> str:
    return option.key
