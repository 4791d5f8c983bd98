"""Constraints like ``latency<=20ms`` and ``top1>=76%``: reading them, and how far values are from meeting them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.search.objectives import Objective
from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.space import BoolArray, FloatArray
from hwnas.supernets.values import fault

_FORM = re.compile(
    # Each part takes all that it can at once (++): otherwise the time grows as the square of a text's length.
    r"\s*+([\w.@:-]++)\s*+(<=|>=|<|>|=++)\s*+"
    r"([+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)\s*+(/?[^\W\d]++|%)?\s*+"
)

# What may stand behind a number, by the unit of the objective: the factor that leads to that unit. "us" is spelled so.
_UNITS = {
    "ms": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "M": {"K": 1e-3, "k": 1e-3, "M": 1.0, "G": 1e3, "B": 1e3},
    "MB": {"KB": 1e-3, "kB": 1e-3, "MB": 1.0, "GB": 1e3},
}


@dataclass(frozen=True)
class Constraint:
    """A limit on a quantity.

    Attributes:
        name: of the objective.
        maximise: the objective's direction; then the limit is a lower one.
        limit: in the objective's unit.
        unit: the objective's.
    """

    name: str
    maximise: bool
    limit: float
    unit: str

    def __str__(self) -> str:
        return f"{self.name}{'>=' if self.maximise else '<='}{self.limit:.12g}{self.unit}"

    @property
    def bound(self) -> float:
        """The largest allowed minimised value."""
        return -self.limit if self.maximise else self.limit

    def violation(self, values: FloatArray) -> FloatArray:
        """Return by how much ``values`` (n,) miss the limit, relative to it; 0: met, infinite: not known."""
        violation = self.limit - values if self.maximise else values - self.limit
        return np.where(np.isnan(violation), np.inf, np.maximum(violation, 0.0)) / (abs(self.limit) or 1.0)


def name_of(text: str) -> str:
    """Return the name that a constraint is on; raises ``UsageError`` where it has not the form of one."""
    return _parts(text)[0]


def given_without_unit(text: str) -> bool:
    """Return whether a constraint's number has no unit; raises ``UsageError`` as ``name_of``."""
    return not _parts(text)[3]


def check_canonical(texts: Sequence[str]) -> None:
    """Raise ``ValueError`` where a stored text is no constraint."""
    for text in texts:
        if _FORM.fullmatch(text) is None:
            raise ValueError(f"expected a constraint, got {text!r}")


def meets(text: str, values: FloatArray) -> BoolArray:
    """Return which values, ``(n,)``, meet a constraint in its canonical spelling; what is not known does not."""
    _, sign, number, _ = _parts(text)
    return np.asarray(values >= float(number) if sign == ">=" else values <= float(number), dtype=bool)


def parse(text: str, objectives: Sequence[Objective]) -> Constraint:
    """Read one constraint.

    Args:
        text: ``NAME<=NUMBER[UNIT]`` for what is minimised, ``NAME>=NUMBER[UNIT]`` for what is maximised; without a
            unit, the number is in the objective's own.
        objectives: those that it may be on; "quality" names none of them.

    Raises:
        UnknownNameError: it is on something else.
        UsageError: it has another form, the wrong direction or an unknown unit; the message shows a right one.
    """
    name, sign, number, unit = _parts(text)
    by_name = {objective.name: objective for objective in objectives}
    if name not in by_name:
        raise UnknownNameError("constraint", name, by_name)
    objective = by_name[name]
    right = ">=" if objective.maximise else "<="
    if sign != right:
        # A limit itself is always allowed: of "<" it is only the spelling that is wrong.
        spelled = sign[0] == right[0] or sign.startswith("=")
        why = "" if spelled else f"{name} is {'maximised' if objective.maximise else 'minimised'}; "
        raise UsageError(f"constraint {text!r}: {why}expected {name}{right}{number}{unit}")
    factors = _UNITS.get(objective.unit, {objective.unit: 1.0} if objective.unit else {})
    if unit and unit not in factors:
        allowed = ", ".join(factors) or "none"
        raise UsageError(f"constraint {text!r}: unknown unit {unit!r} of {name} (known: {allowed})")
    limit = float(number) * (factors[unit] if unit else 1.0)
    if fault(limit) is not None:
        raise UsageError(f"constraint {text!r}: expected a finite number, got {number}")
    return Constraint(name, objective.maximise, limit, objective.unit)


def total_violation(constraints: Sequence[Constraint], values: Mapping[str, FloatArray], n: int) -> FloatArray:
    """Return the sum of relative violations, ``(n,)``; ``values`` holds ``(n,)`` per name."""
    total = np.zeros(n)
    for constraint in constraints:
        total += constraint.violation(values[constraint.name])
    return total


def _parts(text: str) -> tuple[str, str, str, str]:
    match = _FORM.fullmatch(text)
    if match is None:
        raise UsageError(f"constraint {text!r}: expected NAME<=NUMBER or NAME>=NUMBER, like latency<=20ms or top1>=76%")
    name, sign, number, unit = match.groups()
    return name, sign, number, unit or ""
