"""Results go to standard output, progress and complaints to standard error, files are written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import select
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.errors import MarkupError
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from supernets.errors import UsageError
from supernets.files import is_folder
from supernets.quoting import shortened_message, visible

STANDARD_OUTPUT = "-"
_PIPED_WIDTH = 160


# Markup of rich as its own parser finds it, and the only one that is ours: a foreign [link=...] is none.
_MARKUP = re.compile(r"(\\*)\[([a-z#/@][^\[]*?)\]")
_OWN = ("/", "bold", "dim", "green", "yellow", "bold red")


def _only_own(found: re.Match[str]) -> str:
    backslashes, tag = found.groups()
    escaped = len(backslashes) % 2 == 1
    return found[0] if escaped or tag in _OWN else f"{backslashes}\\[{tag}]"


class _SafeConsole(Console):
    """A console on which names, paths and other people's words cannot steer the terminal: they are made visible."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text of markup, as it is laid out: what is made visible takes its place."""
        text = visible(text)
        if options.get("markup") is False:
            return super().render_str(text, **options)
        try:
            return super().render_str(_MARKUP.sub(_only_own, text), **options)
        except MarkupError:  # a foreign "[/]": nobody has escaped it
            return super().render_str(text, **{**options, "markup": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments of whatever is printed; those that steer the terminal are rich's own."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(visible(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Leave it to the command line to end: rich's own way has the exit code of a failure."""
        raise BrokenPipeError


def reader_is_gone() -> bool:
    """Tell whether nobody reads our standard output any more (``| head -1`` has seen enough); nothing follows then."""
    try:
        number = sys.stdout.fileno()
        poll = select.poll()
        poll.register(number, 0)
        if not any(event & select.POLLERR for _, event in poll.poll(0)):
            return False
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)  # what is still buffered goes there, when the interpreter ends
        os.close(nowhere)
    except (OSError, ValueError):  # it is closed, or no file
        return False
    return True


def results() -> Console:
    """Return the console for results; piped into a file or a program, tables keep their full width."""
    return _SafeConsole(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False, emoji=False)


def notes() -> Console:
    """Return the console for progress, remarks and complaints."""
    return _SafeConsole(stderr=True, highlight=False, emoji=False)


def plain(text: str) -> str:
    """Return a text as markup that shows it as it is, for what lays out text before it comes to a console."""
    return escape(visible(text))


def complain(message: str) -> None:
    """Print one error message, however it came about, as one line."""
    line = shortened_message(" ".join(message.split("\n")))
    notes().print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)


def say(message: str) -> None:
    """Print one line on standard error, as it is and whole, so that what it quotes can be copied."""
    notes().print(message, markup=False, soft_wrap=True)


def remark(message: str) -> None:
    """Print one remark beside the results."""
    notes().print(f"[dim]{escape(message)}[/]", soft_wrap=True)


def check_writable(path: str | None) -> None:
    """Raise ``UsageError`` now, not after an hour's work, where ``path`` cannot be written."""
    if path is None or path == STANDARD_OUTPUT:
        return
    target = Path(path)
    if is_folder(target):
        raise UsageError(f"cannot write {path!r}: it is a directory")
    folder = target.parent
    if not is_folder(folder):
        raise UsageError(f"cannot write {path!r}: there is no directory {str(folder)!r}")
    try:
        checked = target if target.exists() else folder
    except OSError as error:  # a name that is too long for a file
        raise UsageError(f"cannot write {path!r}: {error.strerror}") from None
    if not os.access(checked, os.W_OK):
        raise UsageError(f"cannot write {path!r}: permission denied")


def write_text(path: str, text: str) -> None:
    """Write a file whole or not at all; ``-`` is standard output."""
    if path == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            text = visible(text.replace("\r\n", "\n"))
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    target = Path(path)
    # A file beside it, moved into place: an interrupted run leaves the old file or none.
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: str, value: Any) -> None:
    """Write ``value`` as JSON; nan and infinity, for which JSON has no word, are an error here, not at the reader."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
