"""Blocks of models run alone, so that lookup tables can be built of them."""

from __future__ import annotations

import pytest
import torch

from hwnas.backends.export import export
from hwnas.supernets.blocks import distinct_blocks
from tests.supernets.elastic.conftest import made


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mobilenet", marks=pytest.mark.slow),
        *("densenet", "unet", "vit", "encoder", "grouped", "two_inputs"),
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
