"""Look up values of sub-networks by their vectors, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwnas.supernets.space import FloatArray, IntArray, SearchSpace


@dataclass(frozen=True, eq=False)
class Lookup:
    """Values of distinct sub-networks, looked up by their vectors; immutable.

    Attributes:
        space: of the vectors.
        vectors: canonical and distinct, sorted by their names, ``(m, n_var)``.
        values: one each, ``(m,)``.
    """

    space: SearchSpace
    vectors: IntArray
    values: FloatArray

    @classmethod
    def averaged(cls, space: SearchSpace, X: npt.ArrayLike, values: FloatArray) -> Lookup:
        """Return a lookup of the mean of each sub-network's values; rows with nan are left out.

        Args:
            space: of the vectors.
            X: any vectors, duplicates too, ``(n, n_var)``.
            values: one each, ``(n,)``.
        """
        kept = ~np.isnan(values)
        canonical = space.canonical(X)[kept]
        _, first, group = np.unique(_names(canonical), return_index=True, return_inverse=True)
        sums = np.bincount(group, weights=values[kept])
        return cls(space, canonical[first], sums / np.bincount(group))

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Return the values of sub-networks ``X``, ``(n,)``; nan if the table has none."""
        wanted, known = _names(self.space.canonical(X)), _names(self.vectors)
        if not len(known):
            return np.full(len(wanted), np.nan)
        place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[place] == wanted, self.values[place], np.nan)


def _names(canonical: IntArray) -> npt.NDArray[np.bytes_]:
    """Return each row as one byte string, ``(n,)``: numpy sorts and compares those as a whole."""
    # numpy's byte strings lose zeros at their end, but rows of one length stay distinct.
    rows = np.ascontiguousarray(canonical, dtype=np.uint8)
    return rows.view(f"S{rows.shape[1]}").reshape(len(rows))
