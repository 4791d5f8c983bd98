"""What every plug-in of a kind has to hold, as plain functions that ``hwnas check-plugin`` and the tests run.

One file per kind has a ``SUITE``: its checks from the cheapest to the dearest, and how what they are run on is made. A
check takes that subject, raises ``NotMetError`` where something does not hold and ``NotApplicableError`` where it has
nothing to look at, and says in the first line of its docstring what it expects.

Example:
    >>> from hwnas.conformance import suites
    >>> [suite.kind for suite in suites() if "linas" in suite.registry.names()]
    ['algorithm']
"""

from __future__ import annotations

import importlib
import pkgutil

from hwnas.conformance.check import Check, NotApplicableError, NotMetError, Outcome, Request, Suite

__all__ = ["Check", "NotApplicableError", "NotMetError", "Outcome", "Request", "Suite", "suites"]


def suites() -> list[Suite]:
    """Return the suite of every kind that has one."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return [module.SUITE for module in modules if hasattr(module, "SUITE")]
