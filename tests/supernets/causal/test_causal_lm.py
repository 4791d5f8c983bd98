"""Decoders from Hugging Face folders: the same logits as transformers', sub-networks, and folders of them again."""

from __future__ import annotations

import importlib.util
import json

import hugging_face
import numpy as np
import pytest
import torch
from greedy_generation import greedy
from runtimes import RUNTIMES

from hwnas import supernets
from hwnas.supernets.blocks import distinct_blocks
from hwnas.supernets.decoder.network import Decode, Prefill
from hwnas.supernets.errors import UsageError

pytest.importorskip("safetensors", reason="pip install 'hwnas[language]'")

KINDS = [("llama", True), ("llama", False), ("qwen2", True), ("qwen2", False), ("qwen3", True), ("qwen3", False)]
OTHERS = [("mistral", {}), ("llama", {"attention_bias": True, "mlp_bias": True}), ("llama", {"num_key_value_heads": 8}),
          ("llama", {"num_key_value_heads": 1}), ("qwen3", {"attention_bias": True})]  # fmt: skip
# As Llama 3.1's, with so few positions that all three kinds of channels occur; and the older way.
LONGER = [
    {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
     "original_max_position_embeddings": 32},
    {"rope_type": "linear", "rope_theta": 100.0, "factor": 4.0},
]  # fmt: skip
PROMPTS = torch.randint(0, 70, (50, 7), generator=torch.Generator().manual_seed(1))


def net_of(folder, **options):
    more = "".join(f",{key}={value}" for key, value in options.items())
    return supernets.get(f"causal-lm:path={folder},prompt=7,new=6{more}")


def config_of(net, which):
    x = getattr(net.space, which)() if isinstance(which, str) else net.space.sample(1, which)
    return net.space.decode(x)[0]


def largest_of(folder):
    net = net_of(folder)
    return net.build(config_of(net, "largest"))


def logits(model, tokens=PROMPTS):
    with torch.no_grad():
        found = model(tokens)
    return getattr(found, "logits", found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return hugging_face.made("llama", tmp_path_factory.mktemp("llama"))[1]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tied"), KINDS)
def test_the_largest_is_the_model_and_sub_networks_make_the_round_trip(kind, tied, tmp_path):
    model, folder = hugging_face.made(kind, tmp_path / "whole", tied=tied)
    net, expected = net_of(folder), logits(model)
    assert (logits(net.build(config_of(net, "largest"))) - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert net.params(net.space.largest())[0] == sum(one.numel() for one in model.parameters())
    for number in (0, 1, 2):
        config = config_of(net, number)
        ours = net.build(config)
        target = tmp_path / str(number)
        target.mkdir()
        for name, content in net.transformers_files(config).items():
            (target / name).write_bytes(content)
        theirs, report = hugging_face.transformers().AutoModelForCausalLM.from_pretrained(
            target, output_loading_info=True
        )
        assert not any(report[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        expected = logits(ours)
        assert (logits(theirs.eval()) - expected).abs().max() <= 1e-4 * expected.abs().max()
        again = net_of(target)
        assert len(again.layers(config_of(again, "largest"))) == config["depth"][0]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "changes"), OTHERS)
def test_biases_and_groups_of_any_size_are_read(kind, changes, tmp_path):
    model, folder = hugging_face.made(kind, tmp_path, **changes)
    expected = logits(model)
    net = net_of(folder)
    assert (logits(net.build(config_of(net, "largest"))) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize("rope", LONGER, ids=[one["rope_type"] for one in LONGER])
def test_stretched_rotary_positions_are_read(rope, tmp_path):
    model, folder = hugging_face.made("llama", tmp_path / "stretched", rope_parameters=rope)
    net, expected = net_of(folder), logits(model)
    assert (logits(net.build(config_of(net, "largest"))) - expected).abs().max() <= 1e-4 * expected.abs().max()
    plain = {"rope_type": "default", "rope_theta": rope["rope_theta"]}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rope_parameters": plain}))
    assert (logits(largest_of(folder)) - expected).abs().max() > 1e-2 * expected.abs().max()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "tied"), KINDS)
@pytest.mark.parametrize("which", ["largest", 3])
def test_the_same_tokens_on_every_runtime_over_fifty_prompts(kind, tied, which, tmp_path):
    model, folder = hugging_face.made(kind, tmp_path, tied=tied)
    net = net_of(folder)
    config = config_of(net, which)
    decoder = net.build(config)
    with torch.no_grad():
        stages = Prefill(decoder, 7), Decode(decoder, net.generation.past)
        expected = greedy(*stages, PROMPTS, net.generation)
        if which == "largest":
            whole = torch.ones_like(PROMPTS)
            theirs = model.generate(PROMPTS, attention_mask=whole, max_new_tokens=7, do_sample=False, eos_token_id=None)
            assert torch.equal(theirs[:, 7:], expected)
    assert len(expected.unique(dim=0)) > 10
    for name, ready in RUNTIMES:
        if importlib.util.find_spec(name) is not None:
            prefill, decode = (ready(stage) for stage in net.stages(config, 50))
            assert torch.equal(greedy(prefill, decode, PROMPTS, net.generation), expected), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes"),
    [("llama", {"mlp_bias": True, "attention_bias": True}), ("qwen2", {"tied": True}), ("qwen3", {})],
)
def test_blocks_run_alone_as_they_do_in_the_network(kind, changes, tmp_path):
    _, folder = hugging_face.made(kind, tmp_path, **changes)
    net = net_of(folder)
    blocks = list(distinct_blocks(net.slots))
    assert {block.kind for block in blocks} == {
        "tokens", "grouped-prefill-layer", "grouped-decode-layer", "rms-logits",
    }  # fmt: skip
    for block in blocks:
        stage = net.block_stage(block, 2)
        assert sum(one.numel() for one in stage.module.parameters()) == block.params
        with torch.no_grad():
            found = stage.module(*stage.inputs)
        assert (found[0] if isinstance(found, tuple) else found).shape == (2, *block.output)


