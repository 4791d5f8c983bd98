"""``capacity``: how large a sub-network is, where nothing is known of how good it is.

The logarithm of its parameters, from 0 (as many as the smallest sub-network has) to 100 (as the largest). Larger
sub-networks of a trained super-network are the better ones on the whole, and each doubling brings less: that much it
has in common with a measured quality. It is no accuracy, and serves to try searches where there is none.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwnas.harness.quality.quality import FreeQuality
from hwnas.supernets.errors import QualityError
from hwnas.supernets.space import FloatArray
from hwnas.supernets.supernet import SuperNetwork


def serves(name: str, net: SuperNetwork) -> list[str]:  # noqa: ARG001 - all have parameters
    """Return how it is spelled."""
    return [name]


def create(name: str, argument: str, net: SuperNetwork) -> FreeQuality:
    """Return the capacity of ``net``'s sub-networks."""
    if argument:
        raise QualityError(f"{name}: has no argument, got {argument!r}")
    ends = net.params(net.space.canonical(np.vstack([net.space.smallest(), net.space.largest()])))
    low, high = (float(np.log(count)) for count in ends)

    def capacity(X: npt.ArrayLike) -> FloatArray:
        return np.asarray(100.0 * (np.log(net.params(net.space.canonical(X))) - low) / (high - low), dtype=np.float64)

    return FreeQuality(
        name=name,
        metric=name,
        unit="%",
        maximise=True,
        predicted=True,
        note=f"{name} is predicted from the number of parameters alone; it stands in where no quality was measured",
        function=capacity,
    )
