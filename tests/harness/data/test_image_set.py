"""Folders and IDX files of labelled images: what is found, and what is said of what is not as it should be."""

from __future__ import annotations

import gzip
import os
import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from hwnas.harness.data.idx_images import IdxImages
from hwnas.harness.data.image_folders import FolderImages
from hwnas.harness.data.image_set import has_training_images, open_images
from hwnas.supernets.errors import ChangedError, DataError


def draw(file, size=(40, 30), colour=(250, 10, 20), mode="RGB"):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(file)
    return file


@pytest.fixture
def photos(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for shade, name in ((0, "dark"), (255, "light")):
            for number in range(count):
                draw(tmp_path / part / name / f"{number}.png", colour=(shade, shade, shade))
    return tmp_path


def write_idx(file, array):
    file.parent.mkdir(parents=True, exist_ok=True)
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


@pytest.fixture
def digits(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 20), ("t10k", 10)):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", rng.integers(256, size=(n, 8, 8), dtype=np.uint8))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", (np.arange(n) % 3).astype(np.uint8))
    return tmp_path


# --- folders ---------------------------------------------------------------------------------------------------------


def test_a_folder_per_class(photos):
    found = open_images(str(photos), "test", 3)
    assert isinstance(found, FolderImages)
    assert (found.classes, found.labels.tolist(), found.side) == (("dark", "light"), [0, 0, 1, 1], None)
    assert len(open_images(str(photos), "train", 3).labels) == 6
    images = found.plain(np.array([0, 3]), 16)
    assert images.shape == (2, 3, 16, 16)
    assert (images[0] == 0).all()
    assert (images[1] == 255).all()
    assert has_training_images(str(photos))


def test_the_folder_of_classes_itself_serves(photos):
    assert len(open_images(str(photos / "val"), "test", 3).labels) == 4
    assert not has_training_images(str(photos / "val"))


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "1"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_of_image_becomes_what_the_network_takes(tmp_path, mode, channels):
    draw(tmp_path / "a" / ("x.tif" if mode == "CMYK" else "x.png"), mode=mode, colour=(255, 255, 255))
    images = FolderImages(tmp_path, channels).plain(np.array([0]), 8)
    assert images.shape == (1, channels, 8, 8)
    assert (images == 255).all()


def test_other_files_are_passed_over(photos):
    (photos / "val" / "dark" / "notes.txt").write_text("x")
    (photos / "val" / "dark" / ".hidden.png").write_text("x")
    (photos / "val" / ".cache").mkdir()
    (photos / "val" / "README.md").write_text("x")
    assert len(open_images(str(photos), "test", 3).labels) == 4


def digest(folder, index=(0, 1, 2, 3)):
    return open_images(str(folder), "test", 3).digest_of(np.array(index))


def test_the_digest_differs_where_the_images_do(photos, tmp_path):
    before = digest(photos)
    assert digest(photos) == before
    dark, light = photos / "val" / "dark" / "0.png", photos / "val" / "light" / "0.png"
    one, other = dark.read_bytes(), light.read_bytes()
    dark.write_bytes(other)
    light.write_bytes(one)
    assert digest(photos) != before
    assert digest(photos, (1, 3)) == digest(photos, (1, 3))
    assert len({digest(photos, (1, 3)), digest(photos, (3, 1)), digest(photos, (1,))}) == 3


def test_the_digest_is_of_the_images_and_not_of_their_names(photos, tmp_path):
    before = digest(photos)
    (photos / "val").rename(tmp_path / "other")
    (tmp_path / "other" / "dark" / "0.png").rename(tmp_path / "other" / "dark" / "00.png")
    (tmp_path / "other" / "dark" / "notes.txt").write_text("no image")
    assert digest(tmp_path / "other") == before
    (tmp_path / "other" / "dark").rename(tmp_path / "other" / "gloomy")
    assert digest(tmp_path / "other") != before


