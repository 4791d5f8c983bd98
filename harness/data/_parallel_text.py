"""Read parallel text for translation: two files, where line n of one is the translation of line n of the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hwnas.supernets.errors import DataError, UsageError

FORM = "SRC,TGT: two text files in UTF-8, a sentence a line, line n of TGT the translation of line n of SRC"


@dataclass(frozen=True)
class ParallelText:
    """Sentences and their translations; immutable.

    Attributes:
        files: the files they were read from.
        source: the sentences.
        target: the translation of each.
    """

    files: tuple[str, str]
    source: tuple[str, ...]
    target: tuple[str, ...]

    @classmethod
    def read(cls, argument: str, name: str) -> ParallelText:
        """Read the files of ``SRC,TGT``.

        Args:
            argument: the two paths.
            name: of the kind of data or quality source, for messages.

        Raises:
            UsageError: not two paths.
            DataError: a file is missing or not UTF-8, or a line is empty or without a counterpart; names it.
        """
        source, comma, target = argument.partition(",")
        if not (source and comma and target) or "," in target:
            raise UsageError(f"{name}: expected {name}:{FORM}; got {argument!r}")
        left, right = (tuple(_sentences(Path(file))) for file in (source, target))
        if len(left) != len(right):
            longer, shorter = (source, target) if len(left) > len(right) else (target, source)
            line = min(len(left), len(right)) + 1
            raise DataError(
                f"{longer}:{line}: has no counterpart, {shorter} ends at line {line - 1}; expected one each"
            )
        if not left:
            raise DataError(f"{source}: is empty")
        return cls((source, target), left, right)

    @property
    def digest(self) -> str:
        """A digest of both files' contents."""
        content = hashlib.sha256()
        for text in (self.source, self.target):
            content.update("\n".join(text).encode())
        return content.hexdigest()[:16]

    def at(self, rows: Sequence[int]) -> ParallelText:
        """Return the pairs on some lines, counted from 0."""
        sides = (tuple(side[row] for row in rows) for side in (self.source, self.target))
        return ParallelText(self.files, *sides)


def _sentences(file: Path) -> Iterator[str]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{file}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise DataError(f"{file}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    # Split at line feeds alone: Unicode has other line ends, which most tools do not count as such.
    lines = content.removesuffix(b"\n").split(b"\n") if content else []
    for number, line in enumerate(lines, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise DataError(f"{file}:{number}: is not UTF-8 ({error.reason} at byte {error.start})") from None
        if not text:
            raise DataError(f"{file}:{number}: is empty; expected a sentence in every line")
        yield text
