"""Validate JSON messages of other processes and machines, and read them into dataclasses.

A ``Message`` has the fields that its class declares, and no others: a field that only one side knows is refused, with
its name. Types are strict: a number in quotes is not a number. pydantic does the validation.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from hwnas.supernets import errors
from hwnas.supernets.errors import MALFORMED, HwnasError, MeasurementError

# A count: a whole number of at least 0.
Count = Annotated[int, Field(ge=0, lt=2**31)]


@dataclass(frozen=True)
class Message:
    """A message from one process to another; base class of the dataclasses that both sides use."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    def to_text(self) -> str:
        """Return the message as JSON; nan and infinities are spelled as in Python, other values become text."""
        return json.dumps(asdict(self), separators=(",", ":"), default=str)


@dataclass(frozen=True)
class Refusal(Message):
    """The worker cannot carry out the order.

    Attributes:
        error: the class of ``hwnas.supernets.errors`` that says why.
        message: its message.
    """

    error: str
    message: str
    say: Literal["refused"] = "refused"

    def raised(self) -> HwnasError:
        """Return the error as an exception."""
        said = self.message.strip()
        return errors.again(self.error, said or f"a worker refused, and does not say why ({self.error})")


class InvalidMessageError(ValueError):
    """A text is not the expected message; says in one line what is wrong with it, and where."""


def read(expected: Any, text: str | bytes) -> Any:
    """Read a message.

    Args:
        expected: the class that it is, or an annotated union of several.
        text: JSON.

    Raises:
        InvalidMessageError: the text is something else, lacks a field, or has an unknown one.
    """
    try:
        return _reader(expected).validate_json(text, strict=True)
    except (ValidationError, RecursionError) as error:
        raise InvalidMessageError(_reason(error)) from error


@contextmanager
def validating(whose: str) -> Iterator[None]:
    """Turn every error of reading a malformed message into ``MeasurementError``; ``whose`` begins its text."""
    try:
        yield
    except MALFORMED as error:
        reason = str(error) if isinstance(error, InvalidMessageError) else f"{type(error).__name__}: {error}"
        raise MeasurementError(f"{whose}: cannot be understood ({reason}); is hwnas the same everywhere?") from error


@functools.cache
def _reader(expected: Any) -> TypeAdapter[Any]:
    return TypeAdapter(expected)


def _reason(error: ValidationError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join([".".join(map(str, first["loc"])), first["msg"]][not first["loc"] :])