@pytest.mark.parametrize("view", ["plain", "cropped"])
def test_an_image_that_is_changed_under_way_is_named(photos, view):
    found = open_images(str(photos), "test", 3)
    more = (np.random.default_rng(0),) if view == "cropped" else ()
    found.digest_of(np.arange(2))
    getattr(found, view)(np.arange(4), 16, *more)
    os.utime(found.files[1])  # touched, not changed
    getattr(found, view)(np.arange(4), 16, *more)
    shutil.copy(found.files[3], found.files[1])
    with pytest.raises(ChangedError, match=r"dark/1\.png: was changed while it was in use"):
        getattr(found, view)(np.arange(4), 16, *more)


def test_a_broken_image_is_named(photos):
    broken = photos / "val" / "dark" / "0.png"
    broken.write_bytes(broken.read_bytes()[:40])
    with pytest.raises(DataError, match=r"val/dark/0.png: is no image that can be read"):
        open_images(str(photos), "test", 3).plain(np.array([0]), 16)


def test_a_truncated_jpeg_is_named(tmp_path):
    file = tmp_path / "a" / "x.jpg"
    file.parent.mkdir()
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"a/x.jpg: is no image that can be read"):
        FolderImages(tmp_path, 3).cropped(np.array([0]), 16, np.random.default_rng(0))


def test_an_empty_class_folder_is_named(photos):
    (photos / "train" / "mauve").mkdir()
    with pytest.raises(DataError, match=r"train/mauve: the class folder has no images in it \(\.bmp"):
        open_images(str(photos), "train", 3)


def test_what_is_no_set_of_images(tmp_path, photos):
    with pytest.raises(DataError, match="nowhere: there is no such folder, and no IDX files"):
        open_images(str(tmp_path / "nowhere"), "test", 3)
    (tmp_path / "flat").mkdir()
    with pytest.raises(DataError, match="flat: expected one sub-folder per class, got none"):
        open_images(str(tmp_path / "flat"), "test", 3)
    (tmp_path / "only" / "train" / "a").mkdir(parents=True)
    with pytest.raises(DataError, match="only: has train, expected a folder val or validation or test beside it"):
        open_images(str(tmp_path / "only"), "test", 3)


# --- IDX files -------------------------------------------------------------------------------------------------------


def test_idx_files(digits):
    found = open_images(str(digits), "train", 1)
    assert isinstance(found, IdxImages)
    assert (len(found.labels), found.classes, found.side) == (20, ("0", "1", "2"), 8)
    assert found.plain(np.arange(4), 8).shape == (4, 1, 8, 8)
    assert open_images(str(digits), "test", 3).plain(np.arange(2), 6).shape == (2, 3, 6, 6)
    assert has_training_images(str(digits))


def test_their_bytes_are_the_images(tmp_path):
    images = np.arange(2 * 4 * 4, dtype=np.uint8).reshape(2, 4, 4)
    write_idx(tmp_path / "train-images.idx3-ubyte", images)
    write_idx(tmp_path / "train-labels.idx1-ubyte", np.array([1, 0], np.uint8))
    found = open_images(str(tmp_path), "train", 1)
    assert np.array_equal(found.plain(np.array([1, 0]), 4)[:, 0].numpy(), images[::-1])
    assert found.labels.tolist() == [1, 0]


def test_a_prefix_chooses_among_several(tmp_path):
    for name in ("letters", "digits"):
        write_idx(tmp_path / f"{name}-train-images-idx3-ubyte", np.zeros((2, 4, 4), np.uint8))
        write_idx(tmp_path / f"{name}-train-labels-idx1-ubyte", np.array([0, 1], np.uint8))
    assert len(open_images(str(tmp_path / "letters"), "train", 1).labels) == 2
    with pytest.raises(DataError, match=r"expected one IDX file of train images .* got digits-train.*, letters-train"):
        open_images(str(tmp_path), "train", 1)


def test_images_that_are_no_squares_have_no_side():
    labels = np.zeros(2, dtype=np.uint8)
    assert IdxImages("wide", np.zeros((2, 4, 6), dtype=np.uint8), labels, 1).side is None
    assert IdxImages("square", np.zeros((2, 6, 6), dtype=np.uint8), labels, 1).side == 6


