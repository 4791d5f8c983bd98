"""The shipped experiments at smoke scale: what they measure is the scripted plug-in, all else is what they name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import backends
import supernets
from harness.measure import Measurer
from harness.protocol import profile
from search import experiments

PLUGIN = str(Path(__file__).parents[2] / "plugin")

# What is measured is no matter here, only that it is.
QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, cap_s=0.02, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip

# A toy of three layers on a platform that keeps the CPU busy for a millisecond.
TOY = {"supernet": "toy", "quality": "capacity", "stands_in": "a toy"}
FAST, SLOW = "scripted:us=20", "scripted:us=40"
ALGORITHM = {"settings": {"first": 4, "batch": 4}}
MEASURED = {
    "fig8": {
        "problems": {name: {**TOY, "platform": place} for name, place in (("onnxruntime", FAST), ("openvino", SLOW))}
    },
    "fig9": {
        "problems": {"transformer": {**TOY, "platform": FAST}, "ncf": {**TOY, "platform": SLOW}},
    },
    "fig10": {"problem": TOY, "platforms": [FAST, SLOW]},
    "fig11": {"problem": TOY, "platforms": [FAST, "scripted:us=20,batch=8"]},
    "fig13": {"problems": {"onnxruntime": {**TOY, "platform": FAST}}},
    "fig14": {"problem": TOY, "platforms": [FAST], "precision": "bf16"},
}
# Claims that name platforms are of the platforms in the file.
CLAIMS = {"fig11": [{"says": "A front does not transfer", "between": [FAST, "scripted:us=20,batch=8"]}]}


def forget():
    """Make the registries look again."""
    for registry in (backends.registry, supernets.registry):
        registry.__dict__.pop("_providers", None)


@pytest.fixture
def scripted(monkeypatch, tmp_path):
    """The scripted plug-in is installed, and devices are locked apart from what else runs on this machine."""
    monkeypatch.syspath_prepend(PLUGIN)
    monkeypatch.setattr("harness.lock.DIRECTORY", tmp_path)
    measurer = Measurer.__init__
    monkeypatch.setattr(Measurer, "__init__", lambda *given, **more: measurer(*given, **more | {"protocol": QUICK}))
    if PLUGIN not in sys.path:
        sys.path.append(PLUGIN)
    forget()
    yield
    monkeypatch.undo()
    forget()


@pytest.fixture
def smoke(scripted):
    """Return a shipped experiment at smoke scale that can be run here in seconds."""

    def made(name):
        over = dict(MEASURED.get(name, {}))
        if name in CLAIMS:
            over["claims"] = CLAIMS[name]
        return experiments.shipped(name, "smoke", over)

    return made
