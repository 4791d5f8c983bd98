"""Open sets of labelled images: a folder with one sub-folder per class, or IDX files."""

from __future__ import annotations

import hashlib
import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from hwnas.harness.data import pixels
from hwnas.harness.data.idx import read_idx
from hwnas.supernets.contents import Stamp, check_holds, combined, content_digests
from hwnas.supernets.errors import DataError
from hwnas.supernets.files import expanded, is_folder
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    import torch

_TEST_FOLDERS = ("val", "validation", "test")
_TRAIN_FOLDER = "train"
_PARTS = {"train": ("train",), "test": ("t10k", "test", "val")}
# Endings of photographs that Pillow reads. Other files in a class folder (notes, thumbnail databases) are ignored; a
# file with such an ending that is not an image is an error.
_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


class ImageSet(Protocol):
    """A set of labelled images.

    Attributes:
        name: the folder or file prefix.
        classes: names of the classes, in the order of their numbers.
        labels: the class of each image, ``(n,)``.
        side: the side in pixels if all images are squares of one size; else ``None``.
    """

    name: str
    classes: tuple[str, ...]
    labels: IntArray
    side: int | None

    def digest_of(self, index: IntArray) -> str:
        """Return a digest, in hexadecimal, of some of the images and their classes; file names do not matter."""
        ...

    def plain(self, index: IntArray, size: int) -> torch.Tensor:
        """Return images prepared for testing, ``(n, channels, size, size)``, bytes."""
        ...

    def cropped(self, index: IntArray, size: int, rng: np.random.Generator) -> torch.Tensor:
        """Return random crops of images, as once-for-all trains on them; small images are returned whole."""
        ...


def open_images(path: str, part: str, channels: int) -> ImageSet:
    """Open the images at ``path``.

    Args:
        path: a folder with ``train`` and ``val`` (or ``test``) in it, each with one sub-folder per class; a folder with
            one sub-folder per class, which is then used for any part; a folder of IDX files, or a prefix of their
            names.
        part: "train" or "test".
        channels: the channels that the super-network takes, 1 or 3.

    Raises:
        DataError: there are no such files, a class folder is empty, or a file is not of the expected form.
    """
    place = expanded(path)
    if _idx_files(place):
        return IdxImages.open(place, part, channels)
    if not is_folder(place):
        raise DataError(f"{path}: there is no such folder, and no IDX files whose names begin so")
    # Numbered as in training, whichever of the classes there are to test on.
    known = _class_folders(place / _TRAIN_FOLDER) if part == "test" and is_folder(place / _TRAIN_FOLDER) else []
    return FolderImages(_part_folder(place, part), channels, tuple(one.name for one in known))


def has_training_images(path: str) -> bool:
    """Return whether there are training images in addition to the test images."""
    place = expanded(path)
    return bool(_idx_files(place)) or is_folder(place / _TRAIN_FOLDER)


# --- folders ----------------------------------------------------------------------------------------------------------


