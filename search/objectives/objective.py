"""The interface of objectives, and the one place where values become minimised ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from hwnas.supernets.errors import WorkError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.values import Values, is_time

STATES = ("ok", "unstable", "failed")
_MISSING = "it has no value"


@dataclass(frozen=True)
class Outcome:
    """The values of one objective for ``n`` sub-networks.

    Attributes:
        values: ``(n,)``, in the objective's unit; nan where it failed.
        status: one of "ok", "unstable", "failed" per sub-network.
        reasons: why, where it is not "ok"; else "".
        intervals: ``(n, 2)`` bounds on the values, or ``None`` where the values are exact.
        beside: per sub-network, the values of others, by key, that were measured again in the same batch; empty where
            nothing is measured.
        loads: per sub-network, what other programs did beside its measurement where that was too much, see
            ``hwnas.harness.measurement.measurement.Measurement.load``; empty where nothing is measured.
        efforts: per sub-network, with how much effort it was measured ("quick", "normal", "thorough"); empty where
            nothing is measured.
    """

    values: FloatArray
    status: tuple[str, ...]
    reasons: tuple[str, ...]
    intervals: FloatArray | None = None
    beside: tuple[Mapping[str, float], ...] = ()
    loads: tuple[Mapping[str, Any] | None, ...] = ()
    efforts: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: FloatArray, missing: str) -> Outcome:
        """Return what exact values say; where one is nan the sub-network failed, for the reason ``missing``."""
        return cls.known(Values.of(values, len(values), source="it", missing=missing))

    @classmethod
    def known(cls, found: Values) -> Outcome:
        """Return what exact values say; where there is none the sub-network failed, for the reason given."""
        return cls(found.values, tuple("failed" if reason else "ok" for reason in found.reasons), found.reasons)


class Objective(Protocol):
    """A quantity of a sub-network that a search optimises.

    Attributes:
        name: "latency", "top1", "macs".
        unit: of its values, as users read them ("ms", "%", "M").
        maximise: more is better.
        source: what its values come from; values of different sources never mix in one study. Files are in it by what
            they hold, not by their names; see ``Renamed``.
        costs_nothing: it costs nothing to evaluate: nothing is measured.
        exact: its values are exact and cost nothing, so that an algorithm may compute them without an evaluation. A
            prediction of quality is never exact: the papers count it as an evaluation.
        batched: it takes a batch at once and loses none of it when it is interrupted; otherwise sub-networks are
            evaluated one by one.
    """

    name: str
    unit: str
    maximise: bool
    source: str
    costs_nothing: bool
    exact: bool
    batched: bool

    def evaluate(self, X: IntArray) -> Outcome:
        """Return the values of canonical vectors ``X``, ``(n, n_var)``."""
        ...


def admitted(objective: Objective, outcome: Outcome, n: int) -> Outcome:
    """Let what an objective says of ``n`` sub-networks into a ranking: what may be no value is a failure with a reason.

    Raises:
        WorkError: it is not said of each of them.
    """
    source = f"{objective.name} from {objective.source}"
    if not isinstance(outcome, Outcome):
        raise WorkError(f"{source}: gave a {type(outcome).__name__}, expected an Outcome")
    if len(outcome.status) != n or len(outcome.reasons) != n:
        raise WorkError(f"{source}: gave {len(outcome.status)} statuses for {n} sub-networks, expected one for each")
    found = Values.of(outcome.values, n, source=source, missing=_MISSING, time=is_time(objective.unit))
    status, reasons = [], []
    for said, why, odd in zip(outcome.status, outcome.reasons, found.reasons, strict=True):
        unknown = (
            "" if said in STATES else f"{source} gave the status {said!r:.40}, expected one of {', '.join(STATES)}"
        )
        status.append("failed" if odd or unknown else said)
        reasons.append(why if said == "failed" and why else odd or unknown or why)
    failed = np.array([one == "failed" for one in status], dtype=bool)
    return replace(outcome, values=np.where(failed, np.nan, found.values), status=tuple(status), reasons=tuple(reasons))


def values_of(objective: Objective, X: IntArray) -> FloatArray:
    """Return the values that an objective has of canonical vectors ``X``, ``(n,)``; nan where it has none."""
    return admitted(objective, objective.evaluate(X), len(X)).values


@runtime_checkable
class Repeatable(Protocol):
    """An objective whose values drift with the machine, and that can re-measure others along with a batch."""

    def evaluate_beside(self, X: IntArray, again: IntArray) -> Outcome:
        """Return the values of ``X``, ``(n, n_var)``; those of ``again``, ``(k, n_var)``, are in ``Outcome.beside``."""
        ...


@runtime_checkable
class Startable(Protocol):
    """An objective that is measured, on several devices at a time where there are several.

    Attributes:
        name: the objective's.
        devices: on how many at a time.
    """

    name: str

    @property
    def devices(self) -> int: ...

    def start(self, X: IntArray, again: IntArray) -> int:
        """Send ``X``, ``(n, n_var)``, to be measured side by side with ``again``; return a ticket."""
        ...

    def arrived(self, timeout_s: float) -> tuple[int, Outcome] | None:
        """Return the ticket and the values of what was sent and is done, or ``None`` after so long."""
        ...


@runtime_checkable
class Renamed(Protocol):
    """An objective whose source was once called by the names of files: studies from then are still resumed."""

    def recorded_as(self, source: str) -> bool:
        """Return whether ``source`` may be an older name of this objective's source, as far as names show."""
        ...


class Directions:
    """Between values as users read them and minimised ones: the sign of what is maximised is turned.

    Args:
        maximise: for each objective, whether more is better.
    """

    def __init__(self, maximise: Sequence[bool]) -> None:
        self._signs = np.where(np.asarray(maximise, dtype=bool), -1.0, 1.0)

    def minimised(self, values: FloatArray) -> FloatArray:
        """Turn ``(..., m)`` values into minimised ones."""
        return np.asarray(values, dtype=np.float64) * self._signs

    def shown(self, minimised: FloatArray) -> FloatArray:
        """Turn ``(..., m)`` minimised values into those that users read."""
        return np.asarray(minimised, dtype=np.float64) * self._signs
