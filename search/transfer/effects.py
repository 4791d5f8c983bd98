"""Which choices drive the difference between platforms: the effect of each kind of choice on each platform's latency.

An additive model of latency: per kind of choice and stage, how far the choices that matter lie between the smallest and
the largest value. What a coefficient says is what it costs to take all choices of that kind from the smallest to the
largest value, in percent of the platform's mean latency, the rest being equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas.search.predictors._blocks import choice_stages, coordinates
from hwnas.supernets.space import FloatArray, IntArray, SearchSpace

# A least-squares fit to fewer rows per coefficient says little.
_ROWS_PER_EFFECT = 3


@dataclass(frozen=True)
class Effects:
    """What choices cost.

    Attributes:
        names: the kinds of choices, by their config keys; with a stage behind them ("ks 2") where rows are enough to
            distinguish stages.
        percent: ``(n_effects, n_platforms)``; nan where a platform has too few rows.
        explained: the share of the latencies' variance that the model explains, per platform; nan likewise.
    """

    names: tuple[str, ...]
    percent: FloatArray
    explained: FloatArray


class EffectModel:
    """The additive model of one search space on some sub-networks.

    Args:
        space: the search space.
        X: the sub-networks, ``(n, n_var)``.
        by_stage: distinguish stages.
    """

    def __init__(self, space: SearchSpace, X: IntArray, *, by_stage: bool = False) -> None:
        groups = _groups(space, by_stage=by_stage)
        # From 0, the smallest value, to 1, the largest.
        levels, active = (coordinates(space)[np.arange(space.n_var), X] + 1.0) / 2.0, space.active(X)
        columns = []
        for members in groups.values():
            there = active[:, members]
            total = (levels[:, members] * there).sum(axis=1)
            columns.append(total / np.maximum(there.sum(axis=1), 1))
        features = np.column_stack(columns) if columns else np.zeros((len(X), 0))
        # A kind that never varies among these rows has no effect that could be seen.
        varies = np.ptp(features, axis=0) > 0 if len(X) else np.zeros(features.shape[1], dtype=bool)
        self.names = tuple(name for name, varying in zip(groups, varies, strict=True) if varying)
        self._features = features[:, varies]

    def fit(self, latency: FloatArray, rows: IntArray | None = None) -> Effects:
        """Fit the model to each platform.

        Args:
            latency: ``(n, n_platforms)``, any unit; nan where there is none.
            rows: row numbers to fit on, some perhaps several times; ``None``: all.
        """
        rows = np.arange(len(latency)) if rows is None else rows
        fitted = [_least_squares(self._features[rows], column[rows]) for column in latency.T]
        percent = np.column_stack([effects for effects, _ in fitted])
        return Effects(self.names, percent, np.array([explained for _, explained in fitted]))


def enough_for_stages(space: SearchSpace, n: int) -> bool:
    """Return whether ``n`` rows are enough to separate the stages' effects."""
    return n >= _ROWS_PER_EFFECT * (1 + len(_groups(space, by_stage=True)))


def _groups(space: SearchSpace, *, by_stage: bool) -> dict[str, list[int]]:
    stages = choice_stages(space) if by_stage else [-1] * space.n_var
    order = {stage: number for number, stage in enumerate(sorted({stage for stage in stages if stage >= 0}), 1)}
    groups: dict[str, list[int]] = {}
    for column, choice in enumerate(space.choices):
        name = choice.key if stages[column] < 0 else f"{choice.key} {order[stages[column]]}"
        groups.setdefault(name, []).append(column)
    return groups


def _least_squares(features: FloatArray, y: FloatArray) -> tuple[FloatArray, float]:
    """Return the effects in percent of the mean, and the share of variance that they explain."""
    there = np.isfinite(y)
    n_effects = features.shape[1]
    if there.sum() < _ROWS_PER_EFFECT * (1 + n_effects):
        return np.full(n_effects, np.nan), float("nan")
    A = np.column_stack([np.ones(int(there.sum())), features[there]])
    relative = 100 * y[there] / y[there].mean()
    coefficients = np.linalg.lstsq(A, relative, rcond=None)[0]
    spread = float(((relative - relative.mean()) ** 2).sum())
    left = float(((relative - A @ coefficients) ** 2).sum())
    return coefficients[1:], 1 - left / spread if spread > 0 else float("nan")
