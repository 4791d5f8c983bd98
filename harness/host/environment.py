"""Record the facts of a machine that decide latency, digest them into a fingerprint, and warn about bad settings.

Each fact has a name, a unit, a reader, a check and a formatter. Nothing here changes the machine: a warning names the
command that would.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform as host
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hwnas.harness.host import cgroup, heap, variables
from hwnas.harness.host.cpus import affinity, allowed_cpus

Value = str | int | float | bool | None
Environment = dict[str, Value]

_CPU = Path("/sys/devices/system/cpu")
_LIBRARIES = ("numpy", "torch", "onnx", "onnxruntime", "openvino")


@dataclass(frozen=True)
class Warned:
    """A warning: a setting of this machine makes measurements noisier.

    Attributes:
        fact: its name.
        message: what is wrong.
        command: what would help; empty where no command does.
    """

    fact: str
    message: str
    command: str = ""


@dataclass(frozen=True)
class Fact:
    """One recorded fact about the machine.

    Attributes:
        name: its key in the record.
        unit: of the value; empty for text and counts.
        read: returns the value, or ``None`` if the system does not say.
        decides: part of the fingerprint: measurements taken with different values must not be mixed.
        later: added when there were stored measurements without it already: left out of the fingerprint where its
            value is ``None``, so that theirs stays valid.
        check: returns what is wrong with a value and the command that would help, or ``None``.
        show: formats a value for people.
    """

    name: str
    unit: str
    read: Callable[[], Value]
    decides: bool = False
    later: bool = False
    check: Callable[[Any], tuple[str, str] | None] = lambda _: None
    show: Callable[[Any], str] = str


def collect(facts: Iterable[Fact] | None = None) -> Environment:
    """Read every fact; ``None`` for those that cannot be read."""
    return {fact.name: _value(fact) for fact in (REGISTRY if facts is None else facts)}


def warnings(environment: Mapping[str, Any], facts: Iterable[Fact] | None = None) -> list[Warned]:
    """Return what to warn about, in the registry's order."""
    found = []
    for fact in REGISTRY if facts is None else facts:
        value = environment.get(fact.name)
        problem = None if value is None else fact.check(value)
        if problem is not None:
            found.append(Warned(fact.name, *problem))
    return found


def table(environment: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value for people, unit) of every fact that is known."""
    known = [(fact, environment.get(fact.name)) for fact in REGISTRY]
    return [(fact.name, fact.show(value), fact.unit) for fact, value in known if value is not None]


def merged(environments: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several platforms' environments share, and under ``platforms`` what each has of its own."""
    first, *others = environments.values()
    same = {key: value for key, value in first.items() if all(other.get(key) == value for other in others)}
    own = {
        platform: {key: value for key, value in environment.items() if key not in same}
        for platform, environment in environments.items()
    }
    return same | {"platforms": own}


