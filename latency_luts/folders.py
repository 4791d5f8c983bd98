"""Read a folder of lookup tables, one file per input resolution: ``160.yaml``, ``lut_192px.json``, ``...``."""

from __future__ import annotations

import re
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


def folder_digest(folder: str | Path) -> str:
    """Return one digest of the tables' contents and their resolutions; raises ``TableError`` and ``OSError``."""
    return _combined({resolution: content_digest(file) for resolution, file in files_in(folder).items()})


def open_folder(folder: str | Path, digest: str | None = None) -> ResolutionTables:
    """Return a folder's tables; the file of a resolution is read when it is first needed.

    Args:
        folder: with a file for each resolution.
        digest: what ``folder_digest`` has to return; ``None``: not checked.

    Raises:
        TableError: as ``files_in``.
        ChangedError: the content is another, here or when a file is read.
    """
    files = files_in(folder)
    digests = {resolution: content_digest(file) for resolution, file in files.items()}
    if digest is not None and (now := _combined(digests)) != digest:
        raise changed(folder, digest, now)

    def table(resolution: int) -> LatencyTable:
        with holding(files[resolution], digests[resolution]):
            return formats.read(files[resolution])

    return ResolutionTables(str(folder), tuple(files), table)


def _combined(digests: dict[int, str]) -> str:
    return combined([f"{resolution}: {digest}" for resolution, digest in sorted(digests.items())])
