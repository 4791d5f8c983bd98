"""Images are prepared as once-for-all does it: sizes, cut and numbers, checked against a second way."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.data import pixels


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


def test_a_random_part_is_a_part_and_repeats(gradient):
    file, _ = gradient
    first, again, other = (pixels.random_part(file, 64, 3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    red = first[0].float()
    assert (red.diff(dim=0).sum(0) > 0).all()  # nothing is turned over


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
