"""A check, a suite of them, and what came of running one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hwnas.supernets.plug_ins import FAILURES, reason_of
from hwnas.supernets.registry import Registry


class NotMetError(Exception):
    """Something that a check expects does not hold; the message says what was found."""


class NotApplicableError(Exception):
    """A check has nothing to look at, such as an option that there is not; the message says what."""


def expect(holds: object, message: str) -> None:
    """Raise ``NotMetError`` with ``message`` unless ``holds``."""
    if not holds:
        raise NotMetError(message)


def applies(holds: object, otherwise: str) -> None:
    """Raise ``NotApplicableError`` that says ``otherwise`` unless ``holds``."""
    if not holds:
        raise NotApplicableError(otherwise)


def refused(call: Callable[[], object], error: type[Exception], what: str) -> str:
    """Return the message with which ``call`` refuses something.

    Raises:
        NotMetError: it does not refuse it, or raises something else than ``error``.
    """
    try:
        call()
    except error as raised:
        return str(raised)
    except FAILURES as raised:
        raise NotMetError(f"{what}: expected {error.__name__}, got {type(raised).__name__}: {raised}") from raised
    raise NotMetError(f"{what}: expected {error.__name__}, but it was accepted")


class Cost(StrEnum):
    """What running a check takes; in this project's tests it is the mark of the same name."""

    QUICK = ""
    SLOW = "slow"
    ALONE = "alone"


@dataclass(frozen=True)
class Check:
    """One thing that every plug-in of a kind has to hold.

    Attributes:
        name: in a few words, for ids ("closing_twice").
        title: what is expected, as a sentence.
        function: raises if it does not hold.
        cost: what running it takes.
    """

    name: str
    title: str
    function: Callable[[Any], None]
    cost: Cost = Cost.QUICK


@dataclass(frozen=True)
class Request:
    """What ``hwnas check-plugin`` was asked for.

    Attributes:
        name: under which the plug-in is registered.
        argument: what stands behind the name and a colon, as its kind spells it; "".
        supernet: the super-network to check it with, for kinds that need one; ``None``: one is chosen.
    """

    name: str
    argument: str = ""
    supernet: str | None = None

    @classmethod
    def of(cls, spec: str, names: Collection[str], supernet: str | None = None) -> Request:
        """Return what ``NAME[:ARGUMENT]`` asks for; some of the registered names have a colon themselves."""
        name, _, argument = (spec, "", "") if spec in names else spec.partition(":")
        return cls(name, argument, supernet)


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        check: the check.
        status: "passed", "failed" or "skipped".
        reason: why it failed, or why there was nothing to look at.
        seconds: how long it took.
        warnings: what was warned of meanwhile; the plug-in's own affair.
    """

    check: Check
    status: str
    reason: str
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """The checks of a kind of plug-in.

    Attributes:
        registry: where plug-ins of the kind are registered.
        subject: makes what the checks are run on; raises an error of hwnas if that cannot be.
        checks: in the order in which they are run.
    """

    registry: Registry
    subject: Callable[[Request], Any]
    checks: list[Check] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The kind of plug-in, in the singular."""
        return self.registry.kind

    def check(self, cost: Cost = Cost.QUICK) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Return a decorator that adds a function to the checks."""

        def add(function: Callable[[Any], None]) -> Callable[[Any], None]:
            title = (function.__doc__ or function.__name__).partition("\n")[0]
            self.checks.append(Check(function.__name__, title, function, cost))
            return function

        return add

    def run(self, subject: Any) -> Iterator[Outcome]:
        """Yield what comes of each check, as it ends."""
        for check in self.checks:
            yield judged(check, subject)


def judged(check: Check, subject: Any) -> Outcome:
    """Return what comes of a check; warnings are collected, and make none fail."""
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        status, reason = _tried(check, subject)
    said = dict.fromkeys(f"{one.category.__name__}: {' '.join(str(one.message).split())}" for one in warned)
    return Outcome(check, status, reason, time.perf_counter() - began, tuple(said))


def _tried(check: Check, subject: Any) -> tuple[str, str]:
    try:
        check.function(subject)
    except NotApplicableError as nothing:
        return "skipped", str(nothing)
    except NotMetError as found:
        return "failed", " ".join(str(found).split())
    except FAILURES as error:
        return "failed", reason_of(error)
    return "passed", ""
