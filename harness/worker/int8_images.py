"""Give the image stages of a network the calibration images of ``calibration=FOLDER``, for int8 quantisation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwnas.backends.backend import Backend, Settings
from hwnas.backends.quantise import CALIBRATION
from hwnas.supernets.contents import changed
from hwnas.supernets.errors import PlatformError
from hwnas.supernets.space import IntArray
from hwnas.supernets.supernet import Stage, SuperNetwork

if TYPE_CHECKING:
    import torch

    from hwnas.harness.data.image_set import ImageSet

# Ranges of activations have converged after some tens of images (docs/quantisation.md); each costs an inference.
IMAGES = 64


def calibrated(net: SuperNetwork, stages: Sequence[Stage], backend: Backend, settings: Settings) -> Sequence[Stage]:
    """Return the stages with the images of ``calibration=FOLDER``, if set, as calibration data and as inputs.

    Raises:
        PlatformError: the super-network takes no images.
        DataError: there are no images, or one that cannot be read.
    """
    folder = settings.options.get(CALIBRATION.key)
    if folder is None or CALIBRATION not in backend.options:
        return stages
    (stage,) = stages if len(stages) == 1 else (None,)
    if stage is None or getattr(net, "data", "images") != "images" or stage.inputs[0].dim() != 4:
        raise PlatformError(f"calibration={folder}: {net.name} takes no images; leave it out")
    batch, channels, _, resolution = stage.inputs[0].shape
    digest = settings.contents.get(CALIBRATION.key) or calibration_digest(folder, batch)
    batches = [(images,) for images in _batches(folder, digest, batch, channels, resolution)]
    # Outputs are compared with the torch module's on the stage's inputs, so these should be real images.
    return [replace(stage, inputs=batches[0], calibration=tuple(batches))]


def calibration_digest(folder: str, batch: int) -> str:
    """Return the digest of those images in a folder that int8 is calibrated on at a batch size.

    Raises:
        DataError: there are no images.
    """
    # The digest is of the files, so that the number of channels makes no difference.
    found = _opened(folder, channels=3)
    return found.digest_of(np.unique(_order(len(found.labels), batch)))


@functools.lru_cache(maxsize=4)
def _batches(folder: str, digest: str, batch: int, channels: int, resolution: int) -> list[torch.Tensor]:
    """Return ``IMAGES`` images, rounded up to full batches; the same ones for every sub-network."""
    from hwnas.harness.data.pixels import normalised

    found = _opened(folder, channels)
    order = _order(len(found.labels), batch)
    now = found.digest_of(np.unique(order))
    if now != digest:
        raise changed(folder, digest, now)
    return [normalised(found.plain(index, resolution)) for index in order]


def _opened(folder: str, channels: int) -> ImageSet:
    from hwnas.harness.data.image_set import has_training_images, open_images

    return open_images(folder, "train" if has_training_images(folder) else "test", channels)


def _order(n: int, batch: int) -> IntArray:
    """Return the indices of the images to use, out of ``n``, ``(batches, batch)``."""
    return np.resize(np.random.default_rng(0).permutation(n), (-(-IMAGES // batch), batch))
