"""Hypervolume, the volume that a front dominates, and non-dominated sorting. All objectives are minimised."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hwnas.supernets.space import BoolArray, FloatArray


def hypervolume(points: npt.ArrayLike, reference: npt.ArrayLike) -> float:
    """Return the volume dominated by ``points`` within ``reference``, the same to the last digit in whatever order.

    Args:
        points: ``(n, m)``, minimised. Rows that are not finite (failed evaluations) and rows that are not below the
            reference in every objective dominate nothing.
        reference: ``(m,)``; where it has a nan, which is not known yet, nothing is dominated.

    Raises:
        ValueError: the reference is of another shape, or infinite.
    """
    import moocore

    array, corner = _points(points), np.asarray(reference, dtype=np.float64)
    if corner.shape != (array.shape[1],):
        raise ValueError(f"reference: expected shape ({array.shape[1]},) like a point, got {corner.shape}")
    if np.isinf(corner).any():
        raise ValueError(f"reference: expected finite numbers, got {corner.tolist()}")
    inside = array[(array < corner).all(axis=1) & np.isfinite(array).all(axis=1)]
    if not len(inside):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - inside.min())
    if len(corner) > 2:
        # Beyond two objectives, sums are rounded otherwise in another order: of two searches with the same front, one
        # would be ahead.
        inside = np.unique(inside, axis=0)
    return float(moocore.hypervolume(inside, ref=corner))


def hypervolumes(points: FloatArray, counts: npt.ArrayLike, reference: npt.ArrayLike) -> FloatArray:
    """Return the hypervolume of what came first, after each point: ``(n,)``, which never falls.

    Args:
        points: ``(n, m)``, minimised, in the order in which they came.
        counts: which of them count, ``(n,)``; of the others nothing is looked at.
        reference: ``(m,)``, as for ``hypervolume``.

    Example:
        >>> hypervolumes(np.array([[2.0, 2.0], [3.0, 3.0], [1.0, 2.5]]), [True, True, True], [4.0, 4.0]).tolist()
        [4.0, 4.0, 5.5]
    """
    result = np.zeros(len(points))
    front, volume = points[:0], 0.0
    # Most points are behind the front: a comparison with it tells, many times as fast as a front made anew.
    for index, (point, counted) in enumerate(zip(points, np.asarray(counts, dtype=bool), strict=True)):
        if counted and not (front <= point).all(axis=1).any():
            front = np.vstack([front[(front < point).any(axis=1)], point])
            volume = hypervolume(front, reference)
        result[index] = volume
    return result


def non_dominated(points: npt.ArrayLike) -> BoolArray:
    """Return which of ``points`` (n, m) no other dominates, ``(n,)``; equal points do not dominate each other.

    Rows that are not finite are out.
    """
    import moocore

    array = _points(points)
    valid = np.isfinite(array).all(axis=1)
    result = np.zeros(len(array), dtype=bool)
    if not valid.any():
        return result
    if array.shape[1] == 1:
        result[valid] = array[valid, 0] == array[valid, 0].min()
    else:
        result[valid] = moocore.is_nondominated(array[valid], keep_weakly=True)
    return result


def front_ranks(points: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return each point's front, ``(n,)``: 0 for the non-dominated, 1 for those that only front 0 dominates, ...

    Rows must not hold nan.
    """
    import moocore

    array = _points(points)
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    if array.shape[1] == 1:
        return np.unique(array[:, 0], return_inverse=True)[1].astype(np.int64)
    return np.asarray(moocore.pareto_rank(array), dtype=np.int64)


def shares_on_front(
    values: FloatArray, errors: FloatArray, front: Callable[[FloatArray], BoolArray], *, draws: int, seed: int
) -> FloatArray:
    """Draw noisy values again and again, and return in which share of the draws each is on the front, ``(n,)``.

    Args:
        values: ``(n, m)``.
        errors: their standard errors, likewise.
        front: returns who of ``(n, m)`` values is on their front, ``(n,)``.
        draws: how many.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    times = np.zeros(len(values))
    for _ in range(draws):
        times += front(values + errors * rng.normal(size=values.shape))
    return times / draws


def _points(points: npt.ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"points: expected shape (n, m), got {array.shape}")
    return array


def free_boxes(points: npt.ArrayLike, reference: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Cut what ``points`` do not dominate within ``reference`` into boxes that do not overlap.

    The last objective is sliced at the points' values; within a slice, the points below it do not dominate what they do
    not dominate in one dimension less. Two objectives give one box more than the front has points.

    Args:
        points: ``(n, m)``, minimised.
        reference: ``(m,)``.

    Returns:
        The boxes' lower corners (minus infinity where they are open) and upper corners, ``(k, m)`` each.
    """
    array, corner = _points(points), np.asarray(reference, dtype=np.float64)
    inside = array[(array < corner).all(axis=1)]
    return _sliced(inside[non_dominated(inside)], corner)


def _sliced(front: FloatArray, corner: FloatArray) -> tuple[FloatArray, FloatArray]:
    if len(corner) == 1:
        top = min(float(corner[0]), float(front.min(initial=np.inf)))
        return np.full((1, 1), -np.inf), np.full((1, 1), top)
    levels = np.unique(front[:, -1])
    edges = np.concatenate([[-np.inf], levels, corner[-1:]])
    lows, highs = [], []
    for bottom, top in itertools.pairwise(edges):
        below = front[front[:, -1] <= bottom, :-1]
        low, high = _sliced(below[non_dominated(below)] if len(below) else below, corner[:-1])
        lows.append(np.column_stack([low, np.full(len(low), bottom)]))
        highs.append(np.column_stack([high, np.full(len(high), top)]))
    return np.concatenate(lows), np.concatenate(highs)


def improvements(points: npt.ArrayLike, boxes: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Return by how much each point alone would add to the hypervolume, ``(n,)``.

    Args:
        points: ``(n, m)``, minimised.
        boxes: the undominated region, as ``free_boxes`` returns it.
    """
    array = _points(points)
    low, high = boxes
    volume = np.ones((len(array), len(low)))
    for column in range(array.shape[1]):
        start = np.maximum(low[:, column], array[:, column, None])
        volume *= np.maximum(high[:, column] - start, 0.0)
    return np.asarray(volume.sum(axis=1), dtype=np.float64)
