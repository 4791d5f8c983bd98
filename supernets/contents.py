"""Identify files by digests of their content, not by their names, and detect files that change while they are used.

The digest of an unchanged file (same inode, size and times) is not computed again. File times are coarse, so a file
that was changed a moment ago is always read.
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
from typing import TYPE_CHECKING, Any, NamedTuple

from hwnas.supernets.errors import ChangedError

if TYPE_CHECKING:
    import torch

# How many characters of a digest messages and names of sources have.
SHOWN = 16
# FAT has the coarsest times of file systems in use: two seconds.
_COARSE_NS = 2_000_000_000
_THREADS = 8


@dataclass(frozen=True)
class Content:
    """The content of a file or folder that a user has named.

    Attributes:
        name: the path, as it was given.
        digest: of the content, in hexadecimal.
    """

    name: str
    digest: str

    def to_record(self) -> dict[str, str]:
        """Return the fields as JSON values."""
        return {"name": self.name, "digest": self.digest}


# Contents by their role, as messages name it ("weights", "lut file").
Contents = Mapping[str, Content]


class Stamp(NamedTuple):
    """A file's identity, size and times, which change when the file changes."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, file: str | Path) -> Stamp:
        """Return the stamp of a file; raises ``OSError`` if there is none."""
        state = os.stat(file)  # noqa: PTH116 - called for each of a million files
        return cls(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)

    def conclusive(self, now_ns: int) -> bool:
        """Return whether every later change of the file will change its stamp.

        It uses the time of the last status change, which programs cannot set back, unlike that of the last write.
        """
        return now_ns - self.changed_ns > _COARSE_NS


def content_digest(file: str | Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal; it is read again only if it may have changed.

    A pipe can be read only once, so its own identity is used.
    """
    if not stat.S_ISREG(mode := os.stat(file).st_mode) and not stat.S_ISDIR(mode):  # noqa: PTH116 - as in Stamp
        return combined([str(number) for number in Stamp.of(file)[:2]])
    stamp = Stamp.of(file)
    if not stamp.conclusive(time.time_ns()):
        return _read(file)
    return _cached_digest(str(Path(file).absolute()), stamp)


@functools.lru_cache(maxsize=64)
def _cached_digest(file: str, _stamp: Stamp) -> str:
    return _read(file)


def _read(file: str | Path) -> str:
    with open(file, "rb") as content:  # noqa: PTH123 - called for each of a million files
        return hashlib.file_digest(content, "sha256").hexdigest()


def content_digests(files: Sequence[Path]) -> list[str]:
    """Return the digests of many files, in their order.

    They are read in parallel, and the digests are cached for further runs.
    """
    from hwnas.supernets.digest_cache import DigestCache

    stamps = [Stamp.of(file) for file in files]
    with DigestCache.opened() as cache:
        known = cache.get(stamps)
        unknown = [row for row, stamp in enumerate(stamps) if stamp not in known]
        now_ns = time.time_ns()
        with ThreadPoolExecutor(_THREADS) as pool:
            found = dict(zip(unknown, pool.map(_read, (files[row] for row in unknown)), strict=True))
        cache.put({stamps[row]: digest for row, digest in found.items() if stamps[row].conclusive(now_ns)})
    return [found[row] if row in found else known[stamp] for row, stamp in enumerate(stamps)]


def bytes_of(tensor: torch.Tensor) -> memoryview:
    """Return the values of a tensor as they lie in memory, to be digested."""
    import torch

    plain = tensor.detach().contiguous().cpu().reshape(-1)
    # What has no entries may have strides of 0, which cannot be viewed as bytes.
    return plain.view(torch.uint8).numpy().data if len(plain) else memoryview(b"")


def combined(parts: Sequence[str]) -> str:
    """Return one digest of several texts, in their order."""
    whole = hashlib.sha256()
    for part in parts:
        # With lengths, so that different lists of texts never give the same bytes.
        whole.update(f"{len(part)}:{part}".encode())
    return whole.hexdigest()


@contextmanager
def holding(file: str | Path, digest: str) -> Iterator[None]:
    """Verify a file's digest before and after it is read in this ``with`` block.

    Raises:
        ChangedError: the content was another before, or is another afterwards.
    """
    check_holds(file, digest)
    yield
    check_holds(file, digest)


def check_holds(file: str | Path, digest: str) -> None:
    """Raise ``ChangedError`` if a file's content has changed."""
    try:
        now = content_digest(file)
    except OSError as error:
        raise ChangedError(f"{file}: cannot be read any more ({error.strerror}); put it back as it was") from error
    if now != digest:
        raise changed(file, digest, now)


def changed(name: str | Path, then: str, now: str) -> ChangedError:
    """Return the error of a file whose content has changed."""
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
    """Read what ``to_records`` wrote; raises ``LookupError``, ``TypeError`` or ``AttributeError`` if malformed."""
    return {str(role): Content(str(one["name"]), str(one["digest"])) for role, one in records.items()}


def differences(then: Contents, now: Contents) -> list[str]:
    """Return texts that say which contents differ; contents that only one of the two has are ignored."""
    both = [(role, then[role], one) for role, one in now.items() if role in then]
    return [_difference(role, old, new) for role, old, new in both if old.digest != new.digest]


def _difference(role: str, then: Content, now: Content) -> str:
    old, new = then.digest[:SHOWN], now.digest[:SHOWN]
    if then.name == now.name:
        return f"{role} {now.name}: its content has changed, it was {old}, is {new}"
    return f"{role} was {then.name} of content {old}, is {now.name} of content {new}"
