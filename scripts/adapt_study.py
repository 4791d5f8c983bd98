"""How many measurements a new device needs when others are known: the tables of ``docs/transfer.md``.

    python scripts/adapt_study.py                        # published tables and simulated devices; spaces of other kinds
    python scripts/adapt_study.py A.json B.json ...      # the same for what ``hwnas lut check --json`` has measured

A device is the target, and the others are the sources: none of them, the one that is most like the target, or all.
Figures are the rank correlations of predictions with 300 held-out sub-networks, the mean of 10 splits with its standard
error. The files are of one super-network, ``-n`` and ``--seed``: the same sub-networks, measured on each device.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from hwnas import latency_luts, supernets
from hwnas.harness.measurement.statistics import tau
from hwnas.latency_luts import published
from hwnas.search.predictors.adapt import curve
from hwnas.supernets.blocks import Block, BlockSum
from hwnas.supernets.space import Choice, FloatArray, IntArray, SearchSpace
from hwnas.supernets.supernet import SuperNetwork

SIZES = (3, 5, 8, 10, 20, 40)
SPLITS = 10
N_ROWS = 750

Score = Callable[[FloatArray, FloatArray], float]
Latency = Callable[[IntArray], FloatArray]


@dataclass(frozen=True)
class Devices:
    """One space, its sub-networks, and what they take on several devices.

    Attributes:
        title: of the table.
        space: the search space.
        X: the sub-networks, ``(n, n_var)``.
        latency: ``(n,)`` by device.
        useless: likewise, of sources that are no devices.
        score: of predictions.
    """

    title: str
    space: SearchSpace
    X: IntArray
    latency: dict[str, FloatArray]
    useless: dict[str, FloatArray]
    score: Score


def main() -> int:
    """Print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", metavar="FILE", help="of hwnas lut check --json")
    parser.add_argument(
        "--tables", action="append", default=[], metavar="NAME=FILE", help="another table of w1.2, 224 px"
    )
    given = parser.parse_args()
    benches = [checked(given.files)] if given.files else [once_for_all(given.tables), cells(), layers()]
    for bench in benches:
        sys.stdout.write("\n".join([*table(bench), "", ""]))
        sys.stdout.flush()
    return 0


def table(bench: Devices) -> Iterator[str]:
    """Return the lines of a table: a target's with no source, the most alike one, all, and useless ones."""
    yield f"{bench.title}, {len(bench.latency)} devices, {len(bench.X)} sub-networks"
    yield ""
    yield "| target | sources | " + " | ".join(map(str, SIZES)) + " |"
    yield "| --- | --- |" + " --- |" * len(SIZES)
    for target, y in bench.latency.items():
        others = {name: values for name, values in bench.latency.items() if name != target}
        alike = max(others, key=lambda name: abs(tau(others[name], y)))
        starts = {"none": [], alike: [others[alike]], "all": list(others.values())}
        starts |= {name: [values] for name, values in bench.useless.items()}
        for name, sources in starts.items():
            yield f"| {target} | {name} | {' | '.join(_cells(bench, y, sources))} |"


def _cells(bench: Devices, y: FloatArray, sources: Sequence[FloatArray]) -> list[str]:
    prior = np.column_stack(sources) if sources else None
    rng = np.random.default_rng(0)
    found = curve(bench.space, bench.X, y, prior, rng, splits=SPLITS, sizes=SIZES, target=None, score=bench.score)
    return [f"{mean:.3f} ± {error:.3f}" for mean, error in zip(found.tau, found.error, strict=True)]


# --- once-for-all's space ---------------------------------------------------------------------------------------------


def once_for_all(tables: Sequence[str]) -> Devices:
    """Published tables, and roofline models with noise, of ``ofa-mbv3-w1.2`` at 224 px; Kendall's tau."""
    net = supernets.get("ofa-mbv3-w1.2")
    devices = tabulated(net)
    for name, _, file in (one.partition("=") for one in tables):
        devices[name] = latency_luts.read(Path(file)).bind(net).latency
    for name, (latency, noise) in simulated(net).items():
        devices[name] = _noisy(net.space, latency, noise, name.split()[-1])
    return _devices("ofa-mbv3-w1.2 at 224 px, Kendall's tau", net.space, devices, tau)


def tabulated(net: SuperNetwork) -> dict[str, Latency]:
    """Return the latencies in the published tables that serve a super-network."""
    served = [name for name in published.names() if net.name in published.get(name).serves]
    return {name: published.get(name).open().bind(net).latency for name in served}


def simulated(net: SuperNetwork) -> dict[str, tuple[Latency, float]]:
    """Return the latencies of simulated devices, and the noise that each is to have."""
    return {
        "server": (_roofline(net, 2e8, 5e7, 0.03), 0.01),
        "phone": (_roofline(net, 2e7, 8e6, 0.01), 0.005),
        "microcontroller": (_roofline(net, 1e6, 4e6, 0.0), 0.005),
        "small cache": (_roofline(net, 5e7, 2e7, 0.005, cache=1.2e6), 0.01),
    }


def _roofline(net: SuperNetwork, peak: float, bandwidth: float, fixed: float, cache: float = np.inf) -> Latency:
    """A device that a block keeps busy with operations or with traffic, which costs thrice what is beyond the cache."""

    def milliseconds(block: Block) -> float:
        traffic = 4.0 * float(np.prod(block.input) + np.prod(block.output) + block.params)
        return max(block.macs / peak, traffic * (3.0 if traffic > cache else 1.0) / bandwidth) + fixed

    return BlockSum(net.space, net.slots, milliseconds, np.float64)


# --- spaces whose options have no order -------------------------------------------------------------------------------


