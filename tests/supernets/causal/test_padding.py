"""The form in which a Hugging Face folder can say what a sub-network is: all layers of one size."""

from __future__ import annotations

import torch

from hwnas.supernets.causal.config import ModelShape
from hwnas.supernets.causal.llama import LayerShape
from hwnas.supernets.causal.padding import padded

SHAPE = ModelShape(
    "qwen2", vocab=50, embed=16, layers=4, ffn=40, heads=8, groups=4, head_width=2, eps=1e-6, base=1e4, stretching=None,
    positions=64, tied=False, qkv_bias=True, out_bias=False, mlp_bias=False, qk_norm=False,
)  # fmt: skip
CONFIG = {"num_hidden_layers": 4, "hidden_size": 16, "max_window_layers": 4, "layer_types": ["full_attention"] * 4}


def test_all_layers_have_the_size_of_the_largest_and_what_is_said_of_each_is_said_of_those_that_are_there():
    found = padded(CONFIG, SHAPE, [LayerShape(24, 1), LayerShape(8, 3), LayerShape(16, 2)])
    assert found.layers == [LayerShape(24, 3)] * 3
    said = {"num_hidden_layers": 3, "intermediate_size": 24, "num_key_value_heads": 3, "num_attention_heads": 6}
    assert said.items() <= found.config.items()
    assert found.config["max_window_layers"] == 3
    assert found.config["layer_types"] == ["full_attention"] * 3
    assert (found.config["hidden_size"], found.config["head_dim"], found.config["dtype"]) == (16, 2, "float32")
    assert "torch_dtype" not in found.config  # as older versions spell it
    assert padded(CONFIG | {"torch_dtype": "bfloat16"}, SHAPE, found.layers).config["torch_dtype"] == "float32"
    assert padded(CONFIG | {"max_window_layers": 2}, SHAPE, found.layers).config["max_window_layers"] == 2
    assert CONFIG["num_hidden_layers"] == 4


def test_what_a_layer_lacks_is_filled_with_zeros():
    found = padded(CONFIG, SHAPE, [LayerShape(2, 1)])
    filled = found.filled({"a": torch.ones(2, 3), "b": torch.ones(2)}, {"a": torch.empty(3, 4), "b": torch.empty(2)})
    assert filled["a"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]
    assert filled["b"].tolist() == [1, 1]
