"""Use the paper's own data where a user has them: texts with ``$NAME`` in them, filled from the environment."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from hwnas.search.words import listed


def variables(given: Any) -> list[str]:
    """Return the environment variables that a dataclass's texts name, sorted."""
    texts = (text for one in fields(given) for text in _texts(getattr(given, one.name)))
    return sorted({name for text in texts for name in string.Template(text).get_identifiers()})


def is_given(given: Any, environ: Mapping[str, str]) -> bool:
    """Tell whether all of them are set."""
    return given is not None and all(name in environ for name in variables(given))


def filled(given: Any, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return a dataclass's fields that are not ``None``, the variables filled in."""
    values = {one.name: getattr(given, one.name) for one in fields(given)}
    return {name: _filled(value, environ) for name, value in values.items() if value is not None}


def stand_in_notes(title: str, stands_in: str, given: Any) -> Iterator[str]:
    """Say what stands in, and what would replace it.

    Args:
        title: of what it is about.
        stands_in: what stands in, a clause; empty: nothing does.
        given: the dataclass of what replaces it, or ``None``.
    """
    if stands_in:
        yield f"{title}: {stands_in}."
    needed = [] if given is None else variables(given)
    if stands_in and needed:
        left = getattr(given, "stands_in", None)
        instead = left or f"{title} runs on the original data"
        yield f"With {listed(needed)} set in the environment, {instead}."


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        yield from (entry for entry in value if isinstance(entry, str))


def _filled(value: Any, environ: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        # All names in it are set, see is_given; a $ that begins none stays.
        return string.Template(value).safe_substitute(environ)
    return tuple(_filled(entry, environ) for entry in value) if isinstance(value, tuple) else value
