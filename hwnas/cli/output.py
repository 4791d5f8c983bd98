"""Results go to standard output, progress and complaints to standard error, files are written whole or not at all."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from supernets.errors import UsageError
from supernets.files import is_folder

STANDARD_OUTPUT = "-"
_PIPED_WIDTH = 160


def results() -> Console:
    """Return the console for results; piped into a file or a program, tables keep their full width."""
    return Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH, highlight=False)


def notes() -> Console:
    """Return the console for progress, remarks and complaints."""
    return Console(stderr=True, highlight=False)


def complain(message: str) -> None:
    """Print one error message."""
    notes().print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


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
