"""Images are prepared as once-for-all does it: sizes, cut and numbers, checked against a second way."""

from __future__ import annotations

import io
import math
import struct
import zlib

import numpy as np
import pytest
import torch
from fuzzing import bounded
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hwnas.harness.data import pixels
from hwnas.supernets.errors import DataError


@pytest.fixture
def gradient(tmp_path):
    """An image whose red tells the row and whose green tells the column."""
    rows, columns = np.mgrid[0:300, 0:200]
    array = np.stack([rows / 300 * 255, columns / 200 * 255, np.full((300, 200), 77)], axis=2).round().astype(np.uint8)
    file = tmp_path / "gradient.png"
    Image.fromarray(array).save(file)
    return file, array


@pytest.mark.parametrize("size", [128, 160, 224])
def test_the_middle_is_what_remains_of_seven_eighths(gradient, size):
    file, array = gradient
    made = pixels.middle(file, size, 3)
    assert made.shape == (3, size, size)
    assert made.dtype == torch.uint8
    # By hand: the shorter side becomes ceil(size / 0.875), the longer one follows, the middle is cut out.
    short = math.ceil(size / 0.875)
    resized = np.asarray(Image.fromarray(array).resize((short, int(short * 1.5)), Image.Resampling.BILINEAR))
    top, left = round((resized.shape[0] - size) / 2), round((resized.shape[1] - size) / 2)
    assert np.array_equal(made.permute(1, 2, 0).numpy(), resized[top : top + size, left : left + size])
    # And by what is seen: rows from the middle of the height, columns from the middle of the width.
    red = made[0].float().mean(1) / 255
    assert red.mean() == pytest.approx(0.5, abs=0.01)
    assert (red[-1] - red[0]).item() == pytest.approx(size / int(short * 1.5), abs=0.01)


# --- what a file holds ------------------------------------------------------------------------------------------------

# A ramp from black to white, and what it is in 8 bits.
RAMP = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
BYTES = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)


def of_pillow(array, form, **options):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, form, **options)
    return stream.getvalue()


def netpbm(kind, array, white=65535):
    return f"{kind}\n8 8\n{white}\n".encode() + array.astype(">u2").tobytes()


