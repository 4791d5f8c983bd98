"""What the stored record of a measurement may hold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hwnas.supernets.values import fault, number_or_none, of_kind, one_of

if TYPE_CHECKING:
    from hwnas.harness.measurement.protocol import TimingProtocol

STATES = ("ok", "unstable", "failed")
# In the context of what was measured beside a heavy load: the share of the CPUs that other programs used, and which.
LOAD = "load"
_TEXTS = ("supernet", "key", "platform", "reason", "statistic", "graph", "fingerprint", "measured_at")
_MAPPINGS = ("config", "context", "contents")
_COUNTS = ("macs", "params", "batch", "threads", "sessions")


def check(fields: Mapping[str, Any]) -> None:
    """Raise ``TypeError`` or ``ValueError`` if a field of a measurement has the wrong type or an impossible value."""
    kinds = dict.fromkeys(_TEXTS, str) | dict.fromkeys(_COUNTS, int) | dict.fromkeys(_MAPPINGS, dict)
    for name, kind in kinds.items():
        of_kind(name, fields[name], kind)
    status = one_of("status", fields["status"], STATES)
    if fields["protocol"] is not None:
        _check_numbers(fields["protocol"])
    if not all(_is_small(fields[name]) for name in _COUNTS):
        raise ValueError(f"{', '.join(_COUNTS)}: one has more than 64 bits")
    if min(fields["batch"], fields["threads"]) < 1:
        raise ValueError(f"batch, threads: cannot be {fields['batch']}, {fields['threads']}")
    if (status == "failed") != math.isnan(fields["latency_s"]):
        raise ValueError(f"latency_s: cannot be {fields['latency_s']} of a measurement that is {status}")
    _check_anchors(fields["context"].get("anchors", {}))
    if LOAD in fields["context"]:
        check_load(fields["context"][LOAD])


def _check_anchors(anchors: Any) -> None:
    for key, latency_s in of_kind("anchors", anchors, dict).items():
        reason = fault(latency_s, time=True)
        if reason is not None:
            raise ValueError(f"anchor {key!r:.40}: {reason}")


def check_load(load: Any) -> Mapping[str, Any]:
    """Return a stored load; raises ``TypeError``, ``LookupError`` or ``ValueError`` where it is none."""
    programs = of_kind("programs", of_kind(LOAD, load, dict)["programs"], list)
    for number in (load["busy"], *(one["cpus"] for one in programs)):
        reason = fault(number)
        if reason is not None:
            raise ValueError(f"load: {reason}")
    for one in programs:
        of_kind("name", one["name"], str)
    return load  # type: ignore[no-any-return]


def latency(value: Any) -> float:
    """Return a stored latency; nan stands for none, as ``None`` does."""
    if isinstance(value, float) and math.isnan(value):
        return value
    try:
        return number_or_none(value, time=True)
    except ValueError as error:
        raise ValueError(f"latency_s: {error}") from None


def _is_small(value: float) -> bool:
    """Return whether a number fits 64 bits, which arrays need: whole numbers in JSON have any length."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _check_numbers(protocol: TimingProtocol) -> None:
    for name, value in vars(protocol).items():
        if name not in ("profile", "statistic", "effort") and (math.isnan(value) or not _is_small(value)):
            raise ValueError(f"protocol: {name}: expected a number, got {value!r}")
    if not 0 < protocol.confidence < 1:
        raise ValueError(f"protocol: confidence: expected a number between 0 and 1, got {protocol.confidence!r}")
