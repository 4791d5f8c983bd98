"""ProxylessNAS's layout (Cai et al., 2019): like once-for-all's, in milliseconds, for plain bottlenecks.

All of them have a clipped ReLU and no squeeze-excite, which is therefore not in the keys; and ``expand`` is the ratio,
not the width::

    expanded_conv-input:112x112x16-output:56x56x32-expand:3-kernel:5-stride:2-idskip:0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.latency_luts.formats._document import entry
from hwnas.latency_luts.formats._ratio import bottleneck, known_fields
from hwnas.latency_luts.table import LatencyTable

_MS_PER_S = 1e3
_WORD = "expanded_conv"
_FIELDS = frozenset({"input", "output", "expand", "kernel", "stride", "idskip"})


def matches(document: Mapping[str, Any]) -> bool:
    """Return whether there are bottlenecks whose keys do not mention squeeze-excite."""
    first = next((name for name in document if name.startswith(f"{_WORD}-input:")), None)
    return first is not None and "-se:" not in first


def read(document: Mapping[str, Any], file: str) -> LatencyTable:
    """Return the table, its bottlenecks under once-for-all's keys; raises ``TableError`` naming the malformed key."""
    return LatencyTable(
        file, {_key(name, file): entry(value, file, name, _MS_PER_S) for name, value in document.items()}
    )


def _key(name: str, file: str) -> str:
    if not name.startswith(f"{_WORD}-"):
        return name
    return bottleneck(known_fields(name, _FIELDS, file), se=0, hs=0)
