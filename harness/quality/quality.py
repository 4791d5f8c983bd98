"""What a quality source is to the rest of the system."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from supernets.space import FloatArray


@runtime_checkable
class Quality(Protocol):
    """How good the sub-networks of one super-network are at their task.

    Attributes:
        name: as it was asked for ("surrogate", "table:measured.csv").
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


# The last bits of a matrix product depend on how many rows it has. Rounded this far below any difference that matters,
# a sub-network has one value whatever it is evaluated along with, and a resumed search goes the way of a whole one.
_DECIMALS = 9


@dataclass(frozen=True, eq=False)
class FreeQuality:
    """A quality that is a function of the vectors, see ``Quality``.

    Attributes:
        function: from vectors ``(n, n_var)`` to the metric, ``(n,)``.
    """

    name: str
    metric: str
    unit: str
    maximise: bool
    predicted: bool
    note: str
    function: Callable[[npt.ArrayLike], FloatArray]
    free: bool = True

    def evaluate(self, X: npt.ArrayLike) -> FloatArray:
        """Return the metric of each sub-network in ``unit``, ``(n,)``; nan where the source has none."""
        return np.round(self.function(X), _DECIMALS)
