"""Decide the status of a timed network ("ok" or "unstable") and, if it is not ok, say why and what would help."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwnas.harness.measurement.convergence import Rules
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.protocol import THOROUGH, TimingProtocol
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import Summary

# An inference that keeps this much more than its threads busy uses threads it was not given.
_SLACK_CORES = 0.4
# What takes this share of the time is worth being named as the cause.
_WORTH_NAMING = 0.02
# A network that took this many times its cap is one whose least number of samples takes longer.
_OVER = 1.25


@dataclass(frozen=True)
class Verdict:
    """A status and its reason; an "ok" has an empty reason."""

    status: str
    reason: str


def judge(
    samples: Samples,
    summary: Summary,
    protocol: TimingProtocol,
    *,
    threads: int,
    rules: Rules,
    spent_s: float,
    throttled: str = "",
    pace: Pace | None = None,
) -> Verdict:
    """Decide the status of a network that ran.

    Args:
        samples: its samples.
        summary: their statistics.
        protocol: the numbers.
        threads: compute threads of the platform.
        rules: which stopping rules it meets.
        spent_s: the time spent on it.
        throttled: why the device's clock is throttled, empty where it is not.
        pace: of the host at its visits; ``None``: not known.
    """
    if samples.cores() > threads + _SLACK_CORES:
        return Verdict("failed", f"it kept {samples.cores():.1f} CPUs busy, with threads={threads}")
    if throttled:
        return Verdict(
            "unstable", f"the device's clock is throttled ({throttled}): let it cool, or raise its power limit"
        )
    if rules.met:
        return Verdict("ok", "")
    shortfalls = []
    if samples.n < protocol.samples or math.isinf(summary.width):
        shortfalls.append(f"only {samples.n} samples")
    elif not rules.narrow:
        wanted = protocol.accept * protocol.interval / 2
        shortfalls.append(f"its interval is ±{summary.width / 2:.2%}, ±{wanted:.2%} is wanted,")
    if not rules.steady:
        shortfalls.append(
            f"its speed changed by more than {protocol.steady:.0%} while it was measured, and not its batch's,"
        )
    if not rules.ranked:
        shortfalls.append("its rank among the networks of its batch changed between the halves of the samples")
    return Verdict(
        "unstable",
        f"{' and '.join(shortfalls)} after {spent_s:.1f} s; {_next_step(samples, protocol, threads, pace, spent_s)}",
    )


def unfinished(verdict: Verdict, rounds: int) -> Verdict:
    """Return the verdict on a network whose batch was cut short.

    Args:
        verdict: the verdict on the samples that there are.
        rounds: how many rounds they are of.
    """
    if verdict.status == "failed":
        return verdict
    return Verdict(
        "unstable", f"its measuring was cut short after {rounds} round{'s' * (rounds != 1)}; measure it again"
    )


def more_time(protocol: TimingProtocol, spent_s: float, times: int = 2) -> str:
    """Return the option that gives a network several times as much time as it had.

    Of a network that is slow, the least number of samples may take longer than the cap: more than that has to be asked
    for.
    """
    longer_s = times * protocol.cap_s
    if spent_s > _OVER * protocol.cap_s:
        longer_s = math.ceil(times * spent_s)
    return f"--cap {longer_s:g}"


def _next_step(samples: Samples, protocol: TimingProtocol, threads: int, pace: Pace | None, spent_s: float) -> str:
    """Name the most likely cause, from what the host's counters and its pace say, and what to do about it."""
    visits = len(samples.round)
    seconds = samples.wall_ns.sum() / 1e9
    shares = (
        {
            "throttled": samples.throttled_ns.sum() / 1e9 / seconds,
            "steal": samples.steal_ns.sum() / 1e9 / seconds,
            "waiting": samples.waiting_ns.sum() / 1e9 / seconds,
            "disturbed": float(samples.disturbed(protocol.disturbed, threads).mean()),
        }
        if visits and seconds
        else {}
    )
    steps = {
        "throttled": "the control group's quota throttled it: raise the quota or use fewer threads",
        "steal": "the hypervisor gave its CPUs to others: measure on a less shared machine",
        "waiting": "other programs kept the CPUs busy: end them, or use fewer threads than CPUs",
        "disturbed": "many samples were disturbed: let the machine come to rest",
    }
    for cause, step in steps.items():
        share = min(1.0, shares.get(cause, 0.0))  # of several threads, each can wait all the time
        if share >= _WORTH_NAMING:
            return f"{step} ({share:.0%}{' of the time' * (cause != 'disturbed')})"
    longer = f"longer: {more_time(protocol, spent_s)}"
    if protocol.effort != THOROUGH:
        longer = f"with --effort {THOROUGH}"
    moved = _moved(pace)
    if moved >= _WORTH_NAMING:
        return f"what no counter shows slowed the machine by {moved:.0%}: measure on a less shared one, or {longer}"
    return f"measure it {longer}"


def _moved(pace: Pace | None) -> float:
    """Return by how much the host was slower at its slow visits (nine tenths are faster) than at its fast ones."""
    if pace is None or not pace.slower.any():
        return 0.0
    fast, slow = np.quantile(pace.slower, [0.1, 0.9])
    return math.expm1(float(slow - fast))
