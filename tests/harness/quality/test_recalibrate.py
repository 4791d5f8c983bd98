"""Batch-norm statistics set anew: against the definition, computed layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwnas.harness.quality.recalibrate import recalibrate


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()


def by_hand(module, batches):
    """Means over batches, weighted by size, of what a layer sees behind layers with the batch's own statistics."""
    found = {}
    for batch in batches:
        x = batch
        for name, layer in module.named_children():
            if isinstance(layer, nn.BatchNorm2d):
                mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
                found.setdefault(name, []).append((len(batch), mean, var))
                x = (x - mean.view(-1, 1, 1)) / (var.view(-1, 1, 1) + layer.eps).sqrt()
                x = x * layer.weight.view(-1, 1, 1) + layer.bias.view(-1, 1, 1)
            else:
                x = layer(x)
    total = sum(len(batch) for batch in batches)
    return {
        name: tuple(sum(one[0] * one[part] for one in rows) / total for part in (1, 2)) for name, rows in found.items()
    }


@pytest.mark.parametrize("sizes", [(8,), (8, 8, 4)])
def test_statistics_are_the_batches_means(sizes):
    module, batches = network(), [3 * torch.randn(size, 2, 7, 7) + 1 for size in sizes]
    with torch.no_grad():
        expected = by_hand(module, batches)
    recalibrate(module, iter(batches))
    for name, (mean, var) in expected.items():
        layer = module.get_submodule(name)
        assert torch.allclose(layer.running_mean, mean, atol=1e-5)
        assert torch.allclose(layer.running_var, var, atol=1e-5)


def test_nothing_else_changes_and_nothing_is_left_behind():
    module = network()
    before = {name: value.clone() for name, value in module.named_parameters()}
    recalibrate(module, [torch.randn(4, 2, 7, 7)])
    assert all(torch.equal(value, before[name]) for name, value in module.named_parameters())
    assert not module.training
    statistics = module[1].running_mean.clone()
    module(torch.randn(4, 2, 7, 7))
    assert torch.equal(module[1].running_mean, statistics)


def test_a_network_without_batch_norm_is_left_alone():
    module = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Dropout()).eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    recalibrate(module, [torch.randn(3, 2)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(one.training or one._forward_pre_hooks for one in module.modules())


@pytest.mark.parametrize("norm", [nn.Identity(), nn.BatchNorm2d(2, track_running_stats=False)])
def test_nothing_is_read_where_there_are_no_statistics(norm):
    recalibrate(nn.Sequential(nn.Conv2d(2, 2, 1), norm).eval(), (pytest.fail("it was read") for _ in range(1)))


def test_after_it_each_channel_is_standardised():
    module = network()
    with torch.no_grad():
        module[0].weight.mul_(30)
    batch = torch.randn(64, 2, 7, 7)
    recalibrate(module, [batch])
    with torch.no_grad():
        out = module[:2](batch)
    assert out.mean((0, 2, 3)).abs().max() < 1e-4
    assert (out.std((0, 2, 3)) - 1).abs().max() < 0.01
