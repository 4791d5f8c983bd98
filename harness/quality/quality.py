"""What a quality source is to the rest of the system."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hwnas.supernets.contents import Contents
from hwnas.supernets.errors import WorkError
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import Values, bounds, is_time, number_or_none

if TYPE_CHECKING:
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class QualityProgress:
    """What an evaluation is at.

    Attributes:
        done: examples done in this phase.
        total: examples in it.
        message: the same in words.
    """

    done: int
    total: int
    message: str


@dataclass(frozen=True)
class QualityOptions:
    """What a source that runs sub-networks on data is given.

    Attributes:
        weights: the file of the super-network's weights; ``None``: none was named.
        subset: how many of the examples to test on; ``None``: all.
        workers: threads that read and prepare examples.
        store: where values are kept and looked up; ``None``: nowhere.
        progress: told what is going on; ``None``: nobody is.
    """

    weights: str | None = None
    subset: int | None = None
    workers: int = 1
    store: Store | None = None
    progress: Callable[[QualityProgress], None] | None = None


@runtime_checkable
class Quality(Protocol):
    """How good the sub-networks of one super-network are at their task.

    One may also have ``contents``, what its files hold (see ``hwnas.supernets.contents.Contents``): a study that is
    resumed tells by it which of them has changed.

    Attributes:
        name: as it was asked for ("surrogate", "table:measured.csv").
        source: what its values come from; those of different ones are never mixed. Files are in it by what they hold,
            not by their names: which table, or which weights on which data.
        metric: what it tells ("top1", "bleu").
        unit: of the metric ("%"); empty where it has none.
        maximise: more is better.
        predicted: it is a prediction and no measurement.
        costs_nothing: it costs nothing to evaluate, so a search may ask for any number of sub-networks.
        note: one line that is shown with results: where it is from, how good it is, and whether it is predicted.
    """

    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def metric(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def maximise(self) -> bool: ...
    @property
    def predicted(self) -> bool: ...
    @property
    def costs_nothing(self) -> bool: ...
    @property
    def note(self) -> str: ...

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``; nan where the source has none."""
        ...


@dataclass(frozen=True)
class Score:
    """What one sub-network reached on examples.

    Attributes:
        value: the metric, in the quality's unit.
        low: lower end of its 95 % interval over the choice of examples; nan where there is none.
        high: upper end.
        n: examples that it was tested on.
        others: further metrics of the same run ({"top5": 98.1}).
        reason: why there is no value, where it is nan; else "".
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    others: dict[str, float] = field(default_factory=dict)
    reason: str = ""

    def record(self) -> dict[str, Any]:
        """Return its fields as JSON values: what is not known is ``None``, and a reason is there where it says one."""
        fields = {name: _or_none(value) for name, value in asdict(self).items() if name != "reason"}
        fields["others"] = {name: _or_none(value) for name, value in self.others.items()}
        return {**fields, "reason": self.reason} if self.reason else fields

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Score:
        """Return what ``record`` was made of; raises ``LookupError``, ``TypeError`` or ``ValueError`` else."""
        value, (low, high) = number_or_none(record["value"]), bounds(record["low"], record["high"])
        others = {str(name): math.nan if one is None else float(one) for name, one in record["others"].items()}
        reason = record.get("reason", "")
        if not isinstance(reason, str):
            raise TypeError(f"reason: expected a text, got {type(reason).__name__}")
        return cls(value, low, high, int(record["n"]), others, reason)


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@runtime_checkable
class ScoredQuality(Quality, Protocol):
    """A quality that is a mean over examples, and so is known to within an interval."""

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return what each sub-network reached."""
        ...


def scored(quality: Quality, X: npt.ArrayLike) -> list[Score]:
    """Ask a quality source, and let in only what may be a value: what may not is nan, with the reason.

    Raises:
        WorkError: the source answers something else than one value for each sub-network.
    """
    n, source = len(np.atleast_2d(np.asarray(X))), f"the quality source {quality.name}"
    missing = f"{source} has no value for it"
    try:
        return _given(quality, X, n, source, missing)
    except FAILURES as error:
        named = blamed(error)
        if named is None:
            raise
        # A plug-in's failure is that of the sub-networks with which it fails; the others have their values.
        if n == 1:
            return [Score(math.nan, reason=str(named))]
        return [scored(quality, row[None])[0] for row in np.asarray(X)]


def _given(quality: Quality, X: npt.ArrayLike, n: int, source: str, missing: str) -> list[Score]:
    if not isinstance(quality, ScoredQuality):
        found = Values.of(quality.evaluate(X), n, source=source, missing=missing, time=is_time(quality.unit))
        return [Score(float(value), reason=why) for value, why in zip(found.values, found.reasons, strict=True)]
    scores = quality.scores(X)
    if not isinstance(scores, list | tuple) or not all(isinstance(one, Score) for one in scores):
        raise WorkError(f"{source} gave something else than a list of Scores")
    given = [one.value for one in scores]
    found = Values.of(given, n, source=source, missing=missing, time=is_time(quality.unit))
    return [
        replace(one, value=math.nan, low=math.nan, high=math.nan, reason=one.reason or why) if why else _bounded(one)
        for one, why in zip(scores, found.reasons, strict=True)
    ]


def _bounded(score: Score) -> Score:
    """Return a score whose interval is one, or is not known."""
    try:
        low, high = bounds(score.low, score.high)
    except ValueError:
        low = high = math.nan
    return replace(score, low=low, high=high)


def qualities(quality: Quality, X: npt.ArrayLike) -> FloatArray:
    """Return the values of ``scored``, ``(n,)``: nan where there is none."""
    return np.array([one.value for one in scored(quality, X)], dtype=np.float64)


@runtime_checkable
class EvaluatesElsewhere(Protocol):
    """A platform of a farm, whose workers run sub-networks for their quality too."""

    def evaluating(self, quality: Quality, spec: str) -> Quality:
        """Return a quality that workers find; the same one where it costs nothing, or nobody offers it."""
        ...


# The last bits of a matrix product depend on how many rows it has. Rounded this far below any difference that matters,
# a sub-network has one value whatever it is evaluated along with, and a resumed search goes the way of a whole one.
_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class FreeQuality:
    """A quality that is a function of the vectors, see ``Quality``.

    Attributes:
        function: from vectors ``(n, n_var)`` to the metric, ``(n,)``.
        source: where its values are from files, what these hold; else its name.
        contents: of the files.
        rows: how many sub-networks it has a value for; ``None``: all.
    """

    name: str
    metric: str
    unit: str
    maximise: bool
    predicted: bool
    note: str
    function: Callable[[npt.ArrayLike], FloatArray]
    costs_nothing: bool = True
    source: str = ""
    contents: Contents = field(default_factory=dict)
    rows: int | None = None

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.name)

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``; nan where the source has none."""
        given = self.function(X)
        # What holds anything but numbers is left for ``scored`` to name.
        rounded = isinstance(given, np.ndarray) and given.dtype.kind in "iuf"
        return np.round(given, _DECIMALS) if rounded else given
