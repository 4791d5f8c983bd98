"""Measure what brief measurements are worth in a search: true hypervolume at equal wall-clock time.

For each seed, hwnas searches with its default effort until ``--evals`` evaluations and their final front are done; then
it searches thoroughly, as it did before there were efforts, and LINAS as published searches with DyNAS-T's protocol
(a fixed warm-up, then the mean of consecutive runs), each for as long as that took. All fronts are then measured
thoroughly in one batch, and each one's hypervolume is computed by these values. Prints a Markdown table: the figures of
``docs/search.md``::

    python scripts/effort_study.py                            # 60 evaluations, three seeds, ONNX Runtime: 15 minutes
    python scripts/effort_study.py --evals 100 --seeds 5 -p openvino:threads=1
"""

# ruff: noqa: T201 - it prints what it found

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas import backends, supernets
from hwnas.backends import RunningBackend
from hwnas.harness import quality
from hwnas.harness.host.lock import DeviceLock
from hwnas.harness.measure import Measurer
from hwnas.harness.platform import parse
from hwnas.harness.store import Store
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.hypervolume import hypervolume, non_dominated
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.space import FloatArray, IntArray
from hwnas.supernets.supernet import SuperNetwork

sys.path.insert(0, str(Path(__file__).resolve().parent))
from protocol_study import dynast

NET = "ofa-mbv3-w1.0"
# DyNAS-T's measuring takes about as long for a sub-network.
_DYNAST_S = 1.5
# Where hypervolume is measured from: the slowest of all fronts, and the worst accuracy of any.
_MARGIN = 1.01


@dataclass(frozen=True)
class Found:
    """What one search has found.

    Attributes:
        who: which it is.
        evaluations: how many it made.
        seconds: that it took, everything included.
        front: the vectors of its front, (k, n_var).
    """

    who: str
    evaluations: int
    seconds: float
    front: IntArray


class _TimeIsUpError(Exception):
    """The others' time is over."""


def quick(net: SuperNetwork, platform: str, seed: int, evals: int) -> Found:
    """Search with the default effort; its final front is part of the time."""
    start = time.perf_counter()
    study = search(net, platform, evals=evals, seed=seed)
    front = np.array([one.vector for one in study.front])
    return Found("hwnas", len(study.archive), time.perf_counter() - start, front)


def thorough(net: SuperNetwork, platform: str, seed: int, seconds: float) -> Found:
    """Search thoroughly for so long."""
    start = time.perf_counter()

    def stop(_: Any) -> None:
        if time.perf_counter() - start > seconds:
            raise _TimeIsUpError

    with Store.open(":memory:") as store:
        try:
            search(net, platform, evals=1000, seed=seed, effort="thorough", store=store, study="s", progress=stop)
        except _TimeIsUpError:
            study = load(store, "s", net)
    front = np.array([one.vector for one in study.front])
    return Found("hwnas, --effort thorough", len(study.archive), time.perf_counter() - start, front)


def published(net: SuperNetwork, platform: str, seed: int, seconds: float) -> Found:
    """Search by LINAS as published with DyNAS-T's protocol for so long, in this process, as DyNAS-T does."""
    where, source = parse(platform), quality.get(None, net)
    backend = backends.get(where.backend)
    assert isinstance(backend, RunningBackend)  # noqa: S101 - it is one of those that run
    start = time.perf_counter()
    rng = np.random.default_rng(seed)
    problem = Problem(net.space, ("latency", "top1"))
    # Its populations are of 50: so few seconds are for one and a half of them.
    algorithm = algorithms.create("linas", problem, 1000, rng, {"preset": "paper"})
    vectors, values = np.zeros((0, net.space.n_var), dtype=np.int64), np.zeros((0, 2))
    with DeviceLock(where.settings.device, lambda _: None):
        while time.perf_counter() - start < seconds:
            X = algorithm.ask()
            F = np.full((len(X), 2), np.nan)
            for row, config in enumerate(net.space.decode(X)):
                if time.perf_counter() - start >= seconds:
                    break
                (stage,) = net.stages(config, where.settings.batch)
                session = backend.prepare(stage, where.settings)
                F[row] = 1e3 * dynast(session, _DYNAST_S), -float(source.evaluate(X[row : row + 1])[0])
                session.close()
            algorithm.tell(X, F)
            vectors, values = np.concatenate([vectors, X]), np.concatenate([values, F])
    done = np.isfinite(values).all(axis=1)
    vectors, values = vectors[done], values[done]
    took = time.perf_counter() - start
    return Found("LINAS as published, DyNAS-T's protocol", len(vectors), took, vectors[non_dominated(values)])


def true_volumes(net: SuperNetwork, platform: str, found: Sequence[Found]) -> list[float]:
    """Return each front's hypervolume by values that are measured side by side, thoroughly; 1: that of all together."""
    X = np.unique(net.space.canonical(np.concatenate([one.front for one in found])), axis=0)
    keys = net.space.keys(X)
    with Measurer(net, platform) as measurer:
        latency = np.array([one.latency_ms for one in measurer.measure(X)])
    F = np.column_stack([latency, -quality.get(None, net).evaluate(X)])
    reference = np.array([_MARGIN * latency.max(), -_worst(net)])
    whole = hypervolume(F[non_dominated(F)], reference)
    rows = [[keys.index(key) for key in net.space.keys(net.space.canonical(one.front))] for one in found]
    return [hypervolume(F[row][non_dominated(F[row])], reference) / whole for row in rows]


def _worst(net: SuperNetwork) -> float:
    """Return the accuracy of the smallest sub-network."""
    return float(quality.get(None, net).evaluate(net.space.smallest())[0])


def _line(name: str, rows: Sequence[tuple[Found, float]]) -> str:
    volumes: FloatArray = np.array([volume for _, volume in rows])
    error = f" ± {volumes.std(ddof=1) / len(rows) ** 0.5:.3f}" if len(rows) > 1 else ""
    evaluations = np.mean([found.evaluations for found, _ in rows])
    seconds = np.mean([found.seconds for found, _ in rows])
    return f"| {name} | {evaluations:.0f} | {seconds:.0f} | {volumes.mean():.3f}{error} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-p", "--platform", default="onnxruntime:threads=1")
    parser.add_argument("--evals", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args(arguments)
    net, platform = supernets.get(NET), options.platform
    by_name: dict[str, list[tuple[Found, float]]] = {}
    for seed in range(1, options.seeds + 1):
        first = quick(net, platform, seed, options.evals)
        others = [one(net, platform, seed, first.seconds) for one in (thorough, published)]
        found = [first, *others]
        for one, volume in zip(found, true_volumes(net, platform, found), strict=True):
            by_name.setdefault(one.who, []).append((one, volume))
            print(f"seed {seed}: {one.who}: {one.evaluations} in {one.seconds:.0f} s, {volume:.3f}", file=sys.stderr)
    print("| search | evaluations | seconds | true hypervolume of its front |\n| --- | --- | --- | --- |")
    for name, rows in by_name.items():
        print(_line(name, rows))


if __name__ == "__main__":
    main()
