"""Translate the keys of weights in once-for-all's checkpoints, of all versions, to one spelling.

A layer whose width is elastic wraps a plain one, so its keys repeat names: ``conv.conv.weight``,
``bn.bn.running_mean``, ``linear.linear.bias``. Older files call the convolutions of a residual block
``mobile_inverted_conv``, newer ones ``conv``, and files of single sub-networks repeat nothing. In the common spelling
repetitions are collapsed.
"""

from __future__ import annotations

import re

_REPEATED = re.compile(r"\b(conv|bn|linear)\.(?:\1\.)+")
_GATE = re.compile(r"\.fc\.(reduce|expand)\.conv\.")
_CONVOLUTION = re.compile(r"\bconv\.(?=weight$)")
_NORM = re.compile(r"\bbn\.")


def elastic(inner: str) -> str:
    """Return the key of an elastic layer for that of a plain one."""
    return _NORM.sub("bn.bn.", _CONVOLUTION.sub("conv.conv.", inner))


def spelling(key: str) -> str:
    """Return the common spelling of a key."""
    key = key.removeprefix("module.").replace(".mobile_inverted_conv.", ".conv.")
    return _REPEATED.sub(r"\1.", _GATE.sub(r".fc.\1.", key))
