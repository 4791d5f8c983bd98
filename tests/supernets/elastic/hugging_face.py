"""Small models of transformers, with random weights: functions that return the module and inputs of one sample."""

from __future__ import annotations

import torch
from torch import nn

from tests.supernets.elastic.models import image

_IDS = {"vocab_size": 100}


def _words() -> torch.Tensor:
    return torch.randint(0, 99, (1, 12))


def bert():
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    words = _words()
    return BertModel(BertConfig(**_IDS, **sizes)), {"input_ids": words, "attention_mask": torch.ones_like(words)}


class SentenceEncoder(nn.Module):
    """The mean of the tokens' vectors, of length 1."""

    def __init__(self, bert):
        super().__init__()
        self.bert = bert

    def forward(self, input_ids, attention_mask):
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
        return torch.nn.functional.normalize((tokens * weights).sum(1) / weights.sum(1), dim=-1)


def sentence_encoder():
    module, inputs = bert()
    return SentenceEncoder(module), inputs


def distilbert():
    from transformers import DistilBertConfig, DistilBertModel

    return DistilBertModel(DistilBertConfig(**_IDS, dim=64, n_layers=3, n_heads=4, hidden_dim=128)), {
        "input_ids": _words()
    }


def clip_vision():
    """A vision model whose positions are looked up by a buffer."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    return CLIPVisionModel(CLIPVisionConfig(**sizes, image_size=32, patch_size=16)), {"pixel_values": image(32)}


def hf_vit():
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}
    return ViTModel(ViTConfig(**sizes, image_size=32, patch_size=8)), {"pixel_values": image(32)}


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 32, "bos_token_id": 0, "eos_token_id": 0}
    return GPT2LMHeadModel(GPT2Config(**_IDS, **sizes, use_cache=False)), {"input_ids": _words()}


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2}
    config = LlamaConfig(**_IDS, **sizes, intermediate_size=128, use_cache=False)
    return LlamaForCausalLM(config), {"input_ids": _words()}


TRANSFORMERS = (bert, sentence_encoder, distilbert, clip_vision, hf_vit, gpt2, llama)
