from __future__ import annotations

import numpy as np
import pytest

from hwnas import supernets
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.errors import UsageError
from hwnas.supernets.single_blocks import SingleBlocks

NET = supernets.get("ofa-mbv3-w1.0")
BLOCKS = supernets.get("ofa-mbv3-w1.0/blocks")


def test_by_name_there_is_one_sub_network_per_block():
    assert BLOCKS.name == "ofa-mbv3-w1.0/blocks"
    assert BLOCKS.blocks == tuple(distinct_blocks(NET.slots))
    assert len(BLOCKS.blocks) == 96
    X = BLOCKS.vectors(range(96))
    assert len(set(BLOCKS.space.keys(X))) == 96
    assert [BLOCKS.block(config) for config in BLOCKS.space.decode(X)] == list(BLOCKS.blocks)


def test_counts_are_the_blocks():
    X = BLOCKS.vectors(range(96))
    assert BLOCKS.macs(X).tolist() == [block.macs for block in BLOCKS.blocks]
    assert BLOCKS.params(X).tolist() == [block.params for block in BLOCKS.blocks]


def test_numbers_beyond_the_last_stand_for_the_last():
    last = BLOCKS.space.largest()
    assert BLOCKS.block(BLOCKS.space.decode(last)[0]) == BLOCKS.blocks[-1]
    assert BLOCKS.macs(last)[0] == BLOCKS.blocks[-1].macs


def test_options_of_the_super_network_are_kept():
    assert supernets.get("ofa-mbv3-w1.0:r=128/blocks").blocks[0].input == (128, 128, 3)


def test_a_block_runs_alone():
    number = next(n for n, block in enumerate(BLOCKS.blocks) if block.kind == "mbconv" and block.option("stride") == 2)
    (stage,) = BLOCKS.stages(BLOCKS.space.decode(BLOCKS.vectors([number]))[0], batch=2)
    height, width, channels = BLOCKS.blocks[number].output
    assert stage.module(*stage.inputs).shape == (2, channels, height, width)


def test_weights_are_refused():
    with pytest.raises(UsageError, match="takes no weights"):
        BLOCKS.build(BLOCKS.space.decode(BLOCKS.vectors([0]))[0], "some.pth")


def test_a_super_network_that_builds_no_blocks_is_refused():
    class Plain:
        name, slots = "plain", NET.slots

    with pytest.raises(UsageError, match="plain: does not build its blocks alone"):
        SingleBlocks(Plain())


@pytest.mark.parametrize("n", [1, 36, 37, 1296, 1297])
def test_any_number_of_blocks_can_be_written(n):
    class Many:
        name, slots = "many", (type(NET.slots[0])("s", (), tuple(_renamed(n))),)

        def block_stage(self, block, batch): ...

    blocks = SingleBlocks(Many())
    X = blocks.vectors(np.arange(n))
    assert len(blocks.blocks) == n
    assert blocks.block(blocks.space.decode(X[[-1]])[0]) == blocks.blocks[-1]


def _renamed(n):
    block = NET.slots[0].blocks[0]
    return [type(block)(f"kind-{number}", block.input, block.output) for number in range(n)]
