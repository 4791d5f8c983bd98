"""Generate text greedily by the two stages of a decoder, whatever runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from hwnas.supernets.decoder.dimensions import Generation

Call = Callable[..., Sequence[torch.Tensor]]


def greedy(prefill: Call, decode: Call, prompts: torch.Tensor, generation: Generation) -> torch.Tensor:
    """Return the most likely tokens after each prompt, ``(batch, generation.new + 1)``.

    Args:
        prefill: as ``hwnas.supernets.decoder.network.Prefill`` is called.
        decode: as ``hwnas.supernets.decoder.network.Decode`` is called.
        prompts: tokens, ``(batch, generation.prompt)``.
        generation: how many tokens there are.
    """
    logits, *memories = prefill(prompts)
    caches = [_roomy(memory, generation.past) for memory in memories]
    made = [logits.argmax(-1, keepdim=True)]
    for position in range(generation.prompt, generation.prompt + generation.new):
        logits, *fresh = decode(made[-1], torch.full_like(made[-1], position), *caches)
        made.append(logits.argmax(-1, keepdim=True))
        for cache, new in zip(caches, fresh, strict=True):
            cache[..., position : position + 1, :] = new[..., : generation.past - position, :]
    return torch.cat(made, -1)


def _roomy(memory: torch.Tensor, past: int) -> torch.Tensor:
    batch, heads, length, width = memory.shape
    cache = memory.new_zeros(batch, heads, past, width)
    cache[..., :length, :] = memory
    return cache
