"""The network: a cached step against the whole, padding, and what decoder layers attend to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwnas import supernets
from hwnas.supernets.transformer.dimensions import EOS, PAD
from hwnas.supernets.transformer.layers import sinusoids
from hwnas.supernets.transformer.network import DecoderStep, EncoderStage

NET = supernets.get("hat-transformer:layers=3,qkv=16,vocab=40,embed=8+12,ffn=16+24,heads=2+4")
STEPS, BEAM = 6, 3


def built(x):
    return NET.build(NET.space.decode(np.atleast_2d(x))[0])


def tokens(*shape, seed=0):
    return torch.randint(4, 40, shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=range(6))
def module(request):
    return built(NET.space.sample(6, 1)[request.param])


def test_cached_steps_are_the_whole_networks_positions(module):
    source, target = tokens(2, 7), tokens(2, BEAM, STEPS, seed=1)
    source[1, 5:] = PAD
    with torch.no_grad():
        whole = torch.stack([module(source, target[:, beam]) for beam in range(BEAM)], 1)
        memory, step = EncoderStage(module)(source), DecoderStep(module, STEPS - 1).eval()
        inner = NET.common.inner
        # What is not written yet must not be seen.
        caches = [
            torch.full((2, BEAM, layer.self_heads, STEPS - 1, inner // layer.self_heads), 1e3)
            for layer in module.architecture.decoder
            for _ in range(2)
        ]
        for position in range(STEPS):
            logits, *fresh = step(target[:, :, position], torch.full((2, 1), position), source, *caches, *memory)
            assert (logits - whole[:, :, position]).abs().max() <= 1e-4 * whole.abs().max()
            for cache, new in zip(caches, fresh, strict=True):
                cache[..., position : position + 1, :] = new[..., : STEPS - 1 - position, :]


def test_padding_changes_nothing_on_either_side(module):
    source, target = tokens(1, 5), tokens(1, 4, seed=1)
    pads = torch.full((1, 3), PAD)
    with torch.no_grad():
        alone = module(source, target)
        for padded in (torch.cat([source, pads], 1), torch.cat([pads, source], 1)):
            torch.testing.assert_close(module(padded, target), alone, rtol=1e-4, atol=1e-4)


def test_later_tokens_do_not_change_earlier_ones(module):
    source, target = tokens(1, 5), tokens(1, 6, seed=1)
    other = target.clone()
    other[0, 3:] = EOS
    with torch.no_grad():
        one, two = module(source, target), module(source, other)
    torch.testing.assert_close(one[:, :3], two[:, :3])
    assert not torch.allclose(one[:, 3:], two[:, 3:])


def test_arbitrary_attention_joins_the_last_layers_along_time():
    space = NET.space
    configs = space.decode(space.largest())
    key = "decoder-arbitrary-ende-attn-all-subtransformer"
    source = tokens(1, 5)
    for value, layers in ((-1, 1), (1, 2), (2, 3)):
        module = NET.build(configs[0] | {key: [value] * 3})
        with torch.no_grad():
            encoded = module.encoder(source, module.embed_tokens.weight)
            layer = module.decoder.layers[0]
            keys, values = layer.memory(encoded)
            # The last encoder layer comes first, as in HAT.
            joined = torch.cat(list(reversed(encoded[-layers:])), 1)
            expected = layer.encoder_attn.memory.kv_proj(joined)
        assert keys.shape[2] == values.shape[2] == 5 * layers
        found = torch.cat([part.transpose(1, 2).flatten(2) for part in (keys, values)], -1)
        torch.testing.assert_close(found, expected)


def test_positions_are_fairseqs():
    table = sinusoids(6)
    # fairseq: angle = position / 10000 ** (i / (half - 1)), sines before cosines, the padding's row 0.
    angles = [5 / 10_000 ** (i / 2) for i in range(3)]
    torch.testing.assert_close(table[5], torch.tensor([*np.sin(angles), *np.cos(angles)], dtype=torch.float32))
    assert table[PAD].abs().sum() == 0


def test_a_narrow_encoder_or_decoder_takes_the_tables_first_columns():
    key = "{}-embed-dim-subtransformer"
    config = NET.space.decode(NET.space.largest())[0] | {key.format("encoder"): [12], key.format("decoder"): [8]}
    module = NET.build(config)
    assert module.embed_tokens.weight.shape == (40, 12)
    with torch.no_grad():
        assert module(tokens(1, 4), tokens(1, 3)).shape == (1, 3, 40)
        step = DecoderStep(module, 4)
    assert torch.equal(step.output.weight, module.embed_tokens.weight[:, :8])
