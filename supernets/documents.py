"""Text that people and other tools write: UTF-8 with or without a byte-order mark, as JSON, YAML or Python literals."""

from __future__ import annotations

import ast
import json
import warnings
from pathlib import Path
from typing import Any

# A Python literal takes a hundred times its length while it is read; so many characters are 2,000 configs.
_LONGEST_LITERAL = 1 << 20


def read_text(file: str | Path) -> str:
    """Return what a file says, without the byte-order mark that some editors put first.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no UTF-8, or no file can have such a name.
    """
    return Path(file).read_text(encoding="utf-8-sig")


def parse_json(text: str) -> Any:
    """Return the value that a JSON text spells; raises ``ValueError``."""
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def parse_literal(text: str) -> Any:
    """Return the value of a Python literal, such as ``{'d': [2, 3], 'wid': None}``; raises ``ValueError``."""
    if len(text) > _LONGEST_LITERAL:
        raise ValueError(f"has {len(text):,} characters; a Python literal is read up to {_LONGEST_LITERAL:,}")
    try:
        with warnings.catch_warnings():
            # Python remarks on odd escapes and numbers; whoever wrote the file is not its programmer.
            warnings.simplefilter("ignore")
            return ast.literal_eval(text.removeprefix("\ufeff").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(getattr(error, "msg", None) or str(error) or "is nested too deeply") from None


def parse_object(text: str) -> Any:
    """Return the value of a JSON text or, where it is none, of a Python literal; raises ``ValueError`` of the JSON."""
    try:
        return parse_json(text)
    except ValueError as error:
        try:
            return parse_literal(text)
        except ValueError:
            raise error from None


def parse_yaml(text: str) -> Any:
    """Return the value that a YAML text spells, with no key given twice; raises ``ValueError`` with the reason."""
    import yaml

    from supernets.yaml_loader import Loader, check_shape

    try:
        check_shape(text.removeprefix("\ufeff"))
        return yaml.load(text.removeprefix("\ufeff"), Loader=Loader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
