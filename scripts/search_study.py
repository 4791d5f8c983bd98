"""Compare the search algorithms, and take the default one apart: the tables of ``docs/search.md``.

    python scripts/search_study.py compare > compare.md       # every algorithm on every problem
    python scripts/search_study.py ablate > ablate.md         # the default LINAS without each of its parts
    python scripts/search_study.py far > far.md               # NSGA-II and random search up to 2,000 evaluations

``--on``, ``--rows`` and ``--marks`` ask for less: the default LINAS and the one with another initial design on two of
the problems, after 100 evaluations and after 200, over seeds 200 to 219, is

    python scripts/search_study.py ablate --on note10 resnet50 --rows default "initial design from small to large" \
        --marks 100 200 --seeds 20 --first 200

``--keep searches.jsonl`` writes every search down when it has ended: those that stand in the file are not run again, so
a study that was interrupted goes on.

Figures are means over the seeds and their standard errors. An algorithm whose search depends on how many evaluations
there are searches anew for every mark. Everything but the times is the same on every run of the same versions on the
same kind of processor.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwnas import supernets
from hwnas.harness import quality
from hwnas.latency_luts import published
from hwnas.search import algorithms
from hwnas.search.algorithm import Problem
from hwnas.search.algorithms._inner import Variation, evolve
from hwnas.search.hypervolume import hypervolume
from hwnas.search.operators import CROSSOVERS, MUTATIONS
from hwnas.supernets.blocks import Block, BlockSum
from hwnas.supernets.space import Choice, FloatArray, IntArray, SearchSpace

MARKS = (60, 80, 120, 180)
FAR_MARKS = (180, 400, 1000, 2000)

# An algorithm's name, and its settings.
Contestant = tuple[str, Mapping[str, Any]]

# The hypervolume of the best front that is known, from a local search that began with the union of 36 searches: 1 in
# the figures. (447.914 until then, from 600,000 evaluations.)
_BEST_NOTE10 = 478.047
_NOTE10_CORNER = (92.39804, -77.73865)


@dataclass(frozen=True)
class Bench:
    """A problem with everything needed to score a search on it.

    Attributes:
        name: in tables.
        problem: as the algorithm sees it.
        evaluate: minimised objectives of vectors, ``(n, n_obj)``.
        corner: where hypervolume is measured from.
        best: the hypervolume of the best front that is known.
    """

    name: str
    problem: Problem
    evaluate: Callable[[IntArray], FloatArray]
    corner: FloatArray
    best: float


def note10() -> Bench:
    """OFA MobileNetV3 w1.2 at 224 px: the Note10 table and the published accuracy predictor."""
    net = supernets.get("ofa-mbv3-w1.2")
    latency = published.get("note10").open().bind(net).latency
    predictor = quality.get("ofa-predictor", net)

    def milliseconds(X: IntArray) -> FloatArray:
        return 1e3 * latency(X)

    def evaluate(X: IntArray) -> FloatArray:
        return np.stack([milliseconds(X), -predictor.evaluate(X)], axis=1)

    problem = Problem(
        net.space, ("latency", "top1"), exact=(milliseconds, None), known=(net.macs, net.params), noise=(0.0, 0.0)
    )
    return Bench("w1.2, Note10", problem, evaluate, np.array(_NOTE10_CORNER), _BEST_NOTE10)


def measured_like() -> Bench:
    """OFA MobileNetV3 w1.0: the surrogate, and latencies that are noisy and have to be measured.

    The latency is a roofline model of each block (operations or memory traffic, whichever takes longer, and a fixed
    cost) with 1 % of noise that belongs to the sub-network.
    """
    net = supernets.get("ofa-mbv3-w1.0")
    roofline = BlockSum(net.space, net.slots, _roofline_ms, np.float64)
    surrogate = quality.get("surrogate", net)

    def exact(X: IntArray) -> FloatArray:
        return np.stack([roofline(X), -surrogate.evaluate(X)], axis=1)

    def evaluate(X: IntArray) -> FloatArray:
        noise = [np.random.default_rng(zlib.crc32(key.encode())).normal(1.0, 0.01) for key in net.space.keys(X)]
        return exact(X) * np.stack([noise, np.ones(len(X))], axis=1)

    ends = exact(np.concatenate([net.space.smallest(), net.space.largest()]))
    problem = Problem(net.space, ("latency", "top1"), known=(net.macs, net.params), noise=(0.01, 0.0))
    return _scored("w1.0, noisy latency", problem, evaluate, exact, ends.max(axis=0))


def _roofline_ms(block: Block) -> float:
    traffic = 4.0 * (np.prod(block.input) + np.prod(block.output) + block.params)
    return float(max(block.macs / 2.0e7, traffic / 8.0e6) + 0.01)


def resnet50() -> Bench:
    """OFA ResNet50 at 224 px: the published accuracy predictor and MACs, in millions."""
    net = supernets.get("ofa-resnet50")
    predictor = quality.get("ofa-predictor", net)

    def macs(X: IntArray) -> FloatArray:
        return np.asarray(net.macs(X) / 1e6)

    def evaluate(X: IntArray) -> FloatArray:
        return np.stack([macs(X), -predictor.evaluate(X)], axis=1)

    ends = evaluate(np.concatenate([net.space.smallest(), net.space.largest()]))
    problem = Problem(net.space, ("macs", "top1"), exact=(macs, None), known=(net.params,), noise=(0.0, 0.0))
    return _scored("ResNet50, MACs", problem, evaluate, evaluate, ends.max(axis=0))


def _scored(
    name: str,
    problem: Problem,
    evaluate: Callable[[IntArray], FloatArray],
    exact: Callable[[IntArray], FloatArray],
    corner: FloatArray,
) -> Bench:
    """Find the best-known front by a long evolution on the values without noise."""
    rng = np.random.default_rng(0)
    start = problem.space.canonical(
        rng.binomial(problem.space.n_options - 1, np.linspace(0, 1, 200)[:, None], size=(200, problem.space.n_var))
    )
    variation = Variation(CROSSOVERS["uniform"], 0.15, MUTATIONS["reset"], 0.0)
    _, F = evolve(problem.space, exact, start, 100_000, rng, variation)
    return Bench(name, problem, evaluate, corner, hypervolume(F, corner))


def integer_zdt() -> Bench:
    """ZDT1 (Zitzler, Deb and Thiele, 2000) over 30 choices of five values, weighted and with interactions.

    The front is known: every choice but the first at its optimum, which is a different value for each.
    """
    rng = np.random.default_rng(1)
    n = 30
    space = SearchSpace(tuple(Choice("x", tuple(range(17 if column == 0 else 5))) for column in range(n)))
    optimum, weight = rng.integers(0, 5, size=n - 1), rng.uniform(0.5, 1.5, size=n - 1)

    def evaluate(X: IntArray) -> FloatArray:
        first = X[:, 0] / 16.0
        off = np.abs(X[:, 1:] - optimum) / 4.0
        g = 1.0 + 4.0 * (off @ weight / weight.sum()) + 2.0 * (off * np.roll(off, 1, axis=1)).mean(axis=1)
        return np.stack([first, g * (1.0 - np.sqrt(first / g))], axis=1)

    corner = np.array([1.1, 3.5])
    first = np.arange(17) / 16.0
    best = hypervolume(np.stack([first, 1.0 - np.sqrt(first)], axis=1), corner)
    return Bench("integer ZDT1", Problem(space, ("first", "second"), noise=(0.0, 0.0)), evaluate, corner, best)


BENCHES = {"note10": note10, "zdt": integer_zdt, "w1.0": measured_like, "resnet50": resnet50}


def searched(bench: Bench, name: str, settings: Mapping[str, Any], evals: int, seed: int) -> tuple[FloatArray, float]:
    """Return all objectives in the order of evaluation, and the seconds that the algorithm took for itself."""
    algorithm = algorithms.create(name, bench.problem, evals, np.random.default_rng(seed), settings)
    told: list[FloatArray] = []
    spent, last = 0.0, time.perf_counter()
    while len(X := algorithm.ask()):
        spent += time.perf_counter() - last
        told.append(bench.evaluate(X))
        last = time.perf_counter()
        algorithm.tell(X, told[-1])
    return np.concatenate(told), spent


# What tells one search from another in a file of them.
_NAMED_BY = ("problem", "row", "evals", "seed")


class Kept:
    """Searches that have ended.

    Args:
        file: where they are, a line of JSON each; ``None``: nowhere, they are known while the script runs.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file is not None and file.exists() else []
        self._ended = {tuple(one[name] for name in _NAMED_BY): one for one in map(json.loads, lines)}

    def searched(self, bench: Bench, label: str, asked: Contestant, evals: int, seed: int) -> tuple[FloatArray, float]:
        """Return what ``searched`` does, from the file where it is there."""
        key = (bench.name, label, evals, seed)
        if key not in self._ended:
            F, spent = searched(bench, *asked, evals, seed)
            self._ended[key] = dict(zip(_NAMED_BY, key, strict=True)) | {"seconds": spent, "objectives": F.tolist()}
            if self._file is not None:
                with self._file.open("a") as file:
                    file.write(json.dumps(self._ended[key]) + "\n")
        return np.array(self._ended[key]["objectives"]), self._ended[key]["seconds"]


