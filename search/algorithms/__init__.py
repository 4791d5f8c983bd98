"""Search algorithms: one file each, or an installed package's entry point in the group ``hwnas.algorithms``.

A file offers ``create(name, problem, evals, rng, settings)``, ``SUMMARY`` (one line), ``MAX_OBJECTIVES`` (``None``: any
number) and, where one objective is too few, ``MIN_OBJECTIVES``; ``USES_PRIORS = True`` where it starts from what a
problem's ``priors`` and ``evaluated`` say; ``NEEDS_EXACT = True`` where it takes exact objectives alone;
``USES_BOUNDS = False`` where constraints change nothing in what it asks; ``GROWS = False`` where what it asks depends
on the number of evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwnas.search.algorithm import Algorithm, Problem
from hwnas.supernets.errors import UsageError
from hwnas.supernets.registry import Registry

__all__ = ["create", "names", "registry"]

registry = Registry("algorithm", "hwnas.search.algorithms", "hwnas.algorithms", makes=(Algorithm,))


def names() -> list[str]:
    """Return the names of all algorithms."""
    return registry.names()


def create(
    name: str,
    problem: Problem,
    evals: int,
    rng: np.random.Generator,
    settings: Mapping[str, Any] | None = None,
) -> Algorithm:
    """Make the algorithm called ``name``.

    Args:
        name: as registered.
        problem: what is to be minimised.
        evals: how many evaluations there will be; it never asks for more distinct sub-networks than this.
        rng: its only source of randomness.
        settings: its own settings; ``preset="paper"`` gives the published ones, ``initial`` the vectors to ask first.

    Raises:
        UnknownNameError: no such algorithm.
        UsageError: it cannot handle this many objectives, makes no use of priors where there are some, or has no such
            setting, or none of that value.
    """
    allowed = _allows(name, problem.n_obj)
    if evals < 1:
        raise UsageError(f"evals: expected at least 1 evaluation, got {evals}")
    if not allowed:
        raise UsageError(_wrong_number(name, problem))
    if problem.known_elsewhere and not registry.stated(name, "USES_PRIORS"):
        able = [other for other in registry.working() if registry.stated(other, "USES_PRIORS")]
        raise UsageError(
            f"algorithm {name!r} makes no use of what is known on another platform; those that do: {', '.join(able)}"
        )
    algorithm: Algorithm = registry.create(name, problem, evals, rng, dict(settings or {}))
    return algorithm


def _objectives(name: str) -> tuple[int, int | None]:
    """Return the least and the largest number of objectives that an algorithm takes; ``None``: any number."""
    return registry.stated(name, "MIN_OBJECTIVES"), registry.stated(name, "MAX_OBJECTIVES")


def _allows(name: str, n_obj: int) -> bool:
    least, most = _objectives(name)
    return least <= n_obj and (most is None or n_obj <= most)


def _wrong_number(name: str, problem: Problem) -> str:
    least, most = _objectives(name)
    expected = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
    able = [other for other in registry.working() if _allows(other, problem.n_obj)]
    noun = "objective" if expected == "1" else "objectives"
    return (
        f"algorithm {name!r} takes {expected} {noun}, got {problem.n_obj} ({', '.join(problem.names)}); "
        f"those that take {problem.n_obj}: {', '.join(able) or 'none'}"
    )
