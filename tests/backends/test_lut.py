from __future__ import annotations

import os

import numpy as np
import pytest
import yaml

from hwnas import backends, supernets
from hwnas.backends import KnowingBackend, Settings
from hwnas.latency_luts import Entry, key, write_table
from hwnas.latency_luts.formats.hwnas import MARK
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.errors import PlatformError, TableError, UnknownNameError

NET = supernets.get("ofa-mbv3-w1.0")
LUT = backends.get("lut")


def settings(**options: str) -> Settings:
    return Settings(options=options)


@pytest.fixture
def own(tmp_path):
    """A table of ours in which every block of width 1.0 takes a millisecond."""
    file = tmp_path / "own.yaml"
    blocks = {key(block): Entry(1e-3) for block in distinct_blocks(NET.slots)}
    write_table(file, blocks, supernet=NET.name, platform="torch:threads=1", environment={}, protocol={})
    return file


def test_it_is_a_knowing_backend_without_the_common_keys():
    assert isinstance(LUT, KnowingBackend)
    assert LUT.keys == frozenset()
    tables = ("jetson-cpu", "jetson-gpu", "note10")
    assert {option.key: option.allowed for option in LUT.options} == {"table": tables, "file": None, "dir": None}
    assert LUT.why_not() is None


def test_note10(assets):
    net = supernets.get("ofa-mbv3-w1.2")
    extremes = np.vstack([net.space.smallest(), net.space.largest()])
    assert LUT.latency(net, extremes, settings(table="note10")) * 1e3 == pytest.approx([17.769, 92.398], abs=5e-4)


def test_once_for_alls_file_equals_the_published_name(assets):
    net = supernets.get("ofa-mbv3-w1.2")
    X = net.space.sample(20, 0)
    file = str(assets / "ofa/note10/224_lookup_table.yaml")
    assert np.array_equal(LUT.latency(net, X, settings(file=file)), LUT.latency(net, X, settings(table="note10")))


def test_our_own_file(own):
    # Blocks: first conv, first mbconv, d1 + ... + d5 of them, expand, pool, mix, classifier.
    assert LUT.latency(NET, NET.space.smallest(), settings(file=str(own))) == pytest.approx([1e-3 * (2 + 10 + 4)])
    assert LUT.latency(NET, NET.space.largest(), settings(file=str(own))) == pytest.approx([1e-3 * (2 + 20 + 4)])


def test_an_edited_file_is_read_anew(own):
    before = LUT.latency(NET, NET.space.smallest(), settings(file=str(own)))
    document = yaml.safe_load(own.read_text())
    document |= {name: {"mean": 250.0} for name in document if name != MARK}
    own.write_text(yaml.safe_dump(document))
    os.utime(own, ns=(1, 1))
    assert LUT.latency(NET, NET.space.smallest(), settings(file=str(own))) == pytest.approx(before * 250)


def test_a_missing_block_is_an_error(own):
    document = yaml.safe_load(own.read_text())
    lost = next(name for name in document if name.startswith("Logits"))
    del document[lost]
    own.write_text(yaml.safe_dump(document))
    with pytest.raises(TableError, match=f"has no block {lost}; the nearest it has: "):
        LUT.latency(NET, NET.space.smallest(), settings(file=str(own)))


def test_width_1_0_with_note10_names_1_2():
    with pytest.raises(TableError, match=r"ofa-mbv3-w1\.2"):
        LUT.latency(NET, NET.space.smallest(), settings(table="note10"))


@pytest.mark.parametrize(("options", "got"), [({}, "none"), ({"table": "note10", "file": "x"}, "table and file")])
def test_one_of_table_and_file(options, got):
    with pytest.raises(PlatformError, match=f"got {got}; say lut:table=note10, lut:file=PATH or lut:dir=FOLDER"):
        LUT.latency(NET, NET.space.smallest(), settings(**options))


def test_no_such_file_or_table(tmp_path):
    with pytest.raises(TableError, match="no such lookup table"):
        LUT.latency(NET, NET.space.smallest(), settings(file=str(tmp_path / "none.yaml")))
    with pytest.raises(UnknownNameError, match="note10"):
        LUT.latency(NET, NET.space.smallest(), settings(table="note9"))
