"""Lock a device of this host while it is measured on, so that two programs do not disturb each other's timings.

It is an advisory lock on a file. The operating system releases it when its holder ends, however that happens.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from hwnas.supernets.assets import cache_folder
from hwnas.supernets.quoting import shortened
from hwnas.supernets.unix import fcntl

# The same for every user and environment of the host, whatever TMPDIR says. Containers that share a device may have no
# such folder in common: they name one that is mounted in all of them.
VARIABLE = "HWNAS_LOCKS"
DIRECTORY = Path(os.environ.get(VARIABLE) or os.environ.get("PROGRAMDATA") or "/tmp")  # noqa: S108 - the name is no secret, and nothing in it is trusted

# Names to try, one after the other: one of them may be taken by somebody's folder.
_NAMES = 4

_held: dict[str, tuple[int, int]] = {}  # device -> (descriptor, times entered): a process does not wait for itself


class DeviceLock:
    """Held while its ``with`` block runs; entering it again within the process costs nothing.

    Args:
        device: "cpu", "cuda:0", ...
        say: called with a message when it has to wait, naming the holder, and when it cannot lock out other users.
    """

    def __init__(self, device: str, say: Callable[[str], None] = lambda _: None) -> None:
        self._device = device
        self._say = say

    def __enter__(self) -> Self:
        descriptor, times = _held.get(self._device, (-1, 0))
        if not times:
            descriptor = self._acquire()
        _held[self._device] = (descriptor, times + 1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        descriptor, times = _held[self._device]
        if times > 1:
            _held[self._device] = (descriptor, times - 1)
        else:
            del _held[self._device]
            os.close(descriptor)

    def _acquire(self) -> int:
        descriptor = self._open()
        try:
            if not _lock(descriptor):
                self._say(f"waiting for {self._device}: {_holder(descriptor)} is measuring on it")
                _lock(descriptor, wait=True)
            _sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _open(self) -> int:
        """Open the file that all users lock, or a file of this user's own if no such file can be used."""
        name = f"hwnas-{re.sub('[^a-z0-9.]', '-', self._device.lower())}"
        endings = ("", *(f"-{number}" for number in range(2, _NAMES + 1)))
        for file in (DIRECTORY / f"{name}{ending}.lock" for ending in endings):
            descriptor = _shared(file)
            if descriptor is not None:
                return descriptor
        own = cache_folder("locks")
        self._say(f"{DIRECTORY}/{name}.lock cannot be locked: other users may measure on {self._device} meanwhile")
        try:
            own.mkdir(parents=True, exist_ok=True)
            return os.open(own / f"{name}.lock", _FLAGS | os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            # Neither there nor in the user's own cache: a measurement that nothing protects is better than none.
            descriptor, other = os.pipe()
            os.close(other)
            return descriptor


# A pipe of that name would keep us waiting for whoever reads it, and a link could lead anywhere.
_FLAGS = sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
# Windows lets nobody read what is locked: there a byte is, far behind the holder's name.
_FAR = 1 << 30
_LOOK_S = 0.5


def _lock(descriptor: int, *, wait: bool = False) -> bool:
    """Lock a file; return whether that could be done without waiting, or ``True`` after having waited."""
    if fcntl is None:
        return _lock_on_windows(descriptor, wait=wait)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _lock_on_windows(descriptor: int, *, wait: bool) -> bool:
    import msvcrt

    try:
        os.lseek(descriptor, _FAR, os.SEEK_SET)
    except OSError:  # what stands in for a file that could not be made
        return True
    while True:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # on Windows alone
        except OSError:
            if not wait:
                return False
            time.sleep(_LOOK_S)
        else:
            return True


def _shared(path: Path) -> int | None:
    """Open a file that every user can lock; ``None`` if the file of this name cannot be.

    That is decided by the file's type and mode, never by who asks, so that all users, root among them, lock the same.
    """
    try:
        _make(path)
        descriptor = _opened(path)
    except OSError:
        return None
    status = os.fstat(descriptor)
    # To be locked it need only be readable. In a sticky directory nobody but its owner can take it away.
    if stat.S_ISREG(status.st_mode) and status.st_mode & _READABLE == _READABLE:
        return descriptor
    os.close(descriptor)
    return None


_READABLE = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


def _opened(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_RDWR)
    except PermissionError:
        return os.open(path, _FLAGS | os.O_RDONLY)


def _make(path: Path) -> None:
    """Create the file, readable and writable by all from its first moment on, unless the name exists."""
    if os.path.lexists(path):
        return
    # Created under another name first: until its mode is set, against the umask, others could not lock it.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        os.chmod(handle if os.chmod in os.supports_fd else temporary, 0o666)  # noqa: PTH101, S103 - by its descriptor; for all users
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.close(handle)
        Path(temporary).unlink()


def _holder(descriptor: int) -> str:
    os.lseek(descriptor, 0, os.SEEK_SET)
    said = os.read(descriptor, 1000).decode(errors="replace").strip()
    return shortened(said) or "another program"


def _sign(descriptor: int) -> None:
    """Write the holder's name into the file for those who wait, if this user may write there."""
    # A file with a second name may be somebody's, hard-linked here to have it overwritten.
    if os.fstat(descriptor).st_nlink == 1:
        with contextlib.suppress(OSError):  # this user may not write there, or the disk is full
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"process {os.getpid()} ({Path(sys.argv[0]).name})".encode(errors="replace"))
