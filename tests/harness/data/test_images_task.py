"""Training on images: batches that do not depend on where training began, augmentation, losses; the grammar of data."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import data
from hwnas.harness.data.ahead import in_order
from hwnas.harness.data.argument import parse_argument
from hwnas.harness.data.idx_images import IdxImages
from hwnas.harness.data.images import ImageTask
from hwnas.supernets.errors import UsageError
from hwnas.supernets.training import SoftTask

SPEC = "ofa-mbv3-w1.0:r=12+16,classes=3,channels=1,scale=0.1"
SPACE_PX = 8


def some_images(n=23):
    rng = np.random.default_rng(1)
    images = rng.integers(1, 256, size=(n, SPACE_PX, SPACE_PX), dtype=np.uint8)
    return IdxImages("memory", images, (np.arange(n) % 3).astype(np.uint8), 1)


def task(**more):
    return ImageTask(
        "images:memory", some_images(), lambda config: config["r"][0], resolution=SPACE_PX, batch=5, **more
    )


def taken(one, seed, start=0):
    return list(one.batches(np.random.default_rng(seed), start))


def test_it_is_a_task_with_a_soft_loss():
    assert isinstance(task(), SoftTask)
    assert task().batches_per_epoch == 4
    assert task().defaults.steps == 40
    assert "23 images of 3 classes" in task().note


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("augment", [frozenset(), frozenset({"shift", "flip", "crop"})])
def test_batches_are_the_same_wherever_one_begins(workers, augment):
    whole = taken(task(augment=augment, workers=0), 3)
    assert len(whole) == 4
    for start in range(5):
        rest = taken(task(augment=augment, workers=workers), 3, start)
        assert len(rest) == 4 - start
        for (x, y), (a, b) in zip(rest, whole[start:], strict=True):
            assert torch.equal(x, a)
            assert torch.equal(y, b)


def test_an_epoch_has_no_image_twice():
    images = torch.cat([x for x, _ in taken(task(), 0)])
    assert images.shape == (20, 1, SPACE_PX, SPACE_PX)
    assert len(np.unique(images.reshape(20, -1).numpy(), axis=0)) == 20
    first, other = taken(task(), 0)[0][0], taken(task(), 1)[0][0]
    assert not torch.equal(first, other)


def test_labels_stay_with_their_images():
    source = some_images()
    known = {
        source.plain(np.array([index]), SPACE_PX).numpy().tobytes(): label for index, label in enumerate(source.labels)
    }
    for x, y in taken(task(), 0):
        assert [known[one.numpy().tobytes()] for one in x] == y.tolist()


def test_shifted_images_are_shifted_ones():
    whole = some_images().plain(np.arange(23), SPACE_PX)
    rows = {}
    for x, _ in taken(task(augment=frozenset({"shift"})), 0):
        for one in x[:, 0]:
            there = (one > 0).nonzero()  # every pixel of the images is above 0; what came in is 0
            top, left = there.min(0).values.tolist()
            bottom, right = (there.max(0).values + 1).tolist()
            part = one[top:bottom, left:right]
            assert part.shape[0] >= SPACE_PX - 1
            assert part.shape[1] >= SPACE_PX - 1
            found = [
                (dy, dx)
                for dy in range(2)
                for dx in range(2)
                for image in whole[:, 0]
                if torch.equal(image[dy : dy + part.shape[0], dx : dx + part.shape[1]], part)
            ]
            assert found
            rows[found[0]] = True
    assert len(rows) > 1


def test_flipped_images_are_mirrored():
    whole = {one.numpy().tobytes() for one in some_images().plain(np.arange(23), SPACE_PX)}
    kinds = []
    for x, _ in taken(task(augment=frozenset({"flip"})), 0):
        for one in x:
            as_is, mirrored = (part.contiguous().numpy().tobytes() in whole for part in (one, one.flip(2)))
            assert as_is != mirrored
            kinds.append(as_is)
    assert 2 < sum(kinds) < 18


def test_inputs_are_at_the_resolution_of_the_config():
    batch = taken(task(), 0)[0]
    for side in (4, 8, 12):
        (images,) = task().inputs(batch, {"r": [side]})
        assert images.shape == (5, 1, side, side)
        assert images.dtype == torch.float32


def test_losses_are_what_they_are_called():
    outputs, teacher = torch.randn(5, 3), torch.randn(5, 3)
    batch = (None, torch.tensor([0, 1, 2, 0, 1]))
    log = outputs.log_softmax(1)
    plain = -log[torch.arange(5), batch[1]].mean()
    assert task().loss(outputs, batch) == pytest.approx(plain.item(), abs=1e-5)
    smoothed = 0.9 * plain - 0.1 * log.mean()
    assert task(smoothing=0.1).loss(outputs, batch) == pytest.approx(smoothed.item(), abs=1e-5)
    soft = -(teacher.softmax(1) * log).sum(1).mean()
    assert task().soft_loss(outputs, teacher) == pytest.approx(soft.item(), abs=1e-5)


# --- the grammar -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_spec_is_a_kind_or_a_path(fashion_mnist):
    net = supernets.get(SPEC.replace("classes=3", "classes=10"))
    for spec in (f"images:{fashion_mnist}", str(fashion_mnist), f"{fashion_mnist},batch=64"):
        made = data.get(spec, net)
        assert "60,000 images of 10 classes" in made.note
    assert made.batches_per_epoch == 937


@pytest.mark.parametrize(
    ("spec", "match"),
    [
        ("imagse:x", "unknown kind of data 'imagse'; did you mean 'images'"),
        ("images:{},bach=3", "images: unknown option 'bach'; did you mean 'batch'"),
        ("images:{},batch=1", "images: batch=1: expected a whole number from 2"),
        ("images:{},smoothing=1", "smoothing=1: expected a number from 0 to below 1"),
        ("images:{},augment=flop", "unknown 'flop'; did you mean 'flip'"),
        ("images:", "expected images:PATH"),
        ("images:{}", "has 10 classes, ofa-mbv3-w1.0:.* has 3; its option classes=10 sets their number"),
    ],
)
def test_what_cannot_be_trained_on(fashion_mnist, spec, match):
    with pytest.raises(UsageError, match=match):
        data.get(spec.format(fashion_mnist), supernets.get(SPEC))


def test_another_kind_of_data_is_refused():
    with pytest.raises(UsageError, match=r"ncf.* is trained on interactions, expected interactions:"):
        data.get("images:x", supernets.get("ncf"))


@given(
    st.lists(st.text("ab/.", min_size=1), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("xyz"), st.text("12", min_size=1)),
)
def test_arguments_come_apart_as_they_were_put_together(parts, options):
    path = ",".join(parts)
    text = ",".join([path, *(f"{key}={value}" for key, value in options.items())])
    assert parse_argument("k", text, "xyz") == (path, options)


# --- loading ahead ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_in_order(workers):
    def load(job):
        time.sleep(0.001 * (job % 3))
        return job * job

    assert list(in_order(load, range(20), workers)) == [job * job for job in range(20)]


def test_loading_goes_on_meanwhile_but_not_without_end():
    started = []
    made = in_order(started.append, range(100), 2)
    next(made)
    time.sleep(0.05)
    assert 1 < len(started) <= 4
    made.close()
    assert len(started) <= 5
    assert threading.active_count() < 10


def test_an_error_reaches_the_one_who_waits():
    def load(job):
        if job == 3:
            raise ValueError("three")
        return job

    made = in_order(load, range(10), 2)
    assert [next(made), next(made), next(made)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(made)
