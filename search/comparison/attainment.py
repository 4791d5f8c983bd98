"""Empirical attainment surfaces: what a given share of the runs of a search attains. Computed by moocore.

A point is attained by a run whose front has a point that is no worse in any objective. The surface of level p is the
border of what at least p of the runs attain (Grunert da Fonseca, Fonseca and Hall, EMO 2001).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.supernets.space import FloatArray, IntArray


def attainment_surfaces(fronts: Sequence[FloatArray], levels: Sequence[float] = (0.25, 0.5, 0.75)) -> list[FloatArray]:
    """Return the surface of each level, minimised, as its corners, ``(k, m)``, ascending in the first objective.

    Args:
        fronts: one per run, ``(n, m)`` with m of 2 or 3, minimised; a run may have found nothing.
        levels: shares of the runs, above 0 up to 1.

    Returns:
        One array per level; empty where fewer runs found anything.
    """
    for level in levels:
        if not 0 < level <= 1:
            raise ValueError(f"levels: expected shares above 0 up to 1, got {level}")
    found = [np.asarray(front, dtype=np.float64) for front in fronts if len(front)]
    if not found:
        return [np.zeros((0, _objectives(fronts))) for _ in levels]
    sets = np.repeat(np.arange(1, len(found) + 1), [len(front) for front in found])
    # A run that found nothing attains nothing, and moocore has no empty sets: a share of all runs is a larger one of
    # those that found something.
    shares = [_needed(level, len(fronts)) / len(found) for level in levels]
    return [_surface(np.vstack(found), sets, share) for share in shares]


def _objectives(fronts: Sequence[FloatArray]) -> int:
    """Return of how many objectives fronts are that have no points; 2 where there is none at all."""
    return max((np.shape(front)[1] for front in fronts if np.ndim(front) == 2), default=2)


def _needed(level: float, runs: int) -> int:
    """Return how many runs are at least the share ``level`` of them."""
    return int(np.ceil(level * runs - 1e-9))


def _surface(points: FloatArray, sets: IntArray, share: float) -> FloatArray:
    import moocore

    if share > 1 + 1e-9:
        return np.zeros((0, points.shape[1]))
    surface: FloatArray = moocore.eaf(points, sets, percentiles=[100 * min(share, 1.0)])[:, :-1]
    return surface[np.lexsort(surface.T[::-1])]
