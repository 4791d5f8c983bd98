"""What a refusal advises serves: every registered super-network, with options of many kinds, and every source."""

from __future__ import annotations

import itertools
import json

import pytest

from hwnas import supernets
from hwnas.harness import quality
from hwnas.harness.quality import QualityOptions
from hwnas.harness.quality.serving import joined, serving
from hwnas.supernets.errors import NotServedError, QualityError, UsageError

_OPTIONS = (
    *("", "r=28", "r=elastic", "r=240", "r=208", "classes=10", "scale=0.25"),
    *("channels=1,classes=10", "users=9,items=200"),
)


def _spelled():
    """Return every super-network with every option that it takes."""
    for name, options in itertools.product(supernets.names(), _OPTIONS):
        spec = f"{name}:{options}" if options else name
        try:
            yield supernets.get(spec).name
        except UsageError:
            continue


NETS = sorted(set(_spelled()))


@pytest.fixture
def measured(tmp_path):
    """Return what writes a table of sixty sub-networks of a super-network."""

    def write(net):
        rows = [json.dumps(config).replace('"', '""') for config in net.space.decode(net.space.sample(120, 0))]
        lines = [f'"{row}",{60 + number % 17}' for number, row in enumerate(rows)]
        (tmp_path / "t.csv").write_text("config,top1\n" + "\n".join(lines) + "\n")
        return str(tmp_path / "t.csv")

    return write


@pytest.mark.parametrize("name", NETS)
def test_what_is_advised_serves(assets, name, measured):
    net = supernets.get(name)
    for spec in serving(quality.registry, net):
        if spec == "surrogate:FILE" and name not in supernets.names():
            continue  # fitting takes a second, and options make no difference to it
        source, _, form = spec.partition(":")
        if not form or form == "FILE":
            made = quality.get(spec.replace("FILE", measured(net)) if form else spec, net)
            assert made.evaluate(net.space.sample(2, 1)).shape == (2,)
            continue
        # These need data and weights: they say so, and not that they serve others.
        with pytest.raises(UsageError) as refused:
            quality.get(f"{source}:nowhere", net, QualityOptions("nowhere.pt"))
        assert not isinstance(refused.value, NotServedError)
        assert "; for " not in str(refused.value)


def test_a_super_networks_own_source_is_advised_first():
    for name in ("ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-resnet50", "hw-gpt-s"):
        net = supernets.get(name)
        first, *others = serving(quality.registry, net)
        assert first.partition(":")[0] == net.default_quality
        assert others


@pytest.mark.slow
@pytest.mark.parametrize("source", quality.registry.names())
@pytest.mark.parametrize("name", NETS)
def test_what_is_not_advised_refuses_and_names_what_serves(assets, name, source):
    net = supernets.get(name)
    there = {spec.partition(":")[0]: spec for spec in serving(quality.registry, net)}
    module = quality.registry.provider(source)
    if source in there and (source != "surrogate" or "surrogate" in serving(quality.registry, net)):
        return
    if not hasattr(module, "serves"):
        return
    with pytest.raises(QualityError) as refused:
        quality.get(source, net)
    assert str(refused.value).endswith(f"; for {net.name} use {joined(serving(quality.registry, net, but=source))}")