def test_colour_images_do_not_serve_a_grey_network(tmp_path):
    write_idx(tmp_path / "train-images-idx4-ubyte", np.zeros((2, 4, 4, 3), np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte", np.array([0, 1], np.uint8))
    assert open_images(str(tmp_path), "train", 3).plain(np.array([0]), 4).shape == (1, 3, 4, 4)
    with pytest.raises(DataError, match=r"expected images of shape .* got \(2, 4, 4, 3\)"):
        open_images(str(tmp_path), "train", 1)


def test_labels_that_are_not_one_per_image(digits):
    write_idx(digits / "train-labels-idx1-ubyte", np.zeros(19, np.uint8))
    with pytest.raises(DataError, match=r"20 images, but labels of shape \(19,\)"):
        open_images(str(digits), "train", 1)


def test_a_truncated_file_is_named(digits):
    file = digits / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte.gz: is truncated"):
        open_images(str(digits), "test", 1)


@pytest.mark.parametrize("empty", [False, True])
def test_classes_are_numbered_as_in_training(tmp_path, empty):
    """A class that there is nothing to test on does not shift the numbers of the others."""
    for part, names in {"train": ("ant", "bee", "cat"), "val": ("ant", "cat")}.items():
        for number, name in enumerate(names):
            (tmp_path / part / name).mkdir(parents=True)
            Image.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / part / name / "a.png")
    if empty:
        (tmp_path / "val" / "bee").mkdir()
    train, test = (open_images(str(tmp_path), part, 3) for part in ("train", "test"))
    assert train.classes == test.classes == ("ant", "bee", "cat")
    assert test.labels.tolist() == [0, 2]
    (tmp_path / "val" / "dog").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "val" / "dog" / "a.png")
    with pytest.raises(DataError, match=r"val: its classes are not those of .*train: "):
        open_images(str(tmp_path), "test", 3)


def test_classes_of_idx_files_are_numbered_as_in_training(tmp_path):
    for part, labels in {"train": [0, 1, 9], "t10k": [0, 3]}.items():
        head = struct.pack(">III", len(labels), 2, 2)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + head + bytes(4 * len(labels)))
        head = struct.pack(">I", len(labels))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + head + bytes(labels))
    train, test = (open_images(str(tmp_path), part, 1) for part in ("train", "test"))
    assert len(train.classes) == len(test.classes) == 10
    assert test.labels.tolist() == [0, 3]


def test_links_that_lead_nowhere_are_named(tmp_path):
    for part, target in (("dangling.png", "nothing"), ("itself.png", "itself.png")):
        folder = tmp_path / part / "val" / "cats"
        folder.mkdir(parents=True)
        (folder / part).symlink_to(target)
        with pytest.raises(DataError, match=rf"{part}: is a link that leads nowhere"):
            open_images(str(tmp_path / part), "test", 3)
        (folder.parent / "dogs").symlink_to("nowhere")
        (folder / part).unlink()
        with pytest.raises(DataError, match="dogs: is a link that leads nowhere"):
            open_images(str(tmp_path / part), "test", 3)


def test_a_class_whose_name_is_no_utf_8_is_named(tmp_path):
    (tmp_path / "val" / "c\udcffts").mkdir(parents=True)
    with pytest.raises(DataError, match=r"the class folder 'c\\udcffts' has a name that is no UTF-8") as caught:
        open_images(str(tmp_path), "test", 3)
    str(caught.value).split(": the class")[1].encode()


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "val" / "cats"
    folder.mkdir(parents=True)
    there = type(folder).iterdir

    def refused(path):
        if path == folder:
            raise PermissionError(13, "Permission denied", str(path))  # the superuser may read everything
        return there(path)

    monkeypatch.setattr(type(folder), "iterdir", refused)
    with pytest.raises(DataError, match=r"cats: cannot be read \(Permission denied\)"):
        open_images(str(tmp_path), "test", 3)
