"""Inputs for parsers: valid ones, damaged in the ways that files get damaged, and plain noise."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

# What breaks parsers: numbers that are none or too many, other types, deep nesting, odd characters, no text at all.
_NUMBERS = ("nan", "inf", "-1", "0", "1e999", "-1e-999", "9" * 30, "9" * 5000, "1_000", "0x10", "\u0663", "1.5")
_VALUES = (
    "null",
    "true",
    "[]",
    "{}",
    '""',
    "[" * 300,
    "{" * 300,
    '{"a":' * 60,
    "&a [*a]",
    "!!python/object:os.system x",
)
_SIGNS = ("\0", "\n", "\r", "\t", *",:=\"'\\#%*/~é", "\ufeff", "\u2028", "\U0001d518")
_BYTES = (b"\xff", b"\x80\x80", b"\xed\xa0\x80", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x1f\x8b")
TOKENS = (*(token.encode() for token in (*_NUMBERS, *_VALUES, *_SIGNS)), *_BYTES)


@st.composite
def damaged(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """Return one of ``seeds`` after one to four edits: a token or bytes put in, taken out, repeated, cut off."""
    content = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(("token", "replace", "bytes", "remove", "repeat", "cut", "flip", "number")))
        if kind == "token":
            content = content[:at] + draw(st.sampled_from(TOKENS)) + content[at:]
        elif kind == "replace":
            content = content[:at] + draw(st.sampled_from(TOKENS)) + content[end:]
        elif kind == "bytes":
            content = content[:at] + draw(st.binary(max_size=8)) + content[end:]
        elif kind == "remove":
            content = content[:at] + content[end:]
        elif kind == "repeat":
            content = content[:end] + content[at:]
        elif kind == "cut":
            content = content[:at]
        elif kind == "flip" and at < len(content):
            content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
        elif kind == "number":
            content = _other_number(content, at, draw(st.sampled_from(TOKENS)))
    return content


def _other_number(content: bytes, at: int, token: bytes) -> bytes:
    """Put a token in the place of the first run of digits from ``at`` on: values are what a parser has to check."""
    start = next((place for place in range(at, len(content)) if content[place : place + 1].isdigit()), None)
    if start is None:
        return content
    end = start
    while end < len(content) and content[end : end + 1].isdigit():
        end += 1
    return content[:start] + token + content[end:]


def contents(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return files: mostly damaged ones, some that are plain noise, the valid ones among them."""
    return st.one_of(
        damaged(seeds),
        damaged(seeds),
        st.sampled_from(seeds),
        st.binary(max_size=200),
        st.text(max_size=80).map(_encoded),
    )


def texts(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """Return what may stand on a command line: bytes that are no UTF-8 arrive as lone surrogates."""
    return contents([seed.encode() for seed in seeds]).map(lambda content: content.decode("utf-8", "surrogateescape"))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
