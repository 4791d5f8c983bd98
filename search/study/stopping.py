"""Rules that end a search before its evaluations are used up, and the reference point that they measure from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.search.hypervolume import hypervolume
from hwnas.search.objectives import Directions, Objective, values_of
from hwnas.search.study.archive import Archive
from hwnas.supernets.errors import UsageError, suggestion
from hwnas.supernets.given import as_int
from hwnas.supernets.space import FloatArray, SearchSpace
from hwnas.supernets.values import fault, is_time

Stop = Callable[[Archive], str | None]

# A front that gained less than this part of its hypervolume stands still.
_STANDSTILL = 1e-3


@dataclass(frozen=True)
class Reference:
    """The corner from which hypervolume is measured, minimised.

    Attributes:
        point: ``(m,)``; nan where an objective is measured and none was given: the worst value evaluated stands in.
    """

    point: FloatArray

    @property
    def fixed(self) -> bool:
        """It does not depend on what is evaluated."""
        return not np.isnan(self.point).any()

    def of(self, archive: Archive) -> FloatArray:
        """Return the whole point, ``(m,)``; nan where nothing was evaluated yet."""
        return np.where(np.isnan(self.point), archive.worst(), self.point)


def reference_given(given: Mapping[str, float], objectives: Sequence[Objective], directions: Directions) -> Reference:
    """Return the reference that the user gave: a value per objective, in its unit.

    Raises:
        UsageError: one is missing, is of no objective, or can be no value of it.
    """
    names = [objective.name for objective in objectives]
    for name in given:
        if name not in names:
            raise UsageError(f"reference: unknown objective {name!r}{suggestion(name, names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise UsageError(f"reference: expected a value for each of {', '.join(names)}; {', '.join(missing)} has none")
    for one in objectives:
        reason = fault(given[one.name], time=is_time(one.unit))
        if reason is not None:
            raise UsageError(f"reference: {one.name}: {reason}")
    return Reference(directions.minimised(np.array([float(given[name]) for name in names])))


def reference_default(space: SearchSpace, objectives: Sequence[Objective], directions: Directions) -> Reference:
    """Return the reference that every search of the same problem shares.

    Of an objective that is free, it is the worse one of the smallest and the largest sub-network's values. Of one that
    is measured (and of one that those two have no value of), it is not known beforehand.
    """
    ends = space.canonical(np.vstack([space.smallest(), space.largest()]))
    unknown = np.full(2, np.nan)
    values = np.column_stack([values_of(one, ends) if one.costs_nothing else unknown for one in objectives])
    return Reference(np.max(directions.minimised(values), axis=0))


def stop_rule(target: float | None, plateau: int | None, reference: Reference) -> Stop:
    """Return the rule that says why to stop.

    Args:
        target: the hypervolume that is enough; ``None``: none is.
        plateau: stop when this many evaluations added less than 0.1 % to the hypervolume; ``None``: never.
        reference: where hypervolume is measured from.

    Raises:
        UsageError: a target without a fixed reference, or a number that cannot be met.
    """
    if target is not None and (fault(target) is not None or target <= 0):
        raise UsageError(f"target hypervolume: expected a positive number, got {target}")
    if target is not None and not reference.fixed:
        raise UsageError("a target hypervolume needs a reference point: an objective is measured and has no other one")
    if plateau is not None and as_int("plateau", plateau) < 1:
        raise UsageError(f"plateau: expected at least 1 evaluation, got {plateau}")

    def stop(archive: Archive) -> str | None:
        if target is not None and archive.hypervolume(reference.of(archive)) >= target:
            return f"the target hypervolume {target:g} is reached"
        if plateau is not None and _stands_still(archive, plateau, reference):
            return f"the last {plateau} evaluations added less than {_STANDSTILL:.1%} to the hypervolume"
        return None

    return stop


def _stands_still(archive: Archive, plateau: int, reference: Reference) -> bool:
    if len(archive) <= plateau:
        return False
    point = reference.of(archive)
    if np.isnan(point).any():
        return False
    now, before = archive.hypervolume(point), hypervolume(archive.front_after(len(archive) - plateau), point)
    return bool(now - before < _STANDSTILL * now) and now > 0
