"""Shared weights: slices as HAT takes them, gradients, and checkpoints, its trainer's included."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.errors import UsageError
from hwnas.supernets.shared import Trainable
from hwnas.supernets.transformer.weights import TABLE

NET = supernets.get("hat-transformer:layers=2,qkv=16,vocab=40,embed=8+12,ffn=16+24,heads=2+4")
X = np.concatenate([NET.space.smallest(), NET.space.largest(), NET.space.sample(4, 0)])
CONFIGS = NET.space.decode(X)
SOURCE, TARGET = (torch.randint(4, 40, (2, 5), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))


def of_fairseq(tensors, **more):
    """A checkpoint as HAT's trainer writes it, under the key names that it publishes."""
    extra = {
        "decoder.embed_tokens.weight": tensors[TABLE],
        "encoder.version": torch.tensor([3.0]),
        "decoder.version": torch.tensor([3.0]),
        "encoder.embed_positions._float_tensor": torch.zeros(1),
        "decoder.embed_positions._float_tensor": torch.zeros(1),
    }
    model = {key: tensor.detach() for key, tensor in tensors.items()} | extra | more
    return {"args": argparse.Namespace(arch="transformersuper_wmt_en_de"), "model": model, "extra_state": {"best": 4.0}}


def test_states_are_the_modules():
    assert isinstance(NET, Trainable)
    shared = NET.shared(seed=3)
    for config in CONFIGS:
        wanted = NET.module(config).state_dict()
        found = shared.state(config)
        assert {key: value.shape for key, value in found.items()} == {key: v.shape for key, v in wanted.items()}


def test_the_largest_shares_every_number_and_smaller_ones_its_first():
    shared = NET.shared(seed=3)
    smallest, largest = (shared.state(config) for config in CONFIGS[:2])
    assert sum(v.numel() for v in largest.values()) == sum(t.numel() for t in shared.tensors.values())
    key = "decoder.layers.0.encoder_attn.memory.kv_proj.weight"
    assert torch.equal(smallest[key], largest[key][:, :8])
    assert torch.equal(smallest["encoder.layers.1.ffn.fc2.weight"], largest["encoder.layers.1.ffn.fc2.weight"][:8, :16])
    fused = shared.tensors["decoder.layers.0.encoder_attn.in_proj_weight"]
    assert torch.equal(torch.cat([largest["decoder.layers.0.encoder_attn.q_proj.weight"], largest[key]]), fused)


def test_gradients_reach_the_slices_and_nothing_else():
    shared, config = NET.shared(seed=3), CONFIGS[0]
    module = NET.module(config).train()
    torch.func.functional_call(module, shared.state(config), (SOURCE, TARGET)).square().mean().backward()
    table = shared.tensors[TABLE].grad
    assert table[:, :8].abs().sum() > 0
    assert table[:, 8:].abs().sum() == 0
    assert shared.tensors["decoder.layers.1.fc1.weight"].grad is None  # a layer that the smallest has not


def test_the_same_seed_draws_the_same_weights():
    one, two, three = (NET.shared(seed=seed).tensors for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one[TABLE], three[TABLE])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["ours", "HAT's"])
def test_a_checkpoint_gives_what_was_saved(tmp_path, form):
    shared, file = NET.shared(seed=3), tmp_path / "weights.pt"
    if form == "ours":
        shared.save(file)
    else:
        torch.save(of_fairseq(shared.tensors), file)
    read = NET.shared(str(file))
    assert all(torch.equal(read.tensors[key], tensor) for key, tensor in shared.tensors.items())
    for config in CONFIGS:
        module = NET.build(config, str(file))
        assert not module.training
        expected = torch.func.functional_call(NET.module(config).eval(), shared.state(config), (SOURCE, TARGET))
        torch.testing.assert_close(module(SOURCE, TARGET), expected)


def test_a_sub_networks_own_state_dict_is_taken(tmp_path):
    module = NET.build(CONFIGS[2])
    torch.save(module.state_dict(), tmp_path / "own.pt")
    again = NET.build(CONFIGS[2], str(tmp_path / "own.pt"))
    assert torch.equal(again(SOURCE, TARGET), module(SOURCE, TARGET))
    with pytest.raises(UsageError, match="has other shapes"):
        NET.build(CONFIGS[0], str(tmp_path / "own.pt"))


class Meter:
    """An object of the trainer's, as some checkpoints of fairseq have it."""


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"decoder.embed_tokens.weight": torch.ones(40, 12)}, "share-all-embeddings"),
        ({"decoder.embed_out": torch.ones(2)}, "the output has weights of its own"),
        ({"encoder.layers.0.fc1.bias": None}, r"lacks encoder\.layers\.0\.fc1\.bias"),
        ({"encoder.layers.0.fc1.bias": torch.ones(5)}, r"\(5,\) for \(24,\)"),
        ({"encoder.layer_norm.weight": torch.ones(12)}, r"unknown encoder\.layer_norm\.weight"),
    ],
)
def test_weights_of_another_layout_are_refused_by_name(tmp_path, changed, named):
    document = of_fairseq(NET.shared().tensors, **changed)
    document["model"] = {key: tensor for key, tensor in document["model"].items() if tensor is not None}
    torch.save(document, tmp_path / "hat.pt")
    with pytest.raises(UsageError, match=named):
        NET.shared(str(tmp_path / "hat.pt"))


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({"model": {"x": torch.ones(1)}, "meter": Meter()}, r"torch\.save\(\{'model': checkpoint\['model'\]\}, FILE\)"),
        ({"best": 4.0}, "expected tensors by name"),
        ([torch.ones(1)], "expected tensors by name"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, document, named):
    torch.save(document, tmp_path / "hat.pt")
    with pytest.raises(UsageError, match=named):
        NET.shared(str(tmp_path / "hat.pt"))


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(UsageError, match=r"nowhere\.pt"):
        NET.shared("nowhere.pt")
