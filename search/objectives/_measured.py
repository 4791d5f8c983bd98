"""What objectives read from measurements: the latency, percentiles of its samples, throughput.

Several of them in one search share each batch: it is measured once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.harness.measurement.record import LOAD
from hwnas.harness.measurement.verdict import more_time
from hwnas.search.objectives.objective import Outcome
from hwnas.supernets.space import IntArray

if TYPE_CHECKING:
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measurement.measurement import Measurement

LATENCY, THROUGHPUT = "latency", "throughput"

_MS = 1e3

Interval = tuple[float, float]
Measured = tuple[list["Measurement"], list["Measurement"]]  # what was asked for, and what was measured again beside it


@dataclass(frozen=True)
class Reading:
    """What an objective reads from a measurement, in its own unit.

    Attributes:
        name: the objective's.
        unit: of its values.
        value: of a measurement that did not fail.
        interval: of the same.
        beside: what an anchor's latency in seconds is beside a measurement, which says how the machine drifts.
        maximise: more is better.
        anchor: the name of an anchor's latency, given the anchor's key. Where the objective is a part of the latency,
            the two are values of different things, and only their drift is the same.
    """

    name: str
    unit: str
    value: Callable[[Measurement], float]
    interval: Callable[[Measurement], Interval]
    beside: Callable[[float, Measurement], float]
    maximise: bool = False
    anchor: Callable[[str], str] = str


def _latency() -> Reading:
    def milliseconds(measurement: Measurement) -> float:
        return _MS * measurement.latency_s

    def interval(measurement: Measurement) -> Interval:
        low, high = measurement.interval
        return _MS * low, _MS * high

    return Reading(LATENCY, "ms", milliseconds, interval, lambda seconds, _: _MS * seconds)


def _percentile(name: str) -> Reading:
    def numbers(measurement: Measurement) -> tuple[float, float, float]:
        from hwnas.harness.measurement.percentiles import percentile

        found = percentile(measurement, name)
        return (math.nan,) * 3 if found is None else (_MS * found.value, _MS * found.low, _MS * found.high)

    return Reading(
        f"{LATENCY}:{name}",
        "ms",
        lambda measurement: numbers(measurement)[0],
        lambda measurement: numbers(measurement)[1:],
        lambda seconds, _: _MS * seconds,
    )


def _throughput() -> Reading:
    def interval(measurement: Measurement) -> Interval:
        low, high = measurement.interval
        return measurement.batch / high, measurement.batch / low if low > 0 else math.inf

    return Reading(
        THROUGHPUT,
        "/s",
        lambda measurement: measurement.throughput,
        interval,
        lambda seconds, measurement: measurement.batch / seconds,
        maximise=True,
    )


def stage_reading(name: str, stage: str, repeats: int) -> Reading:
    """Return what an objective reads of one stage: the milliseconds of one of its ``repeats`` runs."""

    def numbers(measurement: Measurement) -> tuple[float, float, float]:
        found = measurement.stage_summaries.get(stage)
        times = _MS / repeats
        return (math.nan,) * 3 if found is None else (times * found.value, times * found.low, times * found.high)

    return Reading(
        name,
        "ms",
        lambda measurement: numbers(measurement)[0],
        lambda measurement: numbers(measurement)[1:],
        lambda seconds, _: _MS * seconds,
        anchor=_whole,
    )


def rate_reading(name: str, stage: str, repeats: int) -> Reading:
    """Return how often a stage runs per second, for all samples of a batch together."""
    once = stage_reading(name, stage, repeats)

    def interval(measurement: Measurement) -> Interval:
        low, high = once.interval(measurement)
        return _rate(measurement, high), _rate(measurement, low) if low > 0 else math.inf

    return Reading(
        name,
        "/s",
        lambda measurement: _rate(measurement, once.value(measurement)),
        interval,
        lambda seconds, measurement: measurement.batch / seconds,
        maximise=True,
        anchor=_whole,
    )


def _rate(measurement: Measurement, milliseconds: float) -> float:
    return _MS * measurement.batch / milliseconds if milliseconds > 0 else math.nan


def _whole(key: str) -> str:
    return f"{key} whole"


# The percentiles are those of hwnas.harness.measurement.percentiles, which takes long to import.
READINGS = {one.name: one for one in (_latency(), *map(_percentile, ("median", "p95", "p99")), _throughput())}


class MeasuredBatches:
    """Measures batches once for all objectives that read from them.

    Args:
        measurer: on the platform, started.
    """

    def __init__(self, measurer: Measurer) -> None:
        self.measurer = measurer
        self._sent: dict[int, IntArray] = {}  # by ticket
        self._asked: IntArray | None = None
        self._latest: Measured = ([], [])
        self._readers: set[str] = set()

    def measure(self, reader: str, X: IntArray, again: IntArray) -> Measured:
        """Return the measurements of ``X``, (n, n_var), and of ``again``, (k, n_var), measured beside them.

        Args:
            reader: the objective. What was measured last for others is not measured once more for it.
            X: vectors.
            again: vectors.
        """
        if reader in self._readers or self._asked is None or not np.array_equal(X, self._asked):
            self._keep(X, self.measurer.measure_beside(X, again))
        self._readers.add(reader)
        return self._latest

    def start(self, X: IntArray, again: IntArray) -> int:
        """Send sub-networks to be measured; return a ticket; see ``hwnas.harness.measure.Measurer.start``."""
        ticket = self.measurer.start(X, again)
        self._sent[ticket] = X
        return ticket

    def arrived(self, reader: str, timeout_s: float) -> tuple[int, Measured] | None:
        """Wait for a batch that was sent; see ``hwnas.harness.measure.Measurer.arrived``."""
        found = self.measurer.arrived(timeout_s)
        if found is not None:
            self._keep(self._sent.pop(found[0]), found[1])
            self._readers.add(reader)
        return found

    def _keep(self, X: IntArray, measured: Measured) -> None:
        self._asked, self._latest = X, measured
        self._readers.clear()


def outcome(reading: Reading, measured: Sequence[Measurement], repeated: Sequence[Measurement]) -> Outcome:
    """Return what measurements say of an objective.

    Args:
        reading: what it reads from them.
        measured: of the sub-networks that it is evaluated for.
        repeated: of others that were measured again beside them.
    """
    bounds = [_bounds(reading, one) for one in measured]
    states = [_state(reading, one, each) for one, each in zip(measured, bounds, strict=True)]
    return Outcome(
        np.array([math.nan if one.status == "failed" else reading.value(one) for one in measured]),
        tuple(status for status, _ in states),
        tuple(reason for _, reason in states),
        np.array(bounds).reshape(-1, 2),
        tuple(_beside(reading, one, repeated) for one in measured),
        tuple(one.context.get(LOAD) for one in measured),
        tuple("" if one.protocol is None else one.protocol.effort for one in measured),
    )


def _bounds(reading: Reading, measurement: Measurement) -> Interval:
    return (math.nan, math.nan) if measurement.status == "failed" else reading.interval(measurement)


def _state(reading: Reading, measurement: Measurement, bounds: Interval) -> tuple[str, str]:
    """Return the status of a value and why it is not "ok"; a percentile that nothing bounds is not known."""
    if measurement.status != "failed" and math.isnan(reading.value(measurement)):
        return "failed", f"it was measured as a whole, which does not tell its {reading.name}"
    if measurement.status != "ok" or not math.isinf(bounds[1]) or measurement.protocol is None:
        return measurement.status, measurement.reason
    return "unstable", (
        f"{measurement.samples.n} samples do not bound its {reading.name.partition(':')[2]} from above; measure it "
        f"longer: {more_time(measurement.protocol, measurement.spent_s, 4)}"
    )


def _beside(reading: Reading, measurement: Measurement, repeated: Sequence[Measurement]) -> dict[str, float]:
    """Return the anchors of a measurement's batch, and those of the others that were in the same one.

    A batch is known by what its anchors were: a stored value has those of its own, and a device's are not another's.
    What an anchor's latency has changed by is the machine's drift for each of these objectives.
    """
    of_batch = _anchors(measurement)
    anchors = {reading.anchor(key): reading.beside(seconds, measurement) for key, seconds in of_batch.items()}
    if measurement.cached:
        return anchors
    return anchors | {one.key: reading.value(one) for one in repeated if _anchors(one) == of_batch}


def _anchors(measurement: Measurement) -> dict[str, float]:
    return dict(measurement.context.get("anchors", {}))
