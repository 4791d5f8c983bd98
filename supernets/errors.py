"""The tree of all errors that hwnas raises deliberately.

::

    HwnasError
    ├── UsageError               the caller asked for something that cannot be (exit code 2)
    │   ├── UnknownNameError     no such super-network, backend, algorithm, ...; carries suggestions
    │   ├── ConfigError          a config or vector that is not a point of the search space
    │   ├── PlatformError        a platform string that this machine or backend cannot honour
    │   ├── TableError           a lookup table or CSV that lacks what was asked of it
    │   ├── QualityError         a quality source that does not serve this super-network
    │   │   └── NotServedError   no argument makes it serve it; whoever looked for a source says what does
    │   ├── DataError            a file of examples that is not what it should be; names it
    │   └── StoreError           a store that cannot be opened, read or written
    │       └── StoreFaultError  a store that failed in the midst of work (exit code 1)
    └── WorkError                the request was right, the work failed (exit code 1)
        ├── ChangedError         a file that no longer holds what it held when the work began
        ├── AssetError           a published file that is neither here nor can be fetched
        ├── BackendError         a backend that failed to prepare or run a stage
        ├── PlugInError          an installed plug-in that does not load, is not what it should be, or failed
        ├── MeasurementError     a measurement that could not be taken at all
        ├── NotFiniteError       a network whose outputs are not finite numbers
        └── OutputError          a result that cannot be written where it was asked for

Libraries raise these; only the command line turns them into exit codes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

from hwnas.supernets.quoting import shortened_message

# The errors that reading a damaged record, or one of another form, can raise.
MALFORMED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class HwnasError(Exception):
    """Root of the tree; its message can be shown to a user as it is.

    Quoted values are shortened, since what was given may be a file of megabytes.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened_message(str(message)))


class UsageError(HwnasError):
    """The caller asked for something that cannot be; the message says what can."""

    exit_code = 2


class UnknownNameError(UsageError):
    """A name that is not registered.

    Args:
        kind: what was being looked up, in the singular ("super-network").
        name: the name that was given.
        known: the names there are.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind = kind
        self.name = name
        self.known = sorted(known)
        super().__init__(f"unknown {kind} {name!r}{suggestion(name, self.known)}")

    def __reduce__(self) -> tuple[type[Self], tuple[str, str, list[str]]]:
        # An exception is made again of its message alone, otherwise.
        return type(self), (self.kind, self.name, self.known)


class ConfigError(UsageError):
    """A config or vector that is not a point of the search space."""


class PlatformError(UsageError):
    """A platform string that cannot be honoured here."""


class TableError(UsageError):
    """A lookup table or measured table that lacks what was asked of it."""


class QualityError(UsageError):
    """A quality source that does not serve this super-network."""


class NotServedError(QualityError):
    """A quality source that serves other super-networks, whatever it is given."""


class DataError(UsageError):
    """A file or folder of examples that is not what it should be."""


class StoreError(UsageError):
    """A store that cannot be opened, read or written."""


class StoreFaultError(StoreError):
    """A store that failed in the midst of work: its disk is full, another process holds it, its server is gone."""

    exit_code = 1


class WorkError(HwnasError):
    """The request was right, the work failed."""


class ChangedError(WorkError):
    """A file that no longer holds what it held when the work began."""


class AssetError(WorkError):
    """A published file that is neither on this machine nor can be fetched."""


class BackendError(WorkError):
    """A backend that failed to prepare or run a stage."""


class PlugInError(WorkError):
    """An installed plug-in that does not load, is not what it should be, or has failed; names it and its package."""


class NotFiniteError(WorkError):
    """A network whose outputs are not finite numbers, so that it cannot be evaluated."""


class MeasurementError(WorkError):
    """A measurement that could not be taken at all."""


class OutputError(WorkError):
    """A result that cannot be written where it was asked for: the disk is full, the folder is gone."""


def again(kind: object, message: str) -> HwnasError:
    """Return an error that another process has raised, from the name of its class and its message."""
    found = globals().get(str(kind))
    # ``UnknownNameError`` cannot be made from a message.
    if not isinstance(found, type) or not issubclass(found, HwnasError) or found is UnknownNameError:
        return MeasurementError(message)
    return found(message)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'? (known: ...)"`` for a mistyped ``name``."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    return f"{meant} (known: {', '.join(known) or 'none'})"