def png(channels):
    """A PNG file of 16 bits a channel, which Pillow does not write: grey, grey and alpha, RGB, RGBA."""
    rows = np.stack([RAMP] * channels, 2)
    if channels in {2, 4}:
        rows[..., -1] = 9

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 16, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def tiff(samples, order, bits=16, photometric=1, signed=False):
    """A TIFF file of one strip: grey ``(8, 8)`` or colours ``(8, 8, c)``."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    code = {"II": "<", "MM": ">"}[order]
    if bits == 12:
        pairs = samples.reshape(-1, 2).astype(np.uint32)
        packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1)
        strip = packed.astype(np.uint8).tobytes()
    else:
        strip = samples.astype(f"{code}u2").tobytes()
    far = 8 + 2 + 10 * 12 + 4  # behind the directory
    of_bits = (258, 3, channels, bits) if channels == 1 else (258, 3, channels, far)
    tags = [(256, 4, 1, 8), (257, 4, 1, 8), of_bits, (259, 3, 1, 1), (262, 3, 1, photometric), (273, 4, 1, far + 8)]
    tags += [(277, 3, 1, channels), (278, 4, 1, 8), (279, 4, 1, len(strip)), (339, 3, 1, 2 if signed else 1)]
    content = order.encode() + struct.pack(f"{code}HIH", 42, 8, len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        content += struct.pack(f"{code}HHI", tag, kind, count)
        content += struct.pack(f"{code}HH", value, 0) if short else struct.pack(f"{code}I", value)
    return content + b"\0" * 4 + struct.pack(f"{code}4H", *[bits] * 4) + strip


COLOURS = np.stack([RAMP] * 3, 2)
SIXTEEN = {
    "png.png": png(1),
    "grey with alpha.png": png(2),
    "colours.png": png(3),
    "colours with alpha.png": png(4),
    "pillow's own.png": of_pillow(RAMP, "PNG"),
    "little.tif": tiff(RAMP, "II"),
    "big.tif": tiff(RAMP, "MM"),
    "packed.tif": of_pillow(RAMP, "TIFF", compression="tiff_lzw"),
    "white is zero.tif": tiff(65535 - RAMP, "II", photometric=0),
    "twelve bits.tif": tiff(RAMP >> 4, "II", bits=12),
    "colours.tif": tiff(COLOURS, "MM", photometric=2),
    "grey.pgm": netpbm("P5", RAMP),
    "twelve bits.pgm": netpbm("P5", RAMP >> 4, 4095),
    "colours.ppm": netpbm("P6", COLOURS),
}


def whole(file, channels):
    """Return an image of 8 pixels a side as it is read, ``(channels, 8, 8)``."""
    return np.asarray(pixels._decoded(file, channels)).reshape(8, 8, channels).transpose(2, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", SIXTEEN)
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name, channels):
    file = tmp_path / name
    file.write_bytes(SIXTEEN[name])
    read = whole(file, channels).astype(int)
    # Pillow takes the upper byte of colours, and of grey we take the nearest one: they are at most one apart.
    assert abs(read - BYTES).max() <= 1
    seen = [pixels.middle(file, 64, channels), pixels.random_part(file, 64, channels, np.random.default_rng(0))]
    assert all(20 < one.float().mean() < 235 for one in seen)


@given(arrays(np.uint16, (8, 8)))
def test_any_sixteen_bits_of_grey(tmp_path_factory, array):
    file = tmp_path_factory.getbasetemp() / "any.png"
    file.write_bytes(of_pillow(array, "PNG"))
    assert np.array_equal(whole(file, 1)[0], np.floor(array / 257 + 0.5))


@pytest.mark.parametrize(
    ("mode", "name", "content"),
    [
        ("F", "a.tif", of_pillow(RAMP.astype(np.float32), "TIFF")),
        ("F", "a.pgm", b"Pf\n8 8\n-1.0\n" + RAMP.astype("<f4").tobytes()),
        ("I", "a.tiff", of_pillow(RAMP.astype(np.int32), "TIFF")),
        ("I", "signed.tif", tiff(RAMP, "II", signed=True)),
    ],
)
def test_numbers_without_a_range_are_refused(tmp_path, mode, name, content):
    (tmp_path / name).write_bytes(content)
    for read in (pixels.middle, lambda *args: pixels.random_part(*args, np.random.default_rng(0))):
        with pytest.raises(DataError, match=rf"{name}: .*mode {mode}, whose range nobody knows; expected 8 or 16 bits"):
            read(tmp_path / name, 8, 3)


def other_modes():
    """Images of one colour that Pillow holds in its other modes, and what they look like in RGB."""
    palette = Image.new("P", (8, 8), 3)
    palette.putpalette([0, 0, 0] * 3 + [200, 100, 50])
    yield palette, "png", {}, (200, 100, 50)
    yield palette, "png", {"transparency": bytes([255, 9, 9, 120])}, (200, 100, 50)
    yield palette, "gif", {"transparency": 3}, (200, 100, 50)
    yield Image.new("RGBA", (8, 8), (200, 100, 50, 0)), "png", {}, (200, 100, 50)
    yield Image.new("RGBA", (8, 8), (200, 100, 50, 7)), "tif", {}, (200, 100, 50)
    yield Image.new("RGB", (8, 8), (200, 100, 50)), "png", {"transparency": (200, 100, 50)}, (200, 100, 50)
    yield Image.new("LA", (8, 8), (90, 0)), "png", {}, (90, 90, 90)
    yield Image.new("L", (8, 8), 90), "png", {"transparency": 90}, (90, 90, 90)
    yield Image.new("1", (8, 8), 1), "png", {}, (255, 255, 255)
    yield Image.new("1", (8, 8), 1), "tif", {}, (255, 255, 255)
    yield Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "tif", {}, (255, 0, 0)
    yield Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "jpg", {"quality": 100}, (255, 0, 0)
    yield Image.new("YCbCr", (8, 8), (90, 128, 128)), "tif", {}, (90, 90, 90)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_few_bytes_that_say_many_pixels_are_refused_before_these_are_made(tmp_path):
    file = tmp_path / "large.gif"
    size = struct.pack("<HH", 12_553, 13_614)
    file.write_bytes(b"GIF89a" + size + b"\x00\x00\x00," + bytes(4) + size + b"\x00\x02\x02D\x01\x00;")
    for read in (lambda: pixels.middle(file, 8, 3), lambda: pixels.random_part(file, 8, 1, np.random.default_rng(0))):
        with bounded(), pytest.raises(DataError, match=r"large.gif: .*it says that it has 12,553 x 13,614 pixels, exp"):
            read()


def test_as_many_pixels_as_pillow_takes_are_taken(tmp_path, monkeypatch):
    file = tmp_path / "small.png"
    Image.new("RGB", (20, 10)).save(file)
    for most, taken in ((200, True), (None, True), (199, False)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        if taken:
            assert pixels.middle(file, 8, 3).shape == (3, 8, 8)
        else:
            with (
                pytest.warns(Image.DecompressionBombWarning),
                pytest.raises(DataError, match="at most 199 in"),
            ):
                pixels.middle(file, 8, 3)


@pytest.mark.parametrize(("image", "ending", "options", "colour"), list(other_modes()))
def test_other_modes_are_seen_as_they_look(tmp_path, image, ending, options, colour):
    file = tmp_path / f"a.{ending}"
    image.save(file, **options)
    assert abs(whole(file, 3).astype(int) - np.reshape(colour, (3, 1, 1))).max() <= 2
    grey = np.asarray(Image.new("RGB", (1, 1), colour).convert("L")).item()
    assert abs(whole(file, 1).astype(int) - grey).max() <= 2


# --- parts ------------------------------------------------------------------------------------------------------------


def test_a_random_part_is_a_part_and_repeats(gradient):
    file, _ = gradient
    first, again, other = (pixels.random_part(file, 64, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    red = first[0].float()
    assert (red.diff(dim=0).sum(0) > 0).all()  # nothing is turned over


@pytest.mark.slow
@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 1000))
def test_random_parts_lie_within(width, height, seed):
    left, top, right, bottom = pixels._random_box((width, height), np.random.default_rng(seed))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height


def test_random_parts_have_the_areas_and_ratios_that_they_should():
    rng = np.random.default_rng(0)
    boxes = np.array([pixels._random_box((200, 200), rng) for _ in range(2000)])
    w, h = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    area = w * h / 200**2
    assert 0.075 < area.min() < 0.1
    # Uniform from 0.08 to 1 has the mean 0.54; large ones that are not square do not fit, and are drawn again.
    assert area.mean() == pytest.approx(0.48, abs=0.03)
    assert ((w / h > 0.72) & (w / h < 1.38)).all()


def test_resized_averages_where_it_shrinks():
    images = torch.tensor([0, 100, 200, 100], dtype=torch.uint8).repeat(4).view(1, 1, 4, 4)
    small = pixels.resized(images, 2)
    assert small.dtype == torch.uint8
    assert small.float().mean() == pytest.approx(100, abs=12)
    assert pixels.resized(images, 4) is images


def test_normalised_is_the_written_formula():
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (images / 255 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    assert torch.allclose(pixels.normalised(images), expected, atol=1e-5)
    grey = pixels.normalised(images[:, :1])
    assert grey.shape == (2, 1, 5, 5)
    assert torch.allclose(grey, (images[:, :1] / 255 - 0.449) / 0.226, atol=1e-5)
