"""Expand a string that names several platforms: ``onnxruntime:threads=1+2,batch=1+8`` names four."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hwnas.harness.platform import named_platforms
from hwnas.supernets.errors import PlatformError
from hwnas.supernets.spec import parse_spec

# Keys in which + separates values; in a file's name + is an ordinary character.
_SWEPT = ("threads", "batch", "precision")


def swept(texts: Iterable[str]) -> list[str]:
    """Return the platform strings that ``texts`` stand for, in order; the last key varies fastest.

    A name of ``hwnas.toml`` may contain a +, and may stand for several platforms.

    Raises:
        PlatformError: a text does not have the form of a platform string.
    """
    known = named_platforms()
    return [one for text in texts for one in _swept(text, known.get(text, text))]


def _swept(text: str, spelled: str) -> list[str]:
    if "+" not in spelled.partition(":")[2]:
        return [text]
    name, options = parse_spec(spelled, f"platform {text!r}", PlatformError)
    if not any("+" in options.get(key, "") for key in _SWEPT):
        return [text]
    values = [value.split("+") if key in _SWEPT else [value] for key, value in options.items()]
    return [
        f"{name}:{','.join(f'{key}={value}' for key, value in zip(options, chosen, strict=True))}"
        for chosen in itertools.product(*values)
    ]
