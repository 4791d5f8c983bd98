"""The pace of the host while a batch was measured, which the visits of all its networks show together.

A neighbour on the same machine slows a network for seconds, and no counter shows it. But it slows whatever runs then:
the visits before and after, which are of other networks, tell by how much. The model is

    log time = network + sensitivity of the network x pace of the host at the visit + noise with heavy tails.

The pace at a visit is the median of what the visits around it took beyond their own networks' times. The visit itself
is left out, so that what is left of it is an honest residual. How many visits around count, and whether any do, is what
makes the left-out visits likeliest. On a quiet host none do, and a value is the statistic of the samples as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import counted, quantile, statistic_of
from hwnas.supernets.space import BoolArray, FloatArray, IntArray

# With fewer networks the pace of the host is not told from what is a network's own; of fewer visits, a median has no
# interval of 95 %.
_LEAST_NETWORKS, _LEAST_VISITS = 4, 12
# The pace at a visit is told by so many visits before and as many after it, and taken out by a share.
_REACHES = (2, 3, 4, 6, 9, 13, 19, 28)
_SHARES = (0.5, 0.75, 1.0)
# The visits must be likelier with the pace than without it by so much, in nats per visit: without any, 24 choices make
# them likelier by up to 0.005.
_LEAST_GAIN = 0.02
_LEAST_GAIN_OF_ALL = 6.0  # and all visits together by so much more
# The choice looks at so many visits. More tell the same, and take longer.
_LOOKED_AT = 600
_SWEEPS = 3
# Parts of the samples that the jackknife leaves out in turn; as many as a network has sessions at most.
_PARTS = 4
# Medians without the pace take the place of the statistic where their standard error is so much smaller.
_BETTER = 0.9
# Networks feel the host unequally. What is known of how much each does is shrunk by its reliability to this power: 1 is
# nearest to the truth in the mean, and where little is known of it, ranks repeat better with 2.
_SHRINKING = 2
_ITERATIONS = 12
_WANDERING = 4.0  # times the median; of networks whose parts differ by chance, one in forty differs more


@dataclass(frozen=True, eq=False)
class _Visits:
    """The visits of a batch with samples that count, in the order of time.

    Attributes:
        network: (m,) the network of each, a position among those that run.
        visit: (m,) its number among the network's.
        round: (m,) its round.
        log: (m,) the mean logarithm of its samples' seconds.
        n: how many networks there are.
        seconds: (s,) of every sample that counts,
        of: (s,) and the visit that it is of, a position in the arrays above.
    """

    network: IntArray
    visit: IntArray
    round: IntArray
    log: FloatArray
    n: int
    seconds: FloatArray
    of: IntArray

    def without(self, slower: FloatArray) -> FloatArray:
        """Return the samples' seconds with a pace, (m,), divided out."""
        return self.seconds * np.exp(-slower)[self.of]


_Typical = Callable[[FloatArray], float]


def estimate(samples: Sequence[Samples], clean: Sequence[BoolArray], statistic: str) -> list[Pace | None]:
    """Return the pace of the host at the visits of each network, and how well its value is known.

    The pace's zero is the host's calm end: where the batch as a whole keeps the values that the statistic gives it.

    Args:
        samples: of every network of the batch.
        clean: (n,) of each, which samples are undisturbed.
        statistic: what a network's value is where there is no pace.

    Returns:
        ``None`` for a network with too few visits, and for all networks where these are too few.
    """
    found: list[Pace | None] = [None] * len(samples)
    masks = [counted(mask) for mask in clean]
    running = [i for i, one in enumerate(samples) if len(np.unique(one.visit[masks[i]])) >= _LEAST_VISITS]
    if len(running) < _LEAST_NETWORKS:
        return found
    visits = _visits([samples[i] for i in running], [masks[i] for i in running])

    def typical(seconds: FloatArray) -> float:
        return statistic_of(seconds, np.ones(len(seconds), dtype=bool), statistic)

    error = np.full(visits.n, _spread(visits, visits.seconds, typical))
    slower, chosen = np.zeros(len(visits.log)), statistic
    paced = _paced(visits, typical)
    if paced is not None and paced[1] < _BETTER * error[0]:
        slower, spread, unfelt = paced
        error, chosen = np.hypot(spread, unfelt), "median"
    for position, index in enumerate(running):
        mine = visits.network == position
        # The pace at a visit without samples that count is in between those of the visits before and after it.
        everywhere = np.interp(np.arange(len(samples[index].round)), visits.visit[mine], slower[mine])
        found[index] = Pace(np.round(everywhere, 6), chosen, float(error[position]))
    return found


