"""Check and expand paths that users give, without raising on impossible names."""

from __future__ import annotations

from pathlib import Path


def is_file(path: str | Path) -> bool:
    """Return whether there is a file of this name that this user may see."""
    try:
        return Path(path).is_file()
    except OSError:  # a name that is too long for a file, a folder that may not be entered
        return False


def is_folder(path: str | Path) -> bool:
    """Return whether there is a folder of this name that this user may see."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def expanded(path: str | Path) -> Path:
    """Return a path with ``~`` and ``~NAME`` replaced by that user's folder; unchanged if there is no such user."""
    try:
        return Path(path).expanduser()
    except (RuntimeError, ValueError):  # ValueError: a null in the name
        return Path(path)
