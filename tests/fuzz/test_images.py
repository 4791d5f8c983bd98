"""Files of images are read, or refused by one of our errors."""

from __future__ import annotations

import gzip
import io
import struct

import numpy as np
import pytest
from fuzzing import fuzz, put, refused_or_read
from hypothesis import given
from mutations import contents
from PIL import Image

from hwnas.harness.data import idx, image_set, pixels

IDX = b"\0\0\x08\x03" + struct.pack(">III", 2, 3, 3) + bytes(range(18))


@fuzz
@given(content=contents([IDX, gzip.compress(IDX, mtime=0), b"\0\0\x08\x01" + struct.pack(">I", 2) + b"ab"]))
def test_idx_files(folder, content):
    file = put(folder, "images-idx3-ubyte", content)
    refused_or_read(lambda: idx.read_idx(file))


LABELS = b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\0\1"


@fuzz
@given(images=contents([IDX]), labels=contents([LABELS]))
def test_idx_files_that_belong_together(folder, images, labels):
    (folder / "digits").mkdir(exist_ok=True)
    put(folder / "digits", "train-images-idx3-ubyte", images)
    put(folder / "digits", "train-labels-idx1-ubyte", labels)
    refused_or_read(lambda: image_set.open_images(str(folder / "digits"), "train", 3).plain(np.array([0]), 4))


def picture(form, mode="RGB"):
    stream = io.BytesIO()
    Image.new(mode, (9, 7), 30 if mode != "RGB" else (10, 200, 30)).save(stream, form)
    return stream.getvalue()


PICTURES = [picture(form) for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]
DEEP = [picture("PNG", "I;16"), picture("TIFF", "I;16"), picture("TIFF", "F"), b"P5 2 2 65535\n" + bytes(8)]


# A header may claim a hundred megapixels, or tags may be broken: Pillow remarks on it and goes on.
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning:PIL")
@fuzz
@given(content=contents([*PICTURES, *DEEP]))
def test_images(folder, content):
    file = put(folder, "picture", content)
    refused_or_read(lambda: pixels.middle(file, 8, 3))
    refused_or_read(lambda: pixels.random_part(file, 8, 1, np.random.default_rng(0)))
