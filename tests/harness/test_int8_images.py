"""The images that int8 is calibrated on, from the platform string to the session."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import backends, supernets
from hwnas.backends import Settings
from hwnas.harness.worker import sessions
from hwnas.harness.worker.int8_images import IMAGES, calibrated
from hwnas.supernets.errors import DataError, PlatformError
from hwnas.supernets.supernet import Stage

NET = supernets.get("ofa-mbv3-w1.0:r=128")
ORT = backends.get("onnxruntime")


@pytest.fixture
def photos(tmp_path):
    """Four grey images of two classes."""
    image = pytest.importorskip("PIL.Image")
    for number in range(4):
        folder = tmp_path / "photos" / "train" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((150, 160, 3), 60 * number, dtype=np.uint8)
        image.fromarray(pixels).save(folder / f"{number}.png")
    return str(tmp_path / "photos")


def settings(folder=None, batch=1):
    options = {} if folder is None else {"calibration": folder}
    return Settings(precision="int8", batch=batch, options=options)


def stages(batch=1):
    return NET.stages(NET.space.decode(NET.space.smallest())[0], batch)


def test_without_a_folder_stages_stay_as_they_are():
    made = stages()
    assert calibrated(NET, made, ORT, settings()) is made


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 24])
def test_images_fill_whole_batches_and_are_the_inputs(photos, batch):
    (stage,) = calibrated(NET, stages(batch), ORT, settings(photos, batch))
    assert len(stage.calibration) == -(-IMAGES // batch)
    assert all(images.shape == (batch, 3, 128, 128) for (images,) in stage.calibration)
    assert stage.inputs is stage.calibration[0]
    # Every image of the folder is there, however few there are.
    seen = torch.cat([images for (images,) in stage.calibration])
    assert len(seen[:, 0].flatten(1).mean(1).round(decimals=3).unique()) == 4


def test_a_backend_of_somebody_else_may_use_the_word_otherwise(photos):
    made = stages()
    assert calibrated(NET, made, backends.get("torch"), settings(photos)) is made


def test_what_takes_no_images_is_refused(photos):
    class Text:
        name, data = "text", "translation"

    stage = Stage("encoder", torch.nn.Identity(), (torch.zeros(1, 4),), ("x",))
    for net, parts in ((Text, [stage]), (NET, [stage]), (NET, [*stages(), stage])):
        with pytest.raises(PlatformError, match=f"calibration={photos}: .* takes no images"):
            calibrated(net, parts, ORT, settings(photos))


def test_a_folder_without_images_is_named(tmp_path):
    with pytest.raises(DataError, match=str(tmp_path)):
        calibrated(NET, stages(), ORT, settings(str(tmp_path)))


@pytest.mark.slow
def test_a_network_is_prepared_on_them_and_checked(photos):
    making = sessions.Preparation(NET, NET.space.decode(NET.space.smallest())[0], ORT, settings(photos))
    assert 0 < making.once().error < sessions.TOLERANCES["int8"]
    making.inference().close()
