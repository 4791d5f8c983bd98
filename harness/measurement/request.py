"""What is asked of the timing protocol: a profile, a level of effort, and numbers, by name.

Commands take it by ``--protocol``, ``--cap`` and ``--effort``, ``hwnas.toml`` in its table ``[protocol]``, and Python
code as ``protocol=``. What is not asked for is the profile's that the host's noise calls for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hwnas.harness.measurement.protocol import EFFORTS, PROFILES, THOROUGH, ProtocolChoice, TimingProtocol
from hwnas.supernets.errors import UsageError
from hwnas.supernets.spec import parse_int

Given = TimingProtocol | ProtocolChoice | Mapping[str, Any] | str | None

PROFILE, EFFORT = "profile", "effort"
_NAMES = {PROFILE: tuple(PROFILES), EFFORT: EFFORTS}
_FORM = "expected a profile (noisy or quiet) or NUMBER=VALUE, like cap_s=5"


def asked(given: Mapping[str, Any] | str | None) -> dict[str, Any]:
    """Return what is asked for, by name: "profile", "effort", and numbers.

    Args:
        given: a profile's name, or a mapping with such names.

    Raises:
        UsageError: there is no such profile, effort or number, or a number cannot have that value.
    """
    found = {PROFILE: given} if isinstance(given, str) else dict(given or {})
    for name, known in _NAMES.items():
        if not isinstance(found.get(name, ""), str):
            raise UsageError(f"protocol: {name}: expected one of {', '.join(known)}, got {found[name]!r}")
    made = choice(found)
    numbers = made.of(next(iter(PROFILES)))
    return {name: getattr(numbers, name) for name in found}


def choice(asked_for: Mapping[str, Any], base: TimingProtocol | None = None) -> ProtocolChoice:
    """Return the choice of protocol that leaves to the host what is not asked for.

    Args:
        asked_for: by name, as ``asked`` returns it.
        base: numbers are changed in this protocol where no profile is asked for; ``None``: in the host's profile.

    Raises:
        UsageError: see ``asked``.
    """
    numbers = {name: value for name, value in asked_for.items() if name not in _NAMES}
    profile, effort = asked_for.get(PROFILE), asked_for.get(EFFORT)
    if base is not None and profile is None:
        exactly = ProtocolChoice.exactly(base)
        return ProtocolChoice(exactly.profile, effort or exactly.effort, {**exactly.numbers, **numbers})
    return ProtocolChoice(profile, effort or THOROUGH, numbers)


def parse(texts: Iterable[str]) -> dict[str, Any]:
    """Read what a command line asks for: profiles' names and ``NUMBER=VALUE``; returns what ``asked`` takes.

    Raises:
        UsageError: a text has neither form, or something is given twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name, value = (name.strip(), value.strip()) if equals else (PROFILE, text.strip())
        if not name or not value:
            raise UsageError(f"protocol {text!r}: {_FORM}")
        if name in found:
            raise UsageError(f"protocol: {name} is given twice")
        found[name] = _value(value)
    return found


def _value(text: str) -> int | float | str:
    """Return the number that a text is, or the text."""
    whole = parse_int(text)
    if whole is not None:
        return whole
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text
