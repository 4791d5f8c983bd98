"""Read JSON, YAML, TOML and Python literals that people and other tools have written, within bounded time and memory.

Text is UTF-8 with or without a byte-order mark. A document that is nested too deeply, that expands to more than its
size by aliases, or that has numbers too long to print is refused by a ``ValueError`` that says why.
"""

from __future__ import annotations

import ast
import itertools
import json
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hwnas.supernets.errors import MALFORMED

# Reading a Python literal takes a hundred times its length in memory; this limit is enough for 500 configs.
_LONGEST_LITERAL = 1 << 18
# TOML files of people have some hundred lines; Python's reader takes a second for the worst text of this length.
_LONGEST_TOML = 1 << 16

# The deepest nesting. Tables have a depth of 4, configs of other tools 6, records in a store 10.
DEEPEST = 60
_TOO_DEEP = f"is nested deeper than {DEEPEST} levels"
# Python does not print a whole number of more digits, so no message could quote it.
LONGEST_NUMBER = 4300
_TOO_LONG = 10**LONGEST_NUMBER

# The time of TOML's reader grows as the square of the parts of a key; dots in strings and comments do not count.
_PART = r"""(?:[\w-]++ | "(?:[^"\\\n]|\\.)*+"? | '[^'\n]*+'?)"""
_TOML_TOKEN = re.compile(
    rf"""
      \"{{3}} .*? (?: (?<!\\)\"{{3}} | \Z)
    | '{{3}} .*? (?: '{{3}} | \Z)
    | (?P<key> {_PART} (?: [\ \t]*+ \. [\ \t]*+ {_PART} ){{{DEEPEST}}} )
    | {_PART}
    | \#[^\n]*+
    """,
    re.DOTALL | re.VERBOSE,
)


def read_text(file: str | Path) -> str:
    """Return a file's text, without the byte-order mark that some editors put first.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not UTF-8, or no file can have such a name.
    """
    return Path(file).read_text(encoding="utf-8-sig")


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raises ``ValueError``."""
    try:
        return checked(json.loads(text.removeprefix("\ufeff")))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def parse_literal(text: str) -> Any:
    """Return the value of a Python literal, such as ``{'d': [2, 3], 'wid': None}``; raises ``ValueError``."""
    if len(text) > _LONGEST_LITERAL:
        raise ValueError(f"has {len(text):,} characters; a Python literal is read up to {_LONGEST_LITERAL:,}")
    try:
        with warnings.catch_warnings():
            # Python warns about odd escapes and numbers, which is not for users.
            warnings.simplefilter("ignore")
            return checked(ast.literal_eval(text.removeprefix("\ufeff").strip()))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(getattr(error, "msg", None) or str(error) or _TOO_DEEP) from None


def parse_object(text: str) -> Any:
    """Return the value of a JSON text or of a Python literal; raises the ``ValueError`` of reading it as JSON."""
    try:
        return parse_json(text)
    except ValueError as error:
        try:
            return parse_literal(text)
        except ValueError:
            raise error from None


def parse_yaml(text: str) -> Any:
    """Return the value of a YAML text without duplicate keys; raises ``ValueError`` with the reason."""
    import yaml

    from hwnas.supernets.yaml_loader import Loader, check_shape

    try:
        check_shape(text.removeprefix("\ufeff"))
        return checked(yaml.load(text.removeprefix("\ufeff"), Loader=Loader))  # noqa: S506 - a subclass of the safe one
    except (yaml.YAMLError, *MALFORMED) as error:  # a tag may be given to what is nothing of that kind
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table of a TOML text; raises ``ValueError`` with the reason."""
    import tomllib

    if len(text) > _LONGEST_TOML:
        raise ValueError(f"has {len(text):,} characters; TOML is read up to {_LONGEST_TOML:,}")
    if any(token["key"] for token in _TOML_TOKEN.finditer(text)):
        raise ValueError(f"has a key of more than {DEEPEST} parts")
    try:
        found: dict[str, Any] = checked(tomllib.loads(text.removeprefix("\ufeff")))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    return found


def checked(document: Any) -> Any:
    """Return the document; raises ``ValueError`` if it is too deep or too large to be processed or printed."""
    level = [document]
    for _ in range(DEEPEST + 1):
        if any(isinstance(one, int) and not -_TOO_LONG < one < _TOO_LONG for one in level):
            raise ValueError(f"has a whole number of more than {LONGEST_NUMBER:,} digits")
        level = [one for inside in level for one in _within(inside)]
        if not level:
            return document
    raise ValueError(_TOO_DEEP)


def _within(value: Any) -> Iterable[Any]:
    """Return the keys and values that a value contains."""
    if isinstance(value, dict):
        return itertools.chain(value, value.values())
    return value if isinstance(value, (list, tuple, set)) else ()
