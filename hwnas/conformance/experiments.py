"""What every kind of experiment has to hold."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from hwnas.conformance.check import Request, Suite, expect
from hwnas.experiments import kinds
from hwnas.experiments.kinds import ExperimentKind


def _requested(request: Request) -> Any:
    return kinds.registry.provider(request.name)


SUITE = Suite(kinds.registry, _requested)


@SUITE.check()
def settings_are_frozen(kind: Any) -> None:
    """Its ``Settings`` are a frozen dataclass, and its ``SUMMARY`` is one line."""
    expect("\n" not in kind.SUMMARY, f"SUMMARY is {kind.SUMMARY!r}, expected one line")
    parameters = getattr(kind.Settings, "__dataclass_params__", None)
    expect(parameters is not None and parameters.frozen, "Settings is no frozen dataclass")


@SUITE.check()
def functions_take_what_they_are_given(kind: Any) -> None:
    """Its functions have the arguments of ``ExperimentKind``, in their order."""
    declared = {name: one for name, one in vars(ExperimentKind).items() if inspect.isfunction(one) and name[0] != "_"}
    for name, pattern in declared.items():
        expected = [one for one in inspect.signature(pattern).parameters if one != "self"]
        given = [one.strip("_") for one in inspect.signature(getattr(kind, name)).parameters]
        expect(given == expected, f"{name} takes {', '.join(given)}, expected {', '.join(expected)}")


@SUITE.check()
def every_key_is_described(kind: Any) -> None:
    """The docstring of ``Settings`` describes each key of an experiment file."""
    described = inspect.getdoc(kind.Settings) or ""
    missing = [one.name for one in dataclasses.fields(kind.Settings) if f"{one.name}: " not in described]
    expect(not missing, f"the docstring of Settings does not describe {', '.join(missing)}")
