"""How much of a quality single choices explain, and how much only pairs of them: a table of ``docs/search.md``.

    python scripts/interactions.py

All kernel sizes of one sub-network (or all expansion ratios) are drawn at random, the rest stays as it is. Least
squares on half of the draws explains the other half: by the effects of single choices, by these and those of the pairs
within a stage, and by those of all pairs. What is left takes three choices or more.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence

import numpy as np

from hwnas import supernets
from hwnas.harness import quality
from hwnas.supernets.space import FloatArray, IntArray

# The most accurate sub-network under 50 ms on the Note10 that 16 searches of 400 evaluations found.
AROUND = "000120002010112000101000221210212112222222222"
# Contrasts of three levels, orthogonal to each other and to a constant.
CONTRASTS = np.array([[1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
OF_A_STAGE = 4

Choices = tuple[int, ...]


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--around", metavar="KEY", default=AROUND, help="key of a sub-network of ofa-mbv3-w1.2")
    parser.add_argument("--draws", type=int, default=16_000)
    given = parser.parse_args()
    net = supernets.get("ofa-mbv3-w1.2")
    source = quality.get("ofa-predictor", net)
    base = np.array([int(level) for level in given.around])
    itself = source.evaluate(base[None])[0]
    show("| drawn | standard deviation | single choices | and pairs within a stage | and all pairs | best, itself |")
    show("| --- | --- | --- | --- | --- | --- |")
    for place, what in enumerate(("kernel sizes", "expansion ratios")):
        levels = np.random.default_rng(0).integers(0, 3, (given.draws, 20))
        X = np.tile(base, (given.draws, 1))
        X[:, 20 * place : 20 * (place + 1)] = levels
        y = source.evaluate(X)
        shares = " | ".join(f"{100 * explained(levels, y, effects):.0f} %" for effects in nested())
        show(f"| {what} | {y.std():.2f} | {shares} | {y.max():.2f}, {itself:.2f} |")
    return 0


def nested() -> Sequence[Sequence[Choices]]:
    """Return three lists of effects, each with those before it."""
    single = [(one,) for one in range(20)]
    pairs = list(itertools.combinations(range(20), 2))
    near = [(a, b) for a, b in pairs if a // OF_A_STAGE == b // OF_A_STAGE]
    return single, [*single, *near], [*single, *pairs]


def explained(levels: IntArray, y: FloatArray, effects: Sequence[Choices]) -> float:
    """Return how much of the variance of ``y``, ``(n,)``, effects fitted to its first half explain in the other."""
    columns, half = _columns(levels, effects), len(y) // 2
    weights, *_ = np.linalg.lstsq(columns[:half], y[:half], rcond=None)
    left = y[half:] - columns[half:] @ weights
    return float(1.0 - left.var() / y[half:].var())


def _columns(levels: IntArray, effects: Sequence[Choices]) -> FloatArray:
    """Return a constant and, for each effect, the products of its choices' contrasts, ``(n, columns)``."""
    by_choice = [CONTRASTS[:, levels[:, one]].T for one in range(levels.shape[1])]
    made: list[FloatArray] = [np.ones((len(levels), 1))]
    for first, *more in effects:
        product = by_choice[first]
        for one in more:
            product = (product[:, :, None] * by_choice[one][:, None, :]).reshape(len(levels), -1)
        made.append(product)
    return np.hstack(made)


def show(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
