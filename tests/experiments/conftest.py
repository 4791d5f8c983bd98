"""The shipped experiments at smoke scale: what they measure is the scripted plug-in, all else is what they name."""

from __future__ import annotations

import pytest

from hwnas import experiments
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.latency_luts.table import Entry
from hwnas.latency_luts.write import write_table

# What is measured is no matter here, only that it is. To compare it with torch, each worker would have to load it.
QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, cap_s=0.02, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip

# A toy of three layers on a platform that keeps the CPU busy for a fraction of a millisecond. Every worker process that
# is started takes seconds: what one experiment measures, another one of its kind takes from a table.
TOY = {"supernet": "toy", "quality": "capacity", "stands_in": "a toy"}
FAST, SLOW = "scripted:us=20", "scripted:us=40"


def measured(tables):
    """What replaces the platforms of the experiments that measure."""
    one, other = tables
    return {
        "fig8-measured": {
            "problems": {
                "onnxruntime": {**TOY, "platform": FAST},
                "openvino": {**TOY, "platform": one, "as_table": False},
            }
        },
        "fig9": {
            "seeds": 1,
            "problems": {
                "transformer": {**TOY, "platform": FAST},
                "ncf": {**TOY, "platform": one},
            },
        },
        "fig10-measured": {"problem": TOY, "platforms": [FAST, SLOW]},
        "fig11": {
            "problem": {**TOY, "as_table": False},
            "platforms": [one, other],
            "claims": [{"says": "A front does not transfer", "between": [one, other]}],
        },
        "fig13-measured": {"problems": {"onnxruntime": {**TOY, "platform": other, "as_table": False}}},
        "effort": {"problem": {**TOY, "platform": FAST}},
        "fig14": {"problem": TOY, "platforms": [FAST], "precision": "bf16"},
        "fig14-measured": {"problem": TOY, "platforms": [FAST], "precision": "bf16"},
    }


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """Two devices that know the toy's blocks: one pays for width, the other for layers."""
    folder = tmp_path_factory.mktemp("tables")
    platforms = []
    for name, per_unit, per_layer in (("width", 1e-3, 0.0), ("layers", 1e-4, 2e-3)):
        blocks = {f"layer-input:{w}-output:{w}": Entry(per_layer + per_unit * w**2) for w in (1, 2, 3, 4)}
        file = folder / f"{name}.yaml"
        write_table(file, blocks, supernet="toy", platform=name, environment={}, protocol={})
        platforms.append(f"lut:file={file}")
    return platforms


@pytest.fixture
def smoke(scripted, tables, monkeypatch):
    """Return a shipped experiment at smoke scale that can be run here in seconds."""
    measurer = Measurer.__init__
    quick = {"protocol": QUICK, "check": False}
    monkeypatch.setattr(Measurer, "__init__", lambda *given, **more: measurer(*given, **more | quick))
    return lambda name: experiments.shipped(name, "smoke", measured(tables).get(name))
