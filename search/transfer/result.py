"""The result of a transfer: all numbers of the report, computed from the shared measurements, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hwnas.search.transfer.adapting import Adapting
from hwnas.search.transfer.agreement import Agreement, agreement
from hwnas.search.transfer.bootstrap import MatrixBounds
from hwnas.search.transfer.decision import ALIKE, Orders, orders
from hwnas.search.transfer.effects import EffectModel, Effects
from hwnas.search.transfer.fronts import (
    Regret,
    front_overlap,
    hypervolume_ratio,
    members,
    references,
)
from hwnas.search.transfer.grouping import groups
from hwnas.search.transfer.losses import bounded_regrets, hypervolume_bounds, noisy
from hwnas.search.transfer.matrices import Matrices
from hwnas.search.transfer.rank import RankCorrelations, rank_correlations
from hwnas.search.transfer.rows import SharedRows
from hwnas.search.transfer.stages import StageOrders, stage_orders
from hwnas.search.transfer.verdict import words
from hwnas.supernets.shown import html_table
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.values import json_numbers

# 1: the first.
SCHEMA = 1

LEVEL = 0.95

# Beyond this many rows an interval is narrow and a resample slow: fewer resamples do.
_MANY_ROWS, _RESAMPLES, _RESAMPLES_MANY = 1000, 200, 60


@dataclass(frozen=True)
class TransferResult:
    """How well what was found on one platform carries over to the others.

    In ``hypervolume_ratio``, ``front_overlap`` and ``members`` the row is searched on and the column deployed on.

    Attributes:
        rows: what everything is computed from.
        correlations: of the platforms' latencies.
        hypervolume_ratio: ``(n_platforms, n_platforms)``.
        front_overlap: likewise.
        members: the sub-networks behind both, likewise.
        reference: each platform's reference point, (seconds, minimised quality), ``(n_platforms, 2)``.
        regrets: the losses at latency budgets (seconds).
        groups: platforms that order the shared rows alike.
        agreement: of the platforms' orders, with the ceiling that noise sets.
        orders: what is known of each pair's orders; see ``hwnas.search.transfer.decision``.
        intervals: of the matrices by name, over the sub-networks and their noise.
        volume_bounds: what noise alone could make of ``hypervolume_ratio``.
        stages: the platforms' orders by each stage alone, where an inference has several.
        effects: what each kind of choice costs on each platform; ``None``: not known.
        stage_effects: the same stage by stage; ``None`` where the rows are too few.
        adapting: how few measurements make a platform known; ``None``: not known.
        settings: how the rows were found, for the reader.
        searches: one summary per search, for the reader.
        environment: where it was measured.
    """

    rows: SharedRows
    correlations: RankCorrelations
    hypervolume_ratio: FloatArray
    front_overlap: FloatArray
    members: IntArray
    reference: FloatArray
    regrets: tuple[Regret, ...]
    groups: tuple[tuple[int, ...], ...]
    agreement: Agreement
    orders: Orders
    intervals: Mapping[str, MatrixBounds]
    volume_bounds: MatrixBounds
    stages: tuple[StageOrders, ...] = ()
    effects: Effects | None = None
    stage_effects: Effects | None = None
    adapting: Adapting | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    searches: Sequence[Mapping[str, Any]] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        rows = self.rows
        return f"<TransferResult of {rows.supernet}: {len(rows.keys)} sub-networks on {', '.join(rows.platforms)}>"

    def _repr_html_(self) -> str:
        platforms = self.rows.platforms
        rows = [
            [a, *(f"{value:.4g}" for value in row)] for a, row in zip(platforms, self.hypervolume_ratio, strict=True)
        ]
        caption = f"{repr(self).strip('<>')}; hypervolume ratio: row searched on, column deployed on"
        return html_table(caption, ("", *platforms), rows)

    def words(self) -> list[str]:
        """Return what the result says, in sentences, the most useful one first."""
        return words(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-able data; nan becomes null, seconds become milliseconds."""
        rows = self.rows
        return {
            "schema": SCHEMA,
            "supernet": rows.supernet,
            "platforms": list(rows.platforms),
            "n_shared": len(rows.keys),
            "kendall_tau": json_numbers(self.correlations.kendall_tau),
            "spearman": json_numbers(self.correlations.spearman),
            "hypervolume_ratio": json_numbers(self.hypervolume_ratio),
            "front_overlap": json_numbers(self.front_overlap),
            "regret": [self._regret(regret) for regret in self.regrets],
            "samples_to_adapt": {} if self.adapting is None else self.adapting.to_json(),
            "effects": _effects(self.effects),
            "stage_effects": _effects(self.stage_effects),
            "n_pairs": json_numbers(self.correlations.n_pairs),
            "n_members": json_numbers(self.members),
            "groups": [list(group) for group in self.groups],
            "reference": [self._reference(point) for point in self.reference],
            "orders": [list(row) for row in self.orders],
            "ceiling": {"kendall_tau": json_numbers(self.agreement.ceiling), **_bounds(self.agreement.ceiling_bounds)},
            "noise": self._noise(),
            "stages": [one.to_json() for one in self.stages],
            "intervals": {name: _bounds(interval) for name, interval in self.intervals.items()},
            "quality": vars(rows.label),
            "rows": [self._row(number) for number in range(len(rows.keys))],
            "settings": dict(self.settings),
            "studies": [search["study"] for search in self.searches],
            "searches": [dict(search) for search in self.searches],
            "environment": dict(self.environment),
        }

    def _regret(self, regret: Regret) -> dict[str, Any]:
        return {
            "searched_on": self.rows.platforms[regret.searched_on],
            "deployed_on": self.rows.platforms[regret.deployed_on],
            "budget_ms": json_numbers(regret.budget * 1e3),
            "own": json_numbers(self._outside(regret.own)),
            "transferred": json_numbers(self._outside(regret.transferred)),
            "lost": json_numbers(regret.lost),
            "lost_interval": None if np.isnan(regret.low) else [json_numbers(regret.low), json_numbers(regret.high)],
        }

    def _noise(self) -> dict[str, Any]:
        counts = self.rows.counts
        return {
            "run_to_run": json_numbers(self.rows.known_noise.run_to_run),
            "measured": [ok + unstable for ok, unstable in zip(counts["ok"], counts["unstable"], strict=True)],
            "unstable": counts["unstable"],
            "loaded": [0] * len(counts["ok"]) if self.rows.loaded is None else self.rows.loaded.sum(axis=0).tolist(),
            "settled": list(self.rows.settled),
            "effort": self.rows.effort,
            "hypervolume_ratio": _bounds(self.volume_bounds),
        }

    def _reference(self, point: FloatArray) -> dict[str, Any]:
        return {
            "latency_ms": json_numbers(point[0] * 1e3),
            self.rows.label.metric: json_numbers(self._outside(float(point[1]))),
        }

    def _outside(self, loss: float) -> float:
        return -loss if self.rows.label.maximise else loss

    def _row(self, number: int) -> dict[str, Any]:
        rows = self.rows
        bounds = np.column_stack([rows.low_s[number], rows.high_s[number]]) * 1e3
        return {
            "key": rows.keys[number],
            "config": rows.configs[number],
            "quality": json_numbers(rows.quality[number]),
            "latency_ms": json_numbers(rows.latency_s[number] * 1e3),
            "interval_ms": [json_numbers(pair) if np.isfinite(pair).all() else None for pair in bounds],
            "status": list(rows.status[number]),
            "reason": list(rows.reasons[number]),
            "front_of": np.flatnonzero(rows.fronts[number]).tolist(),
            "stages_ms": {one.stage: json_numbers(one.latency_s[number] * 1e3) for one in rows.stages},
        }


