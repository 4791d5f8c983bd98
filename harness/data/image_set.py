"""Open sets of labelled images: a folder with one sub-folder per class, or IDX files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.harness.data.idx_images import IdxImages, idx_files
from hwnas.harness.data.image_folders import TRAIN_FOLDER, FolderImages, class_folders, part_folder
from hwnas.supernets.errors import DataError
from hwnas.supernets.files import expanded, is_folder
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    import torch


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
    if idx_files(place):
        return IdxImages.open(place, part, channels)
    if not is_folder(place):
        raise DataError(f"{path}: there is no such folder, and no IDX files whose names begin so")
    # Numbered as in training, whichever of the classes there are to test on.
    known = class_folders(place / TRAIN_FOLDER) if part == "test" and is_folder(place / TRAIN_FOLDER) else []
    return FolderImages(part_folder(place, part), channels, tuple(one.name for one in known))


def has_training_images(path: str) -> bool:
    """Return whether there are training images in addition to the test images."""
    place = expanded(path)
    return bool(idx_files(place)) or is_folder(place / TRAIN_FOLDER)
