"""The parts of an inference apart: whether platforms order sub-networks alike by each stage (a prompt, then tokens).

A whole may be ordered alike though its parts are not, and the other way round: which part a deployment waits for is the
user's to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas.search.objectives.latency import KnownLatency
from hwnas.search.transfer.agreement import Agreement, agreement
from hwnas.search.transfer.decision import Orders, orders
from hwnas.search.transfer.noise import Noise
from hwnas.search.transfer.rank import RankCorrelations, rank_correlations
from hwnas.supernets.blocks import stages_of
from hwnas.supernets.one_stage import OneStage
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import json_numbers

if TYPE_CHECKING:
    from hwnas.harness.measurement.measurement import Measurement
    from hwnas.harness.platform import Platform

_MS = 1e3


@dataclass(frozen=True)
class StageRows:
    """What one run of a stage takes.

    Attributes:
        stage: its name ("prefill").
        runs: how often it runs in an inference.
        latency_s: ``(n_rows, n_platforms)``; nan where it is not known.
        low_s: lower bounds, likewise.
        high_s: upper bounds, likewise.
    """

    stage: str
    runs: int
    latency_s: FloatArray
    low_s: FloatArray
    high_s: FloatArray


@dataclass(frozen=True)
class StageOrders:
    """How platforms order sub-networks by one stage.

    Attributes:
        rows: what it is computed from.
        correlations: of the platforms' latencies of this stage.
        agreement: of their orders, with the ceiling that noise sets.
        orders: what is known of each pair; see ``hwnas.search.transfer.decision``.
    """

    rows: StageRows
    correlations: RankCorrelations
    agreement: Agreement
    orders: Orders

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON-able data; the latencies are with the result's rows."""
        tau, ceiling = self.agreement.tau, self.agreement.ceiling
        return {
            "stage": self.rows.stage,
            "runs": self.rows.runs,
            "kendall_tau": json_numbers(self.correlations.kendall_tau),
            "interval": None if tau is None else {"low": json_numbers(tau.low), "high": json_numbers(tau.high)},
            "ceiling": json_numbers(ceiling),
            "orders": [list(row) for row in self.orders],
        }


def stage_rows(
    net: SuperNetwork, platforms: Sequence[Platform], X: IntArray, measured: Sequence[Sequence[Measurement]]
) -> tuple[StageRows, ...]:
    """Return what each stage takes of sub-networks on platforms; nothing where their inference has one stage.

    Args:
        net: the super-network.
        platforms: where they were measured, one per column.
        X: the sub-networks, ``(n_rows, n_var)``.
        measured: per platform, their measurements.
    """
    found = []
    for stage, runs in stages_of(net.slots).items():
        columns = [
            _column(net, platform, X, column, stage) / runs
            for platform, column in zip(platforms, measured, strict=True)
        ]
        values = np.stack(columns, axis=1)
        found.append(StageRows(stage, runs, values[..., 0], values[..., 1], values[..., 2]))
    return tuple(found)


def _column(
    net: SuperNetwork, platform: Platform, X: IntArray, measured: Sequence[Measurement], stage: str
) -> FloatArray:
    """Return the seconds of all runs of a stage with their bounds, ``(n_rows, 3)``; nan where they are not known."""
    summaries = [one.stage_summaries.get(stage) for one in measured]
    values = np.array([[np.nan] * 3 if one is None else [one.value, one.low, one.high] for one in summaries])
    return values.reshape(len(X), 3) if any(summaries) else _from_blocks(net, platform, X, stage)


def _from_blocks(net: SuperNetwork, platform: Platform, X: IntArray, stage: str) -> FloatArray:
    """Return what a table of blocks says of a stage; its values have no bounds."""
    from hwnas import backends

    backend = backends.get(platform.backend)
    values = np.full((len(X), 3), np.nan)
    if isinstance(backend, backends.KnowingBackend) and not isinstance(backend, backends.Tabulated):
        known = KnownLatency(OneStage(net, stage), backend, platform).evaluate(X)
        values[:, 0] = known.values / _MS * stages_of(net.slots)[stage]
    return values


def stage_orders(
    rows: Sequence[StageRows], noise: Noise, settled: tuple[bool, ...], rng: np.random.Generator, resamples: int
) -> tuple[StageOrders, ...]:
    """Compare the platforms' orders stage by stage, as the orders of whole inferences are compared.

    Args:
        rows: what the stages take.
        noise: of the whole latencies.
        settled: of each platform, whether most of its measurements have converged.
        rng: for the bootstrap.
        resamples: of the bootstrap; 0: no intervals.
    """
    found = []
    for one in rows:
        correlations = rank_correlations(one.latency_s)
        agreed = agreement(one.latency_s, noise.of_part(one.low_s, one.high_s), rng, resamples)
        found.append(StageOrders(one, correlations, agreed, orders(correlations.kendall_tau, agreed, settled)))
    return tuple(found)


def stage_result(result: Mapping[str, Any], stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transfer's JSON as if the stage were all there is: what figures of a whole draw, they draw of a part."""
    name = stage["stage"]
    interval = stage["interval"]
    return {
        **result,
        "kendall_tau": stage["kendall_tau"],
        "intervals": {} if interval is None else {"kendall_tau": interval},
        "ceiling": {"kendall_tau": stage["ceiling"]},
        "orders": stage["orders"],
        "rows": [{**row, "latency_ms": row["stages_ms"][name]} for row in result["rows"]],
    }
