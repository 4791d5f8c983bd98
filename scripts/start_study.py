"""How many evaluations a search on a new device needs when others are known: a table of ``docs/transfer.md``.

    python scripts/start_study.py                        # every published table of ofa-mbv3-w1.2: an hour
    python scripts/start_study.py --on note10

The latency of the device is not known and has to be evaluated, as if it were measured, and so has the accuracy
(``ofa-predictor``). On each of the other devices default LINAS has evaluated 100 sub-networks, with another seed. A
search starts from nothing, from the latencies of the other devices, or from what was found there; a misleading source
charges each option a cost that is drawn at random. Figures are the hypervolume over that of the best front of a long
evolution on the true values: the mean over the seeds with its standard error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from adapt_study import Latency, tabulated

from hwnas import supernets
from hwnas.harness import quality
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import Variation, evolve
from hwnas.search.hypervolume import hypervolume
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.search.predictors.adapt import learned, together
from hwnas.search.sampling import spread
from hwnas.supernets.space import FloatArray, IntArray

MARKS = (12, 20, 40, 60, 80)
# Evaluations of a search on each known device, and what is added to its seed.
BEFORE, OTHER_SEEDS = 100, 1000

Evaluate = Callable[[IntArray], FloatArray]
Found = tuple[IntArray, FloatArray]


def main() -> int:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="how many")
    parser.add_argument("--on", nargs="+", help="devices to search on; default: every published table")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help=f"of {', '.join(STARTS)}; default: all")
    given = parser.parse_args()
    net = supernets.get("ofa-mbv3-w1.2")
    tables = tabulated(net)
    show("| searched on | it starts from | " + " | ".join(f"at {mark}" for mark in MARKS) + " |")
    show("| --- | --- |" + " --- |" * len(MARKS))
    for name in given.on or tables:
        study(name, tables, net, given.seeds, given.rows or list(STARTS))
    return 0


def study(
    name: str, tables: Mapping[str, Latency], net: supernets.SuperNetwork, seeds: int, rows: Sequence[str]
) -> None:
    """Print the lines of one device."""
    accuracy = quality.get("ofa-predictor", net)

    def on(device: str) -> Evaluate:
        return lambda X: np.stack([1e3 * tables[device](X), -accuracy.evaluate(X)], axis=1)

    evaluate = on(name)
    corner = evaluate(np.concatenate([net.space.smallest(), net.space.largest()])).max(axis=0)
    best = _best(net, evaluate, corner)
    scores: dict[str, list[FloatArray]] = {row: [] for row in rows}
    for seed in range(seeds):
        others = [device for device in tables if device != name]
        before = {device: searched(net, on(device), BEFORE, OTHER_SEEDS + seed, {}) for device in others}
        for row in rows:
            _, F = searched(net, evaluate, max(MARKS), seed, STARTS[row](net, before, tables))
            scores[row].append(np.array([hypervolume(F[:mark], corner) for mark in MARKS]) / best)
    for row, found in scores.items():
        mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(seeds)
        cells = " | ".join(f"{m:.3f} ± {e:.3f}" for m, e in zip(mean, error, strict=True))
        show(f"| {name} | {row} | {cells} |")


def searched(net: supernets.SuperNetwork, evaluate: Evaluate, evals: int, seed: int, start: Mapping[str, Any]) -> Found:
    """Return what a search has evaluated, in its order."""
    known = net.macs, net.params
    problem = Problem(net.space, ("latency", "top1"), known=known, noise=(0.0, 0.0), **start)
    algorithm = algorithms.create("linas", problem, evals, np.random.default_rng(seed), {})
    told: list[Found] = []
    while len(X := algorithm.ask()):
        told.append((X, evaluate(X)))
        algorithm.tell(*told[-1])
    return np.concatenate([X for X, _ in told]), np.concatenate([F for _, F in told])


# --- what a search starts from ---------------------------------------------------------------------------------------


def nothing(*_: Any) -> dict[str, Any]:
    """Return what a search starts from that knows no other device."""
    return {}


def their_latencies(
    _: supernets.SuperNetwork, before: Mapping[str, Found], tables: Mapping[str, Latency]
) -> dict[str, Any]:
    """Return the latencies of all sub-networks on the other devices."""
    return {"priors": (together([tables[device] for device in before]), None)}


def one_search(
    net: supernets.SuperNetwork, before: Mapping[str, Found], tables: Mapping[str, Latency]
) -> dict[str, Any]:
    """Return what the search on the first of the other devices has found."""
    return searches(net, dict(list(before.items())[:1]), tables)


def searches(net: supernets.SuperNetwork, before: Mapping[str, Found], *__: Any) -> dict[str, Any]:
    """Return what the searches on the other devices have found."""
    priors = [learned(net.space, X, F[:, 0]) for X, F in before.values()]
    return {"priors": (together(priors), None), **accuracies(net, before)}


def accuracies(_: supernets.SuperNetwork, before: Mapping[str, Found], *__: Any) -> dict[str, Any]:
    """Return the accuracies alone that they have found."""
    X, F = (np.concatenate(each) for each in zip(*before.values(), strict=True))
    rows = np.sort(np.unique(X, axis=0, return_index=True)[1])
    return {"evaluated": (None, (X[rows], F[rows, 1]))}


def misleading(net: supernets.SuperNetwork, before: Mapping[str, Found], *__: Any) -> dict[str, Any]:
    """Return the accuracies that they have found, and latencies of no device."""
    space = net.space
    cost = np.random.default_rng(1).lognormal(0.0, 1.0, (space.n_var, int(space.n_options.max())))
    said = lambda X: np.asarray((cost[range(space.n_var), X] * space.active(X)).sum(axis=1))  # noqa: E731
    return {"priors": (said, None), **accuracies(net, before)}


STARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "nothing": nothing,
    "latencies of two": their_latencies,
    "a search on one": one_search,
    "searches on two": searches,
    "accuracies of two": accuracies,
    "accuracies of two, misleading latencies": misleading,
}


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
