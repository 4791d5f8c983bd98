"""The matrices of a report, but for Kendall's tau, for any draw of its rows and of their noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hwnas.search.transfer.bootstrap import MatrixBounds, bootstrap
from hwnas.search.transfer.effects import EffectModel
from hwnas.search.transfer.fronts import hypervolume_ratio, mean_of_known, standing
from hwnas.search.transfer.losses import noisy
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.rank import spearman
from hwnas.supernets.space import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Matrices:
    """What the matrices are computed from.

    Attributes:
        latency: see ``hwnas.search.transfer.fronts``.
        loss: likewise.
        fronts: likewise.
        reference: each platform's reference point; it belongs to the space, and is the same for all draws.
        effects: the model of what choices cost; ``None``: there is none.
    """

    latency: FloatArray
    loss: FloatArray
    fronts: BoolArray
    reference: FloatArray
    effects: EffectModel | None

    @cached_property
    def _stands(self) -> FloatArray:
        return standing(self.latency, self.loss, self.fronts)

    def of(self, rows: IntArray, values: FloatArray) -> dict[str, FloatArray]:
        """Return the matrices by name.

        Args:
            rows: drawn with replacement, ``(n_rows,)``.
            values: latencies in place of the measured ones, ``(n_rows, n_platforms)``.
        """
        loss, fronts = self.loss[rows], self.fronts[rows]
        # Who stands is judged by the whole fronts: a draw leaves out many that dominate, and flatters the rest.
        stands = self._stands if values is self.latency else standing(values, self.loss, self.fronts)
        return {
            "spearman": spearman(values[rows]),
            "hypervolume_ratio": hypervolume_ratio(values[rows], loss, fronts, self.reference),
            "front_overlap": mean_of_known(stands[rows]),
            **({} if self.effects is None else {"effects": self.effects.fit(values, rows).percent}),
        }

    def bounds(
        self, noise: Noise, rng: np.random.Generator, resamples: int, level: float = 0.95
    ) -> dict[str, MatrixBounds]:
        """Return the bounds of each matrix, over sub-networks and their noise; see ``bootstrap``."""
        return bootstrap(
            lambda rows: self.of(rows, self.latency),
            len(self.loss),
            rng,
            resamples,
            level,
            None if noise.exact else lambda rows: self.of(rows, noisy(self.latency, noise, 1, rng)[0]),
        )
