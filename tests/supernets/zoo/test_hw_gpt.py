"""HW-GPT-Bench's spaces and counts: exact sizes, published spellings, counts against what torch itself counts."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from hwnas import supernets
from hwnas.cli.configs import read_configs
from hwnas.supernets.decoder.space import PUBLISHED as PUBLISHED_SPACES
from hwnas.supernets.decoder.space import gpt_space
from hwnas.supernets.decoder.stages import stages
from hwnas.supernets.errors import ConfigError, UsageError

NET = supernets.get("hw-gpt-s")
SMALL = supernets.get("hw-gpt-s:vocabulary=50,scale=0.125,prompt=6,new=4")
SPACES = {letter: gpt_space(letter, choices) for letter, choices in PUBLISHED_SPACES.items()}

# As HW-GPT-Bench's own sampler writes it: scalars, and lists as long as the network is deep.
PUBLISHED = {
    "sample_embed_dim": 384,
    "sample_n_layer": 11,
    "sample_mlp_ratio": [2, 3, 4, 2, 3, 4, 2, 3, 4, 2, 3],
    "sample_n_head": [4, 8, 12, 12, 8, 4, 4, 8, 12, 12, 8],
    "sample_bias": "False",
}
DASHED = "gpt-s-11-384-2-3-4-2-3-4-2-3-4-2-3-4-8-12-12-8-4-4-8-12-12-8-False"
JOINED = "gpt-s-11-384-23423423423-481212844812128-False"


def config(x, net=NET):
    return net.space.decode(np.atleast_2d(x))[0]


# --- the spaces ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "variables", "distinct"),
    [
        ("s", 27, 3 * 2 * sum(9**depth for depth in (10, 11, 12))),
        ("m", 51, 3 * 2 * sum(9**depth for depth in (22, 23, 24))),
        ("l", 75, 3 * 2 * sum(9**depth for depth in (34, 35, 36))),
    ],
)
def test_sizes_are_exact(letter, variables, distinct):
    space = supernets.get(f"hw-gpt-{letter}").space
    assert (space.n_var, space.distinct_size) == (variables, distinct)
    assert space.size == 3 * 3 * 9 ** ((variables - 3) // 2) * 2


def test_only_the_first_layers_matter():
    space = NET.space
    X = np.repeat(space.smallest(), 2, axis=0)
    X[1, [2 + 10, 2 + 11, 14 + 10, 14 + 11]] = 2  # the last two layers, of ten
    assert space.keys(X)[0] == space.keys(X)[1]
    X[:, 1] = 1  # eleven layers
    assert space.canonical(X)[1].tolist() == [0, 1, *[0] * 10, 2, 0, *[0] * 10, 2, 0, 0]


def test_a_published_config_is_read_as_it_is():
    x = NET.space.encode(PUBLISHED)
    found = config(x)
    assert found["sample_n_head"][:11] == PUBLISHED["sample_n_head"]
    assert found["sample_bias"] == [False]
    assert found["sample_bias"][0] is False
    assert np.array_equal(NET.space.encode(found), x)
    architecture = NET.architecture(PUBLISHED)
    assert [layer.ffn for layer in architecture.layers] == [384 * ratio for ratio in PUBLISHED["sample_mlp_ratio"]]


@pytest.mark.parametrize("text", [DASHED, JOINED])
def test_published_strings_are_read(text):
    assert np.array_equal(NET.space.encode(text), NET.space.encode(PUBLISHED))
    assert np.array_equal(NET.space.encode([text, PUBLISHED]), np.repeat(NET.space.encode(PUBLISHED), 2, axis=0))


def test_a_published_string_is_a_config_on_the_command_line():
    assert np.array_equal(read_configs([DASHED], NET.space), NET.space.encode(PUBLISHED))
    with pytest.raises(ConfigError, match="its BIAS True or False"):
        read_configs([DASHED[:-5]], NET.space)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from("sml"), st.integers(0, 10_000), st.booleans())
def test_strings_round_trip(letter, seed, joined):
    space = SPACES[letter]
    x = space.canonical(space.sample(1, seed))
    one = space.decode(x)[0]
    depth = one["sample_n_layer"][0]
    between = "" if joined else "-"
    lists = (between.join(map(str, one[key][:depth])) for key in ("sample_mlp_ratio", "sample_n_head"))
    text = "-".join(["gpt", letter, str(depth), str(one["sample_embed_dim"][0]), *lists, str(one["sample_bias"][0])])
    assert np.array_equal(space.encode(text), x)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("gpt-m" + DASHED[5:], "is of hw-gpt-m, expected gpt-s-LAYERS"),
        (DASHED.replace("False", "maybe"), "its BIAS True or False"),
        (DASHED.replace("-11-", "-12-"), "for each of 12 layers; got 22"),
        (DASHED.replace("-384-", "-385-"), "sample_embed_dim.*expected one of {192, 384, 768}, got 385"),
        (JOINED.replace("234234", "934234"), "sample_mlp_ratio.*got 9"),
        (JOINED.replace("-4812", "-5812"), "sample_n_head.*got 5"),
        ("gpt-s", "expected gpt-s-LAYERS"),
        ("gpt-s-1²-384-2-4-True", "for each of 1² layers"),
    ],
)
def test_strings_that_name_no_network_are_refused(text, named):
    with pytest.raises(ConfigError, match=named):
        NET.space.encode(text)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"sample_n_layer": 9}, "sample_n_layer.*expected one of {10, 11, 12}, got 9"),
        ({"sample_mlp_ratio": [2] * 10}, "sample_mlp_ratio: expected 12 values, got 10"),
        ({"sample_bias": 1}, "sample_bias.*expected one of {False, True}, got 1"),
        ({"sample_bias": "true"}, "sample_bias.*got 'true'"),
        ({"sample_n_head": [True] * 11}, "sample_n_head.*got True"),
        ({"sample_embed": 384}, "did you mean 'sample_embed_dim'"),
    ],
)
def test_what_is_no_config_is_refused_by_name(changes, named):
    with pytest.raises(ConfigError, match=named):
        NET.space.encode(PUBLISHED | changes)


# --- counts ----------------------------------------------------------------------------------------------------------


def test_parameters_of_the_largest_of_s():
    vocab, embed, layers = 50_254, 768, 12
    # Queries, keys, values and their projection 4 embed**2, feed-forward 8 embed**2, biases 9 embed, two norms 4 embed.
    body = layers * (12 * embed**2 + 13 * embed) + 2 * embed
    assert body == 85_056_000
    assert NET.params(NET.space.largest())[0] == body + vocab * embed == 123_651_072


class Counter(TorchDispatchMode):
    """Adds up the operations by torch's own formulas, as its FlopCounterMode does, which is ten times slower."""

    def __init__(self):
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        self.total += formula(*args, **(kwargs or {}), out_val=out) if formula else 0
        return out


