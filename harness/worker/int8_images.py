"""Give a network's stage the images that int8 is calibrated on."""

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

# Ranges of activations are settled after some tens of images (docs/quantisation.md), and each costs an inference.
IMAGES = 64


def calibrated(net: SuperNetwork, stages: Sequence[Stage], backend: Backend, settings: Settings) -> Sequence[Stage]:
    """Return the stages with the images of ``calibration=FOLDER`` to calibrate on, and to run on; else as they are.

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
    # The network's outputs are compared with the torch module's on its inputs: those of the kind that it is made for.
    return [replace(stage, inputs=batches[0], calibration=tuple(batches))]


def calibration_digest(folder: str, batch: int) -> str:
    """Return the digest of the images in a folder that int8 is calibrated on at a batch size.

    Raises:
        DataError: there are no images.
    """
    # How many channels they are read with makes no difference to what the files hold.
    found = _opened(folder, channels=3)
    return found.digest_of(np.unique(_order(len(found.labels), batch)))


@functools.lru_cache(maxsize=4)
def _batches(folder: str, digest: str, batch: int, channels: int, resolution: int) -> list[torch.Tensor]:
    """Return ``IMAGES`` images, or a little more, in full batches; the same ones for every sub-network."""
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
    """Return which of ``n`` images are used, ``(batches, batch)``."""
    return np.resize(np.random.default_rng(0).permutation(n), (-(-IMAGES // batch), batch))
