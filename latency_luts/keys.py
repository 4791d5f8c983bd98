"""Make the keys under which blocks are found in lookup tables.

The blocks of mobile networks have the keys of once-for-all's published tables
(``expanded_conv-input:56x56x32-output:56x56x32-expand:96-kernel:3-stride:1-idskip:1-se:0-hs:0``), so that those tables
can be used as they are. The key of any other block has its kind, its shapes and all of its options.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from hwnas.supernets.blocks import Block


@dataclass(frozen=True)
class _Spelling:
    """Once-for-all's names for a kind of block, and for its options as pairs of (their name, ours)."""

    word: str
    options: tuple[tuple[str, str], ...] = ()


_MBCONV = (
    ("expand", "mid"),
    ("kernel", "kernel"),
    ("stride", "stride"),
    ("idskip", "idskip"),
    ("se", "se"),
    ("hs", "hs"),
)
_SPELLINGS = {
    "first-conv": _Spelling("Conv"),
    "mbconv": _Spelling("expanded_conv", _MBCONV),
    "final-expand": _Spelling("Conv_1"),
    "pool": _Spelling("AvgPool2D"),
    "feature-mix": _Spelling("Conv_2"),
    "classifier": _Spelling("Logits"),
}

# The words that once-for-all's keys start with.
OFA_WORDS = frozenset(spelling.word for spelling in _SPELLINGS.values())


def key(block: Block) -> str:
    """Return the key of ``block`` in a lookup table; blocks of equal cost have equal keys."""
    own = _Spelling(block.kind, tuple((name, name) for name, _ in block.options))
    spelling = _SPELLINGS.get(block.kind, own)
    shapes = (f"input:{_shape(block.input)}", f"output:{_shape(block.output)}")
    options = (f"{theirs}:{block.option(ours)}" for theirs, ours in spelling.options)
    return "-".join((spelling.word, *shapes, *options))


def split(name: str) -> tuple[str, dict[str, str]]:
    """Split a key into its word and its fields: ``"Conv-input:8x8x3-output:4x4x16"`` has "input" and "output".

    Raises:
        ValueError: it is not spelled so.
    """
    word, *parts = name.split("-")
    pairs = [part.partition(":") for part in parts]
    if not word or not all(field and colon and value for field, colon, value in pairs):
        raise ValueError(f"expected a key like WORD-input:HxWxC-output:HxWxC, got {name!r}")
    return word, {field: value for field, _, value in pairs}


def nearest(wanted: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the ``n`` keys of ``known`` that are most similar to ``wanted``, the most similar first.

    Keys of the same kind of block come before all others.
    """
    word = wanted.partition("-")[0]
    known = sorted(known)
    alike = [name for name in known if name.partition("-")[0] == word]
    return difflib.get_close_matches(wanted, alike or known, n=n, cutoff=0.0)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
