"""Decoders: a cached step against the whole, causality, rotary positions, and the layers' formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from greedy_generation import greedy
from torch import nn

from hwnas import supernets
from hwnas.supernets.decoder.layers import CausalAttention, DecoderLayer, FeedForward
from hwnas.supernets.decoder.network import Decode, Decoder, Prefill
from hwnas.supernets.decoder.rotary import Rotary

NET = supernets.get("hw-gpt-s:vocabulary=50,scale=0.125,prompt=6,new=5")
GENERATION = NET.generation


class Grouped(CausalAttention):
    """Attention of four heads on two heads of keys and values, with projections of their own."""

    def __init__(self, embed, rotary):
        super().__init__(rotary, shared_by=2)
        self.q = nn.Linear(embed, 4 * rotary.width)
        self.kv = nn.Linear(embed, 4 * rotary.width)
        self.o = nn.Linear(4 * rotary.width, embed)

    def parts(self, x):
        query = self.q(x).unflatten(-1, (4, -1)).transpose(1, 2)
        key, value = self.kv(x).unflatten(-1, (4, -1)).transpose(1, 2).chunk(2, 1)
        return query, key, value

    def joined(self, found):
        return self.o(found)


def grouped():
    """A network of another family: sequential residual, whole heads turned, groups of heads, an output of its own."""
    torch.manual_seed(0)
    rotary = Rotary(8, 8, 64)
    layers = (
        DecoderLayer(nn.LayerNorm(16), Grouped(16, rotary), nn.LayerNorm(16), FeedForward(16, 32, bias=True))
        for _ in range(3)
    )
    return Decoder(nn.Embedding(50, 16), layers, nn.LayerNorm(16), rotary, nn.Linear(16, 50, bias=False)).eval()


def built(x):
    return NET.build(NET.space.decode(np.atleast_2d(x))[0])


def prompts(batch=2, length=GENERATION.prompt, seed=0):
    return torch.randint(0, 50, (batch, length), generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[0, 1, 2, "smallest", "largest", "grouped"])
def module(request):
    if request.param == "grouped":
        return grouped()
    x = getattr(NET.space, request.param)() if isinstance(request.param, str) else NET.space.sample(3, 1)[request.param]
    return built(x)


def test_cached_decoding_is_the_whole_networks(module):
    tokens = prompts(length=GENERATION.prompt + GENERATION.new)
    with torch.no_grad():
        whole = module(tokens)
        first, *memories = Prefill(module, GENERATION.prompt)(tokens[:, : GENERATION.prompt])
        assert (first - whole[:, GENERATION.prompt - 1]).abs().max() <= 1e-4 * whole.abs().max()
        decode = Decode(module, GENERATION.past)
        # What is not written yet must not be seen.
        caches = [torch.full((*x.shape[:2], GENERATION.past, x.shape[-1]), 1e3) for x in memories]
        for cache, memory in zip(caches, memories, strict=True):
            cache[..., : GENERATION.prompt, :] = memory
        for position in range(GENERATION.prompt, tokens.shape[1]):
            logits, *fresh = decode(tokens[:, position : position + 1], torch.full((2, 1), position), *caches)
            assert (logits - whole[:, position]).abs().max() <= 1e-4 * whole.abs().max()
            for cache, new in zip(caches, fresh, strict=True):
                cache[..., position : position + 1, :] = new[..., : GENERATION.past - position, :]


def test_greedy_tokens_are_those_of_the_whole_network(module):
    tokens = prompts()
    with torch.no_grad():
        made = greedy(Prefill(module, GENERATION.prompt), Decode(module, GENERATION.past), tokens, GENERATION)
        for _ in range(GENERATION.new + 1):
            tokens = torch.cat([tokens, module(tokens)[:, -1].argmax(-1, keepdim=True)], 1)
    assert torch.equal(made, tokens[:, GENERATION.prompt :])


def test_later_tokens_do_not_change_earlier_ones(module):
    one, two = prompts(), prompts()
    two[:, 4:] = (two[:, 4:] + 1) % 50
    with torch.no_grad():
        a, b = module(one), module(two)
    torch.testing.assert_close(a[:, :4], b[:, :4])
    assert not torch.allclose(a[:, 4:], b[:, 4:])


def test_heads_are_turned_by_the_formula():
    rotary = Rotary(width=12, dims=8, positions=16)
    x = torch.randn(1, 2, 16, 12, generator=torch.Generator().manual_seed(0))
    found = rotary.turned(x, rotary.first(16, x))
    for position in range(16):
        for pair in range(4):
            angle = position * 10_000 ** (-2 * pair / 8)
            turn = complex(math.cos(angle), math.sin(angle))
            for head in range(2):
                a, b = x[0, head, position, pair].item(), x[0, head, position, pair + 4].item()
                expected = complex(a, b) * turn
                assert found[0, head, position, pair].item() == pytest.approx(expected.real, abs=1e-5)
                assert found[0, head, position, pair + 4].item() == pytest.approx(expected.imag, abs=1e-5)
    assert torch.equal(found[..., 8:], x[..., 8:])
    at = rotary.at(torch.tensor([[7]]), x)
    torch.testing.assert_close(rotary.turned(x[:, :, 7:8], at), found[:, :, 7:8])


def test_the_first_half_of_a_head_is_turned():
    rotary = supernets.get("hw-gpt-s").module(NET.space.decode(NET.space.smallest())[0] | {"sample_embed_dim": [192]})
    assert (rotary.rotary.width, rotary.rotary.dims, rotary.rotary.base) == (64, 32, 10_000)


def test_both_parts_of_a_layer_read_its_input():
    layer = built(NET.space.largest()).layers[0]
    x = torch.randn(1, 4, 96, generator=torch.Generator().manual_seed(0))
    rotary = layer.attn.rotary
    with torch.no_grad():
        found, _ = layer(x, rotary.first(4, x))
        attention, _ = layer.attn(layer.norm_1(x), rotary.first(4, x))
        torch.testing.assert_close(found, x + attention + layer.mlp(layer.norm_2(x)))
    assert layer.norm_1.eps == layer.norm_2.eps == 1e-5
    assert layer.mlp.act.approximate == "none"


@pytest.mark.parametrize("bias", [True, False])
def test_the_bias_is_that_of_all_linear_layers_and_of_no_norm(bias):
    module = NET.module(NET.space.decode(NET.space.largest())[0] | {"sample_bias": [bias]})
    keys = module.state_dict()
    linear = [part for part in module.modules() if isinstance(part, nn.Linear)]
    assert len(linear) == 4 * 12
    assert all((part.bias is not None) == bias for part in linear)
    assert {"h.0.norm_1.bias", "h.11.norm_2.bias", "ln_f.bias"} <= set(keys)
    assert "lm_head.weight" not in keys
