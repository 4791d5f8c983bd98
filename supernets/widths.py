"""How the published networks round channel counts."""

from __future__ import annotations


def round_to_eight(width: float) -> int:
    """Return the multiple of 8 nearest ``width``, up by 8 where that falls below 0.9 of it, at least 8."""
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def halved(size: int, times: int = 1) -> int:
    """Return an image's side after ``times`` convolutions of stride 2 with "same" padding."""
    for _ in range(times):
        size = -(-size // 2)
    return size
