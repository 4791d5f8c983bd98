"""Small models of the Llama family, as transformers makes and writes them."""

from __future__ import annotations

import os

import pytest
import torch

SIZES = {
    "vocab_size": 70, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 4, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 6, "max_position_embeddings": 64, "rope_theta": 500.0,
}  # fmt: skip


def transformers():
    """Return the library, which tests alone need; CI requires it."""
    try:
        import transformers as found
    except ImportError:
        if os.environ.get("HWNAS_REQUIRE_TRANSFORMERS"):
            pytest.fail("transformers is not installed")
        pytest.skip("transformers is not installed (pip install transformers)")
    return found


def made(kind, folder, *, tied=False, shards=False, seed=0, **changes):
    """Write a model with random weights, biases included; return it and the folder."""
    library = transformers()
    config = library.AutoConfig.for_model(kind, **{**SIZES, "tie_word_embeddings": tied, **changes})
    torch.manual_seed(seed)
    model = library.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, one in model.named_parameters():
            one.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.3)
    model.save_pretrained(folder, max_shard_size="20KB" if shards else "1GB")
    return model, folder
