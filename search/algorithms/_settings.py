"""Reading an algorithm's settings: presets, defaults, and clear errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hwnas.supernets.errors import UsageError, suggestion

# Every algorithm takes these two: which preset to start from, and the vectors to ask first.
_COMMON = {"preset": "default", "initial": None}
# What settings were called in earlier versions.
_FORMER = {"optimism": "kappa"}
# Of these there may be none; of everything else that is counted there is at least one.
_MAY_BE_0 = frozenset({"first", "generations", "inner_evals", "train"})


def read_settings(
    name: str, given: Mapping[str, Any], defaults: Mapping[str, Any], paper: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the algorithm's settings: the preset's, overridden by those given.

    Args:
        name: the algorithm's, for messages.
        given: what the user set; text is read as the type of the default.
        defaults: every setting there is, with its default.
        paper: what ``preset="paper"`` changes in them.
    """
    presets = {"default": {}, "paper": dict(paper or {})}
    preset = given.get("preset") or "default"
    if preset not in presets:
        raise UsageError(f"{name}: unknown preset {preset!r}{suggestion(str(preset), presets)}")
    result = {**_COMMON, **defaults, **presets[preset], "preset": preset}
    for spelled, value in given.items():
        key = spelled if spelled in result else _FORMER.get(spelled, spelled)
        if key not in result:
            raise UsageError(f"{name}: unknown setting {key!r}{suggestion(key, result)}")
        if key not in _COMMON:
            result[key] = _as(name, key, value, defaults[key])
    result["initial"] = given.get("initial")
    return result


def choose(name: str, key: str, value: str, among: Mapping[str, Any]) -> Any:
    """Return the entry of ``among`` that a setting names; raises ``UsageError`` with suggestions."""
    if value not in among:
        raise UsageError(f"{name}: {key}: unknown {value!r}{suggestion(str(value), among)}")
    return among[value]


def _as(name: str, key: str, value: Any, default: Any) -> Any:
    """Read ``value`` as the type of ``default``; raises ``UsageError`` of another one, and of a count that is none."""
    kind = type(default)
    if default is None:
        return value
    try:
        read = _read(value, kind)
    except (KeyError, OverflowError, TypeError, ValueError):
        raise UsageError(f"{name}: {key}: expected {kind.__name__} like {default!r}, got {value!r}") from None
    least = 0 if key in _MAY_BE_0 else 1
    if kind is int and read < least:
        raise UsageError(f"{name}: {key}: expected {least} or more, got {value!r}")
    return read


def _read(value: Any, kind: type) -> Any:
    read: Any
    if isinstance(value, kind):
        read = value
    elif kind is bool:
        read = {"true": True, "false": False, "1": True, "0": False}[str(value).lower()]
    else:
        read = kind(value)
    if isinstance(value, float) and read != value:
        raise ValueError("not a number, or it has a fraction")
    if kind is float and not math.isfinite(read):
        raise ValueError("not finite")
    return read
