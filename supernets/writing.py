"""Write output files atomically: completely or not at all, wherever the user's output leads.

A regular file is written under another name in the same folder and then moved, so that a crash leaves the old file or
none. Links are followed: the file behind a link is replaced, the link stays. Content is written directly to anything
that is not a regular file (a device, a pipe, ``/dev/stdout``, a shell's process substitution), and to a file that
cannot be replaced: one in a folder that this user may not write, or one that is a mount point.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hwnas.supernets.errors import OutputError, UsageError
from hwnas.supernets.places import NO_ROOM, WRITING, OutputPlace, beside, check_takes_files

Content = bytes | bytearray | memoryview


def write_file(path: str | Path, content: Content) -> None:
    """Write a file; see ``write_files``."""
    write_files({path: content})


def write_files(contents: Mapping[str | Path, Content]) -> None:
    """Write several files; all are on the disk under other names before the first is moved to its place.

    An existing file keeps its mode, and its owner if this user may change owners; a new one gets the mode that the
    umask gives.

    Args:
        contents: by path.

    Raises:
        OutputError: one cannot be written; names it and the reason. No incomplete file is left.
    """
    begun: list[_Replacement | _Through] = []
    try:
        for path, content in contents.items():
            with _named(path):
                begun.append(_begin(path, content))
        for one in begun:
            with _named(one.place.path):
                one.finish()
    finally:
        for one in begun:
            one.discard()


def write_folder(folder: str | Path, contents: Mapping[str, Content]) -> None:
    """Write files into a folder; a missing folder is created, unless the files cannot be written.

    Args:
        folder: the folder.
        contents: by the files' names.

    Raises:
        OutputError: the folder cannot be created, or a file cannot be written.
    """
    made: list[Path] = []
    try:
        with _named(folder):
            _make_folder(Path(os.path.realpath(folder)), made)
        write_files({Path(folder) / name: content for name, content in contents.items()})
    except BaseException:
        for one in reversed(made):
            with contextlib.suppress(OSError):
                one.rmdir()
        raise


def make_folder(folder: str | Path) -> None:
    """Create a folder for outputs, with its parents; raises ``UsageError`` if that is not possible."""
    with _named(folder, UsageError):
        _make_folder(Path(os.path.realpath(folder)), [])
        check_folder(folder)


def check_file(path: str | Path) -> None:
    """Raise ``UsageError`` if ``write_file`` would fail now; no existing file is changed."""
    with _named(path, UsageError):
        place = OutputPlace.of(path)
        if place.is_regular:
            place.check_open()
            place.check_beside()
        elif place.descriptor is not None:
            place.check_descriptor()
        elif not os.access(place.path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_folder(folder: str | Path) -> None:
    """Raise ``UsageError`` if ``write_folder`` would fail now."""
    with _named(folder, UsageError):
        check_takes_files(_existing(Path(os.path.realpath(folder))))


def is_stream(path: str | Path) -> bool:
    """Return whether ``path`` is a pipe or a device, so that what is written there cannot be read again."""
    with _named(path):
        return not OutputPlace.of(path).is_regular


@dataclass(frozen=True)
class _Replacement:
    """A complete file under another name, ready to be moved to its place."""

    place: OutputPlace
    temporary: Path
    content: Content

    def finish(self) -> None:
        try:
            self.temporary.replace(self.place.target)
        except OSError as error:
            if self.place.there is None or error.errno in NO_ROOM:
                raise
            # It is a mount point, or another user's in a folder such as /tmp.
            _Through(self.place, self.content).finish()

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Through:
    """Content for a place that has to be written directly."""

    place: OutputPlace
    content: Content

    def finish(self) -> None:
        handle = self._open()
        try:
            if self.place.is_regular:
                _overwrite(handle, self.content)
            else:
                # A reader that closes the pipe is no failure: the other outputs are still written.
                with contextlib.suppress(BrokenPipeError):
                    _pour(handle, self.content)
        finally:
            os.close(handle)

    def discard(self) -> None:
        """Do nothing: there is no other file to remove."""

    def _open(self) -> int:
        if self.place.descriptor is None:
            return os.open(self.place.path, WRITING | getattr(os, "O_NOCTTY", 0))
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()  # what was said before comes before
        # Not opened by its name: a file that was opened for appending would be cut off.
        return os.dup(self.place.descriptor)


def _begin(path: str | Path, content: Content) -> _Replacement | _Through:
    place = OutputPlace.of(path)
    if not place.is_regular:
        return _Through(place, content)
    place.check_open()
    try:
        handle, temporary = beside(place.target)
    except OSError as error:
        if place.there is None or error.errno in NO_ROOM:
            raise
        return _Through(place, content)
    try:
        try:
            if place.there is not None:
                _dress(handle, place.there)
            _pour(handle, content)
            # On the disk before it takes the old one's place: otherwise a power cut can leave neither.
            os.fsync(handle)
        finally:
            os.close(handle)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return _Replacement(place, temporary, content)


def _dress(handle: int, like: os.stat_result) -> None:
    """Give a new file the owner and mode of the file that it replaces, as far as the system has them and lets us."""
    if not hasattr(os, "fchown"):  # Windows
        return
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        with contextlib.suppress(OSError):
            os.fchown(handle, like.st_uid, like.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(handle, stat.S_IMODE(like.st_mode))


def _overwrite(handle: int, content: Content) -> None:
    """Replace a file's content in place; if the disk has no room for it, the old content stays."""
    size = os.fstat(handle).st_size
    try:
        if len(content) > size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, size, len(content) - size)
    except OSError as error:
        if error.errno in NO_ROOM:
            os.ftruncate(handle, size)
            raise
        # The file system cannot set room aside; it may still have some.
    _pour(handle, content)
    os.ftruncate(handle, len(content))
    os.fsync(handle)


def _pour(handle: int, content: Content) -> None:
    left = memoryview(content).cast("B")
    while left:
        left = left[os.write(handle, left) :]


def _make_folder(folder: Path, made: list[Path]) -> None:
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make_folder(folder.parent, made)
    folder.mkdir(exist_ok=True)
    made.append(folder)


def _existing(folder: Path) -> Path:
    """Return a folder, or its closest existing parent."""
    try:
        folder.stat()
    except FileNotFoundError:
        return _existing(folder.parent)
    return folder


@contextmanager
def _named(path: str | Path, kind: type[OutputError | UsageError] = OutputError) -> Iterator[None]:
    """Turn errors of the system into ones that name the output."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null in the name
        reason = getattr(error, "strerror", None) or "no file can be called so"
        raise kind(f"cannot write {str(path)!r}: {reason}") from error
