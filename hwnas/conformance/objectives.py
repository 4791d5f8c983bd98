"""What every objective has to hold, on a platform and a quality that cost nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwnas import supernets
from hwnas.conformance.check import Request, Suite, applies, expect
from hwnas.search import objectives
from hwnas.search.objectives import Objective, Sources, values_of
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import IntArray

# Of one stage, and of several: a network that an objective serves is among them.
_SUPERNETS = ("ofa-mbv3-w1.0", "hw-gpt-s")
_PLATFORM = "torch"
_ROWS = 10


@dataclass(frozen=True)
class ObjectiveSubject:
    """An objective, made for a super-network, and canonical vectors of that."""

    name: str
    objective: Objective
    X: IntArray


def _requested(request: Request) -> ObjectiveSubject:
    refusals: list[UsageError] = []
    for name in [request.supernet] if request.supernet else _SUPERNETS:
        net = supernets.get(name)
        try:
            (objective,) = objectives.make([request.name], Sources(net, _PLATFORM))
        except UsageError as refusal:  # of another kind of network
            refusals.append(refusal)
            continue
        return ObjectiveSubject(request.name, objective, net.space.canonical(net.space.sample(_ROWS, 0)))
    raise refusals[-1]


SUITE = Suite(objectives.registry, _requested)


@SUITE.check()
def is_listed(subject: ObjectiveSubject) -> None:
    """``LISTED`` has its unit, "less" or "more", and what it is in one line."""
    listed = objectives.registry.stated(subject.name, "LISTED").get(subject.name)
    expect(listed is not None and len(listed) == 3, f"LISTED has {listed!r} for it, expected unit, less or more, what")
    if listed is not None and subject.name != "quality":  # whose unit and direction are those of the source
        wanted = (subject.objective.unit, "more" if subject.objective.maximise else "less")
        expect(tuple(listed[:2]) == wanted, f"LISTED says {tuple(listed[:2])}, and the objective is {wanted}")


@SUITE.check()
def values_repeat(subject: ObjectiveSubject) -> None:
    """What costs nothing gives a number or a reason for each vector, the same again and in whatever batch."""
    applies(subject.objective.costs_nothing, "its values are measured, and do not repeat")
    before = subject.X.copy()
    first, second = (values_of(subject.objective, subject.X) for _ in range(2))
    expect(np.array_equal(first, second, equal_nan=True), "evaluated twice, sub-networks have other values")
    alone = [values_of(subject.objective, row[None])[0] for row in subject.X]
    expect(np.allclose(first, alone, rtol=1e-9, equal_nan=True), "a value depends on what is evaluated beside it")
    expect(np.array_equal(subject.X, before), "evaluate(X) changes X")