def _visits(samples: Sequence[Samples], masks: Sequence[BoolArray]) -> _Visits:
    parts, of, begin = [], [], 0
    for position, (one, mask) in enumerate(zip(samples, masks, strict=True)):
        visit, first, where = np.unique(one.visit[mask], return_index=True, return_inverse=True)
        log = np.bincount(where, np.log(one.seconds[mask])) / np.bincount(where)
        parts.append((np.full(len(visit), position), visit, one.round[visit], log, one.at_ns[mask][first]))
        of.append(begin + where)
        begin += len(visit)
    network, visit, rounds, log, at = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(at, kind="stable")
    rank = np.argsort(order)
    seconds = np.concatenate([one.seconds[mask] for one, mask in zip(samples, masks, strict=True)])
    numbers = len(samples), seconds, rank[np.concatenate(of)]
    return _Visits(network[order], visit[order], rounds[order], log[order], *numbers)


def _paced(visits: _Visits, typical: _Typical) -> tuple[FloatArray, float, FloatArray] | None:
    """Take out the pace.

    Returns:
        The logarithm of what to divide each visit by, (m,), the standard error of the networks' medians then, and of
        each, (n,), how far it may be off because it feels the host otherwise. ``None``: there is no pace.
    """
    pace = np.zeros(len(visits.log))
    for sweep in range(_SWEEPS):
        network = _each(visits, visits.log - pace, _median)
        beyond = visits.log - network[visits.network]
        if sweep in (0, _SWEEPS - 1):
            gain, reach, share = _choose(beyond)
            if gain < _LEAST_GAIN + _LEAST_GAIN_OF_ALL / len(beyond):
                return None
        pace = share * _around(beyond, reach)
    taken, calm = (_values(visits, *one) for one in ((visits.seconds, typical), (visits.without(pace), _median)))
    pace = pace - _median(taken - calm)
    sensitivity, unfelt = _sensitivities(visits, pace)
    slower = sensitivity[visits.network] * pace
    return slower, _spread(visits, visits.without(slower), _median), unfelt


def _choose(beyond: FloatArray) -> tuple[float, int, float]:
    """Return by how much the best reach and share make visits likelier, in nats each, and the two."""
    looked = np.linspace(0, len(beyond) - 1, min(len(beyond), _LOOKED_AT)).astype(np.int64)
    there = beyond[looked]
    plain = _unlikely(there)
    best = (-math.inf, _REACHES[0], 0.0)
    for reach in _REACHES:
        if 4 * reach < len(beyond):
            around = _around(beyond, reach, looked)
            best = max(best, *((plain - _unlikely(there - share * around), reach, share) for share in _SHARES))
    return best