def analyse(  # noqa: PLR0913 - all but the first two are options by name
    rows: SharedRows,
    rng: np.random.Generator,
    *,
    resamples: int | None = None,
    effects: EffectModel | None = None,
    stage_effects: EffectModel | None = None,
    adapting: Adapting | None = None,
    settings: Mapping[str, Any] | None = None,
    searches: Sequence[Mapping[str, Any]] = (),
    environment: Mapping[str, Any] | None = None,
) -> TransferResult:
    """Compute everything that the report says from what was measured.

    Args:
        rows: the sub-networks, measured on every platform.
        rng: for the bootstrap.
        resamples: of the bootstrap; fewer by default where there are many rows; 0: no intervals.
        effects: the model of what choices cost, by kind; gets intervals.
        stage_effects: the same by stage; gets none.
        adapting: passed through to the result.
        settings: passed through to the result, as are ``searches`` and ``environment``.
        searches: see there.
        environment: see there.
    """
    latency, loss, fronts, noise = rows.latency_s, rows.loss, rows.fronts, rows.known_noise
    correlations = rank_correlations(latency)
    reference = references(latency, loss)
    if resamples is None:
        resamples = _RESAMPLES_MANY if len(loss) > _MANY_ROWS else _RESAMPLES
    found = agreement(latency, noise, rng, resamples, LEVEL)
    draws = noisy(latency, noise, resamples, rng)
    order = orders(correlations.kendall_tau, found, rows.settled)
    intervals = Matrices(latency, loss, fronts, reference, effects).bounds(noise, rng, resamples, LEVEL)
    return TransferResult(
        rows=rows,
        correlations=correlations,
        hypervolume_ratio=hypervolume_ratio(latency, loss, fronts, reference),
        front_overlap=front_overlap(latency, loss, fronts),
        members=members(latency, loss, fronts),
        reference=reference,
        regrets=tuple(bounded_regrets(latency, loss, fronts, draws, LEVEL)),
        groups=tuple(map(tuple, groups(np.where(np.array(order) == ALIKE, 1.0, -1.0)))),
        agreement=found,
        orders=order,
        intervals=intervals if found.tau is None else {"kendall_tau": found.tau, **intervals},
        volume_bounds=hypervolume_bounds(latency, loss, fronts, draws, reference, LEVEL),
        stages=stage_orders(rows.stages, noise, rows.settled, rng, resamples),
        effects=None if effects is None else effects.fit(latency),
        stage_effects=None if stage_effects is None else stage_effects.fit(latency),
        adapting=adapting,
        settings=settings or {},
        searches=searches,
        environment=environment or {},
    )


def _bounds(bounds: MatrixBounds | None) -> dict[str, Any]:
    if bounds is None:
        return {}
    return {"low": json_numbers(bounds.low), "high": json_numbers(bounds.high), "level": LEVEL}


def _effects(effects: Effects | None) -> dict[str, Any] | None:
    if effects is None:
        return None
    return {
        "names": list(effects.names),
        "percent": json_numbers(effects.percent),
        "explained": json_numbers(effects.explained),
    }
