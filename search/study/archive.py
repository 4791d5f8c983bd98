"""What a study has evaluated: evaluations by sub-network, their front, and how much it dominates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from hwnas.harness.measurement.protocol import EFFORTS
from hwnas.harness.measurement.record import LOAD, check_load
from hwnas.search.hypervolume import hypervolume, hypervolumes, non_dominated
from hwnas.search.objectives import STATES, Directions
from hwnas.supernets.shown import short_key
from hwnas.supernets.space import Config, FloatArray
from hwnas.supernets.values import bounds, fault, json_number, number, number_or_none, of_kind, one_of

_Read = TypeVar("_Read")


@dataclass(frozen=True)
class Evaluation:
    """One sub-network with all its objective values.

    Attributes:
        index: its place in the study, from 0.
        iteration: the batch that it came in, from 0.
        vector: canonical, ``(n_var,)``.
        config: the same as a config.
        key: the same as a key.
        objectives: values by name, in the units that users read; nan where it failed. Quantities that are only
            constrained are among them.
        status: "ok", "unstable" or "failed".
        reason: why, where it is not "ok".
        intervals: bounds on measured values, by name.
        beside: by objective, what others that had been measured before were in the same batch, by their keys.
        load: what other programs did beside its measurement, if that left too few CPUs; see
            ``hwnas.harness.measurement.measurement.Measurement.load``.
        violation: how far it is from meeting the constraints, relative to them; 0: it meets them.
        effort: with how much it was measured: "quick", "normal" or "thorough"; "": nothing of it is measured.
        while_searching: of one that was measured again for the final front, the values that the search had seen.
        measure_s: seconds of evaluating in the study up to and with this one.
        search_s: seconds of the algorithm's own work up to this one.
        total_s: seconds of the study up to this one, everything included.
    """

    index: int
    iteration: int
    vector: tuple[int, ...]
    config: Config
    key: str
    objectives: Mapping[str, float]
    status: str
    reason: str = ""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    beside: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    load: Mapping[str, Any] | None = None
    violation: float = 0.0
    effort: str = ""
    while_searching: Mapping[str, float] = field(default_factory=dict)
    measure_s: float = 0.0
    search_s: float = 0.0
    total_s: float = 0.0

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {value:.6g}" for name, value in self.objectives.items())
        return f"<Evaluation {self.index}: {values}; {self.status}; {short_key(self.key)}>"

    def __index__(self) -> int:
        """Return its index: ``study.evaluations[one]`` is the evaluation itself."""
        return self.index

    @property
    def feasible(self) -> bool:
        """It did not fail, and meets the constraints."""
        return self.status != "failed" and self.violation == 0

    def as_searched(self) -> Evaluation:
        """Return it with the values that the search had, where it was measured again for the final front."""
        return replace(self, objectives={**self.objectives, **self.while_searching}, while_searching={})

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; a value that is not there is ``None``."""
        searched = {name: json_number(value) for name, value in self.while_searching.items()}
        return {
            "index": self.index,
            "iteration": self.iteration,
            "key": self.key,
            "config": self.config,
            "objectives": {name: json_number(value) for name, value in self.objectives.items()},
            "intervals": {name: [json_number(bound) for bound in bounds] for name, bounds in self.intervals.items()},
            "status": self.status,
            "reason": self.reason,
            "beside": {
                name: {key: json_number(value) for key, value in one.items()} for name, one in self.beside.items()
            },
            **({LOAD: dict(self.load)} if self.load else {}),
            "violation": json_number(self.violation),
            **({"effort": self.effort} if self.effort else {}),
            **({"while_searching": searched} if searched else {}),
            "measure_s": self.measure_s,
            "search_s": self.search_s,
            "total_s": self.total_s,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Evaluation:
        """Return what ``to_json`` wrote.

        Raises:
            One of ``hwnas.supernets.errors.MALFORMED``: it is something else, or has what can be no value; says which.
        """
        violation = record["violation"]
        return cls(
            index=of_kind("index", record["index"], int),
            iteration=of_kind("iteration", record["iteration"], int),
            vector=tuple(int(digit, 36) for digit in of_kind("key", record["key"], str)),
            config=of_kind("config", record["config"], dict),
            key=record["key"],
            objectives=_values(record),
            status=record["status"],
            reason=of_kind("reason", record["reason"], str),
            intervals={name: _named(f"intervals, {name}", bounds, *ends) for name, ends in record["intervals"].items()},
            # Studies of earlier versions have none.
            beside={
                name: {key: _named(f"beside, {name}", number_or_none, value) for key, value in one.items()}
                for name, one in record.get("beside", {}).items()
            },
            load=check_load(record[LOAD]) if LOAD in record else None,
            violation=np.inf if violation is None else _at_least_0("violation", violation),
            effort=one_of("effort", record.get("effort", ""), ("", *EFFORTS)),
            while_searching={
                name: _named(f"while_searching, {name}", number_or_none, value)
                for name, value in record.get("while_searching", {}).items()
            },
            measure_s=_at_least_0("measure_s", record["measure_s"]),
            search_s=_at_least_0("search_s", record["search_s"]),
            total_s=_at_least_0("total_s", record["total_s"]),
        )


def _values(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the values in a record by name; only a failed evaluation lacks some."""
    status = one_of("status", record["status"], STATES)
    values = {}
    for name, value in record["objectives"].items():
        if status == "failed" and value is None:
            values[name] = np.nan
            continue
        reason = fault(value)
        if reason is not None:
            raise ValueError(f"{name}: {reason} in an evaluation that is {status}")
        values[name] = float(value)
    return values


def _named(name: str, read: Callable[..., _Read], *values: object) -> _Read:
    """Return what ``read`` makes of stored values; its ``ValueError`` names the field."""
    try:
        return read(*values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _at_least_0(name: str, value: object) -> float:
    found = _named(name, number, value)
    if found < 0:
        raise ValueError(f"{name}: expected 0 or more, got {found}")
    return found


class Archive:
    """Evaluations in order, each sub-network once.

    Args:
        names: of the objectives of the search.
        directions: of the same.
    """

    def __init__(self, names: Sequence[str], directions: Directions) -> None:
        self.names = tuple(names)
        self._directions = directions
        self._evaluations: list[Evaluation] = []
        self._rows: list[FloatArray] = []
        self._index_of: dict[str, int] = {}
        self._front: list[int] = []

    def __len__(self) -> int:
        return len(self._evaluations)

    def __iter__(self) -> Iterator[Evaluation]:
        return iter(self._evaluations)

    def __getitem__(self, index: int) -> Evaluation:
        return self._evaluations[index]

    def __contains__(self, key: object) -> bool:
        return key in self._index_of

    def index(self, key: str) -> int:
        """Return where the sub-network ``key`` is; raises ``KeyError`` where it was not evaluated."""
        return self._index_of[key]

    def add(self, evaluations: Sequence[Evaluation]) -> None:
        """Append evaluations; raises ``ValueError`` where one is out of order or comes twice."""
        first = len(self)
        for evaluation in evaluations:
            if evaluation.index != len(self) or evaluation.key in self._index_of:
                raise ValueError(f"evaluation {evaluation.index} ({evaluation.key}): out of order, or here already")
            self._index_of[evaluation.key] = evaluation.index
            self._evaluations.append(evaluation)
            values = [evaluation.objectives.get(name, np.nan) for name in self.names]
            self._rows.append(self._directions.minimised(np.array(values)))
        self._front = self._best(self._front + list(range(first, len(self))))

    @property
    def F(self) -> FloatArray:  # noqa: N802 - the field's name for a batch of minimised objectives
        """The minimised objectives, ``(n, m)``; nan where one failed."""
        return np.array(self._rows).reshape(len(self), len(self.names))

    def concluded(self, final: Sequence[Evaluation]) -> Archive:
        """Return an archive in which these evaluations, which were measured again, take the place of the same ones."""
        archive, again = Archive(self.names, self._directions), {one.index: one for one in final}
        archive.add([again.get(one.index, one) for one in self])
        return archive

    def forgetting(self) -> Archive:
        """Return an archive in which none of the evaluations counts more for having been measured again."""
        archive = Archive(self.names, self._directions)
        archive.add([replace(one, while_searching={}) for one in self])
        return archive

    def row(self, index: int) -> FloatArray:
        """Return the minimised objectives of one evaluation, ``(m,)``."""
        return self._rows[index]

    @property
    def front(self) -> list[int]:
        """The indices of the non-dominated evaluations among those that meet the constraints, ascending."""
        return list(self._front)

    def ordered_front(self) -> list[int]:
        """Return the indices of the front in the order of the first objective, the best first, as exports count."""
        return sorted(self._front, key=lambda index: (self._rows[index][0], index))

    @property
    def nearest(self) -> int | None:
        """Where nothing meets the constraints: the index of the evaluation that misses them least, else ``None``."""
        candidates = [one for one in self._evaluations if one.status != "failed"]
        if not candidates or any(one.feasible for one in candidates):
            return None
        return min(candidates, key=lambda one: (one.violation, one.index)).index

    def front_after(self, n: int) -> FloatArray:
        """Return the front as it was after the first ``n`` evaluations, minimised, ``(k, m)``."""
        return self.F[self._best(range(min(n, len(self))))]

    def front_points(self) -> FloatArray:
        """Return the front, minimised, ``(k, m)``, in the order of ``front``."""
        return self.F[self._front]

    def worst(self) -> FloatArray:
        """Return the largest minimised value of each objective that was evaluated, ``(m,)``; nan where none was."""
        done = [row for row, one in zip(self._rows, self._evaluations, strict=True) if one.status != "failed"]
        return np.max(done, axis=0) if done else np.full(len(self.names), np.nan)

    def hypervolume(self, reference: FloatArray) -> float:
        """Return how much the front dominates within the minimised ``reference``, ``(m,)``; 0 where that has a nan."""
        return hypervolume(self.front_points(), reference)

    def hypervolumes(self, reference: FloatArray) -> FloatArray:
        """Return the hypervolume after each evaluation, ``(n,)``.

        Where some were measured again in full, it is that of those which had been found by then: it ends at that of the
        front, and never falls.
        """
        counts = np.zeros(len(self), dtype=bool)
        counts[self._counted(range(len(self)))] = True
        return hypervolumes(self.F, counts, reference)

    def _row_array(self, indices: Sequence[int]) -> FloatArray:
        return np.array([self._rows[index] for index in indices]).reshape(len(indices), len(self.names))

    def _best(self, indices: Sequence[int]) -> list[int]:
        counted = self._counted(indices)
        if not counted:
            return []
        kept = non_dominated(self._row_array(counted))
        return [index for index, keep in zip(counted, kept, strict=True) if keep]

    def _counted(self, indices: Sequence[int]) -> list[int]:
        """Return those that may be on a front: they meet the constraints, and are measured with the most effort."""
        feasible = [index for index in indices if self._evaluations[index].feasible]
        # What was measured in full is compared with its like: a brief measurement may be too good by chance.
        return [index for index in feasible if self._evaluations[index].while_searching] or feasible
