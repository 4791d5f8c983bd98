"""Inputs for parsers: valid ones, damaged in the ways that files get damaged, and plain noise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

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


def json_files(seeds: Sequence[Any]) -> st.SearchStrategy[bytes]:
    """Return JSON files: well-formed ones that say something else, and damaged ones."""
    return st.one_of(
        documents(seeds).map(lambda document: json.dumps(document).encode()),
        contents([json.dumps(seed).encode() for seed in seeds]),
    )


def texts(seeds: Sequence[str]) -> st.SearchStrategy[str]:
    """Return what may stand on a command line: bytes that are no UTF-8 arrive as lone surrogates."""
    return contents([seed.encode() for seed in seeds]).map(lambda content: content.decode("utf-8", "surrogateescape"))


# What may stand where another value is expected, whatever the format.
_ODD_NUMBERS = (True, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 2**63, 10**400)
_ODD_TEXTS = ("", "x", "nan", "\0", "\ud800", "~x/y", "x" * 300)
ODD = (None, *_ODD_NUMBERS, *_ODD_TEXTS, [], {}, [[]], [None], {"a": 1}, [1, "a"])


def _copied(value: Any) -> Any:
    """Return a document of its own; what it holds, tensors say, is shared."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value


_VALUES_MADE = st.one_of(
    st.sampled_from(ODD).map(_copied),
    st.integers(-3, 40),
    st.floats(),
    st.text(max_size=6),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3), max_leaves=4
    ),
)


@st.composite
def documents(draw: st.DrawFn, seeds: Sequence[Any], more: st.SearchStrategy[Any] | None = None) -> Any:
    """Return one of ``seeds``, made of JSON values, after up to three edits anywhere in it.

    An edit replaces a value, takes it away, repeats it, calls it otherwise, or puts another beside it: what is left is
    well-formed, so that a reader gets beyond the form. ``more`` are values to put in beside the usual odd ones.
    """
    odd = _VALUES_MADE if more is None else _VALUES_MADE | more
    holder = [_copied(draw(st.sampled_from(seeds)))]
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(holder))
        inside, key = places[draw(st.integers(0, len(places) - 1))]
        kind = draw(st.sampled_from(("replace", "replace", "remove", "wrap", "add", "repeat", "rename")))
        if kind == "replace" or inside is holder:
            inside[key] = draw(odd)
        elif kind == "remove":
            del inside[key]
        elif kind == "wrap":
            inside[key] = [inside[key]]
        elif kind == "add" and isinstance(inside, dict):
            inside[draw(st.sampled_from(("x", "", "\ud800", "name", "schema")))] = draw(odd)
        elif isinstance(inside, dict):
            inside[f"{key}x"] = inside.pop(key) if kind == "rename" else inside[key]
        else:
            inside.insert(key, _copied(inside[key]))
    return holder[0]


def _places(inside: Any) -> Any:
    """Yield every value of a document by what it is in and its key or index there."""
    for key, value in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
        yield inside, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def toml(table: dict[str, Any]) -> str:
    """Write a table as TOML, those in it on one line; what TOML has no word for is left out."""
    return "\n".join(_toml_pairs(table)) + "\n"


def _toml_pairs(table: dict[str, Any]) -> list[str]:
    return [f"{json.dumps(key)} = {_toml(value)}" for key, value in table.items() if value is not None]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(_toml_pairs(value))}}}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value if one is not None)}]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
