"""The threads that really ran."""

from __future__ import annotations

import itertools
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.host import cpus, threads
from hwnas.harness.host.threads import Activity
from hwnas.supernets.errors import MeasurementError


def burn(seconds=0.004):
    # By CPU time: a busy machine makes it take longer, and does not let it get away with less.
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


class Pool:
    """Threads that stay, as a runtime's do."""

    def __init__(self, n):
        import hashlib
        from concurrent.futures import ThreadPoolExecutor

        self.n, self.executor = n, ThreadPoolExecutor(n)
        self.data, self.hash = b"x" * 4_000_000, hashlib.sha256

    def __call__(self):
        list(self.executor.map(self.hash, [self.data] * self.n))


@pytest.mark.alone
def test_one_thread_is_seen():
    check = threads.verify(burn, 1)
    assert check.verified
    assert check.source == "schedstat"
    assert 0.7 < check.runnable < 1.3


@pytest.mark.alone
@pytest.mark.skipif(cpus.allowed_cpus() < 2, reason="needs two CPUs")
def test_two_threads_are_seen():
    pool = Pool(2)
    with pool.executor:
        assert threads.verify(pool, 2).active in (2, 3)  # the caller hands out the work


@pytest.mark.alone
@pytest.mark.skipif(cpus.allowed_cpus() < 2, reason="needs two CPUs")
def test_more_threads_than_asked_for_are_caught():
    pool = Pool(2)
    with pool.executor, pytest.raises(MeasurementError, match="1 threads were asked for and more ran"):
        threads.verify(pool, 1)


@pytest.mark.slow
def test_fewer_threads_than_asked_for_are_caught():
    with pytest.raises(MeasurementError, match="2 threads were asked for and fewer ran"):
        threads.verify(burn, 2)


@pytest.mark.slow
def test_a_network_too_small_to_share_is_no_error():
    check = threads.verify(burn, 2, shared=False)
    assert not check.verified
    assert "too small" in check.note


@pytest.mark.slow
def test_without_schedstat_psutil_says_it(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "_TASKS", tmp_path / "none")
    check = threads.verify(burn, 1)
    assert check.source == "psutil"
    assert check.verified
    assert "psutil" in check.note


@pytest.mark.parametrize(
    ("asked", "on_cpu", "waiting", "verdict"),
    [
        (1, {1: 1.0}, {}, "verified"),
        (1, {1: 0.3, 2: 0.7}, {}, "verified"),  # the caller hands over to the runtime's own thread and waits
        (1, {1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5}, "more"),  # two threads on one CPU take turns
        (1, {1: 1.0, 2: 1.0}, {}, "more"),
        (2, {1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5}, "verified"),  # a busy machine hides nothing
        (2, {1: 0.5, 2: 0.5}, {}, "fewer"),  # two threads that take turns by themselves
        (2, {1: 1.0, 2: 0.01}, {}, "fewer"),
        (4, {1: 1.0, 2: 0.9, 3: 0.9, 4: 0.8}, {}, "verified"),
        (4, {1: 1.0, 2: 0.9, 3: 0.9}, {}, "fewer"),
        (64, dict.fromkeys(range(50), 0.5), {}, "verified"),
        (64, dict.fromkeys(range(32), 0.5), {}, "fewer"),
    ],
)
def test_verdicts(asked, on_cpu, waiting, verdict):
    now = [0]

    def look():
        return Activity(
            *[{t: round(part * now[0]) for t, part in parts.items()} for parts in (on_cpu, waiting)], "schedstat"
        )

    def run():
        now[0] += 10_000_000

    if verdict == "verified":
        assert threads.verify(run, asked, look=look, now=lambda: now[0]).verified
    else:
        with pytest.raises(MeasurementError, match=verdict):
            threads.verify(run, asked, look=look, now=lambda: now[0])


# --- where it ran ----------------------------------------------------------------------------------------------------

ANYWHERE = frozenset(range(16))


def seen(asked, work, allowed):
    """Verify what a burst of such work, by task, shows, when each task may run on the CPUs ``allowed``."""
    now = [0]

    def look():
        done = {task: round(part * now[0]) for task, part in work.items()}
        return Activity(done, dict.fromkeys(work, 0), "schedstat", {t: frozenset(c) for t, c in allowed.items()})

    def run():
        now[0] += 10_000_000

    return threads.verify(run, asked, look=look, now=lambda: now[0])


