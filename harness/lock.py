"""A lock per device of this host: two programs that measure on it queue, and do not disturb each other.

It is an advisory lock on a file that the operating system drops when its holder ends, however that happens.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

# The same for every user and environment of the host, whatever TMPDIR says.
DIRECTORY = Path("/tmp")  # noqa: S108 - the name is no secret, and the file holds nothing that is trusted

_held: dict[Path, tuple[int, int]] = {}  # path -> (descriptor, times entered): a process does not wait for itself


class DeviceLock:
    """Held while its ``with`` block runs; entering it again within the process costs nothing.

    Args:
        device: "cpu", "cuda:0", ...
        say: told whom it waits for, when it waits.
    """

    def __init__(self, device: str, say: Callable[[str], None] = lambda _: None) -> None:
        self._device = device
        self._path = DIRECTORY / f"hwnas-{device.replace(':', '-').lower()}.lock"
        self._say = say

    def __enter__(self) -> Self:
        descriptor, times = _held.get(self._path, (-1, 0))
        if not times:
            descriptor = self._acquire()
        _held[self._path] = (descriptor, times + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, times = _held[self._path]
        if times > 1:
            _held[self._path] = (descriptor, times - 1)
        else:
            del _held[self._path]
            os.close(descriptor)

    def _acquire(self) -> int:
        descriptor = _open(self._path)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another program"
                self._say(f"waiting for {self._device}: {holder} is measuring on it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} ({Path(sys.argv[0]).name})".encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _open(path: Path) -> int:
    """Open the file for reading and writing by every user, or for what is possible."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        # In a sticky directory Linux may refuse O_CREAT on somebody else's file, so it is used only to create.
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        os.fchmod(descriptor, 0o666)  # the umask does not apply here: the other users lock the same file
    return descriptor
