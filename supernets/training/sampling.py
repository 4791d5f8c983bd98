"""Sample the sub-networks that a training step trains: the sandwich rule, uniform, or progressive shrinking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwnas.supernets.space import IntArray, SearchSpace
from hwnas.supernets.training.options import TrainingOptions


class Sampling:
    """Draws the sub-networks of each step.

    Args:
        space: the search space.
        options: the sampling rule, whether choices are opened progressively, and over how many steps.
        order: the keys whose choices become elastic one after the other in progressive shrinking ("ks", "d", "e");
            others are elastic from the beginning. ``None``: all keys, in the order of the space.
    """

    def __init__(self, space: SearchSpace, options: TrainingOptions, order: Sequence[str] | None = None) -> None:
        self._space = space
        self._options = options
        self._floors = _floors(space, order) if options.progressive else [np.zeros(space.n_var, dtype=np.int64)]

    @property
    def with_largest(self) -> bool:
        """Whether the largest sub-network is part of every step, as the first one."""
        return self._options.sampling == "sandwich" or self._options.distillation > 0

    def draw(self, step: int, rng: np.random.Generator) -> IntArray:
        """Return the vectors that step ``step`` trains, ``(n, n_var)``; the largest first, if it is among them."""
        options, largest = self._options, self._space.largest()
        floor = self._floors[min(step * len(self._floors) // options.steps, len(self._floors) - 1)]
        random = rng.integers(floor, largest[0], size=(options.samples, self._space.n_var), endpoint=True)
        parts = [largest] if self.with_largest else []
        parts.append(random)
        if options.sampling == "sandwich":
            parts.append(floor[None])
        X = self._space.canonical(np.concatenate(parts))
        # Early in progressive shrinking all are the same network, which is trained once.
        _, first = np.unique(X, axis=0, return_index=True)
        return X[np.sort(first)]


def _floors(space: SearchSpace, order: Sequence[str] | None) -> list[IntArray]:
    """Return the smallest vector of each phase: first the largest one, then with one more value of a key each time."""
    ordered = order if order is not None else list(dict.fromkeys(choice.key for choice in space.choices))
    floor = np.array(
        [len(choice.values) - 1 if choice.key in ordered else 0 for choice in space.choices], dtype=np.int64
    )
    floors = [floor.copy()]
    for key in ordered:
        columns = [column for column, choice in enumerate(space.choices) if choice.key == key]
        while floor[columns].any():
            floor[columns] = np.maximum(floor[columns] - 1, 0)
            floors.append(floor.copy())
    return floors
