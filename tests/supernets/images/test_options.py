"""Options of image classifiers: what can be asked for, how it is spelled, what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.images.options import ImageOptions, parse_images

SIDES = tuple(range(128, 225, 4))


def parsed(**options):
    return parse_images("net", options, SIDES)


def test_published_by_default():
    assert parsed() == ImageOptions()
    assert parsed().published
    assert parsed().name("net") == "net"
    assert parsed(r="160").published


@pytest.mark.parametrize("option", [{"classes": "10"}, {"channels": "1"}, {"scale": "0.5"}, {"r": "28"}])
def test_what_is_not_published(option):
    assert not parsed(**option).published
    assert parsed(**option).quality("ofa-predictor") == "images"
    assert parsed().quality("ofa-predictor") == "ofa-predictor"


def test_small_images_are_halved_once_less():
    assert parsed(r="28").stem_stride == parsed(r="92").stem_stride == 1
    assert parsed(r="96").stem_stride == parsed(r="64+128").stem_stride == 2
    assert parsed(r="28", stem_stride="2").name("net") == "net:r=28,stem_stride=2"
    assert parsed(r="28", stem_stride="1").name("net") == "net:r=28"


@given(
    st.lists(st.sampled_from((*range(12, 97, 4), *SIDES)) | st.integers(1, 16_384), min_size=1, max_size=4),
    st.integers(2, 2000),
    st.integers(1, 4),
    st.sampled_from((0.1, 0.25, 0.3, 1.0, 1.25, 4.0)),
    st.sampled_from((None, 1, 2)),
)
def test_names_parse_back(sides, classes, channels, scale, stride):
    options = {"r": "+".join(map(str, sides)), "classes": str(classes), "channels": str(channels), "scale": str(scale)}
    options |= {} if stride is None else {"stem_stride": str(stride)}
    found = parsed(**options)
    spelled = dict(part.split("=") for part in found.name("net").removeprefix("net").strip(":").split(",") if part)
    assert parsed(**spelled) == found
    assert found.resolutions == tuple(sorted(set(sides)))
    assert (found.classes, found.channels, found.scale) == (classes, channels, scale)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"r": "0"}, "r='0': expected 'elastic' or sides of images of 1 to 16384 pixels, joined like 160"),
        ({"r": "16385"}, "sides of images of 1 to 16384"),
        ({"r": "224+x"}, "sides of images of 1 to 16384"),
        ({"r": "-224"}, "sides of images of 1 to 16384"),
        ({"r": "9" * 5000}, "sides of images of 1 to 16384"),
        ({"r": "+".join(map(str, range(100, 137)))}, "has 37 resolutions, expected at most 36"),
        ({"classes": "1"}, "classes='1': expected a whole number of 2 to 1000000"),
        ({"classes": "ten"}, "classes='ten'"),
        ({"channels": "0"}, "channels='0'"),
        ({"scale": "nan"}, "scale='nan': expected a factor of 0.1 to 4"),
        ({"scale": "big"}, "scale='big'"),
        ({"stem_stride": "3"}, "stem_stride='3': expected a whole number of 1 to 2"),
        ({"class": "10"}, "unknown option 'class'; did you mean 'classes'"),
    ],
)
def test_what_cannot_be_is_refused(option, message):
    with pytest.raises(UsageError, match=message):
        parsed(**option)


# Published specialised networks take images of up to 260 pixels; strides leave something of any image.
@pytest.mark.parametrize("side", [23, 100])
@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-resnet50", "bootstrapnas-resnet50"])
def test_images_of_any_side(name, side):
    net = supernets.get(f"{name}:r={side},scale=0.25,classes=10")
    config = net.space.decode(net.space.smallest())[0]
    with torch.no_grad():
        assert net.build(config)(torch.zeros(1, 3, side, side)).shape == (1, 10)
    assert net.layers(config)[0].input == (side, side, 3)


@pytest.mark.parametrize("name", ["ofa-mbv3-w1.0", "ofa-resnet50", "bootstrapnas-resnet50"])
def test_every_family_has_them(name):
    net = supernets.get(f"{name}:channels=1,r=32,classes=10,scale=0.5")
    assert net.name == f"{name}:r=32,classes=10,channels=1,scale=0.5"
    assert (net.data, net.classes, net.channels, net.resolutions) == ("images", 10, 1, (32,))
    first, *_, last = net.layers(net.space.decode(net.space.smallest())[0])
    assert (first.input, last.output) == ((32, 32, 1), (10,))
    assert first.output[:2] == (32, 32)
