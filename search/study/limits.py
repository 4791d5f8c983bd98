"""What is to be said of constraints: how a number was read, and those that exclude nothing, or everything.

A limit that was meant in another unit is a number like any other. What can be said of it for every quantity, whichever
way it goes, is what it means, and what it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from hwnas.search.objectives import Objective, values_of
from hwnas.search.study.archive import Archive
from hwnas.search.study.constraints import Constraint, given_without_unit, meets, name_of, parse
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import SearchSpace
from hwnas.supernets.values import is_time

# Sub-networks that are tried where it costs nothing, beside the smallest and the largest.
_TRIED = 254


def read(texts: Sequence[str], objectives: Sequence[Objective]) -> tuple[Constraint, ...]:
    """Read constraints.

    Args:
        texts: see ``hwnas.search.study.constraints.parse``.
        objectives: those that they may be on.

    Raises:
        UsageError: one cannot be read, or no network can meet it.
    """
    found = tuple(parse(text, objectives) for text in texts)
    for text, one in zip(texts, found, strict=True):
        if not one.maximise and one.limit <= 0 and is_time(one.unit):
            raise UsageError(f"constraint {text!r}: every network has a {one.name} above 0{one.unit}")
    return found


def remarks(
    texts: Sequence[str], constraints: Sequence[Constraint], objectives: Sequence[Objective], space: SearchSpace
) -> list[str]:
    """Return what is to be said of constraints before anything is evaluated, a sentence each.

    Args:
        texts: as they were given.
        constraints: what was read of each.
        objectives: those that they are on, among others.
        space: of the sub-networks.
    """
    by_name = {one.name: one for one in objectives}
    said = []
    for text, one in zip(texts, constraints, strict=True):
        if one.unit == "%" and 0 < abs(one.limit) <= 1 and given_without_unit(text):
            said.append(f"constraint {text}: {one.name} is in per cent, so it is read as {one}")
        said += _without_effect(one, by_name[one.name], space)
    return said


def _without_effect(constraint: Constraint, objective: Objective, space: SearchSpace) -> Iterator[str]:
    """Say that sub-networks of every size meet a constraint, or none does, where that costs nothing to know."""
    if not objective.costs_nothing or not objective.batched:
        return
    X = np.unique(space.canonical(np.vstack([space.smallest(), space.largest(), space.sample(_TRIED, 0)])), axis=0)
    values = values_of(objective, X)
    if not np.isfinite(values).all():
        return
    met = constraint.violation(values) == 0
    tried = f"{constraint.name} is {values.min():.6g} to {values.max():.6g}{constraint.unit}"
    if met.all():
        yield (
            f"constraint {constraint}: the smallest, the largest and {_TRIED} random sub-networks all meet it: {tried}"
        )
    elif not met.any():
        yield (
            f"constraint {constraint}: neither the smallest, the largest nor any of {_TRIED} random sub-networks meets "
            f"it: {tried}"
        )


def measured(constraints: Sequence[Constraint], objectives: Sequence[Objective]) -> list[str]:
    """Return the constraints on what is only known by evaluating, in their canonical spelling."""
    free = {one.name for one in objectives if one.costs_nothing}
    return [str(one) for one in constraints if one.name not in free]


def met_by_all(constraints: Sequence[str], labels: Mapping[str, str], archive: Archive) -> list[str]:
    """Say which constraints every evaluation has met, so that they have excluded nothing, a sentence each.

    Args:
        constraints: on what is only known by evaluating, in their canonical spelling. Algorithms keep to all others by
            themselves, so that every evaluation meets them.
        labels: units, by objective.
        archive: of the evaluations.
    """
    said = []
    for text in constraints:
        name = name_of(text)
        values = np.array([one.objectives.get(name, np.nan) for one in archive if one.status != "failed"])
        if len(values) and meets(text, values).all():
            spread = f"{values.min():.6g} to {values.max():.6g}{labels.get(name, '')}"
            said.append(f"constraint {text}: every evaluation meets it: {name} is {spread}")
    return said
