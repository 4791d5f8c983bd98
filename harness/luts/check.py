"""Check how well a lookup table predicts the latency of whole sub-networks, with and without a correction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from hwnas.harness.measure import Measurer, MeasuringProgress
from hwnas.harness.measurement.request import Given
from hwnas.harness.platform import Platform
from hwnas.harness.store import Store
from hwnas.latency_luts import LatencyTable, correction
from hwnas.latency_luts.correction import Correction
from hwnas.supernets.errors import MeasurementError, UsageError
from hwnas.supernets.space import BoolArray, FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import json_number

# 1: the first.
SCHEMA = 1

_WORST = 5


@dataclass(frozen=True)
class Scores:
    """How well predicted latencies agree with measured ones.

    Attributes:
        n: sub-networks.
        mape: mean absolute error in percent of the measured latency.
        bias: mean error in percent, positive where too much is predicted.
        kendall_tau: between predictions and measurements; nan if either are all equal.
    """

    n: int
    mape: float
    bias: float
    kendall_tau: float

    @classmethod
    def of(cls, predicted_s: FloatArray, measured_s: FloatArray) -> Scores:
        """Compare predictions with measurements, both ``(n,)``."""
        from scipy.stats import kendalltau

        error = 100 * (predicted_s / measured_s - 1)
        constant = len(error) < 2 or np.ptp(predicted_s) == 0 or np.ptp(measured_s) == 0
        tau = float("nan") if constant else float(kendalltau(predicted_s, measured_s).statistic)
        return cls(len(error), float(np.abs(error).mean()), float(error.mean()), tau)

    def to_json(self) -> dict[str, Any]:
        """Return the scores as JSON-able data."""
        tau = json_number(self.kendall_tau)
        return {"n": self.n, "mape_percent": self.mape, "bias_percent": self.bias, "kendall_tau": tau}


@dataclass(frozen=True)
class TableCheck:
    """Sub-networks measured end to end, and what the table predicts for them.

    Attributes:
        supernet: the super-network's name.
        platform: where they were measured.
        keys: one per sub-network.
        measured_s: ``(n,)`` seconds.
        low_s: lower bounds of the measurements, ``(n,)``.
        high_s: upper bounds.
        plain_s: the plain sums, ``(n,)``.
        corrected_s: the corrected ones, ``(n,)``, or ``None`` where the table has no correction.
        calibration: whether the correction was fitted on each sub-network, ``(n,)``.
        correction: the correction that was applied, or ``None``.
        unconverged: why measurements did not converge, one reason for each that did not.
        loads: see ``hwnas.harness.measurement.measurement.Measurement.load``, one per sub-network.
    """

    supernet: str
    platform: str
    keys: tuple[str, ...]
    measured_s: FloatArray
    low_s: FloatArray
    high_s: FloatArray
    plain_s: FloatArray
    corrected_s: FloatArray | None
    calibration: BoolArray
    correction: Correction | None = None
    unconverged: tuple[str, ...] = ()
    loads: tuple[Mapping[str, Any] | None, ...] = ()

    def scores(self, predicted_s: FloatArray) -> Scores:
        """Return the scores of predictions on the held-out sub-networks, which no correction was fitted on."""
        rows = ~self.calibration
        return Scores.of(predicted_s[rows], self.measured_s[rows])

    @property
    def best_s(self) -> FloatArray:
        """The corrected predictions if there is a correction, else the plain sums."""
        return self.plain_s if self.corrected_s is None else self.corrected_s

    def worst(self, n: int = _WORST) -> list[dict[str, Any]]:
        """Return the held-out sub-networks with the largest relative errors, the worst first."""
        error = 100 * (self.best_s / self.measured_s - 1)
        order = sorted(np.flatnonzero(~self.calibration).tolist(), key=lambda row: -abs(error[row]))
        return [
            {
                "key": self.keys[row],
                "measured_ms": 1e3 * float(self.measured_s[row]),
                "predicted_ms": 1e3 * float(self.best_s[row]),
                "error_percent": float(error[row]),
            }
            for row in order[:n]
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON-able data, milliseconds."""
        corrected = self.corrected_s
        return {
            "schema": SCHEMA,
            "supernet": self.supernet,
            "platform": self.platform,
            "plain": self.scores(self.plain_s).to_json(),
            "corrected": None if corrected is None else self.scores(corrected).to_json(),
            "correction": None if self.correction is None else dict(self.correction.terms),
            "n_calibration": int(self.calibration.sum()),
            "unconverged": list(self.unconverged),
            "worst": self.worst(),
            "rows": [
                {
                    "key": key,
                    "measured_ms": 1e3 * float(self.measured_s[row]),
                    "interval_ms": [1e3 * float(self.low_s[row]), 1e3 * float(self.high_s[row])],
                    "plain_ms": 1e3 * float(self.plain_s[row]),
                    "corrected_ms": None if corrected is None else 1e3 * float(corrected[row]),
                    "calibration": bool(self.calibration[row]),
                }
                for row, key in enumerate(self.keys)
            ],
        }


