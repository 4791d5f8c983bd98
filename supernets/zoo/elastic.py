"""``elastic:model=FILE.py:FUNCTION``: a trained torch model of a user's own as a super-network.

The question is BootstrapNAS' (Munoz et al., 2022, arXiv 2112.10878): from one trained network to all its sub-networks.
What shrinks together is found from the model's graph, see ``hwnas.supernets.elastic``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwnas.supernets.elastic.network import ElasticModel

NEEDS = "model=FILE.py:FUNCTION"


def create(name: str, options: Mapping[str, str]) -> ElasticModel:  # noqa: ARG001 - it has one name
    """Make the super-network of a model.

    Args:
        name: ``elastic``.
        options: ``model``: the function that returns the module and its example inputs for one sample. ``width``,
            ``heads``: the fractions that can be kept. ``multiple``: numbers of channels are multiples of it. ``fix``,
            ``only``: patterns of layers, joined by ``+``. ``depth``: ``on`` or ``off``. ``importance``: ``weights``,
            ``activations`` or ``gradients``; these two need ``data=FILE.py:FUNCTION``.
    """
    from hwnas.supernets.elastic.making import from_options

    return from_options(options)
