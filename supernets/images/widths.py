"""Round channel counts as the published networks do."""

from __future__ import annotations


def round_to_eight(width: float) -> int:
    """Return the multiple of 8 nearest to ``width``, the next one up if that is below 0.9 of it; at least 8."""
    return round_to(8, width)


def round_to(divisor: int, width: float) -> int:
    """Return the multiple of ``divisor`` nearest to ``width``, the next one up if that is below 0.9 of it; never 0."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def halved(size: int, times: int = 1) -> int:
    """Return an image's side after ``times`` convolutions of stride 2 with "same" padding."""
    for _ in range(times):
        size = -(-size // 2)
    return size
