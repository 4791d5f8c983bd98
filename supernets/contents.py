"""What files hold: they are known by a digest of their content, never by their names.

A digest is not taken again of a file that is as it was: the same one on the disk, of the same size, neither written nor
otherwise changed since. Times on a disk are coarse, so a file that was changed only just now is always read.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hwnas.supernets.errors import ChangedError

# As much of a digest as messages and the names of sources have.
SHOWN = 16
# FAT keeps times in steps of two seconds, and nothing in use is coarser.
_COARSE_NS = 2_000_000_000
_THREADS = 8


@dataclass(frozen=True)
class Content:
    """What something that a user names by its path holds.

    Attributes:
        name: the path, as it was given.
        digest: of the content, in hexadecimal.
    """

    name: str
    digest: str

    def to_record(self) -> dict[str, str]:
        """Return it as JSON values."""
        return {"name": self.name, "digest": self.digest}


# By what the content is for, in the words of messages ("weights", "lut file").
Contents = Mapping[str, Content]


class Stamp(NamedTuple):
    """What a file system says of a file, and what is different once the file is."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, file: str | Path) -> Stamp:
        """Look at a file; raises ``OSError`` where there is none."""
        state = os.stat(file)  # noqa: PTH116 - called for each of a million files
        return cls(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)

    def conclusive(self, now_ns: int) -> bool:
        """Return whether whoever changes the file from now on changes the stamp.

        The time of the last change is the system's own; unlike that of the last writing, nobody can set it back.
        """
        return now_ns - self.changed_ns > _COARSE_NS


def content_digest(file: str | Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal; read again only where the file may have changed.

    What is in a pipe can be read but once, by whoever needs it: a pipe is known by itself.
    """
    if not stat.S_ISREG(mode := os.stat(file).st_mode) and not stat.S_ISDIR(mode):  # noqa: PTH116 - as in Stamp
        return combined([str(number) for number in Stamp.of(file)[:2]])
    stamp = Stamp.of(file)
    if not stamp.conclusive(time.time_ns()):
        return _read(file)
    return _remembered(str(Path(file).absolute()), stamp)


@functools.lru_cache(maxsize=64)
def _remembered(file: str, _stamp: Stamp) -> str:
    return _read(file)


def _read(file: str | Path) -> str:
    with open(file, "rb") as content:  # noqa: PTH123 - called for each of a million files
        return hashlib.file_digest(content, "sha256").hexdigest()


def content_digests(files: Sequence[Path]) -> list[str]:
    """Return the digests of many files, in their order.

    They are read side by side, and remembered in the user's cache from one run to the next.
    """
    from hwnas.supernets.remembered import Remembered

    stamps = [Stamp.of(file) for file in files]
    with Remembered.opened() as kept:
        known = kept.get(stamps)
        unknown = [row for row, stamp in enumerate(stamps) if stamp not in known]
        now_ns = time.time_ns()
        with ThreadPoolExecutor(_THREADS) as pool:
            found = dict(zip(unknown, pool.map(_read, (files[row] for row in unknown)), strict=True))
        kept.put({stamps[row]: digest for row, digest in found.items() if stamps[row].conclusive(now_ns)})
    return [found[row] if row in found else known[stamp] for row, stamp in enumerate(stamps)]


def combined(parts: Sequence[str]) -> str:
    """Return one digest of several texts, in their order."""
    whole = hashlib.sha256()
    for part in parts:
        # Lengths, so that no two lists of texts read alike.
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()


@contextmanager
def holding(file: str | Path, digest: str) -> Iterator[None]:
    """Enclose the reading of a file that is known to hold something: so what is read is what the digest is of.

    Raises:
        ChangedError: it held something else before, or holds something else afterwards.
    """
    check_holds(file, digest)
    yield
    check_holds(file, digest)


def check_holds(file: str | Path, digest: str) -> None:
    """Raise ``ChangedError`` where a file holds something else than it did."""
    try:
        now = content_digest(file)
    except OSError as error:
        raise ChangedError(f"{file}: cannot be read any more ({error.strerror}); put it back as it was") from error
    if now != digest:
        raise changed(file, digest, now)


def changed(name: str | Path, then: str, now: str) -> ChangedError:
    """Return the error of a file that holds something else than it did."""
    return ChangedError(
        f"{name}: was changed while it was in use: its content was {then[:SHOWN]}, is {now[:SHOWN]}; values of the two "
        "are not mixed: put back what it held, or begin anew"
    )


# --- identities -------------------------------------------------------------------------------------------------------


def identified(spec: str, contents: Mapping[str, str]) -> str:
    """Return ``NAME:KEY=VALUE,...`` with digests in place of the files that some of the keys name.

    Args:
        spec: in its canonical spelling.
        contents: the digests, by key.
    """
    for key, digest in contents.items():
        spec = re.sub(rf"(?<=[:,]){re.escape(key)}=[^,]*", f"{key}={digest[:SHOWN]}", spec, count=1)
    return spec


def to_records(contents: Contents) -> dict[str, dict[str, str]]:
    """Return contents as JSON values."""
    return {role: one.to_record() for role, one in contents.items()}


def of_records(records: Any) -> dict[str, Content]:
    """Return what ``to_records`` made; raises ``LookupError``, ``TypeError`` or ``AttributeError`` else."""
    return {str(role): Content(str(one["name"]), str(one["digest"])) for role, one in records.items()}


def differences(then: Contents, now: Contents) -> list[str]:
    """Say what holds something else now; what is known of one of the two alone is passed over."""
    both = [(role, then[role], one) for role, one in now.items() if role in then]
    return [_difference(role, old, new) for role, old, new in both if old.digest != new.digest]


def _difference(role: str, then: Content, now: Content) -> str:
    old, new = then.digest[:SHOWN], now.digest[:SHOWN]
    if then.name == now.name:
        return f"{role} {now.name}: its content has changed, it was {old}, is {new}"
    return f"{role} was {then.name} of content {old}, is {now.name} of content {new}"
