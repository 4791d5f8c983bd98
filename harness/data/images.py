"""``images:PATH``: train a classifier on labelled images, in folders or in IDX files.

Options: ``batch`` (images per step), ``smoothing`` (of labels), ``augment`` (``none``, or ``crop``, ``shift`` and
``flip`` joined by ``+``), ``workers`` (threads that read images).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hwnas.harness.data import pixels
from hwnas.harness.data.ahead import in_order
from hwnas.harness.data.argument import fraction, parse_argument, whole_number
from hwnas.harness.data.idx_images import IdxImages
from hwnas.harness.data.image_set import ImageSet, open_images
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.space import Config, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.training import Batch, TrainingOptions

if TYPE_CHECKING:
    import torch

_OPTIONS = ("augment", "batch", "smoothing", "workers")
_AUGMENTS = ("crop", "flip", "shift")
_BATCH, _EPOCHS = 128, 10
# Pixels that an image is shifted by, at most, per pixel of its side.
_SHIFT = 1 / 8


def create(name: str, argument: str, net: ImageNetwork) -> ImageTask:
    """Make the training task; the module's docstring describes ``argument``."""
    path, given = parse_argument(name, argument, _OPTIONS)
    batch = whole_number(name, "batch", given.get("batch", str(_BATCH)), 2)
    smoothing = fraction(name, "smoothing", given.get("smoothing", "0"))
    workers = whole_number(name, "workers", given.get("workers", "1"), 0)
    augment = _augments(name, given["augment"]) if "augment" in given else None
    images = open_images(path, "train", net.channels)
    check_classes(images, net)
    if augment is None:
        # A flipped digit is no longer the same digit, so images of IDX files are only shifted.
        augment = frozenset({"shift"}) if isinstance(images, IdxImages) else frozenset({"crop", "flip"})
    return ImageTask(
        f"{name}:{argument}",
        images,
        net.resolution,
        # Images of one size are not resized: enlarging and shrinking them again would blur them.
        resolution=images.side or net.resolutions[-1],
        batch=min(batch, len(images.labels)),
        smoothing=smoothing,
        augment=augment,
        workers=workers,
    )


@runtime_checkable
class ImageNetwork(SuperNetwork, Protocol):
    """A super-network that classifies square images.

    Attributes:
        classes: how many it distinguishes.
        channels: of its images, 1 or 3.
        resolutions: sides of its images, in pixels, ascending.
    """

    classes: int
    channels: int
    resolutions: tuple[int, ...]

    def resolution(self, config: Config) -> int:
        """Return the side of the images that the sub-network of ``config`` takes, in pixels."""
        ...


def check_classes(images: ImageSet, net: ImageNetwork) -> None:
    """Raise ``UsageError`` unless the super-network has as many classes as the images."""
    there = len(images.classes)
    if there != net.classes:
        raise UsageError(
            f"{images.name}: has {there} classes, {net.name} has {net.classes}; its option classes={there} sets "
            "their number"
        )


class ImageTask:
    """Classification of images, see ``hwnas.supernets.training.TrainingTask``.

    Args:
        name: the spec of the data.
        images: the training images.
        side: returns the side in pixels of the images that the sub-network of a config takes.
        resolution: the side at which images are read; they are then resized for each sub-network.
        batch: images per step.
        smoothing: how much of a label is spread over all classes.
        augment: some of "crop", "flip", "shift".
        workers: threads that read images.
    """

    def __init__(
        self,
        name: str,
        images: ImageSet,
        side: Callable[[Config], int],
        *,
        resolution: int,
        batch: int = _BATCH,
        smoothing: float = 0.0,
        augment: frozenset[str] = frozenset(),
        workers: int = 1,
    ) -> None:
        self.name = name
        self.note = f"{len(images.labels):,} images of {len(images.classes)} classes in {images.name}"
        self.batches_per_epoch = len(images.labels) // batch
        self.defaults = TrainingOptions(steps=_EPOCHS * self.batches_per_epoch)
        self._images = images
        self._side = side
        self._resolution = resolution
        self._batch = batch
        self._smoothing = smoothing
        self._augment = augment
        self._workers = workers

    @cached_property
    def contents(self) -> dict[str, Content]:
        """The digest of the training images."""
        digest = self._images.digest_of(np.arange(len(self._images.labels)))
        kind, _, argument = self.name.partition(":")
        path = parse_argument(kind, argument, _OPTIONS)[0] if argument else self._images.name
        return {"training images": Content(path, digest)}

    def batches(self, rng: np.random.Generator, start: int = 0) -> Iterator[Batch]:
        """Yield (images as bytes, labels); the last images are left out if they do not fill a batch."""
        order = rng.permutation(len(self._images.labels))[: self.batches_per_epoch * self._batch]
        # A generator per batch, so that a batch does not depend on those before it.
        seeds = rng.integers(2**63, size=self.batches_per_epoch)
        jobs = list(zip(order.reshape(self.batches_per_epoch, self._batch), seeds, strict=True))[start:]
        return in_order(self._load, jobs, self._workers)

    def inputs(self, batch: Batch, config: Config) -> tuple[torch.Tensor, ...]:
        """Return the images at the resolution of ``config``."""
        return (pixels.normalised(pixels.resized(batch[0], self._side(config))),)

    def loss(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Return the cross-entropy."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, batch[1], label_smoothing=self._smoothing)

    def soft_loss(self, outputs: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy to the teacher's probabilities."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(outputs, teacher.softmax(1))

    def _load(self, job: tuple[IntArray, Any]) -> Batch:
        import torch

        index, seed = job
        rng = np.random.default_rng(int(seed))
        images = self._views(index, rng)
        if "shift" in self._augment:
            images = _shifted(images, rng)
        if "flip" in self._augment:
            flipped = torch.from_numpy(rng.random(len(images)) < 0.5).view(-1, 1, 1, 1)
            images = torch.where(flipped, images.flip(3), images)
        return images, torch.from_numpy(self._images.labels[index])

    def _views(self, index: IntArray, rng: np.random.Generator) -> torch.Tensor:
        if "crop" in self._augment:
            return self._images.cropped(index, self._resolution, rng)
        return self._images.plain(index, self._resolution)


def _augments(name: str, text: str) -> frozenset[str]:
    found = frozenset() if text == "none" else frozenset(text.split("+"))
    for one in found - set(_AUGMENTS):
        raise UsageError(f"{name}: augment={text}: unknown {one!r}{suggestion(one, ('none', *_AUGMENTS))}")
    return found


def _shifted(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Shift each image by some pixels, and fill the edge with black."""
    import torch

    n, channels_, side, _ = images.shape
    most = max(1, round(side * _SHIFT))
    padded = torch.nn.functional.pad(images, (most,) * 4)
    top, left = (torch.from_numpy(rng.integers(2 * most + 1, size=(n, 1))) for _ in range(2))
    along = torch.arange(side)
    rows, columns = (top + along)[:, None, :, None], (left + along)[:, None, None, :]
    which, channel = torch.arange(n).view(-1, 1, 1, 1), torch.arange(channels_).view(1, -1, 1, 1)
    return padded[which, channel, rows, columns]
