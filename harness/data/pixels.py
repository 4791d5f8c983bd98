"""Decode, crop and normalise images as once-for-all does (Cai et al., 2020), with Pillow's bilinear filter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.supernets.errors import DataError

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

# The share of the shorter side that a centre crop has.
_MIDDLE = 0.875
# Of a random crop: its share of the image's area, the ratio of its sides, and how many draws are tried.
_AREA, _RATIO, _DRAWS = (0.08, 1.0), (3 / 4, 4 / 3), 10

# Of ImageNet, on the scale 0..1. A grey image has the channels' means of both.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MODES = {1: "L", 3: "RGB"}

# Modes of Pillow that hold numbers of any range.
_NO_RANGE = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}
# Formats that Pillow decodes to mode I though they have at most 16 bits, 65535 being white.
_SIXTEEN_BITS = ("PNG", "PPM")
# TIFF's tags for bits and for white: Pillow does not scale grey of, say, 12 bits, and does not invert white that is 0.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0


def middle(file: Path, size: int, channels: int) -> torch.Tensor:
    """Return the centre crop of an image, ``size`` squared, after its shorter side is resized to ``size / 0.875``."""
    image = _decoded(file, channels)
    image = _shorter_side(image, math.ceil(size / _MIDDLE))
    left, top = (round((side - size) / 2) for side in image.size)
    return _bytes(image.crop((left, top, left + size, top + size)))


def random_part(file: Path, size: int, channels: int, rng: np.random.Generator) -> torch.Tensor:
    """Return a random crop of an image, resized to ``size`` squared (Szegedy et al., 2015, section 6)."""
    from PIL.Image import Resampling

    image = _decoded(file, channels)
    box = _random_box(image.size, rng)
    return _bytes(image.resize((size, size), Resampling.BILINEAR, box))


def resized(images: torch.Tensor, size: int) -> torch.Tensor:
    """Resize images, ``(n, channels, height, width)`` bytes, to ``size`` squared, with averaging if they shrink."""
    import torch

    if images.shape[-2:] == (size, size):
        return images
    made = torch.nn.functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return made.round_().clamp_(0, 255).to(torch.uint8)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Normalise bytes, ``(n, channels, height, width)``, by ImageNet's mean and standard deviation."""
    import torch

    mean, std = (_MEAN, _STD) if images.shape[1] == 3 else ((sum(_MEAN) / 3,), (sum(_STD) / 3,))
    # (x / 255 - mean) / deviation in one pass.
    scale = torch.tensor([1 / (255 * one) for one in std], device=images.device).view(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=images.device).view(1, -1, 1, 1)
    return torch.addcmul(shift, images.float(), scale)


def _decoded(file: Path, channels: int) -> Image:
    from PIL import Image

    try:
        with Image.open(file) as image:
            _check_size(image.size, Image.MAX_IMAGE_PIXELS)
            return _of_bytes(image).convert(_MODES[channels])
    # Pillow's decoders raise these for what is wrong with a file; SyntaxError is a broken PNG.
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{file}: is no image that can be read ({error})") from error


def _check_size(size: tuple[int, int], most: int | None) -> None:
    """Raise ``ValueError`` where a header says more pixels than Pillow takes without a warning: a few bytes may do."""
    if most is not None and size[0] * size[1] > most:
        raise ValueError(f"it says that it has {size[0]:,} x {size[1]:,} pixels, expected at most {most:,} in all")


def _of_bytes(image: Image) -> Image:
    """Convert an image to 8 bits a channel, and ignore transparency.

    Raises:
        ValueError: the range of its numbers is not known, so that they cannot be scaled; names the mode.
    """
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in _SIXTEEN_BITS):
        return _scaled(image)
    if image.mode in _NO_RANGE:
        raise ValueError(
            f"it holds {_NO_RANGE[image.mode]}, mode {image.mode}, whose range nobody knows; "
            "expected 8 or 16 bits a channel, so convert it"
        )
    # Pillow warns about a palette with several degrees of transparency.
    return image.convert("RGBA") if "transparency" in image.info else image


def _scaled(image: Image) -> Image:
    """Scale grey of up to 16 bits to 8; Pillow's ``convert`` would make everything above 255 white."""
    from PIL import Image as Pillow

    tags = getattr(image, "tag_v2", {})
    (bits, *_) = tags.get(_BITS_PER_SAMPLE, (16,))
    white = 2**bits - 1
    values = np.minimum(np.asarray(image).astype(np.int64), white)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        values = white - values
    return Pillow.fromarray(((values * 255 + white // 2) // white).astype(np.uint8))


def _shorter_side(image: Image, size: int) -> Image:
    from PIL.Image import Resampling

    width, height = image.size
    if width <= height:
        return image.resize((size, int(size * height / width)), Resampling.BILINEAR)
    return image.resize((int(size * width / height), size), Resampling.BILINEAR)


def _random_box(size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int, int, int]:
    width, height = size
    for _ in range(_DRAWS):
        area = width * height * rng.uniform(*_AREA)
        ratio = math.exp(rng.uniform(math.log(_RATIO[0]), math.log(_RATIO[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    # The image is longer than any allowed ratio: take its middle, with the largest allowed ratio.
    w, h = min(width, round(height * _RATIO[1])), min(height, round(width / _RATIO[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def _bytes(image: Image) -> torch.Tensor:
    import torch

    array = np.array(image)
    return torch.from_numpy(array if array.ndim == 3 else array[..., None]).permute(2, 0, 1).contiguous()