def counted(net, module, x, mode=Counter):
    """Count by torch itself: every matrix product of both stages, as often as they run."""
    heads = [(layer.heads, net.choices.head_width) for layer in net.architecture(config(x, net)).layers]
    total, device = 0, next(module.parameters()).device
    for stage in stages(module, net.options.vocabulary, heads, net.generation, 1):
        inputs = [each.to(device) for each in stage.inputs]
        # Attention spelled as products: torch does not count its fused kernel on the CPU.
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), mode() as counter:
            stage.module(*inputs)
        flops = counter.total if isinstance(counter, Counter) else counter.get_total_flops()
        total += flops // 2 * stage.repeats
    return total, sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.slow
def test_counts_of_many_networks_are_what_torch_counts():
    X = np.concatenate([SMALL.space.smallest(), SMALL.space.largest(), SMALL.space.sample(60, 3)])
    found = [counted(SMALL, SMALL.build(config(x, SMALL)), x) for x in X]
    assert SMALL.macs(X).tolist() == [macs for macs, _ in found]
    assert SMALL.params(X).tolist() == [params for _, params in found]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hw-gpt-s", "hw-gpt-m:prompt=7", "hw-gpt-l:new=1"])
def test_counts_of_published_sizes_are_what_torch_counts(name):
    net = supernets.get(name)
    X = net.space.largest()
    # Without numbers: the largest would take gigabytes.
    mode = functools.partial(FlopCounterMode, display=False)
    found = [counted(net, net.module(config(x, net)).eval(), x, mode) for x in X]
    assert net.macs(X).tolist() == [macs for macs, _ in found]
    assert net.params(X).tolist() == [params for _, params in found]


# --- stages ----------------------------------------------------------------------------------------------------------


def test_two_stages_and_how_often_they_run():
    prefill, decode = SMALL.stages(config(SMALL.space.largest(), SMALL), batch=2)
    assert (prefill.name, prefill.repeats, decode.name, decode.repeats) == ("prefill", 1, "decode", 4)
    assert prefill.inputs[0].shape == (2, 6)
    assert all(len(x) == 2 for x in decode.inputs)
    assert decode.inputs[2].shape == (2, 12, 9, 8)
    with torch.no_grad():
        first, *memory = prefill.module(*prefill.inputs)
        logits, *fresh = decode.module(*decode.inputs)
    assert first.shape == logits.shape == (2, 50)
    assert {x.shape for x in memory} == {(2, 12, 6, 8)}
    assert {x.shape for x in fresh} == {(2, 12, 1, 8)}


def test_slots_say_which_stage_they_are_in():
    stages = {slot.stage: slot.repeats for slot in SMALL.slots}
    assert stages == {"prefill": 1, "decode": 4}


# --- names -----------------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "vocabulary": st.one_of(st.just("bytes"), st.integers(2, 100_000).map(str)),
            "scale": st.floats(0.0625, 4).map(lambda value: f"{value:.12g}"),
            "prompt": st.integers(1, 500).map(str),
            "new": st.integers(1, 500).map(str),
        },
    )
)
def test_names_round_trip(options):
    spelled = "hw-gpt-s:" + ",".join(f"{key}={text}" for key, text in options.items())
    net = supernets.get(spelled.rstrip(":"))
    assert supernets.get(net.name).options == net.options
    assert supernets.get(net.name).name == net.name


@pytest.mark.parametrize(
    ("option", "named"),
    [
        ("vocab=3", "did you mean 'vocabulary'"),
        ("vocabulary=1", "expected bytes or a whole number from 2"),
        ("scale=0.05", "expected a factor of 0.0625 to 4"),
        ("scale=nan", "expected a factor of 0.0625 to 4"),
        ("prompt=0", "expected a whole number from 1 to 1023"),
        ("prompt=1000,new=25", "expected at most 1024 tokens together"),
    ],
)
def test_options_that_cannot_be_are_refused(option, named):
    with pytest.raises(UsageError, match=named):
        supernets.get(f"hw-gpt-s:{option}")


def test_a_scaled_space_has_the_same_choices():
    assert SMALL.space.n_options.tolist() == NET.space.n_options.tolist()
    assert SMALL.choices.embed == (24, 48, 96)
    assert SMALL.choices.head_width == 8
    assert NET.choices.head_width == 64
