"""Once-for-all's layout: one mapping of block keys to ``count``, ``mean`` and ``std`` (or ``var``), in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwnas.latency_luts.formats._document import entry
from hwnas.latency_luts.keys import OFA_WORDS
from hwnas.latency_luts.table import LatencyTable

_MS_PER_S = 1e3


def matches(document: Mapping[str, Any]) -> bool:
    """Return whether the first key has the form of once-for-all's.

    Its bottlenecks' keys say whether there is squeeze-excite; those of ProxylessNAS, which are similar, do not.
    """
    word, dash, rest = next(iter(document)).partition("-")
    bottleneck = next((name for name in document if name.startswith("expanded_conv-")), "-se:")
    return word in OFA_WORDS and bool(dash) and rest.startswith("input:") and "-se:" in bottleneck


def read(document: Mapping[str, Any], file: str) -> LatencyTable:
    """Return the table; raises ``TableError`` naming the file and the key of the first malformed value."""
    return LatencyTable(file, {name: entry(value, file, name, _MS_PER_S) for name, value in document.items()})
