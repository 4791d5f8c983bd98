"""Make the two stages of a generation, prefill and decode, with example inputs."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from hwnas.supernets.attention import cache_names, caches_like, tokens_like
from hwnas.supernets.decoder.dimensions import DECODE, PREFILL, Generation
from hwnas.supernets.decoder.network import Decode, Decoder, Prefill
from hwnas.supernets.supernet import DYNAMIC, Stage

_SEED = 2405_10299  # any fixed number serves


def stages(
    decoder: Decoder, vocab: int, heads: Iterable[tuple[int, int]], generation: Generation, batch: int
) -> tuple[Stage, Stage]:
    """Return prefill, which runs once, and decode, which runs once per token.

    The step is that of the last token, with everything before it in the cache. The cache has a fixed size, and
    positions that are not written yet are masked, so that each step costs the same.

    Args:
        decoder: the network.
        vocab: the number of tokens.
        heads: of each layer's cache: how many heads, and how wide.
        generation: the prompt and what is made.
        batch: prompts at a time.
    """
    prompt = tokens_like(range(vocab), batch, generation.prompt, _SEED)
    prefill = Stage(PREFILL, Prefill(decoder, generation.prompt).eval(), (prompt,), ("tokens",), quantisation=DYNAMIC)
    shapes = [(n, generation.past, width) for n, width in heads]
    inputs = (
        tokens_like(range(vocab), batch, 1, _SEED),
        torch.full((batch, 1), generation.past),
        *caches_like(shapes, batch, _SEED),
    )
    names = ("tokens", "position", *cache_names(len(shapes), "past"))
    decode = Decode(decoder, generation.past).eval()
    return prefill, Stage(DECODE, decode, inputs, names, generation.new, quantisation=DYNAMIC)