def cells() -> Devices:
    """A space of NAS-Bench-201's kind: six edges with one of five operations each; ten devices; Spearman."""
    return _unordered("6 edges x 5 operations, Spearman", 6, 5, _cell, "cell")


def _cell(rng: np.random.Generator) -> Latency:
    """A device that runs some of a cell's paths side by side, and may leave out what leads nowhere."""
    operations = np.array([0.02, 0.05, 1.0, 3.0, 0.8]) * np.exp(rng.normal(0.0, 0.5, 5))
    cost = operations * np.exp(0.1 * rng.normal(size=(6, 5)))
    fixed, parallel, prunes = rng.uniform(0.5, 3.0), rng.uniform(0.0, 0.7), rng.random() < 0.5
    # Edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3.
    paths = ([0, 2, 5], [0, 4], [1, 5], [3])

    def latency(X: IntArray) -> FloatArray:
        each = cost[np.arange(6), X]
        if prunes:
            on = X != 0
            first, second, last = on[:, 0], on[:, 1] | (on[:, 0] & on[:, 2]), on[:, 4] | (on[:, 2] & on[:, 5])
            used = [first & last, on[:, 1] & on[:, 5], on[:, 2] & first & on[:, 5], on[:, 3], on[:, 4] & first]
            each = each * np.column_stack([*used, on[:, 5] & second])
        longest = np.max([each[:, path].sum(axis=1) for path in paths], axis=0)
        return np.asarray(fixed + (1.0 - parallel) * each.sum(axis=1) + parallel * longest)

    return latency


def layers() -> Devices:
    """A space of FBNet's kind: 22 layers with one of nine blocks each; ten devices; Spearman."""
    return _unordered("22 layers x 9 operations, Spearman", 22, 9, _layered, "layer")


def _layered(rng: np.random.Generator) -> Latency:
    """A roofline of each block, with a taste of its own for each operation, kernel size and layer."""
    channels = np.repeat([16, 24, 32, 64, 112, 184, 352], [1, 4, 4, 4, 4, 4, 1])
    side = np.repeat([112, 56, 28, 14, 14, 7, 7], [1, 4, 4, 4, 4, 4, 1])
    peak, bandwidth, fixed = 10.0 ** rng.uniform(6.5, 8.5), 10.0 ** rng.uniform(6.3, 8.0), 10.0 ** rng.uniform(-2.3, -1)
    depthwise, grouped = 10.0 ** rng.uniform(-1.2, 0.0), 10.0 ** rng.uniform(-0.8, 0.0)
    blocks = [(3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1)]
    cost = np.full((22, 9), fixed)
    for column, (kernel, expand, groups) in enumerate(blocks):
        inner, pixels = np.concatenate([[16], channels[:-1]]) * expand, side**2
        pointwise = 2.0 * inner * channels * pixels / groups / (peak * (grouped if groups > 1 else 1.0))
        depth = inner * kernel**2 * pixels / (peak * depthwise)
        traffic = 8.0 * (inner + channels) * pixels / bandwidth
        cost[:, column] = np.maximum(pointwise + depth, traffic) + 3.0 * fixed
    cost *= np.exp(0.2 * rng.normal(size=(22, 9)) + 0.3 * rng.normal(size=9))
    return lambda X: np.asarray(cost[np.arange(22), X].sum(axis=1))


def _unordered(
    title: str, n_choices: int, n_options: int, draw: Callable[[np.random.Generator], Latency], name: str
) -> Devices:
    rng = np.random.default_rng(0)
    space = SearchSpace(tuple(Choice("op", tuple(range(n_options))) for _ in range(n_choices)))
    devices = {f"device {number}": _noisy(space, draw(rng), 0.01, f"{name} {number}") for number in range(10)}
    return _devices(title, space, devices, _spearman)


# --- devices ----------------------------------------------------------------------------------------------------------


def checked(files: Sequence[str]) -> Devices:
    """Measured by ``hwnas lut check``; Kendall's tau."""
    checks = [json.loads(Path(file).read_text()) for file in files]
    net = supernets.get(checks[0]["supernet"])
    rows = [{row["key"]: row["measured_ms"] for row in check["rows"]} for check in checks]
    keys = [key for key in rows[0] if all(key in other for other in rows)]
    X = np.concatenate([net.space.from_key(key) for key in keys])
    latency = {check["platform"]: np.array([row[key] for key in keys]) for check, row in zip(checks, rows, strict=True)}
    return Devices(f"{net.name}, measured, Kendall's tau", net.space, X, latency, {}, tau)


def _devices(title: str, space: SearchSpace, devices: dict[str, Latency], score: Score) -> Devices:
    X = np.unique(space.canonical(space.sample(N_ROWS, 0)), axis=0)
    rng = np.random.default_rng(1)
    cost = rng.lognormal(0.0, 1.0, (space.n_var, int(space.n_options.max())))
    useless = {"random values": rng.lognormal(0.0, 0.3, len(X)), "another space's": cost[range(space.n_var), X].sum(1)}
    return Devices(title, space, X, {name: device(X) for name, device in devices.items()}, useless, score)


def _noisy(space: SearchSpace, latency: Latency, noise: float, name: str) -> Latency:
    """Return latencies with noise that belongs to the sub-network."""

    def noisy(X: IntArray) -> FloatArray:
        drawn = [np.random.default_rng(zlib.crc32(f"{name} {key}".encode())).normal() for key in space.keys(X)]
        return np.asarray(latency(X) * (1.0 + noise * np.array(drawn)))

    return noisy


def _spearman(predicted: FloatArray, y: FloatArray) -> float:
    return float(spearmanr(predicted, y).statistic) if np.ptp(predicted) else 0.0


if __name__ == "__main__":
    sys.exit(main())
