"""Parse the argument of a data spec: ``PATH[,KEY=VALUE...]``."""

from __future__ import annotations

from collections.abc import Iterable

from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.spec import parse_int


def parse_argument(name: str, argument: str, known: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Split ``PATH[,KEY=VALUE...]``.

    Args:
        name: of the kind of data, for messages.
        argument: the text after its colon. A path may contain commas, as two files do: everything up to the last part
            that is not ``KEY=VALUE`` belongs to the path.
        known: the keys that are allowed.

    Raises:
        UsageError: there is no path, a key is unknown or given twice.
    """
    parts = argument.split(",")
    options: dict[str, str] = {}
    while len(parts) > 1 and "=" in parts[-1]:
        key, _, value = parts.pop().partition("=")
        if key not in known:
            raise UsageError(f"{name}: unknown option {key!r}{suggestion(key, known)}")
        if key in options:
            raise UsageError(f"{name}: {key} is given twice")
        options[key] = value
    path = ",".join(parts)
    if not path:
        raise UsageError(f"{name}: expected {name}:PATH, got {name}:{argument}")
    return path, dict(reversed(options.items()))


def whole_number(name: str, key: str, text: str, least: int) -> int:
    """Parse the option ``key``; raises ``UsageError`` unless it is a whole number of at least ``least``."""
    number = parse_int(text)
    if number is None or number < least:
        raise UsageError(f"{name}: {key}={text}: expected a whole number from {least}")
    return number


def fraction(name: str, key: str, text: str) -> float:
    """Parse the option ``key``; raises ``UsageError`` unless it is a number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise UsageError(f"{name}: {key}={text}: expected a number from 0 to below 1")
    return value
