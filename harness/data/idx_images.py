"""Labelled images in IDX files, as MNIST's: one file of images and one of labels for each part."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hwnas.harness.data import pixels
from hwnas.harness.data.idx import read_idx
from hwnas.harness.data.image_folders import listed
from hwnas.supernets.errors import DataError
from hwnas.supernets.files import is_folder
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    import torch

_PARTS = {"train": ("train",), "test": ("t10k", "test", "val")}


class IdxImages:
    """Images of one size in IDX files, an ``ImageSet``; they are small, so all of them are in memory.

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
        files = idx_files(place)
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


def idx_files(place: Path) -> list[Path]:
    """Return the IDX files in a folder, or those whose names begin with the last part of ``place``."""
    folder, beginning = (place, "") if is_folder(place) else (place.parent, place.name)
    if not is_folder(folder):
        return []
    return [one for one in listed(folder) if one.name.startswith(beginning) and re.search(r"idx\d", one.name)]


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
