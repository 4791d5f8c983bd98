"""Write to standard output and standard error in any state: closed, on a full disk, or limited to ASCII.

What cannot be written to standard output is an error that names it. What cannot be written to standard error is
dropped: progress and remarks are a courtesy that must end no measurement.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hwnas.supernets.errors import OutputError

# What messages, tables and help use beyond ASCII, as it is spelled where the encoding lacks it. A character each, so
# that columns stay straight.
_SPELLED = {
    "\N{HORIZONTAL ELLIPSIS}": "~",
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{MIDDLE DOT}": ".",
    "\N{BULLET}": "*",
    "\N{NARROW NO-BREAK SPACE}": " ",
    "\N{NO-BREAK SPACE}": " ",
    "\N{MICRO SIGN}": "u",
    "\N{GREEK SMALL LETTER MU}": "u",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{PLUS-MINUS SIGN}": "+-",
}
_HANDLER = "hwnas.spelled"


class ReaderGone(Exception):  # noqa: N818 - it is an event: nothing has failed
    """The reader of standard output (``head``, ``less``) has seen enough."""


@contextmanager
def standard_streams() -> Iterator[None]:
    """Make standard output and error fit for use, for as long as the command line runs."""
    _fill_closed()
    codecs.register_error(_HANDLER, _spelled)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)
    results: Any = Results(sys.stdout)
    courtesy: Any = Courtesy(sys.stderr)
    with contextlib.redirect_stdout(results), contextlib.redirect_stderr(courtesy):
        yield


class _Stream:
    """A standard stream; what is not said here is the stream's own.

    Args:
        stream: ``None``: it was closed when the program began.

    Attributes:
        refusal: why it takes nothing any more; ``None``: it does.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = io.StringIO() if stream is None else stream
        self.refusal: Exception | None = None if stream is not None else _cannot("it is closed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write at once: what cannot be written is noticed where it is said, not when the program ends."""
        self._do(lambda: self._stream.write(text))
        self.flush()
        return len(text)

    def flush(self) -> None:
        """Bring out what is in the buffer."""
        self._do(self._stream.flush)

    def _do(self, write: Callable[[], object]) -> None:
        if self.refusal is None:
            try:
                write()
            except BrokenPipeError:
                self.refusal = ReaderGone()
            except (OSError, ValueError) as error:  # ValueError: closed in the meantime
                self.refusal = _cannot(getattr(error, "strerror", None) or str(error))
            else:
                return
            _hush(self._stream)
        self._refused(self.refusal)

    def _refused(self, reason: Exception) -> None:
        raise reason


class Results(_Stream):
    """Standard output: raises ``OutputError`` where it cannot be written, ``ReaderGone`` where nobody reads on."""

    def write_document(self, content: bytes) -> None:
        """Write content that has an encoding of its own."""
        self._do(lambda: self._stream.buffer.write(content))
        self.flush()


class Courtesy(_Stream):
    """Standard error: what cannot be written is dropped."""

    def _refused(self, reason: Exception) -> None:
        pass


def _cannot(reason: str) -> OutputError:
    return OutputError(f"cannot write standard output: {reason}")


def _fill_closed() -> None:
    """Open something in the place of closed standard streams.

    Otherwise the next file that is opened takes a stream's number, and what libraries say to it goes into that file.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDONLY)  # the lowest number that is free


def _hush(stream: Any) -> None:
    """Let what is left in a stream's buffer go nowhere: when the program ends Python would try again, and complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Spell what an encoding lacks: by characters that people read, or as Python does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SPELLED.get(char) or char.encode("unicode_escape").decode() for char in lacking), error.end
