"""Decide when to stop measuring a batch: when confidence intervals are narrow and rankings are stable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.estimate import estimate
from hwnas.harness.measurement.pace import Calm, Pace, clean, summary
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import Summary, orders, summarise, tau
from hwnas.supernets.space import FloatArray


@dataclass(frozen=True)
class Rules:
    """Which stopping rules a network meets.

    Attributes:
        narrow: its confidence interval is narrow enough to be accepted.
        steady: its early and late rounds agree, after the host's drift is divided out.
        ranked: the two halves of the samples rank it alike among its batch.
    """

    narrow: bool
    steady: bool
    ranked: bool

    @property
    def met(self) -> bool:
        """Whether it meets all of them."""
        return self.narrow and self.steady and self.ranked


@dataclass(frozen=True)
class Convergence:
    """How far a batch has converged, according to the samples taken so far.

    All but the summaries are about the judged networks, usually all but the anchors.

    Attributes:
        summaries: one per network.
        narrow: indices of the networks whose interval has reached the protocol's target width.
        known: indices of the networks whose interval is narrow enough to be accepted when their time is up.
        steady: indices of the networks whose early and late rounds agree.
        ranked: indices of the networks whose ranks agree between the two halves of the samples.
        tau: Kendall's tau between the two halves.
        all_converged: every network that runs is narrow and steady, and ``tau`` is high enough.
        paces: of each network, the host's pace at its visits so far; empty before there are samples.
    """

    summaries: tuple[Summary, ...]
    narrow: frozenset[int]
    known: frozenset[int]
    steady: frozenset[int]
    ranked: frozenset[int]
    tau: float
    all_converged: bool
    paces: tuple[Pace | None, ...] = ()

    def rules(self, index: int) -> Rules:
        """Return which stopping rules a network meets."""
        return Rules(index in self.known, index in self.steady, index in self.ranked)

    @classmethod
    def nothing(cls, n: int) -> Convergence:
        """Return the state before there are samples."""
        none = summarise(np.empty(0), np.empty(0, dtype=bool), "min")
        nobody: frozenset[int] = frozenset()
        return cls((none,) * n, nobody, nobody, nobody, nobody, math.nan, all_converged=False)


def assess(samples: Sequence[Samples], protocol: TimingProtocol, threads: int, judged: Sequence[int]) -> Convergence:
    """Apply the stopping rules to the samples of a batch.

    Args:
        samples: of every network. A network without samples does not run, and the batch converges without it.
        protocol: the protocol's numbers.
        threads: compute threads of the platform.
        judged: indices of the networks that have to converge.
    """
    masks = [clean(one, protocol, threads) for one in samples]
    paces = tuple(estimate(samples, masks, protocol.statistic))
    summaries = tuple(summary(one, protocol, threads, pace) for one, pace in zip(samples, paces, strict=True))
    calm = [Calm.of(one, protocol, threads, pace) for one, pace in zip(samples, paces, strict=True)]
    running = [index for index in judged if samples[index].n]
    enough = [i for i in running if samples[i].n >= protocol.samples]
    narrow = frozenset(i for i in enough if summaries[i].width <= protocol.interval)
    known = frozenset(i for i in enough if summaries[i].width <= protocol.accept * protocol.interval)
    # Even and odd rounds both span the whole time, and with several sessions they are of different ones.
    parity = [calm[i].halves for i in running]
    agreement, kept = _agreeing(np.array(parity).reshape(-1, 2), protocol)
    ranked = frozenset(running[position] for position in kept)
    trends = _trends(calm)
    steady = frozenset(i for i in running if abs(trends[i] - 1) <= protocol.steady)
    converged = len(narrow) == len(running) == len(steady) and agreement >= protocol.tau
    return Convergence(summaries, narrow, known, steady, ranked, agreement, converged, paces)


def _trends(networks: Sequence[Calm]) -> FloatArray:
    """Return how much slower each network was in its late rounds than in its early ones, (n,).

    The host's own drift is divided out: it is the median over all networks, the anchors among them.
    """
    ratios = []
    for one in networks:
        early = one.rounds <= np.median(one.rounds) if len(one.rounds) else np.empty(0, dtype=bool)
        first, second = one.parts(early)
        ratios.append(second / first)
    known = [ratio for ratio in ratios if not math.isnan(ratio)]
    return np.array(ratios) / (np.median(known) if known else math.nan)


def _agreeing(halves: FloatArray, protocol: TimingProtocol) -> tuple[float, list[int]]:
    """Return Kendall's tau of the two halves, and the networks that are ranked reliably.

    These are what is left when networks are removed one by one, each time the one with the most contradicted pairs,
    until tau is high enough, or no pair is contradicted: one that is tied in one half and ordered in the other lowers
    tau, and is nobody's fault. A network with samples in one half only is never ranked reliably.
    """
    kept = [position for position, pair in enumerate(halves) if not np.isnan(pair).any()]
    current = tau(halves[kept, 0], halves[kept, 1], protocol.resolution)
    agreement = current if len(kept) == len(halves) else 0.0
    while current < protocol.tau and len(kept) > 1:
        first, second = (orders(halves[kept, half], protocol.resolution) for half in (0, 1))
        contradicted = (first * second < 0).sum(axis=1)
        if not contradicted.any():
            break
        worst = int(np.argmax(contradicted))
        kept = kept[:worst] + kept[worst + 1 :]
        current = tau(halves[kept, 0], halves[kept, 1], protocol.resolution)
    return agreement, kept
