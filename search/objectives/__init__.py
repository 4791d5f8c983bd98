"""What a search optimises: one file per objective, or an installed package's entry point in ``hwnas.objectives``.

A file offers ``create(name, sources)``, and in ``LISTED`` by name the unit, whether "less" or "more" is better, and
what it is in one line, for ``hwnas objectives``. Where only some super-networks have its objectives, ``serves(name,
net)`` says which. In ``ARGUMENTS`` it names what may follow a colon behind a name ("latency:STAGE"), and
``arguments(name, net)`` lists what that can be. The quality source's metric is an objective by its own name ("top1",
"bleu"). Values are in the unit that users read (ms, %, millions) up to here; ``Directions`` turns them into minimised
ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hwnas.search.objectives.objective import (
    STATES,
    Directions,
    Objective,
    Outcome,
    Renamed,
    Repeatable,
    Startable,
    admitted,
    values_of,
)
from hwnas.search.objectives.sources import Sources
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.registry import Registry
from hwnas.supernets.supernet import SuperNetwork

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
    "argument_of",
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
    served = [name for name in registry.names() if _serves(name, sources.net)]
    more = [f"{name}:{one}" for name in served for one in _arguments(name, sources.net)]
    return sorted({*served, *metric, *more} - {"quality"})


def _serves(name: str, net: SuperNetwork) -> bool:
    serves: Callable[[str, SuperNetwork], bool] | None = getattr(_working(name), "serves", None)
    return serves is None or serves(name, net)


def _arguments(name: str, net: SuperNetwork) -> list[str]:
    listed: Callable[[str, SuperNetwork], list[str]] | None = getattr(_working(name), "arguments", None)
    return [] if listed is None or argument_of(f"{name}:") is None else listed(name, net)


def _working(name: str) -> Any:
    """Return the module that offers an objective; ``None`` where that is a broken plug-in."""
    return registry.provider(name) if name in registry.working() else None


def argument_of(spelled: str) -> str | None:
    """Return what the argument of an objective is called, where it is spelled with one; else ``None``."""
    name, colon, _ = spelled.partition(":")
    if not colon or spelled in registry.names() or name not in registry.names():
        return None
    arguments: dict[str, str] = registry.stated(name, "ARGUMENTS") if name in registry.working() else {}
    return arguments.get(name)


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
    elif argument_of(name) is not None:
        provider = name.partition(":")[0]
    elif name == sources.quality.metric:
        provider = "quality"
    else:
        raise UnknownNameError("objective", name, names(sources))
    # Only those that take an argument know of one: others' objectives are made with two.
    argument = {} if argument_of(name) is None else {"spelled": name}
    objective: Objective = registry.create(provider, sources, **argument)
    return objective
