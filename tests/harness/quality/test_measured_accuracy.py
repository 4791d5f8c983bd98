"""``images:`` and ``imagenet:``: accuracy by running sub-networks, kept in the store; what is refused, and how."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.classification import chosen
from hwnas.harness.quality.evaluated import EvaluatedQuality, Score
from hwnas.harness.quality.quality import Quality, ScoredQuality
from hwnas.harness.store import Store
from hwnas.supernets.errors import ChangedError, DataError, QualityError, UsageError

NET = supernets.get("ofa-mbv3-w1.0:r=12+16,classes=2,channels=3,scale=0.1")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("val", 12)):
        for level, name in ((60, "dark"), (190, "light")):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                noise = rng.normal(level, 40, size=(24, 20, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noise).save(folder / part / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    file = tmp_path_factory.mktemp("weights") / "w.pt"
    NET.shared(None, 0).save(file)
    return str(file)


def source(photos, weights, name="images", **more):
    return quality.get(f"{name}:{photos}", NET, QualityOptions(weights, **more))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "imagenet"])
def test_it_is_a_measured_quality(photos, weights, name):
    found = source(photos, weights, name)
    assert isinstance(found, Quality)
    assert isinstance(found, ScoredQuality)
    assert (found.metric, found.unit, found.maximise, found.predicted, found.costs_nothing) == (
        "top1",
        "%",
        True,
        False,
        False,
    )
    assert "24 of 24 images" in found.note
    assert "statistics set on 60 in" in found.note
    assert "\n" not in found.note
    X = NET.space.sample(2, 0)
    values = found.evaluate(X)
    assert ((values >= 0) & (values <= 100)).all()
    assert np.array_equal(found.evaluate(X), values)


@pytest.mark.slow
def test_accuracy_is_the_share_of_right_ones_counted_by_hand(photos, weights):
    X = NET.space.largest()
    config = NET.space.decode(X)[0]
    module = NET.build(config, weights)
    found = source(photos / "val", weights)  # no training images: the statistics of the weights
    assert "statistics as in the weights" in found.note
    right = 0
    for label, name in enumerate(("dark", "light")):
        for file in sorted((photos / "val" / name).iterdir()):
            image = Image.open(file)
            image = image.resize((19, int(19 * 24 / 20)), Image.Resampling.BILINEAR)  # ceil(16 / 0.875)
            box = (round((image.width - 16) / 2), round((image.height - 16) / 2))
            pixels = np.asarray(image.crop((*box, box[0] + 16, box[1] + 16)), dtype=np.float32) / 255
            pixels = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
            with torch.no_grad():
                scores = module(torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None])
            right += int(scores.argmax() == label)
    (score,) = found.scores(X)
    assert score.value == pytest.approx(100 * right / 24)
    assert score.n == 24
    assert score.others == {"top5": 100.0}


@pytest.mark.slow
def test_values_do_not_depend_on_threads_or_company(photos, weights):
    X = NET.space.sample(3, 1)
    together = source(photos, weights).evaluate(X)
    alone = [source(photos, weights, workers=3).evaluate(X[row : row + 1])[0] for row in range(3)]
    assert np.array_equal(together, alone)


def test_a_subset_is_always_the_same(photos, weights):
    found = source(photos, weights, subset=10)
    assert "10 of 24 images" in found.note
    assert found.scores(NET.space.smallest())[0].n == 10
    assert np.array_equal(chosen(24, 10), chosen(24, 10))
    assert len(set(chosen(24, 10))) == 10
    assert np.array_equal(chosen(5, 10), np.arange(5))


@pytest.mark.slow
def test_what_was_evaluated_is_free_the_second_time(photos, weights, tmp_path, monkeypatch):
    X = NET.space.sample(2, 3)
    events = []
    with Store.open(str(tmp_path / "s.db")) as store:
        first = source(photos, weights, store=store, progress=events.append).scores(X)
        assert events[-1].done == events[-1].total == 24
        assert {event.message.partition(":")[0] for event in events} == {"setting statistics", "testing"}
    with Store.open(str(tmp_path / "s.db")) as store:
        again = source(photos, weights, store=store)
        monkeypatch.setattr(type(NET), "build", lambda *_: pytest.fail("it was built again"))
        assert again.scores(X) == first


def test_other_weights_other_data_other_subset_are_other_values(photos, weights, tmp_path):
    sources = {source(photos, weights).source, source(photos, weights, subset=5).source}
    NET.shared(None, 1).save(tmp_path / "other.pt")
    sources |= {source(photos, str(tmp_path / "other.pt")).source, source(photos / "val", weights).source}
    assert len(sources) == 4
    copy = tmp_path / "copy.pt"
    copy.write_bytes(Path(weights).read_bytes())
    assert source(photos, str(copy)).source in sources  # the same content under another name


def copied(photos, weights, tmp_path, monkeypatch):
    """Return what makes the source of copies of the images and the weights, under relative names."""
    shutil.copytree(photos, tmp_path / "p")
    shutil.copy(weights, tmp_path / "w.pt")
    monkeypatch.chdir(tmp_path)
    return lambda **more: source("p", "w.pt", **more)


@pytest.mark.slow
def test_the_same_content_elsewhere_is_the_same_source(photos, weights, tmp_path, monkeypatch):
    make = copied(photos, weights, tmp_path, monkeypatch)
    assert make().source == source(photos, weights).source
    assert "/" not in make().source
    with Store.open(":memory:") as store:
        first = source(photos, weights, store=store).scores(NET.space.smallest())
        monkeypatch.setattr(type(NET), "build", lambda *_: pytest.fail("it was built again"))
        assert make(store=store).scores(NET.space.smallest()) == first


@pytest.mark.slow
@pytest.mark.parametrize("part", ["val", "train"])
def test_stored_values_of_images_that_were_swapped_do_not_serve(photos, weights, tmp_path, monkeypatch, part):
    make = copied(photos, weights, tmp_path, monkeypatch)
    before = make()
    for name in ("dark", "light"):
        for file in (tmp_path / "p" / part / name).iterdir():
            Image.open(file).save(file.with_suffix(".ppm"))  # of one size, whatever is on it
            file.unlink()
    same_size = make()
    (tmp_path / "p" / part / "dark").rename(tmp_path / "p" / part / "x")
    (tmp_path / "p" / part / "light").rename(tmp_path / "p" / part / "dark")
    (tmp_path / "p" / part / "x").rename(tmp_path / "p" / part / "light")
    sources = [one.source for one in (before, same_size, make())]
    assert len(set(sources)) == 3
    roles = {"val": "images tested on", "train": "images for statistics"}
    told = [role for role, one in make().contents.items() if one != same_size.contents[role]]
    assert told == [roles[part]]


def test_weights_that_are_replaced_under_way_keep_nothing(photos, weights, tmp_path, monkeypatch):
    make = copied(photos, weights, tmp_path, monkeypatch)
    build = type(NET).build

    def replacing(net, config, file):
        NET.shared(None, 5).save("w.pt")
        return build(net, config, file)

    with Store.open(":memory:") as store:
        found = make(store=store)
        assert found.source
        monkeypatch.setattr(type(NET), "build", replacing)
        with pytest.raises(ChangedError, match=r"w\.pt: was changed while it was in use"):
            found.scores(NET.space.smallest())
        assert found.stored(NET.space.keys(NET.space.smallest())) == {}


@pytest.mark.slow
def test_values_that_were_kept_by_the_names_of_idx_files_still_serve(fashion_mnist, tmp_path):
    net = supernets.get("ofa-mbv3-w1.0:r=12,classes=10,channels=1,scale=0.1")
    net.shared(None, 0).save(tmp_path / "w.pt")
    (key,) = net.space.keys(net.space.smallest())
    with Store.open(":memory:") as store:
        options = QualityOptions(str(tmp_path / "w.pt"), subset=10, store=store)
        found = quality.get(f"images:{fashion_mnist}", net, options)
        assert found.source_by_name.startswith(f"images:{fashion_mnist} (10 of 10,000 images in {fashion_mnist}/")
        store.put_quality(net.name, found.source_by_name, key, Score(12.5, 1, 30, 10).record())
        assert found.scores(net.space.smallest())[0].value == 12.5


# --- networks without batch-norm -------------------------------------------------------------------------------------


def test_nothing_is_set_where_there_is_no_batch_norm(photos, weights, monkeypatch):
    """The images to set statistics on are neither read nor part of what a value depends on."""
    monkeypatch.setattr(type(NET), "module", lambda *_: torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1)))
    found = source(photos, weights)
    assert "no batch-norm statistics to set" in found.note
    assert "statistics set" not in found.note
    assert set(found.contents) == {"images tested on", "weights"}


# --- refusals --------------------------------------------------------------------------------------------------------


def test_without_weights_it_says_what_is_needed(photos):
    with pytest.raises(QualityError, match=r"images:.*: runs sub-networks, so it needs .* weights: --weights FILE"):
        quality.get(f"images:{photos}", NET)
    with pytest.raises(QualityError, match=r"weights 'none.pt': no such file"):
        quality.get(f"images:{photos}", NET, QualityOptions("none.pt"))


def test_weights_for_a_source_that_runs_nothing_are_refused(weights):
    net = supernets.get("ofa-mbv3-w1.0")
    with pytest.raises(QualityError, match=r"surrogate: runs no sub-network, so it has no use for weights; .*images"):
        quality.get("surrogate", net, QualityOptions(weights))
    with pytest.raises(QualityError, match="no use for weights or subset"):
        quality.get("surrogate", net, QualityOptions(weights, 100))


def test_weights_of_another_width_or_a_part_of_a_file_are_named(photos, weights, tmp_path):
    wider = supernets.get("ofa-mbv3-w1.0:r=12+16,classes=2,channels=3,scale=0.5")
    found = quality.get(f"images:{photos}", wider, QualityOptions(weights))
    with pytest.raises(UsageError, match=r"w\.pt.* has other shapes: .* for \(16, 48, 1, 1\)"):
        found.evaluate(wider.space.smallest())
    half = tmp_path / "half.pt"
    content = Path(weights).read_bytes()
    half.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match=r"half\.pt.*not a checkpoint"):
        source(photos, str(half)).evaluate(NET.space.smallest())


@pytest.mark.slow
def test_a_broken_image_names_itself_and_keeps_nothing(photos, weights, tmp_path):
    shutil.copytree(photos, tmp_path / "p")
    bad = tmp_path / "p" / "val" / "light" / "05.png"
    bad.write_bytes(bad.read_bytes()[:60])
    with Store.open(str(tmp_path / "s.db")) as store:
        found = source(tmp_path / "p", weights, store=store)
        with pytest.raises(DataError, match=r"light/05.png: is no image that can be read"):
            found.evaluate(NET.space.smallest())
        assert store.qualities(NET.name, found.source, NET.space.keys(NET.space.smallest())) == {}


def test_classes_that_do_not_agree(photos, weights, tmp_path):
    shutil.copytree(photos, tmp_path / "p")
    (tmp_path / "p" / "val" / "light").rename(tmp_path / "p" / "val" / "bright")
    with pytest.raises(DataError, match=r"its classes are not those of .*train: bright, light"):
        source(tmp_path / "p", weights)
    with pytest.raises(UsageError, match=r"has 2 classes, ofa-mbv3-w1\.0 has 1000"):
        quality.get(f"images:{photos}", supernets.get("ofa-mbv3-w1.0"), QualityOptions(weights))


def test_other_kinds_of_super_network_and_no_path(weights, photos):
    with pytest.raises(QualityError, match="expected images:PATH"):
        quality.get("images", NET, QualityOptions(weights))
    with pytest.raises(QualityError, match=r"images: serves super-networks of images, ncf.* takes interactions"):
        quality.get(f"images:{photos}", supernets.get("ncf"), QualityOptions(weights))


def test_imagenet_is_folders(fashion_mnist, weights):
    net = supernets.get("ofa-mbv3-w1.0:r=12,classes=10,channels=1,scale=0.1")
    with pytest.raises(DataError, match="expected folders of images, one per class, got IDX files"):
        quality.get(f"imagenet:{fashion_mnist}", net, QualityOptions(weights))


# --- what every source that runs sub-networks shares ------------------------------------------------------------------


def test_scores_come_back_from_the_store_as_they_went_in(weights, tmp_path):
    made = []

    def score(config):
        made.append(config)
        return Score(12.5, n=7, others={"top5": 50.0}) if len(made) > 1 else Score(25.0, 20.0, 31.0, 7)

    with Store.open(str(tmp_path / "s.db")) as store:
        found = EvaluatedQuality("toy", "top1", "%", True, NET, QualityOptions(weights, store=store), "7", score)
        X = NET.space.canonical(NET.space.sample(2, 0))
        first = found.scores(X[[0, 1, 0]])
        assert len(made) == 2
        assert first[0] == first[2] == Score(25.0, 20.0, 31.0, 7)
        again = found.scores(X)
        assert again[0] == first[0]
        assert (again[1].value, again[1].n, again[1].others) == (12.5, 7, {"top5": 50.0})
        assert np.isnan([again[1].low, again[1].high]).all()
        assert len(made) == 2


def test_without_a_store_nothing_is_run_twice_in_a_batch(weights):
    made = []
    found = EvaluatedQuality(
        "toy", "top1", "%", True, NET, QualityOptions(weights), "7", lambda config: made.append(1) or Score(1.0)
    )
    X = NET.space.sample(1, 0)
    assert found.evaluate(np.concatenate([X, X])).tolist() == [1.0, 1.0]
    assert len(made) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["images", "imagenet"])
def test_a_network_whose_logits_are_none_has_no_accuracy(photos, tmp_path, name):
    shared = NET.shared(None, 0)
    with torch.no_grad():
        # Each weight is a finite number; what they add up to is none.
        shared.tensors["classifier.linear.weight"].fill_(3e38)
    shared.save(tmp_path / "w.pt")
    with Store.open(str(tmp_path / "s.db")) as store:
        found = source(photos, str(tmp_path / "w.pt"), name, store=store)
        (score,) = found.scores(NET.space.smallest())
        assert np.isnan(score.value)
        assert "the network's logits: " in score.reason
        assert "numbers that are not finite" in score.reason
        assert found.stored(NET.space.keys(NET.space.smallest())) == {}
        assert quality.scored(found, NET.space.smallest())[0].reason == score.reason
