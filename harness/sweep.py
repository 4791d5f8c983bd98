"""Several platforms in one string: ``onnxruntime:threads=1+2,batch=1+8`` is four."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from hwnas.harness.platform import named_platforms
from hwnas.supernets.errors import PlatformError
from hwnas.supernets.spec import parse_spec

# Where a + separates values; in a file's name it is a letter like any other.
_SWEPT = ("threads", "batch", "precision")


def swept(texts: Iterable[str]) -> list[str]:
    """Return the platform strings that ``texts`` stand for, in order, the last key varying fastest.

    A name of ``hwnas.toml`` may have a + in it, and may stand for several platforms.

    Raises:
        PlatformError: one is not spelled like a platform.
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
