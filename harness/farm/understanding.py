"""Reading what others of a farm say: what is not of the expected form is an error that says whose it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from supernets.errors import MALFORMED, MeasurementError


@contextmanager
def understood(whose: str) -> Iterator[None]:
    """Turn whatever reading a message of another form raises into ``MeasurementError``; ``whose`` begins its text."""
    try:
        yield
    except MALFORMED as error:
        raise MeasurementError(
            f"{whose}: cannot be understood ({type(error).__name__}: {error}); is hwnas the same everywhere?"
        ) from error


def message(content: str, whose: str) -> dict[str, Any]:
    """Read a message; raises ``MeasurementError`` where it is no JSON object."""
    with understood(whose):
        found: Any = json.loads(content)
        if not isinstance(found, dict):
            raise TypeError(f"expected a JSON object, got {content[:40]!r}")
    return found


def text(value: Any) -> str:
    """Return a text; raises ``TypeError`` where it is none."""
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {value!r}")
    return value


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Return texts; raises ``TypeError`` where one is none, or they are one text."""
    if isinstance(values, str):
        raise TypeError(f"expected several texts, got {values!r}")
    return tuple(text(value) for value in values)


def texts_by_name(values: Mapping[Any, Any]) -> dict[str, str]:
    """Return texts by name; raises ``TypeError`` where one is none."""
    return {text(name): text(value) for name, value in values.items()}


def count(value: Any) -> int:
    """Return a whole number from 0; raises ``TypeError`` or ``ValueError`` of what counts nothing."""
    number = int(value)
    if not 0 <= number < 2**31:
        raise ValueError(f"expected a whole number from 0, got {value!r}")
    return number
