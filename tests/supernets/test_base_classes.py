"""A base class that others derive super-networks from has no private name that an attribute of theirs could replace."""

from __future__ import annotations

import pytest

from hwnas import supernets
from hwnas.supernets.blocks import BlockCounts
from hwnas.supernets.images.classifier import ElasticClassifier
from hwnas.supernets.images.resnet import ElasticResNet

SHOWN = {"_repr_html_"}  # what notebooks call


def private(cls, names):
    """Return the names that a subclass may take without noticing."""
    mangled = tuple(f"_{base.__name__.lstrip('_')}__" for base in cls.__mro__)
    return {
        name for name in names if name.startswith("_") and not name.startswith(("__", *mangled)) and name not in SHOWN
    }


@pytest.mark.parametrize("cls", [BlockCounts, ElasticClassifier, ElasticResNet])
def test_the_class_has_none(cls):
    assert private(cls, vars(cls)) == set()


def test_its_objects_have_none():
    class Bare(ElasticClassifier):
        pass

    net = supernets.get("ofa-resnet50")
    made = Bare(net.name, net.summary, net.images, net.space.choices, (), {}, net.default_quality)
    made.params(made.space.smallest())
    assert private(Bare, vars(made)) == set()


def test_an_attribute_of_a_subclass_replaces_nothing():
    class Own(type(supernets.get("ofa-resnet50"))):
        _places = _shapes = _parts = _cut = _params = _macs = None

    net = supernets.get("ofa-resnet50")
    net.__class__ = Own
    config = net.space.decode(net.space.smallest())[0]
    assert sum(one.numel() for one in net.module(config).parameters()) == net.params(net.space.smallest())[0]
