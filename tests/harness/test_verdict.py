"""What is said of a network, and what is named as the cause."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwnas.harness.measurement.convergence import Rules
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.measurement.statistics import summarise
from hwnas.harness.measurement.verdict import Verdict, judge, more_time, unfinished

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


def verdict(taken=None, threads=1, narrow=True, steady=True, ranked=True, spent_s=2.0, **more):
    taken = samples() if taken is None else taken
    summary = summarise(taken.seconds, np.ones(taken.n, dtype=bool), "p10")
    rules = Rules(narrow, steady, ranked)
    return judge(taken, summary, NOISY, threads=threads, rules=rules, spent_s=spent_s, **more)


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


# --- what is said, word by word --------------------------------------------------------------------------------------

LONGER = "measure it longer: --cap {cap:g}"


def test_a_shortfall_says_what_is_and_what_is_wanted():
    summary = summarise(samples().seconds, np.ones(50, dtype=bool), "p10")
    wide = replace(summary, low=0.9e-3, high=1.1e-3, value=1e-3)
    rules = Rules(narrow=False, steady=True, ranked=True)
    said = judge(samples(), wide, replace(NOISY, cap_s=7.5), threads=1, rules=rules, spent_s=2.06)
    wanted = NOISY.accept * NOISY.interval / 2
    assert said.status == "unstable"
    assert said.reason == (f"its interval is ±10.00%, ±{wanted:.2%} is wanted, after 2.1 s; {LONGER.format(cap=15)}")


def test_shortfalls_are_joined_in_order():
    reason = verdict(narrow=False, steady=False, ranked=False).reason
    interval, speed, rank = (reason.index(words) for words in ("its interval is", "its speed changed by", "its rank"))
    assert interval < speed < rank
    assert reason.count(" and its ") == 2
    assert f"by more than {NOISY.steady:.0%} while" in reason


def test_where_only_ranks_changed_nothing_is_said_of_intervals():
    reason = verdict(ranked=False).reason
    assert reason.startswith("its rank among the networks of its batch changed between the halves of the samples after")


def test_as_many_samples_as_are_wanted_are_not_few():
    few = samples(n=NOISY.samples - 1)
    assert verdict(few, narrow=False).reason.startswith(f"only {NOISY.samples - 1} samples after 2.0 s; ")
    enough = samples(n=NOISY.samples)
    assert verdict(enough, narrow=False).reason.startswith("its interval is")
    endless = replace(summarise(enough.seconds, np.ones(enough.n, dtype=bool), "p10"), high=float("inf"))
    rules = Rules(narrow=False, steady=True, ranked=True)
    said = judge(enough, endless, NOISY, threads=1, rules=rules, spent_s=2.0)
    assert said.reason.startswith(f"only {NOISY.samples} samples after")


@pytest.mark.parametrize(
    ("taken", "step"),
    [
        (
            samples(throttled_ns=0.25),
            "the control group's quota throttled it: raise the quota or use fewer threads (25% of the time)",
        ),
        (
            samples(steal_ns=0.25),
            "the hypervisor gave its CPUs to others: measure on a less shared machine (25% of the time)",
        ),
        (
            samples(waiting_ns=0.25),
            "other programs kept the CPUs busy: end them, or use fewer threads than CPUs (25% of the time)",
        ),
        (samples(cpu=0.5), "many samples were disturbed: let the machine come to rest (100%)"),
        # The first that is worth naming is named, not the largest.
        (
            samples(steal_ns=0.03, waiting_ns=0.9),
            "the hypervisor gave its CPUs to others: measure on a less shared machine (3% of the time)",
        ),
        (
            samples(steal_ns=0.02),
            "the hypervisor gave its CPUs to others: measure on a less shared machine (2% of the time)",
        ),
        (samples(steal_ns=0.0199), LONGER.format(cap=2 * NOISY.cap_s)),
        # Each of several threads can wait all the time.
        (
            samples(waiting_ns=1.7),
            "other programs kept the CPUs busy: end them, or use fewer threads than CPUs (100% of the time)",
        ),
    ],
)
def test_the_next_step_is_said_with_its_share(taken, step):
    reason = verdict(taken, narrow=False).reason
    assert reason.endswith(f"after 2.0 s; {step}")


def test_a_network_without_samples_has_no_cause():
    nothing = Samples.none()
    summary = summarise(nothing.seconds, np.empty(0, dtype=bool), "p10")
    rules = Rules(narrow=False, steady=True, ranked=True)
    said = judge(nothing, summary, NOISY, threads=1, rules=rules, spent_s=0.0)
    assert said.reason == f"only 0 samples after 0.0 s; {LONGER.format(cap=2 * NOISY.cap_s)}"


def test_which_cpus_are_busy_beyond_what_was_given():
    assert verdict(samples(cpu=1.39)).status == "ok"
    said = verdict(samples(cpu=1.41))
    assert (said.status, said.reason) == ("failed", "it kept 1.4 CPUs busy, with threads=1")
    # More than was given is a failure whatever the clock did.
    assert verdict(samples(cpu=1.9), throttled="heat").status == "failed"


def test_a_throttled_clock_says_why():
    assert verdict(throttled="heat").reason == (
        "the device's clock is throttled (heat): let it cool, or raise its power limit"
    )


def test_just_as_many_cpus_as_are_let_pass():
    assert verdict(samples(cpu=1.4)).status == "ok"


def test_visits_without_samples_have_no_cause():
    empty = replace(Samples.none(), **{name: np.zeros(2, dtype=np.int64) for name in ("round", "waiting_ns")})
    empty = replace(empty, steal_ns=np.zeros(2, dtype=np.int64), throttled_ns=np.zeros(2, dtype=np.int64))
    summary = summarise(empty.seconds, np.empty(0, dtype=bool), "p10")
    rules = Rules(narrow=False, steady=True, ranked=True)
    said = judge(empty, summary, NOISY, threads=1, rules=rules, spent_s=0.0)
    assert said.reason.endswith(LONGER.format(cap=2 * NOISY.cap_s))


def test_a_network_that_was_cut_short_is_unstable_unless_it_failed():
    cut = Verdict("unstable", "its measuring was cut short after 12 rounds; measure it again")
    for before in (Verdict("ok", ""), Verdict("unstable", "its rank changed")):
        assert unfinished(before, 12) == cut
    assert "after 1 round;" in unfinished(cut, 1).reason
    failed = Verdict("failed", "it kept 2 CPUs busy")
    assert unfinished(failed, 12) is failed


@pytest.mark.parametrize(
    ("numbers", "step"),
    [
        ({"effort": "quick"}, "measure it with --effort thorough"),
        ({"effort": "normal", "cap_s": 9.0}, "measure it with --effort thorough"),
        ({"cap_s": 3.5}, "measure it longer: --cap 7"),
    ],
)
def test_there_is_one_thing_to_do_that_can_be_done(numbers, step):
    rules = Rules(narrow=False, steady=True, ranked=True)
    summary = summarise(samples().seconds, np.ones(50, dtype=bool), "p10")
    said = judge(samples(), summary, profile("noisy", **numbers), threads=1, rules=rules, spent_s=2.0)
    assert said.reason.endswith(f"; {step}")


@pytest.mark.parametrize(
    ("slower", "step"),
    [
        (0.2, "what no counter shows slowed the machine by 22%: measure on a less shared one, or longer: --cap 4"),
        (0.01, "measure it longer: --cap 4"),
        (0.0, "measure it longer: --cap 4"),
    ],
)
@pytest.mark.parametrize("fast", [0.0, 0.125])
def test_a_pace_of_the_host_is_named_where_no_counter_says_more(slower, step, fast):
    # Zero is the host's calm end, where none of this network's visits need have been.
    pace = Pace(np.where(np.arange(50) % 2, fast + slower, fast), "median", 0.01)
    assert verdict(narrow=False, pace=pace).reason.endswith(f"; {step}")
    assert verdict(samples(steal_ns=0.5), narrow=False, pace=pace).reason.endswith("(50% of the time)")


def test_two_percent_are_worth_naming():
    pace = Pace(np.where(np.arange(50) % 2, math.log1p(0.02), 0.0), "median", 0.01)
    assert "slowed the machine by 2%" in verdict(narrow=False, pace=pace).reason


@pytest.mark.parametrize(
    ("spent_s", "times", "option"),
    [
        (1.9, 2, "--cap 4"),
        (2.5, 2, "--cap 4"),
        (2.51, 2, "--cap 6"),
        (17.0, 2, "--cap 34"),
        (17.2, 4, "--cap 69"),
        (0.0, 4, "--cap 8"),
    ],
)
def test_more_time_is_more_than_was_spent(spent_s, times, option):
    """The least number of samples of a slow network may take longer than the cap says."""
    assert more_time(NOISY, spent_s, times) == option


def test_a_slow_network_is_told_to_take_longer_than_it_did():
    assert verdict(narrow=False, spent_s=17.0).reason.endswith(f"after 17.0 s; {LONGER.format(cap=34)}")
