"""Config strings: ``min``, ``max``, ``random:SEED``, inline JSON, a ``.json`` file, ``-`` for standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from supernets.errors import ConfigError
from supernets.space import IntArray, SearchSpace
from supernets.whole import whole

FORMS = "min, max, random:SEED, inline JSON, a .json file (one config or a list), or - for standard input"


def read_configs(texts: Sequence[str], space: SearchSpace) -> IntArray:
    """Read config strings into vectors, ``(n, n_var)``, in their order.

    Raises:
        ConfigError: names the string, and the forms or values that are allowed.
    """
    if not texts:
        raise ConfigError(f"no config given; expected {FORMS}")
    return np.concatenate([_read(text.strip(), space) for text in texts])


def _read(text: str, space: SearchSpace) -> IntArray:
    if text == "min":
        return space.smallest()
    if text == "max":
        return space.largest()
    if text.startswith("random:"):
        return space.sample(1, _seed(text))
    if text == "-":
        return _parse(sys.stdin.read(), "standard input", space)
    if text.startswith(("{", "[")):
        return _parse(text, "the config", space)
    if text.endswith(".json"):
        return _parse(_contents(text), text, space)
    raise ConfigError(f"config {text!r}: expected {FORMS}")


def _seed(text: str) -> int:
    seed = whole(text.removeprefix("random:"))
    if seed is None:
        raise ConfigError(f"config {text!r}: expected random:SEED with SEED a whole number from 0, like random:1")
    return seed


def _contents(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a name that no file can have
        raise ConfigError(f"config file {file!r}: {getattr(error, 'strerror', None) or error}") from error


def _parse(text: str, source: str, space: SearchSpace) -> IntArray:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        raise ConfigError(f"{source} is not JSON: {error}") from error
    if isinstance(found, list) and not found:
        raise ConfigError(f"{source} is an empty list")
    if not isinstance(found, (dict, list)):
        raise ConfigError(f"{source}: expected a config or a list of configs, got {type(found).__name__}")
    return space.encode(found)
