"""Find what an output's name leads to: a regular file, nothing yet, or a device or pipe that cannot be replaced."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from hwnas.supernets.unix import fcntl

# Errors that writing over the existing file would meet as well, after its content is gone.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE}
# How a SQLite file begins (https://www.sqlite.org/fileformat.html, 1.3).
_DATABASE = b"SQLite format 3\0"
_LINKS_AT_MOST = 40  # as many as the system follows
# No child inherits what is written, and no line ending is translated. Windows has no O_CLOEXEC, others no O_BINARY.
WRITING = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class OutputPlace:
    """The place that an output's name leads to.

    Attributes:
        path: the name.
        target: the file behind all links.
        there: the status of the existing file, or ``None``.
        descriptor: the open file of this process that it stands for (``/dev/stdout``, ``/dev/fd/63``), or ``None``.
    """

    path: Path
    target: Path
    there: os.stat_result | None
    descriptor: int | None

    @classmethod
    def of(cls, path: str | Path) -> OutputPlace:
        """Return the place of a name; raises ``OSError`` if no file can be there."""
        if str(path).endswith(os.sep):
            raise IsADirectoryError(errno.EISDIR, "it names a directory")
        path = Path(path)
        try:
            there = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            there = None
        if there is not None and stat.S_ISDIR(there.st_mode):
            raise IsADirectoryError(errno.EISDIR, "it is a directory")
        if there is not None and stat.S_ISSOCK(there.st_mode) and _descriptor(path) is None:
            raise OSError(errno.ENXIO, "it is a socket")
        return cls(path, Path(os.path.realpath(path)), there, _descriptor(path))

    @property
    def is_regular(self) -> bool:
        """Whether a file can be created or replaced there."""
        return self.descriptor is None and (self.there is None or stat.S_ISREG(self.there.st_mode))

    def check_open(self) -> None:
        """Raise ``OSError`` if the existing file must not be replaced.

        Either this user may not write it, or it is a database: ``--json hwnas.db`` is a slip that would destroy hours
        of work.
        """
        if self.there is None:
            return
        os.close(os.open(self.target, WRITING))
        with contextlib.suppress(PermissionError), open(self.target, "rb") as file:  # noqa: PTH123 - as above
            if file.read(len(_DATABASE)) == _DATABASE:
                raise FileExistsError(errno.EEXIST, "it is a database (a store of measurements and studies)")

    def check_beside(self) -> None:
        """Raise ``OSError`` if no file can be created beside it, and there is no file that could be written over."""
        try:
            check_takes_files(self.target.parent)
        except OSError as error:
            if self.there is None or error.errno in NO_ROOM:
                raise

    def check_descriptor(self) -> None:
        """Raise ``OSError`` if the descriptor is closed or read-only."""
        assert self.descriptor is not None  # noqa: S101 - asked for descriptors alone
        os.fstat(self.descriptor)
        if fcntl is None:
            return
        if fcntl.fcntl(self.descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "it is open for reading only")


def beside(target: Path) -> tuple[int, Path]:
    """Open a new file beside ``target``, with a short name, since the target's may be as long as possible."""
    while True:
        temporary = target.parent / f".hwnas-{secrets.token_hex(4)}"
        with contextlib.suppress(FileExistsError):
            return os.open(temporary, WRITING | os.O_CREAT | os.O_EXCL, 0o666), temporary


def check_takes_files(folder: Path) -> None:
    """Raise ``OSError`` if no file can be created in a folder; it is tried, since rights are not sufficient."""
    if not folder.is_dir():
        there = "it is no directory" if folder.exists() else f"there is no directory {str(folder)!r}"
        raise NotADirectoryError(errno.ENOTDIR, there)
    handle, temporary = beside(folder / "file")
    os.close(handle)
    temporary.unlink()


def _descriptor(path: str | Path) -> int | None:
    """Return the open file of this process that a name or a link to it stands for; ``None`` for other files."""
    name = Path(os.path.abspath(path))  # noqa: PTH100 - resolves no links
    for _ in range(_LINKS_AT_MOST):
        if os.path.realpath(name.parent) == f"/proc/{os.getpid()}/fd":
            return int(name.name) if name.name.isascii() and name.name.isdigit() else None
        if not name.is_symlink():
            return None
        name = name.parent / name.readlink()
    return None