def check_table(  # noqa: PLR0913 - all but the first three are options by name
    table: LatencyTable,
    net: SuperNetwork,
    platform: Platform | str,
    *,
    n: int = 50,
    calibrate: int = 0,
    seed: int = 0,
    store: Store | None = None,
    protocol: Given = None,
    wait_s: float | None = 0.0,
    progress: Callable[[MeasuringProgress], None] | None = None,
    fresh: bool = False,
    check: bool = True,
) -> TableCheck:
    """Measure sub-networks end to end and compare the table's sums with that.

    Args:
        table: the lookup table.
        net: the super-network.
        platform: where to measure: the platform that the table was built on, or another to see how far it transfers.
        n: how many random sub-networks to compare on.
        calibrate: how many further sub-networks to fit a correction on, chosen to be the most informative; 0: the
            table's own correction is applied, if it has one.
        seed: of the choice of sub-networks.
        store: see ``hwnas.harness.measure.Measurer``.
        protocol: see ``Measurer``.
        wait_s: see ``Measurer``.
        progress: see ``Measurer``.
        fresh: see ``Measurer.measure``.
        check: see ``Measurer``.

    Raises:
        UsageError: ``n`` is below 2, or ``calibrate`` too small to fit anything.
        TableError: the table lacks a block that a sub-network needs.
        MeasurementError: too few sub-networks could be measured.
    """
    if n < 2:
        raise UsageError(f"n: expected at least 2 sub-networks to compare on, got {n}")
    if calibrate and calibrate < correction.LEAST:
        raise UsageError(f"calibrate: expected at least {correction.LEAST} sub-networks, or 0, got {calibrate}")
    rng = np.random.default_rng(seed)
    fitted_on = (
        correction.informative(net, calibrate, rng) if calibrate else np.zeros((0, net.space.n_var), dtype=np.int64)
    )
    X = np.concatenate([fitted_on, _others(net, n, fitted_on, rng)])
    plain_s = replace(table, correction=None).latency(net, X)  # before hours of measuring: a block may be missing
    options = {"protocol": protocol, "wait_s": wait_s, "progress": progress}
    with Measurer(net, platform, store=store, check=check, **options) as measurer:  # type: ignore[arg-type]
        measured = measurer.measure(X, fresh=fresh)
    latency_s = np.array([one.latency_s for one in measured])
    there = np.isfinite(latency_s)
    calibration = np.arange(len(X)) < len(fitted_on)
    if (there & ~calibration).sum() < 2:
        reason = next(one.reason for one in measured if one.status == "failed")
        raise MeasurementError(f"fewer than two sub-networks could be measured on {measurer.platform}: {reason}")
    applied = table.correction
    if calibrate:
        rows = there & calibration
        applied = correction.fit(net, table.mean_s, X[rows], latency_s[rows])
    bounds = np.array([one.interval for one in measured])[there]
    return TableCheck(
        supernet=net.name,
        platform=str(measurer.platform),
        keys=tuple(np.array(net.space.keys(X))[there].tolist()),
        measured_s=latency_s[there],
        low_s=bounds[:, 0],
        high_s=bounds[:, 1],
        plain_s=plain_s[there],
        corrected_s=None if applied is None else replace(table, correction=applied).latency(net, X[there]),
        calibration=calibration[there],
        correction=applied,
        unconverged=tuple(one.reason for one in measured if one.status == "unstable"),
        loads=tuple(one.load for one, here in zip(measured, there, strict=True) if here),
    )


def calibrated(check: TableCheck) -> Correction:
    """Return the fitted correction, together with how it was fitted, to be stored with the table.

    Raises:
        UsageError: no correction was fitted.
    """
    if check.correction is None or check.corrected_s is None or not check.calibration.any():
        raise UsageError("the check fitted no correction; calibrate on some sub-networks")
    facts: Mapping[str, Any] = {
        "at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "platform": check.platform,
        "fitted_on": int(check.calibration.sum()),
        "held_out": {
            "plain": check.scores(check.plain_s).to_json(),
            "corrected": check.scores(check.corrected_s).to_json(),
        },
    }
    return Correction(check.correction.terms, facts)


def _others(net: SuperNetwork, n: int, but: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw ``n`` distinct random sub-networks that are not among ``but``; fewer if the space is too small."""
    taken = set(net.space.keys(but))
    X = net.space.canonical(net.space.sample(4 * n + 16, rng))
    first = {key: row for row, key in reversed(list(enumerate(net.space.keys(X)))) if key not in taken}
    return X[sorted(first.values())[:n]]
