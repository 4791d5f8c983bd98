"""A study's JSON as pages read it: values as arrays, titles, and hypervolume over evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwnas.search.hypervolume import hypervolumes
from hwnas.search.objectives import Directions
from hwnas.search.report.figures import Cell
from hwnas.search.words import objective_title
from hwnas.supernets.space import FloatArray
from hwnas.supernets.values import json_numbers


class StudyView:
    """A study's JSON, with its values as arrays."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self.result = result
        self.objectives: list[dict[str, Any]] = list(result["objectives"])
        self.evaluations: list[dict[str, Any]] = list(result["evaluations"])
        self.names = [one["name"] for one in self.objectives]
        self.quality = result.get("quality") or {"metric": "", "predicted": False, "note": "", "source": "", "unit": ""}
        # By the first objective, the best first, as ``hwnas export --front`` counts.
        self.front = sorted(result["front"], key=self._order)
        self.directions = Directions([one["maximise"] for one in self.objectives])
        values = [[known(one["objectives"].get(name)) for name in self.names] for one in self.evaluations]
        self.values: FloatArray = np.array(values, dtype=np.float64).reshape(len(self.evaluations), len(self.names))
        # A violation without a number is unknown, not 0.
        self.feasible = [one["status"] != "failed" and one.get("violation", 0) == 0 for one in self.evaluations]

    @property
    def counted(self) -> list[bool]:
        """Whether each evaluation may be on the front; see ``hwnas.search.study.archive.Archive.hypervolumes``."""
        pairs = zip(self.evaluations, self.feasible, strict=True)
        in_full = [feasible and bool(one.get("while_searching")) for one, feasible in pairs]
        return in_full if any(in_full) else self.feasible

    def title(self, column: int) -> str:
        """Name an objective with its unit, and say where it is a prediction."""
        return objective_title(self.objectives[column], self.quality)

    def column(self, column: int, rows: Sequence[int]) -> list[Cell]:
        """Return an objective's values of some evaluations."""
        return [json_numbers(self.values[row, column]) for row in rows]

    def bounds(self, column: int, rows: Sequence[int]) -> list[Any]:
        """Return the intervals of an objective's values, ``None`` where there is none."""
        return [(self.evaluations[row].get("intervals") or {}).get(self.names[column]) for row in rows]

    def unstable(self, rows: Sequence[int]) -> list[bool]:
        """Tell of some evaluations whether they have not converged."""
        return [self.evaluations[row]["status"] == "unstable" for row in rows]

    def hypervolumes(self) -> list[float]:
        """Return the hypervolume after each evaluation, from the study's reference point; it ends at the study's."""
        stored = self.result["hypervolume"]["reference"]
        reference = self.directions.minimised(np.array([known(stored[name]) for name in self.names]))
        if np.isnan(reference).any():
            return []
        curve: list[float] = hypervolumes(self.directions.minimised(self.values), self.counted, reference).tolist()
        return curve

    def _order(self, index: int) -> tuple[float, int]:
        first = known(self.evaluations[index]["objectives"].get(self.names[0]))
        return -first if self.objectives[0]["maximise"] else first, index


def known(value: float | None) -> float:
    """Return a number of the JSON, nan for what it has none of."""
    return float("nan") if value is None else float(value)
