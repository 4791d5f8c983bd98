"""HAT's space and counts: exact sizes, published configs, counts against what torch itself counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from hwnas import supernets
from hwnas.supernets.errors import ConfigError, UsageError
from hwnas.supernets.transformer.space import Columns

NET = supernets.get("hat-transformer")
SMALL = "hat-transformer:layers=3,qkv=16,vocab=40,source=7,steps=5,beam=3,embed=8+12,ffn=16+24,heads=2+4"
TINY = supernets.get(SMALL)

# As HAT publishes it for a Xeon (configs/wmt14.en-de/subtransformer): scalars, and lists as short as the decoder.
PUBLISHED = {
    "encoder-embed-dim-subtransformer": 512,
    "decoder-embed-dim-subtransformer": 512,
    "encoder-ffn-embed-dim-all-subtransformer": [3072] * 6,
    "decoder-ffn-embed-dim-all-subtransformer": [3072],
    "encoder-layer-num-subtransformer": 6,
    "decoder-layer-num-subtransformer": 1,
    "encoder-self-attention-heads-all-subtransformer": [4, 8, 8, 8, 8, 8],
    "decoder-self-attention-heads-all-subtransformer": [8],
    "decoder-ende-attention-heads-all-subtransformer": [8],
    "decoder-arbitrary-ende-attn-all-subtransformer": [1],
}


def config(x, net=TINY):
    return net.space.decode(np.atleast_2d(x))[0]


# --- the space -------------------------------------------------------------------------------------------------------


def test_sizes_are_exact():
    space = NET.space
    assert (space.n_var, int((space.n_options > 1).sum())) == (40, 39)
    assert space.size == 2_437_438_960_041_984 == (2 * 3**6 * 2**6) * (2 * 6 * (3 * 2 * 2 * 3) ** 6)
    # A decoder of d layers has 36 kinds for each.
    assert space.distinct_size == 417_846_678_672_384 == (2 * 3**6 * 2**6) * 2 * sum(36**d for d in range(1, 7))


def test_distinct_networks_of_a_tiny_space_by_counting_them():
    net = supernets.get("hat-transformer:layers=2,qkv=8,vocab=16,embed=8,ffn=8,heads=2+4")
    space = net.space
    every = np.stack(np.meshgrid(*map(np.arange, space.n_options), indexing="ij"), -1).reshape(-1, space.n_var)
    assert len(every) == space.size
    assert len(np.unique(space.canonical(every), axis=0)) == space.distinct_size


def test_columns_are_where_the_choices_are():
    at, keys = Columns.of(6), [choice.key for choice in NET.space.choices]
    assert keys[at.encoder_embed] == "encoder-embed-dim-subtransformer"
    assert keys[at.decoder_layers] == "decoder-layer-num-subtransformer"
    for columns, key in (
        (at.encoder_ffn, "encoder-ffn-embed-dim-all-subtransformer"),
        (at.decoder_ffn, "decoder-ffn-embed-dim-all-subtransformer"),
        (at.cross_heads, "decoder-ende-attention-heads-all-subtransformer"),
        (at.arbitrary, "decoder-arbitrary-ende-attn-all-subtransformer"),
    ):
        assert [keys[column] for column in columns] == [key] * 6


def test_a_published_config_is_read_as_it_is():
    x = NET.space.encode(PUBLISHED)
    found = NET.space.decode(x)[0]
    assert found["encoder-self-attention-heads-all-subtransformer"] == [4, 8, 8, 8, 8, 8]
    assert found["decoder-ffn-embed-dim-all-subtransformer"][0] == 3072
    assert np.array_equal(NET.space.encode(found), x)
    assert np.array_equal(NET.space.canonical(x), x)
    architecture = NET.architecture(PUBLISHED)
    assert [layer.heads for layer in architecture.encoder] == [4, 8, 8, 8, 8, 8]
    assert [(layer.ffn, layer.reach) for layer in architecture.decoder] == [(3072, 2)]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decoder-layer-num-subtransformer": 7}, "decoder-layer-num"),
        ({"decoder-ffn-embed-dim-all-subtransformer": [3072, 3072]}, "expected 6 values, got 2"),
        ({"encoder-layer-num-subtransformer": 5}, "encoder-layer-num"),
        ({"decoder-arbitrary-ende-attn-all-subtransformer": [0]}, "-1, 1, 2"),
        ({"encoder-embed-dim": 512}, "did you mean 'encoder-embed-dim-subtransformer'"),
    ],
)
def test_what_is_no_config_is_refused_by_name(changes, named):
    with pytest.raises(ConfigError, match=named):
        NET.space.encode(PUBLISHED | changes)


# --- counts ----------------------------------------------------------------------------------------------------------


def counted(net, x):
    """Count by torch itself: every matrix product of both stages, as often as they run."""
    total = 0
    for stage in net.stages(config(x, net), batch=1):
        # Attention spelled as products: torch does not count its fused kernel on the CPU.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            stage.module(*stage.inputs)
        total += counter.get_total_flops() // 2 * stage.repeats
    return total


@pytest.mark.slow
@pytest.mark.parametrize("name", [SMALL, "hat-transformer:layers=2,vocab=300,qkv=64,embed=24,ffn=32,heads=4"])
def test_counts_are_what_torch_counts(name):
    net = supernets.get(name)
    X = np.concatenate([net.space.smallest(), net.space.largest(), net.space.sample(8, 3)])
    assert net.macs(X).tolist() == [counted(net, x) for x in X]
    modules = (net.build(config(x, net)) for x in X)
    assert net.params(X).tolist() == [sum(p.numel() for p in module.parameters()) for module in modules]


def test_heads_and_reach_cost_no_parameters_and_heads_no_products():
    at, x = Columns.of(3), TINY.space.largest()
    fewer, nearer = x.copy(), x.copy()
    fewer[0, [*at.encoder_heads, *at.self_heads, *at.cross_heads]] = 0
    nearer[0, list(at.arbitrary)] = 0
    assert TINY.params(fewer) == TINY.params(nearer) == TINY.params(x)
    assert TINY.macs(fewer) == TINY.macs(x) > TINY.macs(nearer)


# --- stages ----------------------------------------------------------------------------------------------------------


def test_two_stages_and_how_often_they_run():
    encoder, step = TINY.stages(config(TINY.space.largest()), batch=2)
    assert (encoder.name, encoder.repeats, step.name, step.repeats) == ("encoder", 1, "decoder-step", 5)
    assert encoder.inputs[0].shape == (2, 7)
    assert all(len(x) == 2 for x in step.inputs)
    with torch.no_grad():
        memory, outputs = encoder.module(*encoder.inputs), step.module(*step.inputs)
    assert [x.shape for x in memory] == [x.shape for x in step.inputs[-len(memory) :]]
    assert outputs[0].shape == (2, 3, 40)


def test_default_stages_are_hats():
    encoder, step = NET.stages(config(NET.space.smallest(), NET), batch=1)
    assert encoder.inputs[0].shape == (1, 30)
    assert step.inputs[0].shape == (1, 5)
    assert step.repeats == 30


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None, max_examples=30)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "layers": st.integers(1, 8),
            "vocab": st.integers(16, 50_000),
            "beam": st.integers(1, 9),
            "embed": st.lists(st.integers(1, 700), min_size=1, max_size=4, unique=True),
            "ffn": st.lists(st.integers(1, 4000), min_size=1, max_size=4, unique=True),
            "dropout": st.integers(0, 99),
        },
    )
)
def test_names_round_trip(options):
    texts = {key: "+".join(map(str, v)) if isinstance(v, list) else str(v) for key, v in options.items()}
    spelled = "hat-transformer:" + ",".join(f"{key}={text}" for key, text in texts.items())
    net = supernets.get(spelled.rstrip(":"))
    assert supernets.get(net.name).options == net.options
    assert supernets.get(net.name).name == net.name


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("layer=3", "did you mean 'layers'"),
        ("layers=0", "expected a whole number from 1 to 36"),
        ("embed=64+64", "expected different numbers"),
        ("embed=64+x", "expected different numbers"),
        ("heads=3", "expected a multiple of each of heads=3"),
        ("vocab=8", "expected a whole number from 16"),
    ],
)
def test_options_that_cannot_be_are_refused(option, named):
    with pytest.raises(UsageError, match=named):
        supernets.get(f"hat-transformer:{option}")
