"""Reading what other processes and machines say: into dataclasses, by what their fields say, and nothing else.

A ``Message`` has the fields that its class declares, and no others: a field that only one side knows is refused, with
its name. Types are strict: a number in quotes is no number. The rules are pydantic's.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from hwnas.supernets.errors import MALFORMED, MeasurementError

# A whole number from 0, of what can be counted.
Count = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True)
class Message:
    """What one process says to another, as a dataclass that both use."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    def to_text(self) -> str:
        """Return it as JSON. What JSON has no form for becomes text; nan and infinities are spelled as Python does."""
        return json.dumps(asdict(self), separators=(",", ":"), default=str)


class Misread(ValueError):  # noqa: N818 - told apart by its name
    """A text is not the message that was expected; says what is wrong with it, and where in it, in one line."""


def read(expected: Any, text: str | bytes) -> Any:
    """Read a message.

    Args:
        expected: the class that it is, or an annotated union of several.
        text: JSON.

    Raises:
        Misread: it is something else, lacks a field, or has one that nobody expects.
    """
    try:
        return _reader(expected).validate_json(text, strict=True)
    except (ValidationError, RecursionError) as error:
        raise Misread(_reason(error)) from error


@contextmanager
def validating(whose: str) -> Iterator[None]:
    """Turn whatever reading a message of another form raises into ``MeasurementError``; ``whose`` begins its text."""
    try:
        yield
    except MALFORMED as error:
        reason = str(error) if isinstance(error, Misread) else f"{type(error).__name__}: {error}"
        raise MeasurementError(f"{whose}: cannot be understood ({reason}); is hwnas the same everywhere?") from error


@functools.cache
def _reader(expected: Any) -> TypeAdapter[Any]:
    return TypeAdapter(expected)


def _reason(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]][not first["loc"] :])
