"""Sub-networks are the model without some channels: by masks where these are exact, and by models built smaller."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas.supernets.elastic.program import WEIGHT
from tests.supernets.elastic.conftest import in_order, made, outputs

# In these no norm and no mean runs over channels that can be left out, so that channels of zeros change nothing.
_MASKABLE = ("resnet", "mobilenet", "efficientnet", "densenet", "unet", "two_inputs", "reused")


@pytest.mark.parametrize("name", _MASKABLE)
def test_as_with_channels_of_zeros(name):
    module, inputs, net = made(name)
    X = net.space.sample(5, 3)
    depths = len(net.elastic.stages)
    X[:, :depths] = net.space.largest()[:, :depths]  # a mask takes no block away
    whole = {key: one.clone() for key, one in module.state_dict().items()}
    try:
        for config in net.space.decode(X):
            module.load_state_dict({**whole, **_masked(net, config)})
            wanted = outputs(module, inputs, 3)
            found = outputs(net.build(config), in_order(net, inputs), 3)
            for one, other in zip(wanted, found, strict=True):
                torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)
    finally:
        module.load_state_dict(whole)


def _masked(net, config):
    """Return the model's weights with zeros for what a sub-network leaves out, found by the shapes that it has."""
    _, indices = net._part(config)
    state = {}
    for node in net.program.nodes:
        if node.op == WEIGHT:
            tensor = net.program.weights[node.target].clone()
            for dim, axis in enumerate(net.elastic.analysis.of(node.name)):
                gone = np.setdiff1d(np.arange(axis.size), axis.kept(indices))
                tensor.index_fill_(dim, torch.from_numpy(gone), 0)
            state[node.target] = tensor
    return state


def test_a_smaller_llama_is_transformers_own():
    """A sub-network of one width is the model that transformers builds of a smaller configuration."""
    transformers = pytest.importorskip("transformers")
    module, inputs, net = made("llama")
    x = net.space.largest()
    hidden = next(n for n, one in enumerate(net.elastic.elastic_sets) if "lm_head" in one.layers)
    x[0, len(net.elastic.stages) + hidden] = 0
    config = net.space.decode(x)[0]
    found = net.build(config)
    smaller = {**module.config.to_dict(), "hidden_size": found.state_dict()["lm_head.weight"].shape[1], "head_dim": 16}
    other = transformers.LlamaForCausalLM(transformers.LlamaConfig(**smaller)).eval()
    missing = other.load_state_dict(found.state_dict(), strict=False)
    assert not missing.missing_keys
    one, two = outputs(other, inputs, 2), outputs(found, in_order(net, inputs), 2)
    assert one[0].shape == two[0].shape
    torch.testing.assert_close(two[0], one[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vit", "encoder"])
def test_blocks_that_are_left_out_do_nothing(name):
    """Leaving a block out is running the model with that block replaced by what passes its input on."""
    module, inputs, net = made(name)
    x = net.space.largest()
    x[0, 0] -= 1
    blocks = module.blocks if name == "vit" else module.encoder.layers
    last = int(net.elastic.stages[0].units[-1].path.rpartition(".")[2])
    kept, blocks[last] = blocks[last], torch.nn.Identity() if name == "vit" else _PassOn()
    try:
        wanted = outputs(module, inputs, 2)
    finally:
        blocks[last] = kept
    found = outputs(net.build(net.space.decode(x)[0]), in_order(net, inputs), 2)
    torch.testing.assert_close(found[0], wanted[0], rtol=1e-5, atol=1e-6)


class _PassOn(torch.nn.Module):
    def forward(self, x, **_):
        return x
