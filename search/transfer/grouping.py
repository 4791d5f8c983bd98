"""Group platforms that rank sub-networks alike, so that one search serves them."""

from __future__ import annotations

import numpy as np

from hwnas.supernets.space import FloatArray

# Two platforms share when their order of the shared sub-networks agrees this well: at this tau one pair of networks in
# forty is ordered differently, about what measuring twice on one quiet platform gives.
SHARED_TAU = 0.95


def groups(kendall_tau: FloatArray, threshold: float = SHARED_TAU) -> list[list[int]]:
    """Group platforms so that within a group every pair's tau is at least ``threshold``; complete linkage.

    Returns:
        Platform numbers, ascending within a group; groups by their first member. A tau of nan joins nothing.
    """
    if len(kendall_tau) == 1:
        return [[0]]
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = 1 - np.where(np.isfinite(kendall_tau), kendall_tau, -1.0)
    np.fill_diagonal(distance, 0.0)
    # A hair above the threshold's distance: 1 - 0.95 is not exactly 0.05.
    labels = fcluster(linkage(squareform(distance, checks=False), "complete"), 1 - threshold + 1e-12, "distance")
    found: dict[int, list[int]] = {}
    for platform, label in enumerate(labels.tolist()):
        found.setdefault(label, []).append(platform)
    return sorted(found.values())
