"""Read a folder of lookup tables, one file per input resolution: ``160.yaml``, ``lut_192px.json``, ``...``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hwnas.latency_luts import formats
from hwnas.latency_luts.resolutions import ResolutionTables
from hwnas.latency_luts.table import LatencyTable
from hwnas.supernets.contents import changed, combined, content_digest, holding
from hwnas.supernets.errors import TableError
from hwnas.supernets.files import expanded, is_folder

_SUFFIXES = (".yaml", ".yml", ".json")
# Whole numbers of two to four digits; what belongs to a version ("v2.224") or to a longer number does not count.
_RESOLUTION = re.compile(r"(?<![\d.])\d{2,4}(?![\d.])")


def files_in(folder: str | Path) -> dict[int, Path]:
    """Return the tables of a folder by their input resolution in pixels, which is the number in a file's name.

    Raises:
        TableError: there is no such folder, none of its files is named by a resolution, or two are by the same.
    """
    path = expanded(folder)
    if not is_folder(path):
        raise TableError(f"{folder}: no such folder of lookup tables")
    try:
        listed = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file())
    except OSError as error:
        raise TableError(f"{folder}: cannot be read ({error.strerror})") from error
    found: dict[int, Path] = {}
    for file in listed:
        numbers = _RESOLUTION.findall(file.stem)
        if len(numbers) != 1:
            continue  # a README.yaml, say
        resolution = int(numbers[0])
        if resolution in found:
            raise TableError(f"{folder}: two tables at r={resolution}, {found[resolution].name} and {file.name}")
        found[resolution] = file
    if not found:
        raise TableError(
            f"{folder}: no file there is a lookup table named by its resolution; expected names like 224.yaml or "
            f"table_224.json"
        )
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Folder:
    """A folder's tables as they were when their contents were digested.

    Attributes:
        name: the folder.
        files: each table's input resolution, its file, and the digest of its content.
    """

    name: str
    files: tuple[tuple[int, Path, str], ...]

    @classmethod
    def at(cls, folder: str | Path) -> Folder:
        """Digest the tables of a folder, each once; raises as ``files_in``, and ``OSError``."""
        found = files_in(folder).items()
        return cls(str(folder), tuple((resolution, file, content_digest(file)) for resolution, file in found))

    @property
    def digest(self) -> str:
        """One digest of the tables' contents and their resolutions."""
        return combined([f"{resolution}: {digest}" for resolution, _, digest in self.files])

    def open(self) -> ResolutionTables:
        """Return the tables; the file of a resolution is read when it is first needed.

        Raises:
            ChangedError: the content is another by then.
        """
        held = {resolution: (file, digest) for resolution, file, digest in self.files}

        def table(resolution: int) -> LatencyTable:
            file, digest = held[resolution]
            with holding(file, digest):
                return formats.read(file)

        return ResolutionTables(self.name, tuple(held), table)


def folder_digest(folder: str | Path) -> str:
    """Return one digest of the tables' contents and their resolutions; raises ``TableError`` and ``OSError``."""
    return Folder.at(folder).digest


def open_folder(folder: str | Path, digest: str) -> ResolutionTables:
    """Return a folder's tables, as ``Folder.open`` does.

    Args:
        folder: with a file for each resolution.
        digest: what ``folder_digest`` has to return.

    Raises:
        TableError: as ``files_in``.
        ChangedError: the content is another, here or when a file is read.
    """
    found = Folder.at(folder)
    if found.digest != digest:
        raise changed(folder, digest, found.digest)
    return found.open()
