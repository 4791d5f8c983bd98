"""Keys of sub-networks, shortened for tables."""

from __future__ import annotations

from collections.abc import Iterable

_HEAD, _TAIL = 8, 7


def shortened(keys: Iterable[str]) -> dict[str, str]:
    """Return, by key, its first and last digits: a few, or as many as tell all of them apart."""
    distinct = set(keys)
    for more in range(max(map(len, distinct), default=0)):
        for head, tail in ((_HEAD + more, _TAIL), (_HEAD, _TAIL + more)):
            short = {key: _cut(key, head, tail) for key in distinct}
            if len(set(short.values())) == len(distinct):
                return short
    return {key: key for key in distinct}


def _cut(key: str, head: int, tail: int) -> str:
    return key if len(key) <= head + tail + 1 else f"{key[:head]}…{key[-tail:]}"
