"""``causal-lm:path=DIR``: a language model of the Llama family, from a Hugging Face folder, as a super-network.

Its depth, the hidden units of each layer and the groups of keys and values of each layer are elastic, ordered by their
importance, see ``hwnas.supernets.causal.order``; the largest sub-network is the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnas.supernets.causal.network import CausalLm

NEEDS = "path=DIR"


def create(name: str, options: Mapping[str, str]) -> CausalLm:
    """Make the super-network of a folder.

    Args:
        name: ``causal-lm``.
        options: ``path``: the folder, with ``config.json`` and safetensors. ``calibration``: text files or a folder of
            them, by which parts are ordered; otherwise by their weights. ``prompt``, ``new``: what is measured, as for
            ``hw-gpt-s``.
    """
    from hwnas.supernets.causal.network import from_options

    return from_options(name, options)