def fingerprint(environment: Mapping[str, Any], **also: Any) -> str:
    """Return a digest of the facts that decide latency and of further ones, such as the versions of a backend."""
    decisive = {
        fact.name: environment.get(fact.name)
        for fact in REGISTRY
        if fact.decides and not (fact.later and environment.get(fact.name) is None)
    }
    text = json.dumps({**decisive, **also}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _value(fact: Fact) -> Value:
    try:
        return fact.read()
    except (OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError):
        return None


# --- readers ---------------------------------------------------------------------------------------------------------


def _text(*parts: str | Path) -> str | None:
    path = Path(*parts)
    return path.read_text().strip() if path.exists() else None


def _cpuinfo(*names: str) -> str | None:
    """Return the first of these fields that /proc/cpuinfo has (x86 and ARM name them differently)."""
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return None


def _cpu_model() -> str | None:
    return _cpuinfo("model name", "Model", "CPU part") or host.processor() or None


def _flags() -> str | None:
    """Return the CPU's vector extensions and, in parentheses, a digest of all its features."""
    flags = sorted((_cpuinfo("flags", "Features") or "").split())
    vectors = [f for f in flags if f.startswith(("avx", "amx", "fma", "sve", "asimd", "f16c", "bf16", "i8mm"))]
    return f"{' '.join(vectors)} ({hashlib.sha256(' '.join(flags).encode()).hexdigest()[:8]})" if flags else None


def _caches() -> str | None:
    found = []
    for folder in sorted((_CPU / "cpu0" / "cache").glob("index*")):
        level, kind, size = (_text(folder, name) or "" for name in ("level", "type", "size"))
        found.append(f"L{level}{'' if kind == 'Unified' else kind[:1].lower()} {size}")
    return ", ".join(found) or None


def _turbo() -> bool | None:
    intel, others = _text(_CPU, "intel_pstate", "no_turbo"), _text(_CPU, "cpufreq", "boost")
    if intel is not None:
        return intel == "0"
    return None if others is None else others == "1"


def _smt() -> bool | None:
    active = _text(_CPU, "smt", "active")
    return None if active is None else active == "1"


def _nodes() -> int | None:
    return len(list(Path("/sys/devices/system/node").glob("node[0-9]*"))) or None


def _memory_gib() -> float:
    if not hasattr(os, "sysconf"):  # Windows
        import psutil

        return round(float(psutil.virtual_memory().total) / 2**30, 1)
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def _load() -> float:
    import psutil  # which knows it on Windows too

    return round(float(psutil.getloadavg()[0]), 2)


def is_virtual() -> bool:
    """Return whether this is a virtual machine according to its CPU flags."""
    return "hypervisor" in (_cpuinfo("flags") or "").split()


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    words = (_text("/proc/1/cgroup") or "").replace(":", "/").split("/")
    return next((name for name in ("kubepods", "lxc", "docker") if name in words), None)


def host_identity() -> str:
    """Return a digest that identifies this host and reveals nothing else about it."""
    parts = (
        host.node(),
        _text("/etc/machine-id") or "",
        _text("/sys/class/dmi/id/product_uuid") if hasattr(os, "geteuid") and os.geteuid() == 0 else "",
    )
    return hashlib.sha256("\n".join(part or "" for part in parts).encode()).hexdigest()[:12]


def _library(name: str) -> Callable[[], str | None]:
    def read() -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    return read


def _commit() -> str | None:
    """Return the commit of the checkout that this file is in, "-dirty" behind it where files have changed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    run = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    # Looking at somebody's repository must not take a lock in it.
    done = subprocess.run(  # noqa: S603 - a fixed command
        run, capture_output=True, text=True, timeout=5, check=True, env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    )
    return done.stdout.strip()


# --- checks ----------------------------------------------------------------------------------------------------------


def _check_governor(value: str) -> tuple[str, str] | None:
    if value == "performance":
        return None
    return f"the CPU's frequency follows the load (governor {value!r})", "sudo cpupower frequency-set -g performance"


def _check_turbo(value: bool) -> tuple[str, str] | None:
    if not value:
        return None
    intel = (_CPU / "intel_pstate").exists()
    path, off = (_CPU / "intel_pstate" / "no_turbo", 1) if intel else (_CPU / "cpufreq" / "boost", 0)
    return "the CPU's clock depends on temperature and on what other cores do (turbo)", f"echo {off} | sudo tee {path}"


def _check_load(value: float) -> tuple[str, str] | None:
    if value < 0.5:
        return None
    return f"other programs keep the machine busy (load {value})", "ps -eo pid,pcpu,comm --sort=-pcpu | head"


def _check_quota(value: float) -> tuple[str, str] | None:
    return (
        f"the control group stops the process after {value:g} CPUs' worth of time",
        "docker run without --cpus, or with --cpuset-cpus",
    )


def _check_smt(value: bool) -> tuple[str, str] | None:
    if not value:
        return None
    return (
        "two threads share a core (SMT): what the neighbour does changes latency",
        f"echo off | sudo tee {_CPU}/smt/control",
    )


def _check_hypervisor(value: bool) -> tuple[str, str] | None:
    return ("a virtual machine: its CPUs can be taken away at any time", "") if value else None


def _mhz(value: float) -> str:
    return f"{value:.0f}"


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"


REGISTRY: tuple[Fact, ...] = (
    Fact("host", "", host_identity, decides=True),
    Fact("cpu", "", _cpu_model, decides=True),
    Fact("cpu_flags", "", _flags, decides=True),
    Fact("microcode", "", lambda: _cpuinfo("microcode"), decides=True),
    Fact("caches", "", _caches, decides=True),
    Fact("cpus", "", os.cpu_count, decides=True),
    Fact("affinity", "", lambda: len(affinity()), decides=True),
    Fact("allowed_cpus", "", allowed_cpus, decides=True),
    Fact("quota", "CPUs", cgroup.quota, decides=True, check=_check_quota, show="{:g}".format),
    Fact(
        "governor", "", lambda: _text(_CPU, "cpu0", "cpufreq", "scaling_governor"), decides=True, check=_check_governor
    ),
    Fact(
        "frequency_max",
        "MHz",
        lambda: int(_text(_CPU, "cpu0", "cpufreq", "scaling_max_freq") or "x") / 1000,
        decides=True,
        show=_mhz,
    ),
    Fact("turbo", "", _turbo, decides=True, check=_check_turbo, show=_yes_no),
    Fact("smt", "", _smt, decides=True, check=_check_smt, show=_yes_no),
    Fact("numa_nodes", "", _nodes, decides=True),
    Fact("memory", "GiB", _memory_gib, decides=True, show="{:.1f}".format),
    Fact("load", "", _load, check=_check_load, show="{:.2f}".format),
    Fact("virtual_machine", "", is_virtual, decides=True, check=_check_hypervisor, show=_yes_no),
    Fact("container", "", _container),
    Fact("system", "", host.system, decides=True),
    Fact("kernel", "", host.release, decides=True),
    Fact("machine", "", host.machine, decides=True),
    Fact("python", "", host.python_version, decides=True),
    Fact("allocator", "", lambda: os.environ.get("LD_PRELOAD") or heap.allocator(), decides=True),
    Fact("variables", "", lambda: variables.choices(os.environ), decides=True, later=True),
    Fact("variables_left_out", "", lambda: variables.left_out(os.environ)),
    *(Fact(name, "", _library(name), decides=True) for name in _LIBRARIES),
    Fact("hwnas", "", _library("hwnas")),
    Fact("commit", "", _commit),
    Fact("executable", "", lambda: Path(sys.executable).name),
)
