"""How many evaluations a search on a new device needs when others are known: a table of ``docs/transfer.md``.

    python scripts/start_study.py                        # every published table of ofa-mbv3-w1.2: an hour
    python scripts/start_study.py --on note10

The latency of the device is not known and has to be evaluated, as if it were measured, and so has the accuracy
(``ofa-predictor``). Sources are the other published tables and simulated devices; a misleading one charges each option
a cost that is drawn at random. Figures are the hypervolume over that of the best front of a long evolution on the true
values: the mean over the seeds with its standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
from adapt_study import Latency, simulated, tabulated

from hwnas import supernets
from hwnas.harness import quality
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import Variation, evolve
from hwnas.search.hypervolume import hypervolume
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.sampling import spread
from hwnas.supernets.space import FloatArray, IntArray

MARKS = (20, 40, 80)

Evaluate = Callable[[IntArray], FloatArray]


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--on", nargs="+", help="devices to search on; default: every published table")
    given = parser.parse_args()
    net = supernets.get("ofa-mbv3-w1.2")
    tables = tabulated(net)
    devices = tables | {name: latency for name, (latency, _) in simulated(net).items()}
    show("| searched on | known | " + " | ".join(f"at {mark}" for mark in MARKS) + " |")
    show("| --- | --- |" + " --- |" * len(MARKS))
    for name in given.on or tables:
        study(name, devices, net, given.seeds)
    return 0


def study(name: str, devices: dict[str, Latency], net: supernets.SuperNetwork, seeds: int) -> None:
    """Print the lines of one device."""
    space, accuracy = net.space, quality.get("ofa-predictor", net)
    others = [latency for other, latency in devices.items() if other != name]
    cost = np.random.default_rng(1).lognormal(0.0, 1.0, (space.n_var, int(space.n_options.max())))

    def evaluate(X: IntArray) -> FloatArray:
        return np.stack([1e3 * devices[name](X), -accuracy.evaluate(X)], axis=1)

    def known(X: IntArray) -> FloatArray:
        return np.column_stack([latency(X) for latency in others])

    def misleading(X: IntArray) -> FloatArray:
        return np.asarray((cost[range(space.n_var), X] * space.active(X)).sum(axis=1))

    starts = {
        "nothing": None,
        "all others": known,
        "a misleading one": misleading,
    }
    corner = evaluate(np.concatenate([space.smallest(), space.largest()])).max(axis=0)
    best = _best(net, evaluate, corner)
    for label, prior in starts.items():
        priors = () if prior is None else (prior, None)
        problem = Problem(space, ("latency", "top1"), known=(net.macs, net.params), noise=(0.0, 0.0), priors=priors)
        scores = np.array([_searched(problem, evaluate, corner, seed) for seed in range(seeds)]) / best
        mean, error = scores.mean(axis=0), scores.std(axis=0, ddof=1) / np.sqrt(seeds)
        cells = " | ".join(f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True))
        show(f"| {name} | {label} | {cells} |")


def _searched(problem: Problem, evaluate: Evaluate, corner: FloatArray, seed: int) -> list[float]:
    """Return the hypervolume at each mark."""
    algorithm = algorithms.create("linas", problem, max(MARKS), np.random.default_rng(seed), {})
    told: list[FloatArray] = []
    while len(X := algorithm.ask()):
        told.append(evaluate(X))
        algorithm.tell(X, told[-1])
    F = np.concatenate(told)
    return [hypervolume(F[:mark], corner) for mark in MARKS]


def _best(net: supernets.SuperNetwork, evaluate: Evaluate, corner: Sequence[float] | FloatArray) -> float:
    """Return the hypervolume of the best front that is found on the true values."""
    rng = np.random.default_rng(0)
    variation = Variation(CROSSOVERS["uniform"], 0.15, MUTATIONS["reset"], 0.0)
    _, F = evolve(net.space, evaluate, spread(net.space, 200, rng), 60_000, rng, variation)
    return hypervolume(F, corner)


def show(line: str) -> None:
    """Print a line at once: a study takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
