"""Accuracy of what a backend makes of sub-networks, beside that of the torch module."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.classification import Accuracy
from hwnas.supernets.errors import PlatformError, QualityError, UsageError

NET = supernets.get("ofa-mbv3-w1.0:r=28,classes=3,channels=1,scale=0.25")
X = NET.space.smallest()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Thirty training images and forty-five to test on: noise, brighter from class to class."""
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("photos")
    for part, count in (("train", 10), ("val", 15)):
        for label in range(3):
            place = folder / part / str(label)
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 86, (32, 32)) + 85 * label
                image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "weights.pt"
    NET.shared(seed=3).save(file)
    return str(file)


@pytest.mark.slow
def test_fp32_on_a_backend_is_what_torch_says(photos, weights):
    plain = quality.get(f"images:{photos}", NET, QualityOptions(weights)).scores(X)[0]
    found = quality.get(f"images:{photos},backend=onnxruntime", NET, QualityOptions(weights)).scores(X)[0]
    assert (found.value, found.low, found.high, found.n) == (plain.value, plain.low, plain.high, 45)
    assert found.others == {**plain.others, "fp32": plain.value, "loss": 0, "loss ±": 0}


@pytest.mark.slow
def test_int8_is_tested_beside_fp32_on_the_same_images(photos, weights):
    options = QualityOptions(weights, subset=31)  # no whole number of batches
    plain = quality.get(f"images:{photos}", NET, options)
    int8 = quality.get(f"images:{photos},backend=onnxruntime,precision=int8", NET, options)
    (found,) = int8.scores(X)
    assert found.n == 31
    assert found.others["fp32"] == plain.scores(X)[0].value
    assert found.value == pytest.approx(found.others["fp32"] - found.others["loss"])
    assert "run on onnxruntime:threads=1,precision=int8 (onnxruntime " in int8.note
    assert "calibrated on training images" in int8.note
    assert int8.source != plain.source


@pytest.mark.slow
def test_without_training_images_it_says_what_was_calibrated_on(photos, weights):
    int8 = quality.get(f"images:{photos / 'val'},backend=onnxruntime,precision=int8", NET, QualityOptions(weights))
    assert "calibrated on images tested on, without their labels" in int8.note
    assert int8.scores(X)[0].n == 45


def test_the_loss_is_of_pairs():
    """Of ten images int8 loses three and wins one: by the deviation of their differences."""
    full, int8 = (Accuracy(np.array(top1), np.ones(10)) for top1 in ([1] * 6 + [0] * 4, [1, 1, 1, 0, 0, 0, 1, 0, 0, 0]))
    found = int8.score_beside(full)
    assert (found.value, found.others["fp32"], found.others["loss"]) == (40, 60, pytest.approx(20))
    assert found.others["loss ±"] == pytest.approx(100 * 1.959964 * math.sqrt((4 / 10 - 0.2**2) / 10))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("precision=int8", QualityError, "images: precision=int8: expected backend=NAME with it"),
        ("backend=lut", QualityError, "backend=lut: knows latencies and runs nothing"),
        ("backend=onnxrutime", PlatformError, "did you mean 'onnxruntime'"),
        ("backend=onnxruntime,precision=int4", PlatformError, "expected one of fp32, fp16, int8"),
        ("backend=onnxruntime,precision=fp16", PlatformError, "fp16 needs device=cuda:0"),
        ("backend=onnxruntime,batch=4", UsageError, "unknown option 'batch'"),
    ],
)
def test_what_cannot_be_run_is_refused(photos, weights, given, error, message):
    with pytest.raises(error) as caught:
        quality.get(f"images:{photos},{given}", NET, QualityOptions(weights))
    assert message in str(caught.value)
