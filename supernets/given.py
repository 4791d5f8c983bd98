"""What a Python caller gives: numpy's numbers and arrays become Python's own, which JSON has; the rest is refused."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hwnas.supernets.errors import UsageError


def plain(value: Any) -> Any:
    """Return numbers, arrays, and mappings and sequences of these, with Python's own numbers and lists.

    Examples:
        >>> plain({"population": np.int64(20), "widths": np.array([1, 2])})
        {'population': 20, 'widths': [1, 2]}
    """
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def as_int(name: str, value: object, least: int | None = None) -> int:
    """Return a whole number, of numpy's too, as Python's own; raises ``UsageError`` if it is something else.

    Args:
        name: what it is, for messages.
        value: what was given.
        least: the smallest that it may be; ``None``: it may be any.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise UsageError(f"{name}: expected a whole number, got {value!r}")
    if least is not None and value < least:
        raise UsageError(f"{name}: expected at least {least}, got {value}")
    return int(value)


def several(name: str, given: object, like: object) -> list[Any]:
    """Return what is given as a list; raises ``UsageError`` if it is one thing, such as a text, which has letters.

    Args:
        name: what it is, for messages.
        given: what was given.
        like: an entry, for messages.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise UsageError(f"{name}: expected a list like [{like!r}], got {given!r}")
    return list(given)