def _around(beyond: FloatArray, reach: int, looked: IntArray | None = None) -> FloatArray:
    """Return the median of the ``reach`` visits before and after each, (m,), or each that is looked at."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(beyond, reach, mode="reflect"), 2 * reach + 1)
    windows = windows if looked is None else windows[looked]
    others: FloatArray = np.median(np.delete(windows, reach, axis=1), axis=1)
    return others


def _unlikely(residuals: FloatArray) -> float:
    """Return the mean negative logarithm of the likelihood, of a Cauchy distribution, but for a constant."""
    apart = np.abs(residuals - _median(residuals))
    scale = max(_median(apart), 1e-9)
    return math.log(scale) + float(np.log1p((apart / scale) ** 2).mean())


def _sensitivities(visits: _Visits, pace: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how much each network feels the pace, (n,), and the errors of their values due to it, (n,).

    A line for each network, by maximum likelihood with noise of a Cauchy distribution. Its slope is shrunk to the
    others' by its reliability: what of their variance is not noise.
    """
    n, network = visits.n, visits.network

    def total(values: FloatArray) -> FloatArray:
        return np.bincount(network, values, n).astype(np.float64)

    log = visits.log - pace
    value, slope = _each(visits, log, _median), np.zeros(n)
    scale = max(_median(np.abs(log - value[network])), 1e-9)
    for _ in range(_ITERATIONS):
        z = ((log - value[network] - slope[network] * pace) / scale) ** 2
        w = 1 / (1 + z)
        a, b, c, u, v = (total(w * x) for x in (np.ones(len(w)), pace, pace**2, log, log * pace))
        determinant = a * c - b * b + 1e-12
        value, slope = (c * u - b * v) / determinant, (a * v - b * u) / determinant
    score = (log - value[network] - slope[network] * pace) * w
    centred = pace - (total(pace) / np.bincount(network))[network]
    curvature = max(0.1, float(((1 - z) * w**2).mean()))
    error = np.sqrt(total((centred * score) ** 2)) / (curvature * (total(centred**2) + 1e-12))
    felt = (1 + slope) / max(0.1, 1 + _median(slope))
    noise = _median(error) ** 2
    # A variance that noise explains within its standard error is none.
    chance = 1 + 1.5 * math.sqrt(2 / (n - 1))
    variance = max(0.0, (1.4826 * _median(np.abs(felt - _median(felt)))) ** 2 - chance * noise)
    depth = abs(_median(pace))
    kept = (variance / (variance + error**2 + 1e-12)) ** _SHRINKING
    # What was shrunk away, and the noise of what was not; a value is where the pace is 0, so far from most visits.
    return 1 + kept * (felt - 1), depth * np.hypot((1 - kept) * math.sqrt(variance), kept * error)


def _spread(visits: _Visits, seconds: FloatArray, typical: _Typical) -> float:
    """Return the standard error of a network's value beside the others', as parts of its samples show it.

    Parts of the time differ by what the host does to networks that come in another order, and every fourth round by
    what sessions differ.
    """
    edges = np.quantile(visits.round, np.arange(1, _PARTS) / _PARTS)
    parts = np.searchsorted(edges, visits.round), visits.round % _PARTS
    return max(_between(visits, part[visits.of], seconds, typical) for part in parts)


def _between(visits: _Visits, part: IntArray, seconds: FloatArray, typical: _Typical) -> float:
    """Return the standard error by the jackknife: values change by so much when a part of the samples is left out."""
    others = [part != number for number in range(_PARTS)]
    without = np.array([_values(visits, seconds, typical, kept) for kept in others])
    rest = np.nan_to_num(without - without.mean(axis=0))
    # What all networks have in common is the host's.
    rest = rest - np.median(rest, axis=1, keepdims=True)
    squares = ((rest - rest.mean(axis=0)) ** 2).sum(axis=0) * (_PARTS - 1) / _PARTS
    # A network that wanders says nothing about the others.
    variance = float(np.minimum(squares, _WANDERING * _median(squares)).mean())
    return math.sqrt(variance * visits.n / (visits.n - 1))


def _values(visits: _Visits, seconds: FloatArray, typical: _Typical, kept: BoolArray | None = None) -> FloatArray:
    """Return the logarithm of each network's value, (n,), of its samples, or of those that are kept."""
    chosen = slice(None) if kept is None else kept
    return np.log(_each_of(visits.network[visits.of[chosen]], visits.n, seconds[chosen], typical))


def _each(visits: _Visits, values: FloatArray, typical: _Typical) -> FloatArray:
    """Return what is typical of each network's values, (n,)."""
    return _each_of(visits.network, visits.n, values, typical)


def _each_of(group: IntArray, n: int, values: FloatArray, typical: _Typical) -> FloatArray:
    """Return what is typical of the values of each of n groups, (n,); nan of none."""
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(n + 1))
    there = values[order]
    return np.array([typical(there[a:b]) if b > a else math.nan for a, b in pairwise(ends)])


def _median(values: FloatArray) -> float:
    return quantile(np.sort(values), 0.5)