@pytest.mark.slow
def test_counts_are_those_of_the_modules(folder):
    from torch.utils.flop_counter import FlopCounterMode

    net = net_of(folder)
    X = np.concatenate([net.space.sample(12, 0), net.space.smallest(), net.space.largest()])
    for x, params, macs in zip(X, net.params(X), net.macs(X), strict=True):
        config = net.space.decode(x[None])[0]
        assert params == sum(one.numel() for one in net.build(config).parameters())
        total = 0
        for stage in net.stages(config, 1):
            with (
                torch.no_grad(),
                torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH),
                FlopCounterMode(display=False) as counter,
            ):
                stage.module(*stage.inputs)
            total += stage.repeats * counter.get_total_flops() // 2
        assert macs == total


@pytest.mark.slow
def test_shards_are_one_model(tmp_path):
    model, folder = hugging_face.made("llama", tmp_path, shards=True)
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    net, expected = net_of(folder), logits(model)
    assert (logits(net.build(config_of(net, "largest"))) - expected).abs().max() <= 1e-4 * expected.abs().max()
    gone = sorted(tmp_path.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(UsageError, match=rf"{gone.name}: no such file; .*index\.json names it"):
        net_of(folder).build(config_of(net, "largest"))


def test_weights_are_ordered_by_their_importance(folder, tmp_path):
    from hwnas.supernets.causal.order import by_weights

    net = net_of(folder)
    ordered = by_weights(net.build(config_of(net, "largest")))
    assert all(torch.equal(one, torch.arange(len(one))) for one in (*ordered.units, *ordered.groups))


def test_what_no_weight_makes_or_reads_is_the_least_important(folder):
    from hwnas.supernets.causal.order import by_weights

    net = net_of(folder)
    model = net.build(config_of(net, "largest"))
    mlp, attn = model.layers[0].mlp, model.layers[0].attn
    made, read = (linear.weight.shape[dim] // attn.groups for linear, dim in ((attn.value, 0), (attn.proj, 1)))
    with torch.no_grad():
        mlp.gate.weight[3] = mlp.up.weight[5] = mlp.down.weight[:, 7] = 0
        attn.value.weight[:made] = attn.proj.weight[:, read : 2 * read] = 0
    found = by_weights(model)
    assert found.units[0][-3:].tolist() == [3, 5, 7]
    assert found.groups[0][-2:].tolist() == [0, 1]
    assert torch.equal(found.units[1], torch.arange(mlp.gate.out_features))


@pytest.mark.slow
def test_a_text_says_what_is_important(tmp_path):
    model, folder = hugging_face.made("llama", tmp_path / "model", vocab_size=256)
    text = tmp_path / "a.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 200)
    with torch.no_grad():
        silent = model.model.layers[1]
        silent.self_attn.o_proj.weight.zero_()
        silent.mlp.down_proj.weight.zero_()
        model.model.layers[2].mlp.down_proj.weight[:, :8] *= 0.01
        model.model.layers[3].self_attn.o_proj.weight[:, :24] *= 0.01
    model.save_pretrained(folder)
    net, plain = net_of(folder, calibration=text), net_of(folder)
    # A layer that changes nothing is left out first, and its choices do not matter without it.
    assert net.choices.rank[1] == 3
    assert plain.choices.rank == (0, 1, 2, 3)
    smallest = net.layers(config_of(net, "smallest"))
    assert 1 not in [number for number, _ in smallest]
    half = {"depth": [3], "ffn": [40, 40, 32, 40], "kv": [4, 4, 4, 2]}
    tokens = torch.tensor([list(b"the lazy dog jumps")])
    whole = logits(model, tokens)
    near = (logits(net.build(half), tokens) - whole).abs().mean()
    assert near < 0.05 * whole.abs().mean()
    assert supernets.get(net.name).name == net.name


@pytest.mark.slow
def test_a_folder_is_a_super_network_like_others(folder, tmp_path):
    from dataclasses import replace

    from hwnas.harness import data, quality
    from hwnas.harness.quality import QualityOptions
    from hwnas.supernets.training.loop import train

    text = tmp_path / "a.txt"
    text.write_bytes(bytes(range(70)) * 40)
    net = net_of(folder)
    assert (net.vocabulary, net.positions, net.context) == (70, 64, 13)
    with pytest.raises(UsageError, match="no tokeniser of its own"):
        data.get(f"text:{text}", net)
    tokens = pytest.importorskip("tokenizers", reason="pip install 'hwnas[language]'")
    made = tokens.Tokenizer(tokens.models.BPE())
    made.train_from_iterator(["abcdefghij" * 9], tokens.trainers.BpeTrainer(vocab_size=40, show_progress=False))
    made.save(str(tmp_path / "t.json"))
    text.write_text("abcdefghijjihgfedcba" * 100)
    spec = f"{text},window=16,tokenizer={tmp_path / 't.json'}"
    own = quality.get(f"perplexity:{spec}", net)
    (before,) = own.scores(net.space.largest())
    assert "own weights" in own.source
    assert "its own weights" in own.note
    task = data.get(f"text:{spec},batch=4", net)
    train(net, task, replace(task.defaults, steps=6, warmup=1), tmp_path / "w.pt")
    trained = quality.get(f"perplexity:{spec}", net, QualityOptions(weights=str(tmp_path / "w.pt")))
    (after,) = trained.scores(net.space.largest())
    assert after.value < before.value


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "gpt2"}, r"config\.json: model_type: 'gpt2' is not served; expected llama .*qwen3"),
        ({"model_type": None}, "model_type: None is not served"),
        ({"hidden_size": "24"}, r"config\.json: hidden_size: expected a whole number"),
        ({"num_hidden_layers": None}, "num_hidden_layers: expected a whole number"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: 3 does not divide num_attention_heads=8"),
        ({"hidden_act": "gelu"}, "hidden_act: expected silu, got 'gelu'"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "rope_type: 'yarn' is not served"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "factor: expected a number above 0, got None"),
        ({"rope_parameters": {**LONGER[0], "high_freq_factor": 1.0}}, "high_freq_factor: expected more than"),
        ({"rope_parameters": {**LONGER[0], "original_max_position_embeddings": 0}}, "original_max_position_embeddings"),
        ({"rms_norm_eps": -1}, "rms_norm_eps: expected a number above 0"),
        ({"head_dim": 5}, "head_dim: expected an even number"),
        ({"max_position_embeddings": 8}, "expected at most 8 tokens together"),
        ({"intermediate_size": 48}, r"gate_proj\.weight: has the shape \(40, 24\), .*config\.json says \(48, 24\)"),
        ({"num_hidden_layers": 5}, r"model\.safetensors: lacks model\.layers\.4\."),
    ],
)  # fmt: skip
def test_a_config_that_does_not_fit_is_refused_with_its_field(folder, tmp_path, changes, named):
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(UsageError, match=named):
        largest_of(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("config.json", None, r"config\.json: no such file; expected the folder of a model"),
        ("config.json", b"{", r"config\.json: cannot be read"),
        ("config.json", b"[]", r"config\.json: expected an object"),
        ("model.safetensors", None, r"model\.safetensors: no such file, and no model\.safetensors\.index\.json"),
        ("model.safetensors", b"none", r"model\.safetensors: is no file of safetensors"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(folder, tmp_path, name, content, named):
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=named):
        largest_of(tmp_path)


def test_weights_that_are_not_finite_are_refused_with_the_file_and_the_tensor(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    state["model.layers.2.mlp.up_proj.weight"][3, 4] = float("nan")
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    net = net_of(tmp_path)
    with pytest.raises(UsageError, match=r"model\.safetensors.*layers\.2\.mlp\.up_proj\.weight: 1 of .* not finite"):
        net.build(config_of(net, "smallest"))


def test_a_path_is_needed_and_options_are_known():
    with pytest.raises(UsageError, match="expected path=DIR"):
        supernets.get("causal-lm")
    with pytest.raises(UsageError, match="unknown option 'depth'"):
        supernets.get("causal-lm:path=x,depth=3")
    with pytest.raises(UsageError, match="prompt=0: expected a whole number from 1"):
        supernets.get("causal-lm:path=x,prompt=0")
