"""What a study evaluates."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.search.objectives import Objective
from hwnas.search.study.constraints import Constraint
from hwnas.supernets.space import SearchSpace


@dataclass(frozen=True)
class EvaluationTask:
    """What is evaluated.

    Attributes:
        space: the search space.
        objectives: of the search.
        limited: what is only constrained; it costs nothing to evaluate, or is read from what an objective measures.
        constraints: on any of both.
    """

    space: SearchSpace
    objectives: tuple[Objective, ...]
    limited: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]

    @property
    def quantities(self) -> tuple[Objective, ...]:
        """All that is evaluated of a sub-network: objectives first, then what is only constrained."""
        return (*self.objectives, *self.limited)
