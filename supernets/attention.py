"""Attention with cached keys and values, and example inputs of such stages: what translators and decoders share.

With separate heads tensors are ``(..., heads, length, head width)``. A step only reads its cache, and returns the keys
and values of its own position; the caller writes them into the cache. Joining them in the step would copy the whole
cache for each token.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

# Keys and values, each (..., heads, length, head width).
Memory = tuple[torch.Tensor, torch.Tensor]

PARTS = ("keys", "values")


def split(x: torch.Tensor, heads: int, width: int) -> torch.Tensor:
    """Return ``x`` with its last dimension split into heads."""
    found: torch.Tensor = x.unflatten(-1, (heads, width))  # type: ignore[no-untyped-call]
    return found


def over_cache(query: torch.Tensor, new: Memory, past: Memory, hidden: torch.Tensor) -> torch.Tensor:
    """Attend from one position to itself and to what is cached.

    Args:
        query: scaled, ``(..., heads, n, head width)``; ``n`` is 1, or the heads that share these keys and values.
        new: the position's own keys and values, each ``(..., heads, 1, head width)``.
        past: what is cached, each ``(..., heads, steps, head width)``.
        hidden: which steps are not written yet; broadcasts to ``(..., heads, n, steps)``.

    Returns:
        ``(..., heads, n, head width)``.
    """
    before = (query @ past[0].transpose(-2, -1)).masked_fill(hidden, -math.inf)
    weights = torch.softmax(torch.cat([before, query @ new[0].transpose(-2, -1)], -1), -1)
    return weights[..., :-1] @ past[1] + weights[..., -1:] @ new[1]


# --- example inputs --------------------------------------------------------------------------------------------------


def tokens_like(tokens: range, batch: int, length: int, seed: int) -> torch.Tensor:
    """Return seeded tokens, ``(batch, length)``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(tokens.start, tokens.stop, (batch, length), generator=generator)


def caches_like(shapes: Iterable[tuple[int, ...]], batch: int, seed: int) -> tuple[torch.Tensor, ...]:
    """Return seeded normal keys and values for each of ``shapes``, which lack the batch."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(batch, *shape, generator=generator) for shape in shapes for _ in PARTS)


def cache_names(layers: int, *kinds: str) -> tuple[str, ...]:
    """Return the names of the caches of layers ("past.0.keys"), those of the first kind first."""
    return tuple(f"{kind}.{layer}.{part}" for kind in kinds for layer in range(layers) for part in PARTS)


def paired(caches: Sequence[torch.Tensor]) -> list[Memory]:
    """Return caches that come in turn, keys and values, as pairs."""
    return list(zip(caches[::2], caches[1::2], strict=True))
