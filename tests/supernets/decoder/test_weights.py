"""Shared weights of decoders: which part of each tensor a sub-network has, checkpoints, and what is no checkpoint."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import Trainable, saved

NET = supernets.get("hw-gpt-s:vocabulary=30,scale=0.0625,prompt=4,new=2")


def config(x):
    return NET.space.decode(np.atleast_2d(x))[0]


@pytest.fixture
def weights():
    return NET.shared(seed=3)


def test_it_can_be_trained(weights):
    assert isinstance(NET, Trainable)
    state = weights.state(config(NET.space.sample(1, 0)))
    module = NET.module(config(NET.space.sample(1, 0)))
    logits = torch.func.functional_call(module, state, (torch.zeros(2, 5, dtype=torch.long),))
    logits.square().mean().backward()
    assert weights.tensors["wte.weight"].grad is not None
    assert weights.tensors["h.0.attn.attn.weight"].grad.abs().sum() > 0


def test_a_sub_network_has_the_first_rows_columns_heads_and_layers(weights):
    one = config(NET.space.smallest()) | {"sample_n_head": [8] * 12, "sample_mlp_ratio": [3] * 12}
    state, tensors = weights.state(one), weights.tensors
    embed, width = 12, NET.choices.head_width
    assert torch.equal(state["wte.weight"], tensors["wte.weight"][:, :embed])
    # Queries, keys and values of a head stand together, so the first heads have the first rows.
    assert torch.equal(state["h.9.attn.attn.weight"], tensors["h.9.attn.attn.weight"][: 3 * 8 * width, :embed])
    assert torch.equal(state["h.9.attn.proj.weight"], tensors["h.9.attn.proj.weight"][:embed, : 8 * width])
    assert torch.equal(state["h.9.mlp.fc.weight"], tensors["h.9.mlp.fc.weight"][: 3 * embed, :embed])
    assert torch.equal(state["ln_f.weight"], tensors["ln_f.weight"][:embed])
    assert not any(key.startswith("h.10") or key.endswith(("attn.bias", "fc.bias", "proj.bias")) for key in state)


def test_fresh_weights_are_drawn_from_the_seed(weights):
    again, other = NET.shared(seed=3), NET.shared(seed=4)
    assert all(torch.equal(weights.tensors[key], again.tensors[key]) for key in weights.tensors)
    assert not torch.equal(weights.tensors["wte.weight"], other.tensors["wte.weight"])
    assert weights.tensors["wte.weight"].std().item() == pytest.approx(0.02, rel=0.1)
    assert weights.tensors["h.3.mlp.proj.weight"].std().item() == pytest.approx(0.02 / 24**0.5, rel=0.1)


def test_a_checkpoint_is_read_again(weights, tmp_path):
    file = tmp_path / "shared.pt"
    weights.save(file)
    one = config(NET.space.sample(1, 1))
    expected, tokens = weights.state(one), torch.arange(8)[None]
    module = NET.build(one, str(file))
    assert all(torch.equal(module.state_dict()[key], tensor) for key, tensor in expected.items())
    stages = NET.stages(one, 1, str(file))
    with torch.no_grad():
        torch.testing.assert_close(stages[0].module(tokens[:, :4])[0], module(tokens[:, :4])[:, -1])


def test_a_sub_networks_own_state_dict_is_read(weights, tmp_path):
    one, file = config(NET.space.sample(1, 2)), tmp_path / "own.pt"
    file.write_bytes(saved(weights.state(one)))
    assert torch.equal(NET.build(one, str(file)).wte.weight, weights.state(one)["wte.weight"])


def test_a_checkpoint_of_another_vocabulary_is_refused(weights, tmp_path):
    weights.save(tmp_path / "shared.pt")
    other = supernets.get(NET.name.replace("vocabulary=30", "vocabulary=31"))
    with pytest.raises(UsageError, match=r"wte.weight: \(30, 48\) for \(31, 48\)"):
        other.build(other.space.decode(other.space.smallest())[0], str(tmp_path / "shared.pt"))
