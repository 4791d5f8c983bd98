"""Batches of samples: of simulated hosts whose pace is known, made without running a loop, and recorded ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hwnas.harness.measurement.samples import Samples


@dataclass(frozen=True)
class Host:
    """What a host does to the visits that follow each other. Times are factors' logarithms.

    Attributes:
        wander: standard deviation of a pace that wanders,
        memory: and over how many visits it forgets where it was.
        mode: how much slower a slow mode is,
        mode_visits: and how many visits it and the other mode last on average.
        sensitivity: standard deviation between networks of how much they feel the pace.
        jitter: of each sample, one-sided.
        spikes: share of the samples that CPU time does not explain, though they take a tenth longer or more.
        session: standard deviation between a network's four sessions.
    """

    wander: float = 0.0
    memory: float = 30.0
    mode: float = 0.0
    mode_visits: float = 12.0
    sensitivity: float = 0.0
    jitter: float = 0.01
    spikes: float = 0.05
    session: float = 0.002

    def pace(self, visits: int, rng: np.random.Generator) -> np.ndarray:
        """Return the pace at so many visits; 0 is the calm end of a host that has modes."""
        kept = np.exp(-1 / self.memory)
        steps = np.sqrt(1 - kept**2) * rng.standard_normal(visits)
        wandering = np.empty(visits)
        now = rng.standard_normal()
        for visit, step in enumerate(steps):
            now = kept * now + step
            wandering[visit] = now
        slow = (np.cumsum(rng.random(visits) < 1 / self.mode_visits) + rng.integers(2)) % 2
        return self.wander * wandering + self.mode * slow


QUIET = Host(jitter=0.004, spikes=0.02)
NOISY = Host(jitter=0.015, spikes=0.1)
WANDERING = Host(wander=0.05)
# As the virtual machine was that the recorded passes were taken on.
MODES = Host(wander=0.03, memory=100, mode=0.3, jitter=0.015, spikes=0.1)
UNEQUAL = Host(wander=0.05, sensitivity=0.2)


@dataclass(frozen=True)
class Batch:
    """A simulated batch.

    Attributes:
        samples: of each network.
        truth: (n,) logarithm of what each takes at the host's calm end: the mean pace of its calmest 30 %.
    """

    samples: list[Samples] = field(repr=False)
    truth: np.ndarray


def batch(host, log_s, rng, *, rounds=80, runs=1, feels=None, uneven=False) -> Batch:
    """Measure networks in rounds.

    Args:
        host: what it is like.
        log_s: (n,) logarithm of the networks' seconds where the pace is 0.
        rng: draws everything else.
        rounds: so many.
        runs: samples of a visit.
        feels: (n,) how much each network feels the pace; ``None``: drawn too.
        uneven: each network is given as much time, so that fast ones have more rounds; ``rounds`` is the median.
    """
    n = len(log_s)
    drawn = 1 + host.sensitivity * rng.standard_normal(n)
    feels = drawn if feels is None else feels
    sessions = host.session * rng.standard_normal((n, 4))
    each = np.full(n, rounds)
    if uneven:
        each = np.maximum(10, rounds * np.exp(np.median(log_s) - log_s)).astype(np.int64)
    network = np.concatenate([rng.permutation(np.flatnonzero(each >= number)) for number in range(1, each.max() + 1)])
    number = np.concatenate([np.full((each >= number).sum(), number) for number in range(1, each.max() + 1)])
    pace = host.pace(len(network), rng)
    log = log_s[network] + feels[network] * pace + sessions[network, number % 4]
    at = np.concatenate([[0.0], np.cumsum(2 * runs * np.exp(log))[:-1]])
    samples = [_taken(log[network == i], at[network == i], number[network == i], host, runs, rng) for i in range(n)]
    calm = np.sort(pace)[: round(0.3 * len(pace))].mean()
    return Batch(samples, log_s + feels * calm)


def _taken(log, at, number, host, runs, rng):
    n, none = len(log) * runs, np.zeros(len(log), dtype=np.int64)
    single = np.repeat(log, runs) + host.jitter * np.abs(rng.standard_normal(n))
    spike = (rng.random(n) < host.spikes) * (0.1 + rng.exponential(0.1, n))
    wall, cpu = (np.round(1e9 * np.exp(one)).astype(np.int64) for one in (single + spike, single))
    visit = np.repeat(np.arange(len(log)), runs)
    return Samples(
        at_ns=np.round(1e9 * (np.repeat(at, runs) + np.arange(n) % runs * np.exp(single))).astype(np.int64),
        wall_ns=wall,
        cpu_ns=cpu,
        switches=np.zeros(n, dtype=np.int64),
        group=np.ones(n, dtype=np.int64),
        visit=visit,
        round=number,
        waiting_ns=none,
        steal_ns=none,
        throttled_ns=none,
        stage_ns=np.empty((n, 0), dtype=np.int64),
    )


def recorded(path: Path) -> list[Samples]:
    """Return the samples of a recorded pass, of each network: arrays by the names of ``Samples``, and ``network``."""
    with np.load(path) as raw:
        of_visits = ("waiting_ns", "steal_ns")
        made = []
        for network in range(len(raw["keys"])):
            mine = raw["network"] == network
            visit, first = np.unique(raw["visit"][mine], return_index=True)
            assert np.array_equal(visit, np.arange(len(visit)))
            plain = {name: raw[name][mine] for name in ("at_ns", "wall_ns", "cpu_ns", "group", "visit")}
            once = {name: raw[name][mine][first] for name in ("round", *of_visits)}
            n, none = mine.sum(), np.zeros(len(visit), dtype=np.int64)
            made.append(
                Samples(
                    **plain,
                    **once,
                    switches=np.zeros(n, dtype=np.int64),
                    throttled_ns=none,
                    stage_ns=np.empty((n, 0), dtype=np.int64),
                )
            )
    return made
