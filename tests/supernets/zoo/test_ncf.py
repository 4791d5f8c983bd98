from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.zoo.ncf import CANDIDATES

SMALL = "ncf:users=30,items=120"


@pytest.fixture(scope="module")
def net():
    return supernets.get(SMALL)


@pytest.fixture(scope="module")
def configs(net):
    space = net.space
    return space.decode(np.concatenate([space.smallest(), space.largest(), space.sample(4, 0)]))


def test_published_sizes():
    space = supernets.get("ncf").space
    assert space.n_var == 9
    assert space.size == 5 * 5 * 6 * 8**6  # 3.93e7
    assert space.distinct_size == 25 * sum(8**depth for depth in range(1, 7))  # 7.49e6


@pytest.mark.parametrize("row", range(6))
def test_counts_are_the_modules(net, configs, row):
    X = net.space.encode(configs[row])
    (stage,) = net.stages(configs[row], batch=1)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        stage.module(*stage.inputs)
    assert counter.get_total_flops() == 2 * net.macs(X)[0]
    assert sum(parameter.numel() for parameter in stage.module.parameters()) == net.params(X)[0]


def test_it_is_neural_matrix_factorisation(net, configs):
    """He et al. (2017), equations 8 to 12, one user and item at a time, the halves joined before the first layer."""
    module = net.build(configs[3])
    users, items = torch.tensor([3, 7]), torch.tensor([[5, 60], [110, 0]])
    found = module(users, items)
    for row, column in np.ndindex(2, 2):
        user, item = users[row], items[row, column]
        joined = torch.cat([module.mlp_user.weight[user], module.mlp_item.weight[item]])
        first = torch.cat([module.first.user.weight, module.first.item.weight], dim=1)
        hidden = torch.relu(first @ joined + module.first.user.bias)
        for layer in module.layers:
            hidden = torch.relu(layer.linear.weight @ hidden + layer.linear.bias)
        product = module.gmf_user.weight[user] * module.gmf_item.weight[item]
        last = torch.cat([module.product.linear.weight, module.head.weight], dim=1)
        expected = last @ torch.cat([product, hidden]) + module.head.bias
        torch.testing.assert_close(found[row, column], expected[0], rtol=1e-4, atol=1e-5)


def test_depth_keeps_the_first_layers(net):
    config = {"gmf_dim": [8], "mlp_dim": [16], "n_layers": [3], "hidden": [64, 32, 128, 8, 8, 8]}
    module = net.build(config)
    widths = [module.first.user.out_features, *(layer.linear.out_features for layer in module.layers)]
    assert widths == [64, 32, 128]


def test_a_stage_scores_candidates(net, configs):
    (stage,) = net.stages(configs[0], batch=3)
    user, items = stage.inputs
    assert (user.shape, items.shape) == ((3,), (3, CANDIDATES))
    assert (user.dtype, items.dtype) == (torch.int64, torch.int64)
    assert 0 <= int(items.min()) <= int(items.max()) < net.items
    assert stage.module(user, items).shape == (3, CANDIDATES)


def test_sizes_are_options():
    net = supernets.get("ncf:items=50,users=7")
    assert net.name == "ncf:users=7,items=50"
    assert net.build(net.space.decode(net.space.smallest())[0]).gmf_item.weight.shape == (50, 8)
    assert supernets.get("ncf:users=943,items=1682").name == "ncf"


@pytest.mark.parametrize("option", ["users=0", "items=x", "items=-3", "user=9", "users=\N{SUPERSCRIPT TWO}"])
def test_bad_options(option):
    with pytest.raises(UsageError, match=r"expected a whole number from 1|did you mean 'users'"):
        supernets.get(f"ncf:{option}")


# --- shared weights --------------------------------------------------------------------------------------------------


def test_a_sub_network_has_its_share(net, configs, tmp_path):
    weights = net.shared(seed=3)
    weights.save(tmp_path / "ncf.pth")
    x = torch.tensor([2]), torch.arange(CANDIDATES)[None]
    for config in configs:
        built = net.build(config, weights=str(tmp_path / "ncf.pth"))
        called = torch.func.functional_call(net.module(config), weights.state(config), x)
        torch.testing.assert_close(built(*x), called)


def test_smaller_ones_are_the_first_rows_and_columns_scaled_by_what_they_sum_over(net):
    weights = net.shared()
    config = {"gmf_dim": [16], "mlp_dim": [8], "n_layers": [2], "hidden": [32, 64, 8, 8, 8, 8]}
    state, whole = weights.state(config), weights.tensors
    assert torch.equal(state["gmf_item.weight"], whole["gmf_item.weight"][:, :16])
    torch.testing.assert_close(
        state["product.linear.weight"], whole["product.linear.weight"][:, :16] * (128 / 16) ** 0.5
    )
    torch.testing.assert_close(state["first.item.weight"], whole["first.item.weight"][:32, :8] * (128 / 8) ** 0.5)
    second = whole["layers.0.linear.weight"][:64, :32] * (1024 / 32) ** 0.5
    torch.testing.assert_close(state["layers.0.linear.weight"], second)
    torch.testing.assert_close(state["head.weight"], whole["heads.1.weight"][:, :64] * (1024 / 64) ** 0.5)
    assert torch.equal(state["head.bias"], whole["heads.1.bias"])


def test_only_the_share_learns(net, configs):
    weights = net.shared()
    state = weights.state(configs[0])
    out = torch.func.functional_call(net.module(configs[0]), state, (torch.tensor([2]), torch.tensor([[4, 5]])))
    out.sum().backward()
    gradient = weights.tensors["mlp_item.weight"].grad
    assert gradient[4, :8].any()
    assert not gradient[4, 8:].any()
    assert not gradient[6].any()
    assert weights.tensors["heads.5.weight"].grad is None


def test_the_same_seed_the_same_weights(net):
    one, same, other = (net.shared(seed=seed).tensors["first.user.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_weights_of_another_size_are_refused(net, configs, tmp_path):
    supernets.get("ncf:users=31,items=120").shared().save(tmp_path / "other.pth")
    with pytest.raises(UsageError, match=r"gmf_user.weight: \(31, 128\) for \(30, 128\)"):
        net.build(configs[0], weights=str(tmp_path / "other.pth"))
    torch.save(net.build(configs[0]).state_dict(), tmp_path / "one.pth")
    assert net.build(configs[0], weights=str(tmp_path / "one.pth")).head.weight.shape == (1, 8)
    with pytest.raises(UsageError, match=r"one.pth'"):
        net.build(configs[1], weights=str(tmp_path / "one.pth"))
