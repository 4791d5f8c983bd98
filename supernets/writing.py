"""The one way in which files are written: whole or not at all, whatever the user named as the output.

A regular file is written beside its place and moved there: a run that ends in between leaves the old file or none.
Links are followed: the file behind a link is replaced, the link stays. What is no regular file (a device, a pipe,
``/dev/stdout``, a shell's process substitution) is written through. So is a file that cannot be replaced: one in a
folder that this user may not write, or one that is mounted by itself.
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
from hwnas.supernets.places import NO_ROOM, OutputPlace, beside, check_takes_files

Content = bytes | bytearray | memoryview


def write_file(path: str | Path, content: Content) -> None:
    """Write a file; see ``write_files``."""
    write_files({path: content})


def write_files(contents: Mapping[str | Path, Content]) -> None:
    """Write files; all are on the disk under other names before the first takes its place.

    A file that is there keeps its mode, and its owner where this user may give files away; a new one gets the mode
    that the umask leaves.

    Args:
        contents: by path.

    Raises:
        OutputError: one cannot be written; names it and the reason. No part of a file is left.
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
    """Write files into a folder, which is made where there is none; where they cannot be written, it is not made.

    Args:
        folder: where to.
        contents: by the files' names.

    Raises:
        OutputError: the folder cannot be made, or a file cannot be written.
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
    """Make a folder that outputs go to, with those above it; raises ``UsageError`` where it cannot be."""
    with _named(folder, UsageError):
        _make_folder(Path(os.path.realpath(folder)), [])
        check_folder(folder)


def check_file(path: str | Path) -> None:
    """Raise ``UsageError`` where ``write_file`` would fail by now; nothing that is there is changed."""
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
    """Raise ``UsageError`` where ``write_folder`` could not write into ``folder`` by now."""
    with _named(folder, UsageError):
        check_takes_files(_existing(Path(os.path.realpath(folder))))


def is_stream(path: str | Path) -> bool:
    """Return whether what is written to ``path`` goes by (a pipe, a device): nothing is there to be read again."""
    with _named(path):
        return not OutputPlace.of(path).is_regular


@dataclass(frozen=True)
class _Replacement:
    """A whole file beside the place that it is to take."""

    place: OutputPlace
    temporary: Path
    content: Content

    def finish(self) -> None:
        try:
            self.temporary.replace(self.place.target)
        except OSError as error:
            if self.place.there is None or error.errno in NO_ROOM:
                raise
            # It is mounted by itself, or another user's in a folder such as /tmp.
            _Through(self.place, self.content).finish()

    def discard(self) -> None:
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Through:
    """Content for what has to be written where it is."""

    place: OutputPlace
    content: Content

    def finish(self) -> None:
        handle = self._open()
        try:
            if self.place.is_regular:
                _overwrite(handle, self.content)
            else:
                # A reader that has seen enough is no failure: what else was asked for is still to be written.
                with contextlib.suppress(BrokenPipeError):
                    _pour(handle, self.content)
        finally:
            os.close(handle)

    def discard(self) -> None:
        """Nothing lies beside it."""

    def _open(self) -> int:
        if self.place.descriptor is None:
            return os.open(self.place.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
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
    """Give a new file the owner and the mode of the one that it replaces, as far as this user may."""
    own = os.fstat(handle)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        with contextlib.suppress(OSError):
            os.fchown(handle, like.st_uid, like.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(handle, stat.S_IMODE(like.st_mode))


def _overwrite(handle: int, content: Content) -> None:
    """Replace a file's content in its place; on a disk without room for it the old content stays."""
    size = os.fstat(handle).st_size
    try:
        if len(content) > size:
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
    """Return a folder, or the closest one above it that is there."""
    try:
        folder.stat()
    except FileNotFoundError:
        return _existing(folder.parent)
    return folder


@contextmanager
def _named(path: str | Path, kind: type[OutputError | UsageError] = OutputError) -> Iterator[None]:
    """Say which output it was that the system refused to write."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null in the name
        reason = getattr(error, "strerror", None) or "no file can be called so"
        raise kind(f"cannot write {str(path)!r}: {reason}") from error
