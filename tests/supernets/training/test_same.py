"""A training goes on with the data and the weights that it was begun with, whatever these are called."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from trainable import Points, Sorter

from hwnas import supernets
from hwnas.harness import data
from hwnas.harness.data._parallel_text import ParallelText
from hwnas.supernets.checkpoints import read_document
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError
from hwnas.supernets.training import TrainingOptions, checkpoint
from hwnas.supernets.training.loop import train

IMAGES = supernets.get("ofa-mbv3-w1.0:r=12,classes=2,channels=1,scale=0.1")


class StudyCheckpoint(Points):
    """Points that are called a file, of which a digest is all that counts; interrupted after some batches."""

    def __init__(self, name, digest, steps, **options):
        super().__init__(**options)
        self.name, self.contents, self._left = name, {"points": Content(name.partition(":")[2], digest)}, steps

    def batches(self, rng, start=0):
        for batch in super().batches(rng, start):
            if self._left == 0:
                raise KeyboardInterrupt
            self._left -= 1
            yield batch


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def go(steps, name="points:a.csv", digest="1" * 64, resume=False, weights=None):
    """Train so many steps of four."""
    with contextlib.suppress(KeyboardInterrupt):
        task = StudyCheckpoint(name, digest, steps)
        train(Sorter(), task, TrainingOptions(steps=4), "w.pt", resume=resume, weights=weights, checkpoint_s=0)
    return checkpoint.read("w.pt", Sorter().name)


def test_changed_data_under_the_same_name_are_refused():
    assert go(2).step == 2
    with pytest.raises(UsageError, match=r"points a\.csv: its content has changed, it was 1{16}, is 2{16}"):
        go(1, digest="2" * 64, resume=True)
    assert go(1, resume=True).step == 3


def test_the_same_data_elsewhere_go_on():
    go(2)
    assert go(9, "points:/there/b.csv", resume=True).step == 4
    with pytest.raises(UsageError, match=r"points was a\.csv of content 1{16}, is b\.csv of content 2{16}"):
        go(9, "points:b.csv", "2" * 64, resume=True)


def test_other_weights_to_start_from_are_refused():
    Sorter().shared(None, 1).save("one.pt")
    Sorter().shared(None, 2).save("two.pt")
    go(1, weights="one.pt")
    shutil.copy("one.pt", "copy.pt")
    assert go(1, weights="copy.pt", resume=True).step == 2
    assert go(1, resume=True).step == 3
    with pytest.raises(UsageError, match=r"weights to start from was one\.pt of content \w+, is two\.pt of content"):
        go(1, weights="two.pt", resume=True)


def test_weights_for_a_training_that_began_without_are_refused():
    Sorter().shared(None, 1).save("one.pt")
    go(1)
    with pytest.raises(UsageError, match=r"begun with weights drawn from the seed, not with one\.pt"):
        go(1, weights="one.pt", resume=True)


def test_a_training_from_before_contents_were_recorded_goes_on_and_records_them():
    go(1)
    document = read_document("w.pt")
    del document["training"]["contents"]
    torch.save(document, "w.pt")
    with pytest.raises(UsageError, match=r"data was 'points:a\.csv', is 'points:b\.csv'"):
        go(1, "points:b.csv", resume=True)
    assert go(1, resume=True).contents == {"points": Content("a.csv", "1" * 64)}
    with pytest.raises(UsageError, match=r"points a\.csv: its content has changed"):
        go(1, digest="2" * 64, resume=True)


# --- what the kinds of data hold -------------------------------------------------------------------------------------


def draw(folder, dark, light):
    for level, name in ((dark, "a"), (light, "b")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            image = np.full((12, 12), level + number, dtype=np.uint8)
            Image.fromarray(image).save(folder / name / f"{number}.pgm")


def test_images_are_known_by_what_is_on_them(tmp_path):
    draw(tmp_path / "photos", 60, 190)
    draw(tmp_path / "same", 60, 190)
    draw(tmp_path / "swapped", 190, 60)
    specs = ("images:photos,batch=2", f"images:{tmp_path}/same,batch=2", "images:swapped,batch=2")
    first, second, third = (data.get(spec, IMAGES).contents["training images"] for spec in specs)
    assert (first.name, second.name) == ("photos", f"{tmp_path}/same")
    assert first.digest == second.digest != third.digest


def test_interactions_and_texts_are_known_by_their_lines(tmp_path):
    ncf = supernets.get("ncf:users=30,items=300")
    lines = [f"{user}\t{item}\t3\t{item}\n" for user in range(1, 20) for item in range(12 * user, 12 * user + 12)]
    digests = []
    for file, text in (("a", lines), ("b", lines), ("c", lines[1:])):
        Path(file).write_text("".join(text))
        digests.append(data.get(f"interactions:{file}", ncf).contents["interactions"].digest)
    assert digests[0] == digests[1] != digests[2]
    for file, text in (("s", "a b"), ("t", "c d"), ("u", "c e")):
        Path(file).write_text(f"{text}\n")
    texts = [ParallelText.read(spec, "x").digest for spec in ("s,t", "./s,./t", "s,u")]
    assert texts[0] == texts[1] != texts[2]
