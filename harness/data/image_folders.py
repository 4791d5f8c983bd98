"""Labelled images in a folder with one sub-folder per class."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hwnas.harness.data import pixels
from hwnas.supernets.contents import Stamp, check_holds, combined, content_digests
from hwnas.supernets.errors import DataError
from hwnas.supernets.files import is_folder
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    import torch

TRAIN_FOLDER = "train"
_TEST_FOLDERS = ("val", "validation", "test")
# Endings of photographs that Pillow reads. Other files in a class folder (notes, thumbnail databases) are ignored; a
# file with such an ending that is not an image is an error.
_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class FolderImages:
    """A folder with one sub-folder per class, an ``ImageSet``; classes are numbered in the order of their names.

    Args:
        folder: the folder.
        channels: 1 or 3.
        classes: names of all classes, of which the folder may lack some; none: the classes that the folder has.

    Raises:
        DataError: there are no classes or no images, a class folder is empty, or it is not of a known class.
    """

    def __init__(self, folder: Path, channels: int, classes: Sequence[str] = ()) -> None:
        self.name = str(folder)
        self.channels = channels
        folders = {one.name: one for one in class_folders(folder)}
        if not folders:
            raise DataError(f"{folder}: expected one sub-folder per class, got none")
        if classes and not set(folders) <= set(classes):
            differing = sorted(set(folders) ^ set(classes))
            train = folder.parent / TRAIN_FOLDER
            raise DataError(f"{folder}: its classes are not those of {train}: {', '.join(differing[:3])}")
        self.classes = tuple(classes or folders)
        found = [_images_in(folders[name], bool(classes)) if name in folders else [] for name in self.classes]
        if not any(found):
            raise DataError(f"{folder}: has no images in its class folders ({', '.join(sorted(_ENDINGS))})")
        self.files = [file for files in found for file in files]
        self.labels: IntArray = np.repeat(np.arange(len(found), dtype=np.int64), [len(files) for files in found])
        self.side: int | None = None
        self._known: dict[int, _Known] = {}

    def digest_of(self, index: IntArray) -> str:
        """Return a digest of some of the images, in their order; changing these files later is an error.

        Raises:
            DataError: a file cannot be read.
        """
        files = [self.files[one] for one in index]
        try:
            known = [_Known.now(file) for file in files]
            digests = content_digests(files)
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error
        for one, before, digest in zip(index.tolist(), known, digests, strict=True):
            self._known[one] = before._replace(digest=digest)
        labels = (str(label) for label in self.labels[index].tolist())
        return combined([*self.classes, *itertools.chain.from_iterable(zip(labels, digests, strict=True))])

    def plain(self, index: IntArray, size: int) -> torch.Tensor:
        """Return centre crops of images, as once-for-all tests on them."""
        import torch

        made = [pixels.middle(self.files[one], size, self.channels) for one in index]
        self._check_unchanged(index)
        return torch.stack(made)

    def cropped(self, index: IntArray, size: int, rng: np.random.Generator) -> torch.Tensor:
        """Return random crops of images, as once-for-all trains on them."""
        import torch

        made = [pixels.random_part(self.files[one], size, self.channels, rng) for one in index]
        self._check_unchanged(index)
        return torch.stack(made)

    def _check_unchanged(self, index: IntArray) -> None:
        """Raise ``ChangedError`` if an image that was just read has changed since its digest was taken."""
        for one in index.tolist():
            known, file = self._known.get(one), self.files[one]
            now = None if known is None else _Known.now(file)
            if known is not None and now is not None and (now.stamp is None or now.stamp != known.stamp):
                check_holds(file, known.digest)
                self._known[one] = now._replace(digest=known.digest)


class _Known(NamedTuple):
    """An image file's stamp and digest; no stamp if a change of the file might not change it."""

    stamp: Stamp | None
    digest: str = ""

    @classmethod
    def now(cls, file: Path) -> _Known:
        stamp = Stamp.of(file)
        return cls(stamp if stamp.conclusive(time.time_ns()) else None)


def class_folders(folder: Path) -> list[Path]:
    """Return the sub-folders of a folder, sorted by name; raises ``DataError`` where a name is no UTF-8."""
    return [_spelled(one) for one in listed(folder) if is_folder(_leading(one))]


def _images_in(folder: Path, may_be_empty: bool = False) -> list[Path]:
    files = [_leading(one) for one in listed(folder) if one.suffix.lower() in _ENDINGS]
    if not files and not may_be_empty:
        raise DataError(f"{folder}: the class folder has no images in it ({', '.join(sorted(_ENDINGS))})")
    return files


def listed(folder: Path) -> list[Path]:
    """Return the visible entries of a folder, sorted by name; raises ``DataError`` if it cannot be read."""
    try:
        return sorted(one for one in folder.iterdir() if not one.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror})") from error


def _leading(path: Path) -> Path:
    """Return a path; raises ``DataError`` if it is a broken link, to nothing or to itself."""
    try:
        if path.is_symlink():
            path.stat()
    except OSError as error:
        raise DataError(f"{path}: is a link that leads nowhere ({error.strerror})") from error
    return path


def _spelled(folder: Path) -> Path:
    """Return a class folder; raises ``DataError`` if its name is not UTF-8, which cannot be stored."""
    if any("\udc80" <= char <= "\udcff" for char in folder.name):
        raise DataError(f"{folder.parent}: the class folder {folder.name!a} has a name that is no UTF-8; rename it")
    return folder


def part_folder(place: Path, part: str) -> Path:
    """Return the folder of a part ("train" or "test"); raises ``DataError`` where there is the other part alone."""
    names = (TRAIN_FOLDER,) if part == "train" else _TEST_FOLDERS
    there = [place / name for name in names if (place / name).is_dir()]
    if there:
        return there[0]
    # A folder that has the other part only is no folder of classes called "train" or "val".
    others = [name for name in (TRAIN_FOLDER, *_TEST_FOLDERS) if (place / name).is_dir()]
    if others:
        raise DataError(f"{place}: has {', '.join(others)}, expected a folder {' or '.join(names)} beside it")
    return place