@pytest.mark.parametrize(
    ("asked", "work", "allowed"),
    [
        (2, {1: 1.0, 2: 1.0}, {1: {0}, 2: {0}}),
        (2, {1: 0.2, 2: 0.9, 3: 0.9}, {1: ANYWHERE, 2: {0}, 3: {0}}),  # the caller hands out the work, and idles
        (3, {1: 1.0, 2: 1.0, 3: 1.0}, {1: ANYWHERE, 2: {3}, 3: {3}}),
        (3, {1: 1.0, 2: 1.0, 3: 1.0}, {1: {0, 1}, 2: {0, 1}, 3: {0, 1}}),  # three on two, none of them on one
        (4, dict.fromkeys(range(4), 1.0), {0: {0, 1}, 1: {1, 2}, 2: {0, 2}, 3: {0, 1, 2}}),
        (16, dict.fromkeys(range(16), 1.0), {task: {0} if task in (3, 15) else ANYWHERE for task in range(16)}),
    ],
)
def test_threads_that_share_cpus_are_caught(asked, work, allowed):
    with pytest.raises(MeasurementError, match=f"{asked} threads were asked for, and those that worked may run on too"):
        seen(asked, work, allowed)


@pytest.mark.parametrize(
    ("asked", "work", "allowed"),
    [
        (1, {1: 1.0}, {1: {3}}),
        (2, {1: 1.0, 2: 1.0}, {1: {0}, 2: {1}}),
        (2, {1: 1.0, 2: 1.0}, {1: {0}, 2: {0, 1}}),
        (2, {1: 1.0, 2: 1.0, 3: 0.2}, {1: {0}, 2: {1}, 3: {0}}),  # the third hands out the work
        (3, {1: 1.0, 2: 1.0, 3: 1.0}, {1: {0, 1}, 2: {0, 1}, 3: {0, 1, 2}}),
        (3, {1: 1.0, 2: 1.0, 3: 1.0}, {1: {0, 1, 2}, 2: {0, 1}, 3: {0}}),  # those seated first have to move
        (2, {1: 1.0, 2: 1.0}, {}),  # the system does not say
    ],
)
def test_threads_that_have_cpus_of_their_own_are_not(asked, work, allowed):
    check = seen(asked, work, allowed)
    assert check.verified
    assert check.cpus == (asked if allowed else None)


@given(st.lists(st.sets(st.integers(0, 4), min_size=1), max_size=5))
def test_a_cpu_of_its_own_for_as_many_as_halls_theorem_says(places):
    subsets = [c for n in range(len(places) + 1) for c in itertools.combinations(places, n)]
    # The most that can be matched is all but the largest shortage of any set of tasks.
    assert threads.cpus_apart(places) == len(places) - max(len(c) - len(set().union(*c)) for c in subsets)


def test_many_threads_that_may_run_anywhere_are_counted_at_once():
    assert threads.cpus_apart([frozenset(range(3000))] * 3000) == 3000


@pytest.mark.alone
@pytest.mark.skipif(cpus.allowed_cpus() < 2, reason="needs two CPUs")
def test_real_threads_on_one_cpu_are_caught():
    pool = Pool(2)
    cpu = min(cpus.affinity())
    with pool.executor:
        list(pool.executor.map(lambda _: (os.sched_setaffinity(0, {cpu}), time.sleep(0.05)), range(2)))
        with pytest.raises(MeasurementError, match=f"one on CPU {cpu}, one on CPU {cpu}"):
            threads.verify(pool, 2)


def test_a_task_that_ends_meanwhile_is_left_out(tmp_path, monkeypatch):
    for task, text in ((5, "10 20 3"), (6, "")):
        (tmp_path / str(task)).mkdir()
        (tmp_path / str(task) / "schedstat").write_text(text)
    (tmp_path / "7").mkdir()
    monkeypatch.setattr(threads, "_TASKS", tmp_path)
    assert (threads.activity().on_cpu_ns, threads.activity().source) == ({5: 10}, "schedstat")
