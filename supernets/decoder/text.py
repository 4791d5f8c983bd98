"""Read text that language models are trained, calibrated and tested on: files, or all text files of folders."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hwnas.supernets.decoder.tokens import Tokeniser
from hwnas.supernets.errors import DataError
from hwnas.supernets.space import IntArray

FORM = "text files, joined by commas, or folders of them"
# Of the files of a folder, those with these endings are text.
SUFFIXES = (".txt", ".md", ".rst", ".text")
_BETWEEN = b"\n"


@dataclass(frozen=True)
class Text:
    """The text of some files, one after the other; immutable.

    Attributes:
        name: as it was given.
        files: the names and contents.
    """

    name: str
    files: tuple[tuple[str, bytes], ...]

    @classmethod
    def read(cls, paths: str) -> Text:
        """Read files and folders, joined by commas.

        Raises:
            DataError: there is no such file, a folder has no text files, or all files are empty; names it.
        """
        parts = [paths] if Path(paths).exists() else paths.split(",")
        files = tuple((str(file), _content(file)) for part in parts for file in _files(Path(part)))
        if not any(content for _, content in files):
            raise DataError(f"{paths}: is empty; expected text")
        return cls(paths, files)

    @cached_property
    def digest(self) -> str:
        """A digest of the contents, in hexadecimal."""
        content = hashlib.sha256()
        for _, text in self.files:
            content.update(hashlib.sha256(text).digest())
        return content.hexdigest()[:16]

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(len(text) for _, text in self.files)

    def tokens(self, tokeniser: Tokeniser) -> IntArray:
        """Return the tokens of all files, with a line feed between two, ``(n,)``."""
        last = len(self.files) - 1
        parts = (text + _BETWEEN if n < last else text for n, (_, text) in enumerate(self.files))
        return np.concatenate([tokeniser.encode(text, file) for text, (file, _) in zip(parts, self.files, strict=True)])


def _files(path: Path) -> Iterator[Path]:
    try:
        if not path.is_dir():
            yield path
            return
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise DataError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not found:
        raise DataError(f"{path}: has no file that ends in {', '.join(SUFFIXES)}")
    yield from found


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such file; expected {FORM}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
