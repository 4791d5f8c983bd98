"""Files as users name them, and files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def is_file(path: str | Path) -> bool:
    """Tell whether there is such a file, as far as this user may know."""
    try:
        return Path(path).is_file()
    except OSError:  # a name that is too long for a file, a folder that may not be entered
        return False


def is_folder(path: str | Path) -> bool:
    """Tell whether there is such a folder, likewise."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~NAME`` replaced by that user's folder; as it is where there is no such user."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # ValueError: a null in the name
        return Path(path)


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Lend a file to write to, which is ``path`` once all is written.

    Until then it lies beside it under another name: whatever happens in the middle, ``path`` is what it was, or not
    there if it was not.
    """
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            # On the disk before it takes the old one's place: otherwise a power cut can leave neither.
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner reads.
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    # The only portable way to read it is to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
