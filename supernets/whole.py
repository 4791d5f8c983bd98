"""Whole numbers as users write them."""

from __future__ import annotations

# As many digits always fit 64 bits. Python itself refuses thousands of them, and accepts digits of other scripts, signs
# and underscores, which no option means.
_DIGITS = 18


def whole(text: str) -> int | None:
    """Return the whole number that ``text`` spells in ASCII digits; ``None`` where it spells none, or one too large."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None
