"""What a quality source is to the rest of the system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from supernets.contents import Contents
from supernets.space import FloatArray

if TYPE_CHECKING:
    from harness.store import Store


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

    One may also have ``contents``, what its files hold (see ``supernets.contents.Contents``): a study that is resumed
    tells by it which of them has changed.

    Attributes:
        name: as it was asked for ("surrogate", "table:measured.csv").
        source: what its values come from; those of different ones are never mixed. Files are in it by what they hold,
            not by their names: which table, or which weights on which data.
        metric: what it tells ("top1", "bleu").
        unit: of the metric ("%"); empty where it has none.
        maximise: more is better.
        predicted: it is a prediction and no measurement.
        free: it costs nothing to evaluate, so a search may ask for any number of sub-networks.
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
    def free(self) -> bool: ...
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
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0
    others: dict[str, float] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """Return its fields as JSON values: what is not known is ``None``."""
        return {name: None if value != value else value for name, value in asdict(self).items()}  # noqa: PLR0124 - nan

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Score:
        """Return what ``record`` was made of; raises ``LookupError``, ``TypeError`` or ``ValueError`` else."""
        given = {name: record[name] for name in ("value", "low", "high")}
        ends = {name: float("nan" if value is None else value) for name, value in given.items()}
        others = {str(name): float(value) for name, value in record["others"].items()}
        return cls(**ends, n=int(record["n"]), others=others)


@runtime_checkable
class ScoredQuality(Quality, Protocol):
    """A quality that is a mean over examples, and so is known to within an interval."""

    def scores(self, X: npt.ArrayLike) -> list[Score]:
        """Return what each sub-network reached."""
        ...


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
    """

    name: str
    metric: str
    unit: str
    maximise: bool
    predicted: bool
    note: str
    function: Callable[[npt.ArrayLike], FloatArray]
    free: bool = True
    source: str = ""
    contents: Contents = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.source:
            object.__setattr__(self, "source", self.name)

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``; nan where the source has none."""
        return np.round(self.function(X), _DECIMALS)
