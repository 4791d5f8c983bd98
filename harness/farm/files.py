"""Store files that clients send to a worker, each under the digest of its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hwnas.supernets.assets import cache_folder
from hwnas.supernets.contents import content_digest
from hwnas.supernets.errors import MeasurementError, OutputError
from hwnas.supernets.files import is_file
from hwnas.supernets.writing import write_file

# How many files are stored; the oldest is removed for a further one.
_MOST = 8


def here(name: str, digest: str) -> Path | None:
    """Return this machine's file with the given content: the file of this name, or one that a client has sent.

    Args:
        name: the file's name on the client.
        digest: SHA-256 of its content, in hexadecimal.
    """
    return next((file for file in (Path(name), _folder() / digest) if _holds(file, digest)), None)


def put(content: bytes, digest: str) -> None:
    """Store a file that a client has sent; ``here`` finds it from now on.

    Raises:
        MeasurementError: its content does not have the digest, or it cannot be written.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise MeasurementError(
            f"a file came with the content {found[:16]}, expected {digest[:16]}: it has been changed"
        )
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / digest, content)
        stored = sorted((one for one in folder.iterdir() if is_file(one)), key=lambda one: one.stat().st_mtime)
        for old in stored[:-_MOST]:
            old.unlink(missing_ok=True)
    except (OSError, OutputError) as error:
        raise MeasurementError(f"{folder}: a file of the search cannot be stored there ({error})") from error


def _holds(file: Path, digest: str) -> bool:
    try:
        return is_file(file) and content_digest(file) == digest
    except OSError:  # it may not be read
        return False


def _folder() -> Path:
    return cache_folder("farm")
