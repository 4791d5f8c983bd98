"""``capacity``: the size of a sub-network, as a stand-in if nothing is known about its accuracy.

It is the logarithm of the number of parameters, from 0 (the smallest sub-network) to 100 (the largest). In a trained
super-network, larger sub-networks are better on the whole, with diminishing returns; so is this quality. It is not an
accuracy, and is meant for trying out searches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.quality import FunctionQuality
from hwnas.supernets.errors import QualityError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import SuperNetwork

SPELLED = "capacity"
SUMMARY = "the number of parameters on a scale to 100: a stand-in where nothing is known about accuracy"


def serves(name: str, net: SuperNetwork) -> list[str]:  # noqa: ARG001 - all have parameters
    """Return the spec of this source."""
    return [name]


def create(name: str, argument: str, net: SuperNetwork) -> FunctionQuality:
    """Return the capacity of ``net``'s sub-networks."""
    if argument:
        raise QualityError(f"{name}: has no argument, got {argument!r}")
    ends = net.params(net.space.canonical(np.vstack([net.space.smallest(), net.space.largest()])))
    low, high = (float(np.log(count)) for count in ends)

    def capacity(X: npt.ArrayLike) -> FloatArray:
        return np.asarray(100.0 * (np.log(net.params(net.space.canonical(X))) - low) / (high - low), dtype=np.float64)

    return FunctionQuality(
        name=name,
        metric=name,
        unit="%",
        maximise=True,
        predicted=True,
        note=f"{name} is predicted from the number of parameters alone; it stands in where no quality was measured",
        function=capacity,
    )
