"""What a machine's drift does to measured values, learned from sub-networks that are measured again beside each batch.

A search measures few sub-networks side by side, and between two batches the machine may have become some percent
slower. Ranks across batches, of which a front is made, would then be those of the batches. So each batch holds
sub-networks that were measured before: the anchors, and some of the front. With v the value of sub-network r in
batch b,

    log v(r, b) = a(r) + d(b) + noise,

a two-way additive model: d is the drift, drawn towards 0 by how large drifts are expected to be against the noise (a
random effect; Searle, Casella and McCulloch, 1992, chapter 3), and a(r) is the value as the search should see it.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping

from hwnas.harness.measurement.intervals import standard_error

# Standard deviations that are expected before there is data: of the drift between batches, and of one value.
_DRIFT = 0.02
_NOISE = 0.005
# As how many observations the expected noise counts.
_TRUST = 4.0
# What no repetition in one worker shows: where in memory a sub-network's only session lies, and what it meets in the
# caches. ``docs/measurement.md`` has what one session's own part of a value is on this machine: 0.2 to 0.45 %.
SESSION = 0.004
# A machine that was this much slower or faster in the last batch is watched by more than the anchors.
_MOVED = 0.02
# The fit alternates between both kinds of effects.
_SWEEPS = 30

Beside = Mapping[str, float]  # a sub-network's key: its value in the same batch


class Drift:
    """The values of one measured objective, freed from the machine's drift.

    Args:
        brief: sub-networks are measured briefly, each in one session. Some of the front are measured again only where
            the machine has moved.
    """

    def __init__(self, *, brief: bool = False) -> None:
        self._brief = brief
        self._errors: list[float] = []  # of single values, relative, by their intervals
        self._seen: dict[tuple[str, int], float] = {}  # sub-network and batch: logarithm of the value
        self._batches: dict[tuple[tuple[str, float], ...], int] = {}
        self._level: dict[str, float] = {}
        self._noise: float | None = None
        self._moved = False

    def learn(self, key: str, value: float, beside: Beside, interval: tuple[float, float] | None = None) -> None:
        """Add one measured value and what was measured beside it; what is no positive number says nothing.

        Args:
            key: of the sub-network.
            value: of it.
            beside: what was measured in the same batch.
            interval: of the value, at 95 % confidence; ``None``: it is not known. One without an end says nothing of
                the noise.
        """
        if interval is not None and 0 < value < math.inf and all(map(math.isfinite, interval)):
            self._errors.append(standard_error(*interval) / value)
        batch = self._batches.setdefault(tuple(sorted(beside.items())), len(self._batches))
        for name, one in {**beside, key: value}.items():
            if math.isfinite(one) and one > 0:
                self._seen[name, batch] = math.log(one)
        self._level = {}

    @property
    def noise(self) -> float | None:
        """The standard deviation of one value relative to its size; ``None`` where nothing says it yet."""
        self._fit()
        if self._noise is None or not self._brief:
            return self._noise
        return math.hypot(self._noise, SESSION)

    @property
    def repeats(self) -> bool:
        """Whether the next batch is to have some that were measured before, beside the anchors."""
        self._fit()
        return not self._brief or self._moved

    def times(self, key: str) -> int:
        """Return in how many batches a sub-network was measured."""
        return sum(name == key for name, _ in self._seen)

    def value(self, key: str, otherwise: float) -> float:
        """Return a sub-network's value as all its measurements tell it; ``otherwise`` where it has none."""
        self._fit()
        return math.exp(self._level[key]) if key in self._level else otherwise

    def _fit(self) -> None:
        if self._level or not self._seen:
            return
        rows: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for (name, batch), value in self._seen.items():
            rows[name].append((batch, value))
        repeated = {name: pairs for name, pairs in rows.items() if len(pairs) > 1}
        shifts = self._shifts(repeated)
        last = shifts[-2:]
        self._moved = len(last) == 2 and abs(last[1] - last[0]) > max(_MOVED, 3 * (self._noise or 0.0))
        self._level = {
            name: sum(value - shifts[batch] for batch, value in pairs) / len(pairs) for name, pairs in rows.items()
        }

    def _shifts(self, repeated: Mapping[str, list[tuple[int, float]]]) -> list[float]:
        """Return each batch's drift; the noise is learned on the way."""
        shifts = [0.0] * len(self._batches)
        expected = statistics.median(self._errors) if self._errors else None
        if not repeated:
            self._noise = expected
            return shifts
        residuals: list[list[float]] = []
        squares = 0.0
        for _ in range(_SWEEPS):
            residuals, squares = [[] for _ in shifts], 0.0
            for pairs in repeated.values():
                level = sum(value - shifts[batch] for batch, value in pairs) / len(pairs)
                for batch, value in pairs:
                    residuals[batch].append(value - level)
                    squares += (value - level - shifts[batch]) ** 2
            shifts = [sum(batch) / len(batch) if batch else 0.0 for batch in residuals]
            # Only differences count: the first batch is where the others have drifted from.
            shifts = [shift - shifts[0] for shift in shifts]
        freedom = sum(len(pairs) - 1 for pairs in repeated.values()) - (len(shifts) - 1)
        prior = _NOISE if expected is None else expected
        noise = math.sqrt((squares + _TRUST * prior**2) / (max(0, freedom) + _TRUST))
        drift = max(_DRIFT**2, sum(shift**2 for shift in shifts) / len(shifts))
        self._noise = noise
        return [
            shift * drift / (drift + noise**2 / max(1, len(batch)))
            for shift, batch in zip(shifts, residuals, strict=True)
        ]
