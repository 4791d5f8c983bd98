"""Standardising features and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.supernets.space import FloatArray


@dataclass(frozen=True)
class Standard:
    """Shift and scale to mean 0 and standard deviation 1; constant columns become 0.

    Attributes:
        mean: ``(d,)``, or a 0-d array for a target.
        scale: likewise; 1 where the data are constant.
    """

    mean: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Standard:
        """Learn the shift and scale of ``values`` over their first axis."""
        scale = values.std(axis=0)
        # Rounding gives constant columns a deviation of about 1e-16 of their size.
        scale = np.where(scale > 1e-12 * np.maximum(1.0, np.abs(values).max(axis=0)), scale, 1.0)
        return cls(values.mean(axis=0), scale)

    def apply(self, values: FloatArray) -> FloatArray:
        """Return standardised values."""
        return np.asarray((values - self.mean) / self.scale)

    def undo(self, values: FloatArray) -> FloatArray:
        """Return values in their own unit."""
        return np.asarray(values * self.scale + self.mean)
