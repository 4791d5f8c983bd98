"""The options of ``elastic:``, as they are spelled in a super-network's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.supernets.elastic.sets import Wanted
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.spec import parse_int

# Where the model is: a function that makes it, or a file that hwnas has written.
MODEL, FILE = "model", "file"
# Digits of the digest in a name, with which another process checks that it has made the same super-network.
DIGEST, SHOWN = "digest", 12
IMPORTANCE, DATA = "importance", "data"
WEIGHTS, ACTIVATIONS, GRADIENTS = "weights", "activations", "gradients"

_KNOWN = (MODEL, FILE, "width", "heads", "multiple", "fix", "only", "depth", IMPORTANCE, DATA, DIGEST)


def parsed(options: Mapping[str, str]) -> Wanted:
    """Return what is to be elastic; raises ``UsageError`` for an unknown option or value."""
    for key in options:
        if key not in _KNOWN:
            raise UsageError(f"elastic: unknown option {key!r}{suggestion(key, _KNOWN)}")
    wanted = Wanted(
        width=_fractions("width", options.get("width", "0.5+0.75+1")),
        heads=_fractions("heads", options.get("heads", options.get("width", "0.5+0.75+1"))),
        multiple=_multiple(options.get("multiple", "8")),
        fix=_patterns(options.get("fix", "")),
        only=_patterns(options.get("only", "")),
        depth=_switch("depth", options.get("depth", "on")),
    )
    how = options.get(IMPORTANCE, WEIGHTS)
    if how not in (WEIGHTS, ACTIVATIONS, GRADIENTS):
        raise UsageError(f"elastic: {IMPORTANCE}={how}: expected {WEIGHTS}, {ACTIVATIONS} or {GRADIENTS}")
    if (DATA in options) != (how != WEIGHTS):
        raise UsageError(
            f"elastic: {IMPORTANCE}={ACTIVATIONS} or {GRADIENTS} and {DATA}=FILE.py:FUNCTION belong together"
        )
    return wanted


def spelled(options: Mapping[str, Any]) -> dict[str, str]:
    """Return keyword arguments as they are spelled in a name.

    Sequences are joined by ``+``, and ``True`` and ``False`` are ``on`` and ``off``.
    """
    return {key: _text(value) for key, value in options.items() if value is not None}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "+".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _fractions(key: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split("+"))
    except ValueError:
        found = ()
    if not found or not all(0 < one <= 1 for one in found):
        raise UsageError(f"elastic: {key}={text}: expected fractions above 0 and up to 1, like 0.5+0.75+1")
    return found


def _multiple(text: str) -> int:
    number = parse_int(text)
    if not number:
        raise UsageError(f"elastic: multiple={text}: expected a whole number from 1")
    return number


def _switch(key: str, text: str) -> bool:
    if text not in ("on", "off"):
        raise UsageError(f"elastic: {key}={text}: expected on or off")
    return text == "on"


def _patterns(text: str) -> tuple[str, ...]:
    return tuple(text.split("+")) if text else ()
