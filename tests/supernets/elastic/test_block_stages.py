"""Blocks of models run alone, so that lookup tables can be built of them."""

from __future__ import annotations

import pytest
import torch

from hwnas.backends.export import export
from hwnas.supernets.blocks import Block, distinct_blocks
from hwnas.supernets.elastic.blocks import stage as block_stage
from tests.supernets.elastic.conftest import made


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mobilenet", marks=pytest.mark.slow),
        *("densenet", "unet", "vit", "encoder", "grouped", "two_inputs", "regrouped"),
    ],
)
def test_blocks_run_alone(name):
    _, _, net = made(name)
    largest = {
        (block.kind, *(key for key, _ in block.options)): block
        for block in sorted(distinct_blocks(net.slots), key=lambda block: block.params)
    }
    for block in largest.values():
        stage = net.block_stage(block, 2)
        assert sum(one.numel() for one in stage.module.parameters()) == block.params
        with torch.no_grad():
            found = stage.module(*stage.inputs)
        assert found.isfinite().all()
        assert 1e-3 < found.std() < 1e3
        assert 2 in found.shape[:2]
        assert export(stage).exporter == "trace"


@pytest.mark.parametrize(
    ("block", "output"),
    [
        (Block("einsum", (1, 4, 6, 16), (1, 4, 6, 6), macs=4 * 6 * 6 * 16), (2, 4, 6, 6)),  # bhqd,bhkd->bhqk
        (Block("einsum", (1, 6, 4, 16), (1, 6, 32), macs=6 * 4 * 16 * 32), (12, 32)),  # bthk,hkd->btd
        (Block("einsum", (1, 8, 8, 8), (1, 16, 8, 8), macs=16 * 64 * 8), (256, 8)),  # bchw,oc->bohw
    ],
)
def test_an_einstein_sum_is_a_product_over_as_many_numbers(block, output):
    stage = block_stage(block, 2)
    assert stage.module(*stage.inputs).shape == output
    assert stage.inputs[1].shape[-2:] == (block.macs // torch.Size(block.output).numel(), output[-1])


def test_a_convolution_of_a_single_sample_without_a_batch():
    options = (("kernel0", 3), ("padding0", 1), ("groups0", 2), ("bias", 1), ("norm", 0))
    stage = block_stage(Block("conv1d", (16, 20), (8, 20), options, macs=8 * 8 * 3 * 20, params=200), 1)
    assert stage.module(*stage.inputs).shape == (8, 20)
