"""Several platforms in one string: ``onnxruntime:threads=1+2,batch=1+8`` is four."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from supernets.errors import PlatformError
from supernets.spec import parse_spec

# Where a + separates values; in a file's name it is a letter like any other.
_SWEPT = ("threads", "batch", "precision")


def swept(texts: Iterable[str]) -> list[str]:
    """Return the platform strings that ``texts`` stand for, in order, the last key varying fastest.

    Raises:
        PlatformError: one is not spelled like a platform.
    """
    return [one for text in texts for one in _swept(text)]


def _swept(text: str) -> list[str]:
    if "+" not in text:
        return [text]
    name, options = parse_spec(text, f"platform {text!r}", PlatformError)
    values = [value.split("+") if key in _SWEPT else [value] for key, value in options.items()]
    return [
        f"{name}:{','.join(f'{key}={value}' for key, value in zip(options, chosen, strict=True))}"
        for chosen in itertools.product(*values)
    ]
