"""Platforms whose options name files: what is stored of them serves while the files hold what they held."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hwnas import backends, supernets
from hwnas.harness.luts.build import build_table
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.pinned import contents, identity, pinned
from hwnas.harness.platform import parse
from hwnas.harness.store import Store
from hwnas.harness.worker.int8_images import calibrated
from hwnas.latency_luts import read
from hwnas.supernets.errors import ChangedError

# The anchors always agree: whether a value serves depends on the images alone.
QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, cap_s=0.02, warmup_s=0.0, samples=1,
    anchor_agree=99.0, calibration_s=0.05,
)  # fmt: skip


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Four images of two classes, all files of one size."""
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for number in range(4):
        folder = tmp_path / "photos" / "train" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((40, 40, 3), 60 * number, dtype=np.uint8)).save(folder / f"{number}.bmp")
    return Path("photos")


def swap(photos):
    """Let two images of different classes change their places: no name, size or time of writing tells of it."""
    one, other = photos / "train" / "class0" / "0.bmp", photos / "train" / "class1" / "1.bmp"
    held = [(file, file.read_bytes(), file.stat()) for file in (one, other)]
    for (file, _, before), (_, content, _) in zip(held, held[::-1], strict=True):
        file.write_bytes(content)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_values_of_swapped_calibration_images_do_not_serve(photos, tmp_path):
    net = supernets.get("toy")
    X = net.space.sample(2, 0)

    def cached(folder, store):
        platform = f"scripted:us=20,photos={folder}"
        with Measurer(net, platform, store=store, protocol=QUICK, check=False, unconverged=True) as measurer:
            return [one.cached for one in measurer.measure(X)]

    with Store.open(str(tmp_path / "s.db")) as store:
        assert cached("photos", store) == [False, False]
        assert cached("photos", store) == [True, True]
        swap(photos)
        assert cached("photos", store) == [False, False]
        swap(photos)
        photos.rename("moved")
        assert cached("moved", store) == [True, True]
        held = {tuple(row["contents"].items()) for row in store.measurements(samples=False)}
        assert len(held) == 2


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_int8_is_known_by_the_images_that_it_is_calibrated_on(photos, backend):
    if (why := backends.get(backend).why_not()) is not None:
        pytest.skip(why)
    spec = f"{backend}:threads=1,precision=int8,calibration=photos"
    before = pinned(parse(spec))
    swap(photos)
    swapped = pinned(parse(spec))
    assert identity(before) != identity(swapped)
    assert {role: one.name for role, one in contents(before).items()} == {f"{backend} calibration": "photos"}
    swap(photos)
    photos.rename("moved")
    assert identity(pinned(parse(spec.replace("photos", "moved")))) == identity(before)


def test_a_network_is_not_calibrated_on_other_images_than_its_platform_is_known_by(photos):
    net = supernets.get("ofa-mbv3-w1.0:r=28,classes=10,channels=3,scale=0.25")
    stages = net.stages(net.space.decode(net.space.smallest())[0], 1)
    where = pinned(parse("onnxruntime:threads=1,precision=int8,calibration=photos"))
    swap(photos)
    with pytest.raises(ChangedError, match=r"photos: was changed while it was in use: its content was \w{16}, is \w"):
        calibrated(net, stages, backends.get("onnxruntime"), where.settings)
    swap(photos)
    assert calibrated(net, stages, backends.get("onnxruntime"), where.settings)[0].calibration


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_table_that_is_built_says_what_files_its_platform_held(photos, tmp_path):
    net, platform = supernets.get("toy"), pinned(parse("scripted:us=20,photos=photos"))
    built = build_table(net, platform, protocol=QUICK, check=False)
    built.write(tmp_path / "table.yaml", net.name)
    header = read(tmp_path / "table.yaml").header
    digest = platform.settings.contents["photos"]
    assert header["built"]["contents"] == {"scripted photos": {"name": "photos", "digest": digest}}
