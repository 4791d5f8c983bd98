"""Modules that are built without weights have the shapes of others, and draw nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn

from hwnas import supernets
from hwnas.supernets.bare import without_weights

BUILT = """
import sys
from hwnas import supernets
for name in supernets.names():
    net = supernets.get(name)
    (config,) = net.space.decode(net.space.smallest())
    net.stages(config, 1)
    print(name, sorted({"sympy", "torch._dynamo"} & sys.modules.keys()))
"""


def test_shapes_are_there_and_nothing_is_drawn():
    def make():
        return nn.Sequential(
            nn.Embedding(3, 4), nn.Linear(4, 5), nn.Conv1d(5, 6, 1), nn.BatchNorm1d(6), nn.LayerNorm(6)
        )

    before = torch.get_rng_state()
    with without_weights():
        bare = make()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(tensor.is_meta for tensor in bare.state_dict().values())
    assert {key: x.shape for key, x in bare.state_dict().items()} == {
        k: x.shape for k, x in make().state_dict().items()
    }
    assert nn.Linear(2, 3).weight.abs().sum() > 0


@pytest.mark.slow
def test_a_worker_that_builds_a_network_does_not_load_torchs_compiler():
    said = subprocess.run([sys.executable, "-c", BUILT], capture_output=True, text=True, check=True).stdout
    assert said == "".join(f"{name} []\n" for name in supernets.names())
