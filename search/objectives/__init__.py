"""What a search optimises: one file per objective, or an installed package's entry point in ``hwnas.objectives``.

A file offers ``create(name, sources)``, and in ``LISTED`` by name the unit, whether "less" or "more" is better, and
what it is in one line, for ``hwnas objectives``. The quality source's metric is an objective by its own name ("top1",
"bleu"). Values are in the unit that users read (ms, %, millions) up to here; ``Directions`` turns them into minimised
ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hwnas.search.objectives.objective import (
    STATES,
    Directions,
    Objective,
    Outcome,
    Renamed,
    Repeatable,
    Sources,
    Startable,
    admitted,
    values_of,
)
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.registry import Registry

__all__ = [
    "DEFAULT",
    "STATES",
    "Directions",
    "Objective",
    "Outcome",
    "Renamed",
    "Repeatable",
    "Sources",
    "Startable",
    "admitted",
    "check_distinct",
    "make",
    "names",
    "registry",
    "values_of",
]

registry = Registry("objective", "hwnas.search.objectives", "hwnas.objectives", makes=(Objective,))

DEFAULT = ("latency", "quality")


def names(sources: Sources) -> list[str]:
    """Return the names of the objectives there are with these sources."""
    metric = (sources.quality.metric,)
    return sorted({*registry.names(), *metric} - {"quality"})


def make(wanted: Iterable[str], sources: Sources) -> tuple[Objective, ...]:
    """Make objectives, in the order given.

    Args:
        wanted: names; "quality" is another name of the quality source's metric.
        sources: what they read from.

    Raises:
        UnknownNameError: there is no such objective; the message suggests the nearest.
        UsageError: none or one twice.
    """
    made = tuple(_make(name, sources) for name in wanted)
    if not made:
        raise UsageError(f"objectives: expected at least one of {', '.join(names(sources))}, got none")
    check_distinct([objective.name for objective in made])
    return made


def check_distinct(called: Sequence[str]) -> None:
    """Raise ``UsageError`` where two objectives have the same name."""
    if len(set(called)) < len(called):
        raise UsageError(f"objectives: one is given twice: {', '.join(called)}")


def _make(name: str, sources: Sources) -> Objective:
    if name in registry.names():
        provider = name
    elif name == sources.quality.metric:
        provider = "quality"
    else:
        raise UnknownNameError("objective", name, names(sources))
    objective: Objective = registry.create(provider, sources)
    return objective
