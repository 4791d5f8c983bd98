"""A super-network whose costs are sums over its choices: all that a search wants to know of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.supernets.space import SearchSpace


class Weighed:
    """A stand-in super-network.

    Args:
        space: its sub-networks.
        macs: (n_var,) millions of MACs per step of each choice.
        params: (n_var,) millions of parameters that a step of each choice saves.
    """

    name = "wide"
    summary = "a stand-in"
    default_quality = "none"
    slots = ()

    def __init__(self, space: SearchSpace, macs: Sequence[int], params: Sequence[int]) -> None:
        self.space, self._macs, self._params = space, macs, params

    def macs(self, X):
        return (np.asarray(X) @ self._macs + 5) * 1_000_000

    def params(self, X):
        return (90 - np.asarray(X) @ self._params) * 1_000_000