class FolderImages:
    """A folder with one sub-folder per class; classes are numbered in the order of their names. See ``ImageSet``.

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
        folders = {one.name: one for one in _class_folders(folder)}
        if not folders:
            raise DataError(f"{folder}: expected one sub-folder per class, got none")
        if classes and not set(folders) <= set(classes):
            differing = sorted(set(folders) ^ set(classes))
            train = folder.parent / _TRAIN_FOLDER
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


def _class_folders(folder: Path) -> list[Path]:
    return [_spelled(one) for one in _listed(folder) if is_folder(_leading(one))]


def _images_in(folder: Path, may_be_empty: bool = False) -> list[Path]:
    files = [_leading(one) for one in _listed(folder) if one.suffix.lower() in _ENDINGS]
    if not files and not may_be_empty:
        raise DataError(f"{folder}: the class folder has no images in it ({', '.join(sorted(_ENDINGS))})")
    return files


def _listed(folder: Path) -> list[Path]:
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


def _part_folder(place: Path, part: str) -> Path:
    names = (_TRAIN_FOLDER,) if part == "train" else _TEST_FOLDERS
    there = [place / name for name in names if (place / name).is_dir()]
    if there:
        return there[0]
    # A folder that has the other part only is no folder of classes called "train" or "val".
    others = [name for name in (_TRAIN_FOLDER, *_TEST_FOLDERS) if (place / name).is_dir()]
    if others:
        raise DataError(f"{place}: has {', '.join(others)}, expected a folder {' or '.join(names)} beside it")
    return place


# --- IDX files --------------------------------------------------------------------------------------------------------


class IdxImages:
    """Images of one size in IDX files; they are small, so all of them are in memory. See ``ImageSet``.

    Args:
        name: the folder or file prefix.
        images: bytes, ``(n, height, width)`` or ``(n, height, width, 3)``.
        labels: ``(n,)``.
        channels: 1 or 3; grey images serve a super-network of three channels.
        classes: how many there are at least, though these images may lack the last.
    """

    def __init__(
        self,
        name: str,
        images: npt.NDArray[np.uint8],
        labels: npt.NDArray[np.uint8],
        channels: int,
        classes: int = 0,
    ) -> None:
        import torch

        if images.ndim == 3:
            images = images[..., None]
        if images.ndim != 4 or images.shape[-1] not in {1, channels}:
            raise DataError(
                f"{name}: expected images of shape (n, height, width) or (n, height, width, {channels}), "
                f"got {images.shape}"
            )
        if labels.shape != (len(images),):
            raise DataError(f"{name}: {len(images)} images, but labels of shape {labels.shape}")
        self.name = name
        self.labels: IntArray = labels.astype(np.int64)
        self.classes = tuple(str(number) for number in range(max(classes, int(labels.max(initial=0)) + 1)))
        self._digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
        height, width = images.shape[1:3]
        self.side = height if height == width else None
        self._images = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        self._images = self._images.expand(-1, channels, -1, -1)

    def digest_of(self, index: IntArray) -> str:  # noqa: ARG002 - all of them are in the same file
        """Return the digest of all the images."""
        return self._digest

    @classmethod
    def open(cls, place: Path, part: str, channels: int) -> IdxImages:
        """Read the image and label files of one part; raises ``DataError`` unless there is one of each."""
        files = _idx_files(place)
        images, labels = (_one(place, files, part, what) for what in ("images", "labels"))
        # Numbered as in training, whichever of the classes there are to test on.
        trained = _found(files, "train", "labels") if part == "test" else []
        classes = 1 + int(read_idx(trained[0]).max(initial=0)) if len(trained) == 1 else 0
        return cls(str(images), read_idx(images), read_idx(labels), channels, classes)

    def plain(self, index: IntArray, size: int) -> torch.Tensor:
        """Return whole images at another size."""
        return pixels.resized(self._images[index], size)

    def cropped(self, index: IntArray, size: int, rng: np.random.Generator) -> torch.Tensor:  # noqa: ARG002
        """Return the whole images, since they are small."""
        return self.plain(index, size)


def _idx_files(place: Path) -> list[Path]:
    """Return the IDX files in a folder, or those whose names begin with the last part of ``place``."""
    folder, beginning = (place, "") if is_folder(place) else (place.parent, place.name)
    if not is_folder(folder):
        return []
    return [one for one in _listed(folder) if one.name.startswith(beginning) and re.search(r"idx\d", one.name)]


def _found(files: Sequence[Path], part: str, what: str) -> list[Path]:
    return [one for one in files if what in one.name and any(word in one.name for word in _PARTS[part])]


def _one(place: Path, files: Sequence[Path], part: str, what: str) -> Path:
    found = _found(files, part, what)
    if len(found) != 1:
        got = ", ".join(one.name for one in found) or "none"
        raise DataError(
            f"{place}: expected one IDX file of {part} {what} (like {_PARTS[part][0]}-{what}-idx3-ubyte.gz), got {got}"
        )
    return found[0]
