from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.zoo.ofa_mbv3 import RESOLUTIONS

W10 = supernets.get("ofa-mbv3-w1.0")
W12 = supernets.get("ofa-mbv3-w1.2")


SMALL = "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.5"


def flops(module: torch.nn.Module, resolution: int, channels: int = 3) -> int:
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.zeros(1, channels, resolution, resolution))
    return counter.get_total_flops()


def test_published_widths():
    assert (*W10.widths, W10.final, W10.mix) == (16, 16, 24, 40, 80, 112, 160, 960, 1280)
    assert (*W12.widths, W12.final, W12.mix) == (24, 24, 32, 48, 96, 136, 192, 1152, 1536)


@pytest.mark.slow
def test_published_counts_on_every_measured_row(dynast_rows):
    X = W10.space.encode([row["config"] for row in dynast_rows])
    assert len(set(W10.space.keys(X))) == 2162
    assert W10.params(X).tolist() == [row["params"] for row in dynast_rows]
    assert W10.macs(X).tolist() == [row["macs"] for row in dynast_rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-mbv3-w1.2:r=132+160+224", SMALL])
def test_counts_are_the_modules(name):
    net = supernets.get(name)
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(3, 0)])
    for config, params, macs in zip(net.space.decode(X), net.params(X), net.macs(X), strict=True):
        module = net.build(config)
        assert sum(parameter.numel() for parameter in module.parameters()) == params
        assert flops(module, int(config["r"][0]), net.channels) == 2 * macs


def test_depth_keeps_the_first_layers():
    config = W10.space.decode(W10.space.smallest())[0]
    config["ks"] = [3, 5, 7, 7] * 5
    kernels = [block.option("kernel") for block in W10.layers(config) if block.kind == "mbconv"]
    assert kernels == [3] + [3, 5] * 5


def test_weights_are_the_same_every_time():
    config = W10.space.decode(W10.space.smallest())[0]
    first, second = (W10.build(config).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    W10.build(W10.space.decode(W10.space.smallest())[0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_elastic_resolution():
    net = supernets.get("ofa-mbv3-w1.2:r=elastic")
    assert net.space.n_var == 46
    assert net.space.choices[-1].values == RESOLUTIONS
    config = net.space.decode(net.space.smallest())[0]
    assert config["r"] == [128]
    (stage,) = net.stages(config, batch=2)
    assert stage.inputs[0].shape == (2, 3, 128, 128)


def test_fixed_resolution():
    net = supernets.get("ofa-mbv3-w1.0:r=160")
    assert net.name == "ofa-mbv3-w1.0:r=160"
    assert net.space.decode(net.space.smallest())[0]["r"] == [160]
    assert supernets.get("ofa-mbv3-w1.0:r=224").name == "ofa-mbv3-w1.0"
    odd = supernets.get("ofa-mbv3-w1.0:r=223")
    assert odd.space.decode(odd.space.smallest())[0]["r"] == [223]


@pytest.mark.parametrize("option", ["r=0", "r=-1", "r=16385", "r=", "r=big", "r=160+", "res=160"])
def test_bad_options(option):
    with pytest.raises(UsageError):
        supernets.get(f"ofa-mbv3-w1.0:{option}")


@pytest.mark.slow
def test_state_dict_round_trip(tmp_path):
    config = W10.space.decode(W10.space.sample(1, 5))[0]
    module = W10.build(config)
    with torch.no_grad():
        module.classifier.bias.fill_(0.25)
    torch.save(module.state_dict(), tmp_path / "weights.pth")
    loaded = W10.build(config, weights=tmp_path / "weights.pth")
    assert torch.equal(loaded.classifier.bias, module.classifier.bias)


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path):
    smallest, largest = W10.space.decode(np.concatenate([W10.space.smallest(), W10.space.largest()]))
    torch.save(W10.build(smallest).state_dict(), tmp_path / "small.pth")
    with pytest.raises(UsageError, match=r"small.pth' lacks blocks\.\d+"):
        W10.build(largest, weights=tmp_path / "small.pth")
    torch.save({"extra": 1}, tmp_path / "other.pth")
    with pytest.raises(UsageError, match="expected a state dict of tensors"):
        W10.build(smallest, weights=tmp_path / "other.pth")
    (tmp_path / "noise.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UsageError, match="not a checkpoint"):
        W10.build(smallest, weights=tmp_path / "noise.pth")
    with pytest.raises(UsageError, match="no such file"):
        W10.build(smallest, weights=tmp_path / "missing.pth")
