"""Judge the estimate of latencies, and others, by recorded passes and by simulated hosts.

A pair of passes over the same networks, prepared anew, says how well an estimate repeats: Kendall's tau, the median
difference with the common drift divided out, and how many of the differences lie within what the two intervals allow. A
simulated host says how far it is from the truth. Prints the tables of ``docs/measurement.md``::

    python scripts/estimate_study.py near_1.npz near_2.npz random_1.npz random_2.npz
    python scripts/estimate_study.py                      # simulated hosts alone

A pass is a NumPy archive with the arrays ``keys`` (of the networks), and by sample ``network``, ``round``, ``visit``,
``at_ns``, ``wall_ns``, ``cpu_ns``, ``group``, ``waiting_ns`` and ``steal_ns``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "stand_ins"))

from hosts import MODES, NOISY, QUIET, UNEQUAL, WANDERING, batch, recorded

from hwnas.harness.measurement.estimate import estimate
from hwnas.harness.measurement.pace import Pace, clean, summary
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import tau
from hwnas.supernets.space import FloatArray

PROTOCOL = profile("noisy")
HOSTS = {
    "quiet": QUIET,
    "quiet, with spikes": NOISY,
    "a pace that wanders": WANDERING,
    "two modes": MODES,
    "a pace that is felt unequally": UNEQUAL,
}

Estimate = Callable[[Sequence[Samples]], FloatArray]
"""From the samples of a batch to the logarithms of value, low and high of each network, (3, n)."""


def _with(samples: Sequence[Samples], paces: Sequence[Pace | None], statistic: str | None = None) -> FloatArray:
    protocol = profile("noisy", statistic=statistic) if statistic else PROTOCOL
    found = [summary(one, protocol, 1, pace) for one, pace in zip(samples, paces, strict=True)]
    return np.log([[getattr(one, name) for one in found] for name in ("value", "low", "high")])


def _paces(samples: Sequence[Samples]) -> list[Pace | None]:
    return estimate(samples, [clean(one, PROTOCOL, 1) for one in samples], PROTOCOL.statistic)


def as_it_is(samples: Sequence[Samples]) -> FloatArray:
    """The estimate."""
    return _with(samples, _paces(samples))


def as_taken(samples: Sequence[Samples]) -> FloatArray:
    """The fastest 30 % of the samples as they were taken: version 6."""
    return _with(samples, [None] * len(samples))


def medians(samples: Sequence[Samples]) -> FloatArray:
    """The median of the samples as they were taken."""
    return _with(samples, [None] * len(samples), "median")


def fastest(samples: Sequence[Samples]) -> FloatArray:
    """The pace divided out, and then the fastest 30 %."""
    paces = _paces(samples)
    return _with(samples, [one and Pace(one.slower, "p15", one.error) for one in paces])


def by_rounds(samples: Sequence[Samples]) -> FloatArray:
    """The median of each round, of all networks, divided out, and then the median."""
    logs = [np.log(one.seconds) - np.median(np.log(one.seconds)) for one in samples]
    rounds = np.concatenate([one.rounds for one in samples])
    pace = {number: float(np.median(np.concatenate(logs)[rounds == number])) for number in np.unique(rounds)}
    slower = [np.array([pace.get(number, 0.0) for number in one.round]) for one in samples]
    return _with(samples, [Pace(one, "median", 0.0) for one in slower])


def less_shrunk(samples: Sequence[Samples]) -> FloatArray:
    """The networks' sensitivities as they are nearest to the truth in the mean."""
    with patch("hwnas.harness.measurement.estimate._SHRINKING", 1):
        return as_it_is(samples)


def unfelt(samples: Sequence[Samples]) -> FloatArray:
    """All networks feel the pace alike."""
    with patch("hwnas.harness.measurement.estimate._SHRINKING", 1e9):
        return as_it_is(samples)


ESTIMATES: dict[str, Estimate] = {
    "**the estimate**": as_it_is,
    "fastest 30 % (version 6)": as_taken,
    "median": medians,
    "pace divided out, fastest 30 %": fastest,
    "round's median divided out, median": by_rounds,
    "sensitivities shrunk less": less_shrunk,
    "no sensitivities": unfelt,
}


def passes(first: Sequence[Samples], second: Sequence[Samples], of: Estimate) -> str:
    """Return how two passes agree, as the cells of a row."""
    one, two = of(first), of(second)
    apart = two[0] - one[0]
    apart = np.abs(apart - np.median(apart))
    allowed = np.hypot(*(np.maximum(value - low, high - value) for value, low, high in (one, two)))
    agree, within = tau(np.exp(one[0]), np.exp(two[0])), float((apart <= allowed).mean())
    widths = [float(np.median(high - low)) for _, low, high in (one, two)]
    return f"{agree:.3f} | {np.median(apart):.2%} | {within:.0%} | {widths[0]:.1%}, {widths[1]:.1%}"


def host(samples: Sequence[Samples]) -> str:
    """Return what the visits of a pass say of its host."""
    at = np.argsort(np.concatenate([one.at_ns for one in samples]))
    beyond = np.concatenate([np.log(one.seconds) - np.median(np.log(one.seconds)) for one in samples])[at]
    low, high = np.expm1(np.quantile(beyond, [0.15, 0.85]))
    after = np.corrcoef(beyond[1:], beyond[:-1])[0, 1]
    return f"70 % of samples at {low:+.0%} to {high:+.0%} of the network's median; the next correlates by {after:.2f}"


def simulated(name: str, n: int, rounds: int, runs: int, times: int) -> str:
    """Return how far the values of simulated batches are from the truth, as the cells of a row."""
    cells = []
    made = []
    for seed in range(times):
        rng = np.random.default_rng(seed)
        log_s = np.log(0.008) + 0.04 * rng.standard_normal(n)
        made.append(batch(HOSTS[name], log_s, rng, rounds=rounds, runs=runs))
    for of in (as_it_is, as_taken):
        off, inside = [], []
        for one in made:
            value, low, high = of(one.samples)
            common = np.median(value - one.truth)  # of the batch: the anchors tell it
            off.append(value - common - one.truth)
            inside.append((low - common <= one.truth) & (one.truth <= high - common))
        cells.append(f"{np.sqrt(np.mean(np.square(off))):.2%} | {np.mean(inside):.0%}")
    return " | ".join(cells)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("passes", nargs="*", type=Path, help="recorded passes, two by two")
    parser.add_argument("--times", type=int, default=20, help="simulated batches of each kind")
    given = parser.parse_args(arguments)
    if len(given.passes) % 2:
        parser.error("passes come in pairs")
    for first, second in zip(given.passes[::2], given.passes[1::2], strict=True):
        pair = recorded(first), recorded(second)
        columns = "estimate | tau between two passes | median difference | within the intervals | their widths"
        sys.stdout.write(
            f"\n{first.stem}: {host(pair[0])}\n{second.stem}: {host(pair[1])}\n\n| {columns} |\n|{' --- |' * 5}\n"
        )
        for name, of in ESTIMATES.items():
            sys.stdout.write(f"| {name} | {passes(*pair, of)} |\n")
    columns = "host | networks, rounds, runs | error | in the interval | version 6: error | in the interval"
    sys.stdout.write(f"\n| {columns} |\n|{' --- |' * 6}\n")
    for kind in HOSTS:
        for n, rounds, runs in ((40, 80, 1), (9, 40, 4)):
            cells = simulated(kind, n, rounds, runs, given.times)
            sys.stdout.write(f"| {kind} | {n}, {rounds}, {runs} | {cells} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
