"""The interface of objectives, what they read from, and the one place where values become minimised ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np

from hwnas.harness.measurement.protocol import QUICK
from hwnas.supernets.contents import Content
from hwnas.supernets.errors import UsageError, WorkError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork
from hwnas.supernets.values import Values, is_time

if TYPE_CHECKING:
    from hwnas.harness.measure import Measurer
    from hwnas.harness.measurement.request import Given
    from hwnas.harness.platform import Platform
    from hwnas.harness.quality import Quality, QualityChoice, QualityOptions
    from hwnas.harness.store import Store

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


class Used(NamedTuple):
    """What of ``Sources`` was asked for; ``None``: was not.

    Attributes:
        platform: its files known by what they hold.
        quality: the source.
    """

    platform: Platform | None
    quality: Quality | None


@dataclass
class Sources:
    """What objectives read from; a context manager that releases what was opened.

    Attributes:
        net: the super-network.
        platform: where latency is known or measured; ``None``: nowhere.
        quality_spec: the quality source, or a function; ``None``: the super-network's own source.
        store: where measurements are stored and looked up; ``None``: nowhere.
        progress: is given the measurer's progress events; ``None``: nothing is.
        quality_options: for a quality source that runs sub-networks: which weights, on how much of the data.
        since: what was measured since then (ISO 8601, UTC) is not measured again; see
            ``hwnas.harness.measure.Measurer``.
        older: use stored measurements from before ``since`` at all; see ``Measurer``.
        protocol: what is asked of the timing protocol; see ``Measurer``.
        wait_s: how long to wait where other programs keep the CPUs busy; see ``Measurer``.
        effort: of measuring: "quick", "normal" or "thorough"; ``None``: thorough. A quick one evaluates the quality on
            a part of the examples, where its source says how many are enough.
        shared: what objectives of one search share, by a name that they agree on.
    """

    net: SuperNetwork
    platform: Platform | str | None = None
    quality_spec: QualityChoice | None = None
    _: KW_ONLY
    store: Store | None = None
    progress: Callable[[Any], None] | None = None
    since: str | None = None
    older: bool = True
    quality_options: QualityOptions | None = None
    protocol: Given = None
    wait_s: float | None = 0.0
    effort: str | None = None
    shared: dict[str, Any] = field(default_factory=dict, repr=False)
    _opened: ExitStack = field(default_factory=ExitStack, repr=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

    @cached_property
    def where(self) -> Platform:
        """The platform, parsed, its files known by what they hold; raises ``UsageError`` where none is given."""
        from hwnas.harness.pinned import pinned
        from hwnas.harness.platform import parse

        if self.platform is None:
            raise UsageError(
                "latency needs a platform (-p): expected one like onnxruntime:threads=1 or lut:table=note10"
            )
        where = parse(self.platform) if isinstance(self.platform, str) else self.platform
        if not hasattr(where, "settings"):
            raise UsageError(f"platform: expected one, like onnxruntime:threads=1, got a {type(where).__name__}")
        return pinned(where)

    @cached_property
    def quality(self) -> Quality:
        """The quality source; raises ``QualityError`` where it does not serve the super-network."""
        from hwnas.harness import quality
        from hwnas.harness.quality.quality import EvaluatesElsewhere

        options = self.quality_options or quality.QualityOptions()
        if self.brief_quality:
            options = replace(options, subset=quality.brief_subset(self.quality_spec, self.net))
        found = quality.get(self.quality_spec, self.net, replace(options, store=self.store, progress=self.progress))
        if not isinstance(self.platform, EvaluatesElsewhere) or found.costs_nothing:
            return found
        spec = self.quality_spec if isinstance(self.quality_spec, str) else self.net.default_quality
        elsewhere = self.platform.evaluating(found, spec)
        if elsewhere is not found:
            self._opened.callback(getattr(elsewhere, "close", lambda: None))
        return elsewhere

    @property
    def brief_quality(self) -> bool:
        """Whether the quality is evaluated on a part of its examples, which is enough while a search goes on."""
        from hwnas.harness import quality

        given = self.quality_options is not None and self.quality_options.subset is not None
        return self.effort == QUICK and not given and bool(quality.brief_subset(self.quality_spec, self.net))

    @property
    def used(self) -> Used:
        """What was asked for already: a search that needs no latency may name no platform, or no quality."""
        made = vars(self)
        return Used(made.get("where"), made.get("quality"))

    @property
    def contents(self) -> dict[str, Content]:
        """What the files hold that the platform and the quality source read, as far as these were asked for."""
        from hwnas.harness.pinned import contents

        used = self.used
        found = {} if used.platform is None else contents(used.platform)
        return {**found, **getattr(used.quality, "contents", {})}

    @property
    def timings(self) -> dict[str, float]:
        """Where the time of measuring has gone, in seconds, by phase; empty where nothing was measured."""
        return self.measurer.timings if "measurer" in vars(self) else {}

    @cached_property
    def measurer(self) -> Measurer:
        """The measurer on the platform, started; the exit closes it."""
        from hwnas.harness.measure import Measurer

        made = Measurer(
            self.net,
            self.where,
            store=self.store,
            progress=self.progress,
            since=self.since,
            older=self.older,
            protocol=self.protocol,
            wait_s=self.wait_s,
            effort=self.effort,
        )
        return self._opened.enter_context(made)


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
