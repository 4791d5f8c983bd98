"""How once-for-all names weights in its checkpoints.

A layer whose width is elastic wraps the plain one, so its keys say everything twice: ``conv.conv.weight``,
``bn.bn.running_mean``, ``linear.linear.bias``. Older files call the convolutions of a residual block
``mobile_inverted_conv``, newer ones ``conv``, and files of single sub-networks spell no layer twice. All of them are
read by one spelling in which repetitions are collapsed.
"""

from __future__ import annotations

import re

_REPEATED = re.compile(r"\b(conv|bn|linear)\.(?:\1\.)+")
_GATE = re.compile(r"\.fc\.(reduce|expand)\.conv\.")
_CONVOLUTION = re.compile(r"\bconv\.(?=weight$)")
_NORM = re.compile(r"\bbn\.")


def elastic(inner: str) -> str:
    """Return what a plain layer's key is called where the layer is elastic."""
    return _NORM.sub("bn.bn.", _CONVOLUTION.sub("conv.conv.", inner))


def spelling(key: str) -> str:
    """Return the one spelling under which all spellings of a key meet."""
    key = key.removeprefix("module.").replace(".mobile_inverted_conv.", ".conv.")
    return _REPEATED.sub(r"\1.", _GATE.sub(r".fc.\1.", key))