def row(bench: Bench, label: str, asked: Contestant, marks: Sequence[int], seeds: range, kept: Kept) -> str:
    """Return one line of a table: normalised hypervolume at each mark, and the search time."""
    grows, most = algorithms.registry.stated(asked[0], "GROWS"), max(marks)
    scores, times = [], []
    for seed in seeds:
        found = {mark: kept.searched(bench, label, asked, most if grows else mark, seed) for mark in marks}
        scores.append([hypervolume(F[:mark], bench.corner) / bench.best for mark, (F, _) in found.items()])
        times.append(found[most][1])
    cells = " | ".join(_mean(np.array(column)) for column in zip(*scores, strict=True))
    return f"| {label} | {cells} | {np.mean(times):.1f} |"


def _mean(values: FloatArray) -> str:
    """Return the mean and, where there are several values, its standard error."""
    if len(values) < 2:
        return f"{values.mean():.3f}"
    return f"{values.mean():.3f} ± {values.std(ddof=1) / np.sqrt(len(values)):.3f}"


CONTESTANTS: dict[str, Contestant] = {
    "linas (default)": ("linas", {}),
    # Told what the libraries' algorithms are: no objective is exact, and nothing is known of a sub-network's size.
    "linas, as little known": ("linas", {"exact": False, "design": "random"}),
    "linas, paper": ("linas", {"preset": "paper"}),
    "nsga2": ("nsga2", {}),
    "nsga2, paper": ("nsga2", {"preset": "paper"}),
    **{f"{name}, paper": (name, {"preset": "paper"}) for name in ("age-moea", "unsga3", "ctaea", "moead")},
    **{name: (name, {}) for name in ("motpe", "optuna-gp", "qlognehvi", "ofa-ga", "predict-once")},
    "predict-once, stacked": ("predict-once", {"predictor": "stacked"}),
    "random": ("random", {}),
}

ABLATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "one-hot features alone": {"features": "one-hot"},
    "ridge instead of the Gaussian process": {"predictor": "ridge"},
    "SVR-RBF instead of the Gaussian process": {"predictor": "svr-rbf"},
    "latency predicted too": {"exact": False},
    "initial design from small to large": {"design": "spread"},
    "random initial design": {"design": "random"},
    "initial design of 24": {"first": 24},
    "kappa 0": {"kappa": 0.0},
    "kappa 0.5": {"kappa": 0.5},
    "kappa 2": {"kappa": 2.0},
    "never covering the front": {"stagnation": 0.0},
    "batches of 2": {"batch": 2},
    "batches of 12": {"batch": 12},
    "batch by front and crowding": {"selection": "rank"},
    "inner search of 1,000": {"inner_evals": 1000},
    "inner crossover at 0.9": {"cross": 0.9},
}


@dataclass(frozen=True)
class Asked:
    """What to run.

    Attributes:
        seeds: of the searches.
        on: the problems, by their names in ``BENCHES``.
        rows: labels of the rows of the table; empty: all.
        marks: after how many evaluations to score.
        kept: the searches that have ended.
    """

    seeds: range
    on: Sequence[str]
    rows: Sequence[str]
    marks: Sequence[int]
    kept: Kept

    def table(self, contestants: Mapping[str, Contestant]) -> None:
        """Print a table per problem, with a row per contestant: an algorithm and its settings, by its label."""
        for key in self.on:
            bench = BENCHES[key]()
            head(bench.name, self.marks)
            for label, settings in contestants.items():
                if not self.rows or label in self.rows:
                    show(row(bench, label, settings, self.marks, self.seeds, self.kept))


def compare(asked: Asked) -> None:
    """Every algorithm on every problem."""
    asked.table(CONTESTANTS)


def far(asked: Asked) -> None:
    """The algorithms that need many evaluations, on the Note10."""
    bench = note10()
    head(bench.name, FAR_MARKS)
    for label in ("nsga2, paper", "nsga2", "unsga3, paper", "random"):
        show(row(bench, label, CONTESTANTS[label], FAR_MARKS, asked.seeds, asked.kept))
    show(row(bench, "linas (default)", ("linas", {}), (180, 400), asked.seeds, asked.kept))


def ablate(asked: Asked) -> None:
    """The default LINAS without each of its parts; on the Note10, unless other problems are named."""
    asked.table({label: ("linas", settings) for label, settings in ABLATIONS.items()})


def head(name: str, marks: Sequence[int]) -> None:
    """Print a table's head."""
    show(f"\n| {name} | " + " | ".join(f"at {mark}" for mark in marks) + " | search, s |")
    show("| --- |" + " --- |" * (len(marks) + 1))


def show(line: str) -> None:
    """Print a line at once: a study takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("compare", "ablate", "far"))
    parser.add_argument("--seeds", type=int, default=5, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--on", nargs="+", choices=tuple(BENCHES), help="problems; all, to ablate the Note10 alone")
    parser.add_argument("--rows", nargs="+", default=(), help="rows of the table, by their labels; all")
    parser.add_argument("--marks", nargs="+", type=int, default=MARKS, help="after how many evaluations")
    parser.add_argument("--keep", type=Path, help="a file of the searches that have ended, which do not run again")
    given = parser.parse_args()
    on = given.on or (["note10"] if given.what == "ablate" else list(BENCHES))
    asked = Asked(range(given.first, given.first + given.seeds), on, given.rows, sorted(given.marks), Kept(given.keep))
    {"compare": compare, "ablate": ablate, "far": far}[given.what](asked)


if __name__ == "__main__":
    main()
