"""Folders of models, in Hugging Face's form, are read, or refused by one of our errors."""

from __future__ import annotations

import json

import pytest
import torch
from fuzzing import fuzz, put, refused_or_read
from hypothesis import example, given
from mutations import contents, documents, json_files

from hwnas import supernets
from hwnas.supernets.causal.config import shape_of
from hwnas.supernets.causal.folder import INDEX, WHOLE, spelled
from hwnas.supernets.causal.llama import LayerShape, llama

safetensors = pytest.importorskip("safetensors.torch", reason="pip install 'hwnas[language]'")

CONFIG = {
    "model_type": "llama", "vocab_size": 11, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 2, "max_position_embeddings": 16,
    "rms_norm_eps": 1e-6, "tie_word_embeddings": True,
    "rope_parameters": {"rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0,
                        "high_freq_factor": 4.0, "original_max_position_embeddings": 8},
}  # fmt: skip
OTHER = {key: value for key, value in CONFIG.items() if key != "rope_parameters"} | {
    "model_type": "mistral", "sliding_window": 4, "rope_theta": 100.0,
    "rope_scaling": {"type": "linear", "factor": 2.0},
}  # fmt: skip


def weights():
    torch.manual_seed(0)
    state = llama(shape_of(CONFIG, "folder"), [LayerShape(12, 2)] * 2).state_dict()
    return safetensors.save({spelled(key): value for key, value in state.items()})


WEIGHTS = weights()
NAMES = tuple(json.loads(WEIGHTS[8 : 8 + int.from_bytes(WEIGHTS[:8], "little")]))
SHARDS = {"metadata": {"total_size": len(WEIGHTS)}, "weight_map": dict.fromkeys(NAMES, "one.safetensors")}


def read(folder):
    net = supernets.get(f"causal-lm:path={folder},prompt=2,new=1")
    return net.build(net.space.decode(net.space.largest())[0])


def tried(folder):
    refused_or_read(lambda: read(folder))


@pytest.fixture
def model(folder):
    """Return a folder of a whole model."""
    inside = folder / "model"
    inside.mkdir(exist_ok=True)
    for old in inside.iterdir():
        old.unlink()
    put(inside, "config.json", json.dumps(CONFIG).encode())
    put(inside, WHOLE, WEIGHTS)
    return inside


@pytest.mark.parametrize("config", [CONFIG, OTHER])
def test_whole_models_are_read(model, config):
    put(model, "config.json", json.dumps(config).encode())
    assert sum(one.numel() for one in read(model).parameters()) == 11 * 8 + 2 * (2 * 64 + 2 * 32 + 3 * 96 + 16) + 8


@fuzz
@given(content=json_files([CONFIG, OTHER]))
@example(content=json.dumps(CONFIG | {"vocab_size": 10_000_000, "hidden_size": 10_000_000}).encode())
@example(content=json.dumps(CONFIG | {"num_hidden_layers": 10_000_000}).encode())
@example(content=json.dumps(CONFIG | {"intermediate_size": 10_000_000, "head_dim": 10_000_000}).encode())
@example(content=json.dumps(CONFIG | {"rope_parameters": CONFIG["rope_parameters"] | {"rope_type": []}}).encode())
@example(content=json.dumps(CONFIG | {"model_type": {}}).encode())
@example(content=json.dumps(CONFIG | {"hidden_act": []}).encode())
def test_configs(model, content):
    put(model, "config.json", content)
    tried(model)


@fuzz
@given(content=contents([WEIGHTS]))
def test_weights(model, content):
    put(model, WHOLE, content)
    tried(model)


@fuzz
@given(header=documents([json.loads(WEIGHTS[8 : 8 + int.from_bytes(WEIGHTS[:8], "little")])]))
def test_headers_of_weights(model, header):
    start = 8 + int.from_bytes(WEIGHTS[:8], "little")
    said = json.dumps(header).encode()
    put(model, WHOLE, len(said).to_bytes(8, "little") + said + WEIGHTS[start:])
    tried(model)


@fuzz
@given(content=json_files([SHARDS]))
@example(content=json.dumps({"weight_map": dict.fromkeys(NAMES, "../one.safetensors")}).encode())
@example(content=json.dumps({"weight_map": dict.fromkeys(NAMES, "")}).encode())
@example(content=json.dumps({"weight_map": dict.fromkeys(NAMES, "a\0b")}).encode())
def test_indices_of_shards(model, content):
    (model / WHOLE).unlink(missing_ok=True)
    put(model, "one.safetensors", WEIGHTS)
    put(model, INDEX, content)
    tried(model)
