"""What is said of a network, and what is named as the cause."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.protocol import profile
from harness.samples import Samples
from harness.settling import Rules
from harness.statistics import summarise
from harness.verdict import judge

NOISY = profile("noisy")


def samples(n=50, cpu=1.0, **per_visit):
    ones = np.ones(n, dtype=np.int64)
    wall = ones * 1_000_000
    visits = dict.fromkeys(("waiting_ns", "steal_ns", "throttled_ns"), ones * 0)
    visits |= {name: ones * round(1e6 * share) for name, share in per_visit.items()}
    return Samples(
        at_ns=np.arange(n) * 1_000_000,
        wall_ns=wall,
        cpu_ns=np.round(wall * cpu).astype(np.int64),
        switches=ones * 0,
        group=ones,
        visit=np.arange(n),
        round=np.arange(n),
        stage_ns=np.empty((n, 0), dtype=np.int64),
        **visits,
    )


def verdict(taken=None, threads=1, narrow=True, steady=True, ranked=True, **more):
    taken = samples() if taken is None else taken
    summary = summarise(taken.seconds, np.ones(taken.n, dtype=bool), "p10")
    rules = Rules(narrow, steady, ranked)
    return judge(taken, summary, NOISY, threads=threads, rules=rules, spent_s=2.0, **more)


def test_what_has_settled_is_ok():
    assert (verdict().status, verdict().reason) == ("ok", "")


@pytest.mark.parametrize(
    ("flags", "words"),
    [({"narrow": False}, "interval"), ({"steady": False}, "speed changed"), ({"ranked": False}, "rank among")],
)
def test_each_rule_is_named(flags, words):
    told = verdict(**flags)
    assert told.status == "unstable"
    assert words in told.reason
    assert "after 2.0 s" in told.reason


def test_several_shortfalls_are_all_named():
    reason = verdict(narrow=False, ranked=False).reason
    assert "interval" in reason
    assert "rank among" in reason


@pytest.mark.parametrize(
    ("taken", "words"),
    [
        (samples(throttled_ns=0.1, waiting_ns=0.1), "quota throttled it"),
        (samples(steal_ns=0.1, waiting_ns=0.1), "the hypervisor"),
        (samples(waiting_ns=0.1), "other programs kept the CPUs busy"),
        (samples(cpu=0.5), "many samples were disturbed"),
        (samples(), "measure it longer"),
        (samples(n=3), "only 3 samples"),
        (samples(n=1), "only 1 samples"),
    ],
)
def test_the_cause_is_named_with_a_next_step(taken, words):
    assert words in verdict(taken, narrow=False).reason


def test_more_cpus_than_threads_is_a_failure():
    told = verdict(samples(cpu=1.9))
    assert told.status == "failed"
    assert "1.9 CPUs busy, with threads=1" in told.reason
    assert verdict(samples(cpu=1.9), threads=2).status == "ok"


def test_a_throttled_device_is_never_ok():
    told = verdict(throttled="power cap")
    assert told.status == "unstable"
    assert "power cap" in told.reason


def test_several_threads_explain_wall_time_by_the_cpus_they_keep_busy():
    taken = samples(cpu=1.7)
    assert not taken.disturbed(1.05, 2).any()
    slower = replace(taken, wall_ns=np.where(np.arange(50) == 7, 2_000_000, taken.wall_ns))
    assert np.flatnonzero(slower.disturbed(1.05, 2)).tolist() == [7]
