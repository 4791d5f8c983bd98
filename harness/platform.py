"""Parse platform strings: ``BACKEND[:KEY=VALUE[,KEY=VALUE...]]``, or a name from ``[platforms]`` in ``hwnas.toml``."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hwnas import backends
from hwnas.backends.backend import Backend, KnowingBackend, Option, Settings, libraries, refusal, why_not
from hwnas.harness import project_file
from hwnas.harness.host import environment, variables
from hwnas.harness.host.cpus import allowed_cpus
from hwnas.supernets.errors import HwnasError, PlatformError, UnknownNameError, suggestion
from hwnas.supernets.names import check_name
from hwnas.supernets.spec import parse_int, parse_spec

_COMMON = ("threads", "batch", "precision", "device")

# Keys in which + separates values; in a file's name + is an ordinary character.
_SWEPT = ("threads", "batch", "precision")


@dataclass(frozen=True)
class Platform:
    """A backend and its settings; ``str`` gives the canonical spelling, which parses back to the same.

    Attributes:
        backend: the backend's name.
        settings: complete and checked.
    """

    backend: str
    settings: Settings

    def __str__(self) -> str:
        backend = backends.get(self.backend)
        shown = {"threads": str(self.settings.threads)} if "threads" in backend.keys else {}
        if self.settings.batch != 1:
            shown["batch"] = str(self.settings.batch)
        if backend.precisions and self.settings.precision != backend.precisions[0]:
            shown["precision"] = self.settings.precision
        if backend.devices and self.settings.device != backend.devices[0]:
            shown["device"] = self.settings.device
        defaults = {option.key: option.default for option in backend.options}
        own = sorted((key, value) for key, value in self.settings.options.items() if value != defaults.get(key))
        parts = ",".join(f"{key}={value}" for key, value in [*shown.items(), *own])
        return f"{self.backend}:{parts}" if parts else self.backend

    @property
    def runs(self) -> bool:
        """Whether it runs networks; otherwise it knows their latency from a table."""
        return not isinstance(backends.get(self.backend), KnowingBackend)


@dataclass(frozen=True)
class PlatformHere:
    """Whether and how a backend works on this machine.

    Attributes:
        platform: its platform string with default settings.
        why_not: why it does not work here and what would help, or ``None`` if it works.
        versions: of the libraries it runs on.
        keys: the keys that can be set, with the values allowed.
        refused: the precisions that do not work here on the default device, and why.
    """

    platform: str
    why_not: str | None
    versions: Mapping[str, str]
    keys: Mapping[str, str]
    refused: Mapping[str, str] = field(default_factory=dict)


def parse(text: str, names: Path | None = None) -> Platform:
    """Read a platform string.

    Args:
        text: the string, or a name from the file.
        names: the file with ``[platforms]``; by default ``hwnas.toml`` in the working directory, where it exists.

    Raises:
        PlatformError: the string is not a platform that works here; says what was given and what is allowed.
    """
    if text:  # an empty one is no backend, which is said below
        check_name("platform", text, PlatformError)
    known = named_platforms(names)
    spelled = known.get(text, text)
    name, options = parse_spec(spelled, f"platform {text!r}", PlatformError)
    try:
        backend = backends.get(name)
    except UnknownNameError:
        raise PlatformError(_unknown(text, name, known)) from None
    reason = why_not(backend)
    if reason is not None:
        raise PlatformError(f"platform {text!r}: the backend {name!r} does not work here: {reason}")
    settings = _settings(text, backend, options)
    refused = refusal(backend, settings)
    if refused is not None:
        raise PlatformError(f"platform {text!r}: {refused}")
    return Platform(name, settings)


def named_platforms(names: Path | None = None) -> dict[str, str]:
    """Return the names of ``[platforms]`` and the platform strings they stand for.

    A name may stand for another one; a table in ``[platforms]`` holds names that begin with its own and a dot.

    Raises:
        PlatformError: the file cannot be read, has another section, or a name stands for something other than text,
            or for itself by way of other names.
    """
    path = project_file.FILE if names is None else names
    table = dict(_names(path, "", project_file.section(project_file.PLATFORMS, names, PlatformError)))
    for name in table:
        check_name(f"{path}: [platforms]", name, PlatformError)
    taken = sorted(set(table) & set(backends.names()))
    if taken:
        raise PlatformError(f"{path}: [platforms] {taken[0]!r} is the name of a backend; choose another")
    return {name: _stands_for(path, name, table) for name in table}


def _names(path: Path, prefix: str, table: object) -> Iterator[tuple[str, str]]:
    """Yield the names in a TOML table and its sub-tables, and what each stands for."""
    for name, value in table.items() if isinstance(table, dict) else [("", table)]:
        if isinstance(value, dict):
            yield from _names(path, f"{prefix}{name}.", value)
        elif isinstance(table, dict) and isinstance(value, str):
            yield f"{prefix}{name}", value
        else:
            raise PlatformError(f'{path}: [platforms] holds lines like laptop = "openvino:threads=2", got {value!r}')


def _stands_for(path: Path, name: str, table: Mapping[str, str]) -> str:
    """Follow a name to the platform string that it stands for in the end."""
    passed = [name]
    while (spelled := table[passed[-1]]) in table:
        if spelled in passed:
            raise PlatformError(f"{path}: [platforms] {' = '.join([*passed, spelled])}: the name stands for itself")
        passed.append(spelled)
    return spelled


def swept(texts: Iterable[str]) -> list[str]:
    """Return the platform strings that ``texts`` stand for, in order; the last key varies fastest.

    A name of ``hwnas.toml`` may contain a +, and may stand for several platforms.

    Raises:
        PlatformError: a text does not have the form of a platform string.
    """
    known = named_platforms()
    return [one for text in texts for one in _swept(text, known.get(text, text))]


def _swept(text: str, spelled: str) -> list[str]:
    if "+" not in spelled.partition(":")[2]:
        return [text]
    name, options = parse_spec(spelled, f"platform {text!r}", PlatformError)
    if not any("+" in options.get(key, "") for key in _SWEPT):
        return [text]
    values = [value.split("+") if key in _SWEPT else [value] for key, value in options.items()]
    return [
        f"{name}:{','.join(f'{key}={value}' for key, value in zip(options, chosen, strict=True))}"
        for chosen in itertools.product(*values)
    ]


def platforms_here() -> list[PlatformHere]:
    """Return for every backend whether and how it works on this machine."""
    return [_here(name) for name in backends.names()]


def refused_precisions(backend: Backend) -> dict[str, str]:
    """Return the precisions that the backend cannot honour here on its default device, and why."""
    settings = default_settings(backend)
    reasons = {each: refusal(backend, replace(settings, precision=each)) for each in backend.precisions}
    return {precision: reason for precision, reason in reasons.items() if reason is not None}


def _here(name: str) -> PlatformHere:
    try:
        with backends.registry.at_work(name):
            backend = backends.get(name)
            keys = {key: _allowed(backend, key) for key in _keys(backend)}
            reason = why_not(backend)
            if reason is not None:
                return PlatformHere(name, reason, {}, keys)
            plain = str(Platform(name, default_settings(backend)))
            return PlatformHere(plain, None, libraries(backend), keys, refused_precisions(backend))
    except HwnasError as error:  # a broken plug-in takes only itself down
        return PlatformHere(name, str(error), {}, {})


def _unknown(text: str, name: str, known: Mapping[str, str]) -> str:
    everything = [*backends.names(), *known]
    return f"platform {text!r}: unknown backend {name!r}{suggestion(name, everything)}"


def _keys(backend: Backend) -> list[str]:
    return [*(key for key in _COMMON if key in backend.keys), *(option.key for option in backend.options)]


def _allowed(backend: Backend, key: str) -> str:
    """Return a text that says which values a key can take."""
    if key == "threads":
        return f"1..{allowed_cpus()}"
    if key == "batch":
        return "1.."
    values = {"precision": backend.precisions, "device": backend.devices}.get(key)
    if values is None:
        values = next(option.allowed for option in backend.options if option.key == key)
    return "any text" if values is None else ", ".join(values)


def default_settings(backend: Backend) -> Settings:
    """Return the settings of a platform string that names the backend only."""
    device = backend.devices[0] if backend.devices else "cpu"
    precision = backend.precisions[0] if backend.precisions else "fp32"
    options = {option.key: option.default for option in backend.options if option.default is not None}
    return Settings(device=device, precision=precision, options=options)


def _settings(text: str, backend: Backend, pairs: Mapping[str, str]) -> Settings:
    for key in pairs:
        if key not in _keys(backend):
            raise PlatformError(
                f"platform {text!r}: {backend.name} has no key {key!r}{suggestion(key, _keys(backend))}"
            )
    defaults = default_settings(backend)
    own = {option.key: _option(text, backend, option, pairs) for option in backend.options if option.key in pairs}
    return Settings(
        device=_one_of(text, backend, "device", pairs.get("device", defaults.device)),
        threads=_threads(text, pairs.get("threads", "1")),
        batch=_count(text, "batch", pairs.get("batch", "1")),
        precision=_one_of(text, backend, "precision", pairs.get("precision", defaults.precision)),
        options={**defaults.options, **own},
    )


def _option(text: str, backend: Backend, option: Option, pairs: Mapping[str, str]) -> str:
    value = pairs[option.key]
    if option.allowed is not None and value not in option.allowed:
        raise PlatformError(
            f"platform {text!r}: {option.key}: expected one of {_allowed(backend, option.key)}, got {value!r}"
        )
    return value


def _one_of(text: str, backend: Backend, key: str, value: str) -> str:
    values = backend.precisions if key == "precision" else backend.devices
    if key in backend.keys and value not in values:
        raise PlatformError(f"platform {text!r}: {key}: expected one of {', '.join(values)}, got {value!r}")
    return value


def _count(text: str, key: str, value: str) -> int:
    number = parse_int(value)
    if number is None or number < 1:
        raise PlatformError(f"platform {text!r}: {key}: expected a whole number of at least 1, got {value!r}")
    return number


def _threads(text: str, value: str) -> int:
    threads = _count(text, "threads", value)
    allowed = allowed_cpus()
    if threads > allowed:
        bound = variables.binding(os.environ)
        raise PlatformError(
            f"platform {text!r}: threads={threads}: this process may use {allowed} CPU{'s' * (allowed > 1)} "
            f"(the smaller of its CPU affinity and its control group's quota); threads can be 1..{allowed}"
            + (f"; perhaps {bound} has bound it to so few: start it without that" if bound else "")
        )
    return threads


def surroundings(platform: Platform) -> tuple[dict[str, Any], str]:
    """Return this machine's environment with the versions of the platform's backend, and its fingerprint."""
    versions = libraries(backends.get(platform.backend))
    found: dict[str, Any] = {**environment.collect(), "backend": versions}
    return found, environment.fingerprint(found, backend=versions)
