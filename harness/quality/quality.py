"""The protocols and data of quality sources: ``Quality``, ``Score`` and the options of evaluations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from hwnas.supernets.contents import Contents
from hwnas.supernets.errors import WorkError
from hwnas.supernets.plug_ins import FAILURES, blamed
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import Values, bounds, is_time, json_number, number_or_none, of_kind

if TYPE_CHECKING:
    from hwnas.harness.store import Store


@dataclass(frozen=True)
class QualityProgress:
    """How far an evaluation has come.

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
    """The options of a source that runs sub-networks on data.

    Attributes:
        weights: the file of the super-network's weights, or ``None``.
        subset: how many of the examples to test on; ``None``: all.
        workers: threads that read and prepare examples.
        store: where values are stored and looked up; ``None``: nowhere.
        progress: called with the progress, or ``None``.
    """

    weights: str | None = None
    subset: int | None = None
    workers: int = 1
    store: Store | None = None
    progress: Callable[[QualityProgress], None] | None = None


@runtime_checkable
class Quality(Protocol):
    """How good the sub-networks of one super-network are at their task.

    A quality may also have ``contents``, the digests of its files (see ``hwnas.supernets.contents.Contents``): a
    resumed study compares them to say which file has changed.

    Attributes:
        name: its spec ("surrogate", "table:measured.csv").
        source: identifies the origin of its values, such as a table, or weights and data; values of different sources
            are never mixed. Files are identified by their content, not by their names.
        metric: the metric's name ("top1", "bleu").
        unit: of the metric ("%"); empty where it has none.
        maximise: more is better.
        predicted: values are predicted, not measured.
        costs_nothing: values cost nothing, so a search may ask for any number of sub-networks.
        note: one line that is shown with results: the origin and accuracy of values, and whether they are predicted.
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
    """The result of one sub-network on the examples.

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
        """Return the fields as JSON values; unknown numbers are ``None``, and an empty reason is left out."""
        numbers = {name: json_number(getattr(self, name)) for name in ("value", "low", "high")}
        others = {name: json_number(value) for name, value in self.others.items()}
        fields: dict[str, Any] = {**numbers, "n": self.n, "others": others}
        return {**fields, "reason": self.reason} if self.reason else fields

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Score:
        """Return the score that ``record`` was called on; raises ``LookupError``, ``TypeError`` or ``ValueError``."""
        value, (low, high) = number_or_none(record["value"]), bounds(record["low"], record["high"])
        others = {str(name): math.nan if one is None else float(one) for name, one in record["others"].items()}
        reason = of_kind("reason", record.get("reason", ""), str)
        return cls(value, low, high, int(record["n"]), others, reason)


@runtime_checkable
class ScoredQuality(Quality, Protocol):
    """A quality that is a mean over examples, so that values have confidence intervals."""

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return the score of each sub-network."""
        ...


def scored(quality: Quality, X: npt.ArrayLike) -> list[Score]:
    """Evaluate sub-networks and check the values: an invalid one becomes nan with the reason.

    Raises:
        WorkError: the source does not return one value for each sub-network.
    """
    n, source = len(np.atleast_2d(np.asarray(X))), f"the quality source {quality.name}"
    missing = f"{source} has no value for it"
    try:
        return _given(quality, X, n, source, missing)
    except FAILURES as error:
        named = blamed(error)
        if named is None:
            raise
        # An error of a plug-in concerns only the sub-networks with which it occurs; the others have their values.
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
    """Return a score without its interval if that is invalid."""
    try:
        low, high = bounds(score.low, score.high)
    except ValueError:
        low = high = math.nan
    return replace(score, low=low, high=high)


def qualities(quality: Quality, X: npt.ArrayLike) -> FloatArray:
    """Return the values of ``scored``, ``(n,)``; nan for failed sub-networks."""
    return np.array([one.value for one in scored(quality, X)], dtype=np.float64)


@runtime_checkable
class EvaluatesElsewhere(Protocol):
    """A platform of a farm, whose workers can also evaluate quality."""

    def evaluating(self, quality: Quality, spec: str) -> Quality:
        """Return a quality that the workers evaluate, or ``quality`` if it costs nothing or no worker offers it."""
        ...


# The last bits of a matrix product depend on how many rows it has. Values are rounded far below any difference that
# matters, so that a sub-network has the same value in every batch, and a resumed search goes on as if not interrupted.
_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class FunctionQuality:
    """A quality that is a function of the vectors, see ``Quality``.

    Attributes:
        function: maps vectors ``(n, n_var)`` to the metric, ``(n,)``.
        source: the digest of the file that its values are from, if any; else its name.
        contents: digests of the files.
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
        # Answers that are not numbers are passed on to ``scored``, which reports them.
        rounded = isinstance(given, np.ndarray) and given.dtype.kind in "iuf"
        return np.round(given, _DECIMALS) if rounded else given
