"""Fit a correction of a lookup table's sums to a few sub-networks that were measured end to end.

A block that runs alone includes the overhead of the call and of converting its input and output, which a network has
only once. On the other hand its weights and wide activations are in the cache, where a network has to fetch them. Each
of these effects is a sum over blocks, too:

    latency = network + sum over blocks of
              (table x mean + block + element x elements + inner x inner elements + parameter x parameters)

with ``network`` and ``block`` in seconds. The plain sum has ``table`` 1 and all others 0. A ridge penalty draws the
coefficients towards it; its strength is the one with the smallest leave-one-out error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hwnas.supernets.blocks import Block, BlockSum
from hwnas.supernets.errors import TableError
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork

# Functions from a block and its mean in seconds to the quantity that a coefficient multiplies.
QUANTITIES: dict[str, Callable[[Block, float], float]] = {
    "table": lambda _, mean_s: mean_s,
    "block": lambda _block, _mean_s: 1.0,
    "element": lambda block, _: math.prod(block.input) + math.prod(block.output),
    "inner": lambda block, _: math.prod(block.input[:-1]) * dict(block.options).get("mid", 0),
    "parameter": lambda block, _: block.params,
}
CONSTANT = "network"
PLAIN = {CONSTANT: 0.0, **dict.fromkeys(QUANTITIES, 0.0), "table": 1.0}

# With fewer measurements than this, a fit is worse than the plain sum.
LEAST = 8

# Candidates of the penalty, in units of one measurement. Weaker ones fit the noise of twenty measurements, which their
# leave-one-out error does not always show: on OpenVINO they cost 0.01 of Kendall's tau.
_PENALTIES = np.logspace(0, 4, 9)


@dataclass(frozen=True)
class Correction:
    """A correction of a table's sums.

    Attributes:
        terms: the coefficients by name, see the module's docstring; others are those of the plain sum.
        facts: how they were fitted, for people; plain data.
    """

    terms: Mapping[str, float]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.terms) - set(PLAIN))
        if unknown:
            raise TableError(f"correction: unknown term {unknown[0]!r} (known: {', '.join(PLAIN)})")
        object.__setattr__(self, "terms", {**PLAIN, **self.terms})

    @property
    def constant(self) -> float:
        """The time that every network takes in addition to its blocks, in seconds."""
        return self.terms[CONSTANT]

    def mean_s(self, block: Block, mean_s: float) -> float:
        """Return the time that a block takes within a network, in seconds."""
        return sum(self.terms[name] * of(block, mean_s) for name, of in QUANTITIES.items())


def fit(net: SuperNetwork, mean_s: Callable[[Block], float], X: npt.ArrayLike, latency_s: FloatArray) -> Correction:
    """Fit the correction of a table to sub-networks that were measured end to end; relative errors count.

    Args:
        net: the super-network.
        mean_s: the table: a block's mean in seconds.
        X: the measured sub-networks, ``(n, n_var)``.
        latency_s: their latencies in seconds, ``(n,)``, finite.

    Raises:
        TableError: there are fewer than ``LEAST`` measurements.
    """
    measured = np.asarray(latency_s, dtype=np.float64)
    if len(measured) < LEAST:
        raise TableError(f"a correction needs at least {LEAST} measured sub-networks, got {len(measured)}")
    F = quantities(net, mean_s, X)
    plain = F[:, list(QUANTITIES).index("table")]
    center, scale = F.mean(axis=0), F.std(axis=0)
    scale = np.where(scale > 1e-12 * np.abs(F).max(axis=0), scale, np.inf)  # what does not vary has no say
    A = np.column_stack([np.ones(len(F)), (F - center) / scale]) / measured[:, None]
    weights = _ridge(A, (measured - plain) / measured, plain.mean())
    slopes = weights[1:] / scale
    terms = dict(zip(QUANTITIES, slopes.tolist(), strict=True))
    terms["table"] += 1.0
    return Correction({CONSTANT: float(weights[0] - slopes @ center), **terms})


def quantities(net: SuperNetwork, mean_s: Callable[[Block], float], X: npt.ArrayLike) -> FloatArray:
    """Return the quantities that the coefficients multiply, ``(n, 5)``, in the order of ``QUANTITIES``."""

    def summed(of: Callable[[Block, float], float]) -> FloatArray:
        return BlockSum(net.space, net.slots, lambda block: of(block, mean_s(block)))(X)

    return np.column_stack([summed(of) for of in QUANTITIES.values()])


def informative(net: SuperNetwork, n: int, rng: np.random.Generator, candidates: int = 2000) -> IntArray:
    """Choose the sub-networks that are most informative about the coefficients, canonical, ``(n, n_var)``.

    They differ in depth and size far more than random ones: each is the candidate whose prediction is most uncertain
    given those chosen before (a greedy D-optimal design; Fedorov, 1972).
    """
    X = np.concatenate([net.space.smallest(), net.space.largest(), _spread(net, candidates, rng)])
    X = np.unique(net.space.canonical(X), axis=0)
    F = quantities(net, lambda block: float(block.macs), X)
    F = np.column_stack([np.ones(len(F)), (F - F.mean(axis=0)) / np.maximum(F.std(axis=0), 1e-12)])
    information = 1e-2 * np.eye(F.shape[1])
    chosen: list[int] = []
    for _ in range(min(n, len(X))):
        uncertain = np.einsum("ij,jk,ik->i", F, np.linalg.inv(information), F)
        uncertain[chosen] = -1.0
        best = int(uncertain.argmax())
        chosen.append(best)
        information += np.outer(F[best], F[best])
    return X[chosen]


def _spread(net: SuperNetwork, n: int, rng: np.random.Generator) -> IntArray:
    """Draw sub-networks of all sizes; uniformly random ones would all be of medium size."""
    levels = rng.random((n, 1))
    drawn: IntArray = rng.binomial(net.space.n_options - 1, levels, size=(n, net.space.n_var))
    # Values that have no order know no sizes.
    return np.where(net.space.ordered, drawn, net.space.sample(n, rng)) if not net.space.ordered.all() else drawn


def _ridge(A: FloatArray, y: FloatArray, unit: float) -> FloatArray:
    """Return the weights with the least leave-one-out error; the first, the constant, is not penalised.

    Args:
        A: ``(n, p)``, rows in units of 1 / seconds.
        y: ``(n,)``.
        unit: seconds, to give the penalties a scale.
    """
    penalised = np.eye(A.shape[1]) * (np.arange(A.shape[1]) > 0) / unit**2
    best, weights = math.inf, np.zeros(A.shape[1])
    for penalty in _PENALTIES:
        solved = np.linalg.solve(A.T @ A + penalty * penalised, A.T)
        leverage = np.minimum(np.einsum("ij,ji->i", A, solved), 1 - 1e-9)
        residual = y - A @ (solved @ y)
        error = float(np.mean((residual / (1 - leverage)) ** 2))
        if error < best:
            best, weights = error, solved @ y
    return weights
