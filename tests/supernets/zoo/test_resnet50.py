from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwnas import supernets
from hwnas.supernets.errors import ConfigError, UsageError

NET = supernets.get("ofa-resnet50")
NAMES = [
    "ofa-resnet50",
    "ofa-resnet50:r=elastic",
    "ofa-resnet50:r=28,classes=10,channels=1,scale=0.25",
    "bootstrapnas-resnet50",
    "bootstrapnas-resnet50:r=32,classes=10,scale=0.5,positions=d5+w6+e4",
]


def config(**changed):
    found = NET.space.decode(NET.space.smallest())[0]
    return found | changed


def flops(module, channels, side):
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        module(torch.zeros(1, channels, side, side))
    return counter.get_total_flops()


def test_sizes():
    assert NET.space.n_var == 29
    assert [len(values) for values in config().values()] == [5, 18, 6, 1]
    assert NET.space.size == 3**29
    # Stem: 2 depths, 2 x 3 widths. Stages: 3 widths each; 9 + 27 + 81 ratios where two bottlenecks are always there.
    assert NET.space.distinct_size == 2 * 2 * 3 * 3**4 * 117 * 117 * 1053 * 117 == 1_639_276_531_308


def test_published_widths():
    assert NET.stem_widths == ((24, 24, 32), (40, 48, 64))
    assert NET.stage_widths == ((168, 208, 256), (336, 408, 512), (664, 816, 1024), (1328, 1640, 2048))


def test_the_aliases_of_the_stem_are_folded():
    key = NET.space.keys(NET.space.encode(config()))
    assert NET.space.keys(NET.space.encode(config(d=[1, 0, 0, 0, 0]))) == key
    assert NET.space.keys(NET.space.encode(config(w=[1, 0, 0, 0, 0, 0]))) == key
    assert NET.space.keys(NET.space.encode(config(d=[2, 0, 0, 0, 0]))) != key
    assert NET.space.keys(NET.space.encode(config(w=[2, 0, 0, 0, 0, 0]))) != key
    # The residual convolution is there for depth 2 alone.
    kinds = [[block.kind for block in NET.layers(config(d=[d, 0, 0, 0, 0]))] for d in (0, 1, 2)]
    assert kinds[0] == kinds[1] == ["stem-conv", "stem-conv", *kinds[2][3:]]
    assert kinds[2][:3] == ["stem-conv", "residual-conv", "stem-conv"]


def test_ratios_of_absent_bottlenecks_are_folded():
    x = NET.space.smallest()
    inactive = [5 + position for position in (2, 3, 6, 7, 12, 13, 16, 17)]
    x[:, inactive] = 2
    assert np.array_equal(NET.space.canonical(x), NET.space.smallest())
    assert not NET.space.active(NET.space.smallest())[0, inactive].any()
    assert NET.space.active(NET.space.largest()).all()


def test_middle_widths_are_of_the_output():
    ratios = [0.2, 0.25, 0.35] * 6
    blocks = [block for block in NET.layers(config(e=ratios, w=[0, 2, 1, 0, 2, 1])) if block.kind == "bottleneck"]
    assert [block.input[-1] for block in blocks] == [64, 208, 208, 336, 336, 1024, 1024, 1024, 1024, 1640]
    assert [block.option("mid") for block in blocks] == [40, 56, 88, 120, 360, 208, 256, 360, 576, 328]
    assert [block.option("projected") for block in blocks] == [1, 0, 1, 0, 1, 0, 0, 0, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_counts_are_the_modules(name):
    net = supernets.get(name)
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(2, 0)])
    for row, params, macs in zip(net.space.decode(X), net.params(X), net.macs(X), strict=True):
        module = net.build(row)
        assert sum(parameter.numel() for parameter in module.parameters()) == params
        assert flops(module, net.channels, net.resolution(row)) == 2 * macs


def test_published_count():
    # He et al.'s ResNet-50-D: 3, 4, 6 and 3 bottlenecks at ratio 0.25 and full width, 25.58 million parameters.
    found = config(d=[2, 1, 2, 2, 1], e=[0.25] * 18, w=[2] * 6)
    assert NET.params(NET.space.encode(found)).tolist() == [25_576_264]


def test_outputs_of_odd_sides_have_the_right_shape():
    net = supernets.get("ofa-resnet50:r=132")
    (stage,) = net.stages(net.space.decode(net.space.smallest())[0], batch=2)
    with torch.no_grad():
        assert stage.module(*stage.inputs).shape == (2, 1000)


def test_bootstrapnas_has_about_ten_million():
    net = supernets.get("bootstrapnas-resnet50")
    assert net.space.size == 2**4 * 3**4 * 2**14
    assert net.space.distinct_size == 3**4 * 12 * 12 * 48 * 12
    assert "2.1e+07 vectors" in net.summary
    first = net.space.decode(net.space.smallest())[0]
    assert (first["d"], first["w"], first["e"]) == ([0] * 4, [0.65] * 4, [0.2] * 14)
    # The stem is that of the full width, without the residual convolution.
    assert [block.kind for block in net.layers(first)][:3] == ["stem-conv", "stem-conv", "max-pool"]
    assert [block.output[-1] for block in net.layers(first)][:2] == [32, 64]


def test_positions_are_a_parameter():
    net = supernets.get("bootstrapnas-resnet50:positions=d5+w6+e4")
    assert net.name == "bootstrapnas-resnet50:positions=d5+w6+e4"
    assert net.space.size == 2**5 * 3**6 * 2**4
    assert net.space.distinct_size == 2**5 * 2 * 3**5 * 2**4
    assert supernets.get("bootstrapnas-resnet50:positions=d4+w4+e14").name == "bootstrapnas-resnet50"
    with pytest.raises(UsageError, match=r"positions='all': expected one of d4\+w4\+e4, "):
        supernets.get("bootstrapnas-resnet50:positions=all")


@pytest.mark.parametrize("scale", ["0.25", "0.5", "1"])
def test_scales_keep_the_choices_apart(scale):
    net = supernets.get(f"ofa-resnet50:scale={scale}")
    assert net.space.distinct_size == NET.space.distinct_size


def test_a_scale_at_which_ratios_fall_together_is_refused():
    with pytest.raises(UsageError, match=r"scale=0\.11: a stage of 18 channels has the middle widths \[4, 4, 6\]"):
        supernets.get("ofa-resnet50:scale=0.11")


def test_bad_configs_are_refused():
    with pytest.raises(ConfigError, match=r"w\[0\]: expected one of \{0, 1, 2\}, got 0\.65"):
        NET.space.encode(config(w=[0.65] * 6))
    with pytest.raises(ConfigError, match=r"e: expected 18 values, got 20"):
        NET.space.encode(config(e=[0.2] * 20))


@pytest.mark.slow
@pytest.mark.parametrize("options", ["r=12+28,classes=10,channels=1,scale=0.125,stem_stride=2", "r=28,classes=10"])
def test_small_images_leave_a_network_alive(options):
    # At 12 px the last stages see one pixel: the variance over it is none, and batch-norm would blow up or fade out.
    net = supernets.get(f"ofa-resnet50:{options}")
    for config in net.space.decode(np.concatenate([net.space.smallest(), net.space.largest()])):
        (stage,) = net.stages(config, 1)
        largest = float(stage.module(*stage.inputs).detach().abs().max())
        assert 1e-2 < largest < 1e3
