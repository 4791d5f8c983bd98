"""Write results to standard output, progress and errors to standard error, and files whole or not at all."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.errors import MarkupError
from rich.markup import escape
from rich.segment import Segment
from rich.text import Text

from hwnas.cli.streams import ReaderGone, Results
from hwnas.cli.tables import UNBOUNDED
from hwnas.supernets.errors import OutputError, UsageError
from hwnas.supernets.quoting import shortened_message, visible
from hwnas.supernets.writing import check_file, write_file

STANDARD_OUTPUT = "-"
# The width of a terminal that does not report it.
_UNKNOWN = 80
# Of no matter for what is printed line by line.
_HEIGHT = 25


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


def results() -> Console:
    """Return the console for results: as wide as ``COLUMNS`` says, or the terminal; in a pipe there is no edge."""
    # With the height too: of a terminal that it does not know, rich believes the width only so.
    return _SafeConsole(width=_width(), height=_HEIGHT, highlight=False, emoji=False)


def notes() -> Console:
    """Return the console for progress, remarks and complaints."""
    return _SafeConsole(stderr=True, highlight=False, emoji=False)


def _width() -> int:
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return int(columns)
    try:
        # Of standard output alone: rich asks standard input first, and takes 80 in terminals that it does not know.
        return os.get_terminal_size(sys.stdout.fileno()).columns or _UNKNOWN
    except (OSError, ValueError, AttributeError):
        return UNBOUNDED


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
    """Print one remark on standard error."""
    notes().print(f"[dim]{escape(message)}[/]", soft_wrap=True)


def remark_on_page(html: str | None, *, quiet: bool) -> None:
    """Name the page that was written to a file."""
    if html not in (None, STANDARD_OUTPUT) and not quiet:
        remark(f"page: {html}")


def check_writable(path: str | None) -> None:
    """Raise ``UsageError`` now, not after an hour's work, where ``path`` cannot be written."""
    if path == STANDARD_OUTPUT:
        if isinstance(sys.stdout, Results) and sys.stdout.refusal is not None:
            raise UsageError(str(sys.stdout.refusal))
    elif path is not None:
        check_file(path)


def write_text(path: str, text: str) -> None:
    """Write a document in UTF-8, whole or not at all; ``-`` is standard output.

    Raises:
        OutputError: it cannot be written.
    """
    text = text if text.endswith("\n") else f"{text}\n"
    content = text.encode(errors="backslashreplace")  # a name from the command line may be no text
    if path != STANDARD_OUTPUT:
        write_file(path, content)
    elif isinstance(sys.stdout, Results) and not sys.stdout.isatty():
        sys.stdout.write_document(content)
    else:
        sys.stdout.write(visible(text.replace("\r\n", "\n")))


def write_json(path: str, value: Any) -> None:
    """Write ``value`` as JSON; nan and infinity, for which JSON has no word, are an error here, not at the reader."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


class Delivery:
    """Writes one result in all the forms that were asked for. Where one fails, the others are written all the same.

    ::

        with Delivery("it is in the store") as deliver:
            deliver.result(outcome, table, json="full-disk/result.json")

    raises, after the table is printed, ``OutputError``: "cannot write 'full-disk/result.json': No space left on device;
    it is in the store".

    Args:
        recovery: where the result can still be found, as the end of a message.
    """

    def __init__(self, recovery: str) -> None:
        self._recovery = recovery
        self._failures: list[str] = []
        self._reader_gone = False

    def __call__(self, write: Callable[..., object], *arguments: Any, **options: Any) -> None:
        """Call ``write`` with what follows; where it cannot write, that is reported in the end."""
        try:
            write(*arguments, **options)
        except OutputError as error:
            self._failures.append(str(error))
        except ReaderGone:
            self._reader_gone = True

    def result(
        self,
        outcome: Any,
        *shown: RenderableType,
        json: str | None,
        html: str | None = None,
        page: Callable[[Any], str] | None = None,
    ) -> None:
        """Write a result as JSON and as a page where they were asked for, and print it unless its JSON is printed.

        Args:
            outcome: the result, as JSON values.
            shown: what is printed of it, one after the other: tables, and lines as they are.
            json: the file of the JSON, ``-`` for standard output; ``None``: none.
            html: the file of the page; ``None``: none.
            page: makes the page of the outcome.
        """
        if json is not None:
            self(write_json, json, outcome)
        if html is not None and page is not None:
            self(write_text, html, page(outcome))
        if json != STANDARD_OUTPUT:
            for one in shown:
                self(results().print, one, markup=not isinstance(one, str))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            return
        if self._failures:
            raise OutputError("; ".join([*dict.fromkeys(self._failures), self._recovery]))
        if self._reader_gone:
            raise ReaderGone
