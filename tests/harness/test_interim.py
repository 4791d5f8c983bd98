"""What is reported in the midst of a batch."""

from __future__ import annotations

import numpy as np
import pytest
from simulated import Machine, Network, Wandering

from hwnas.harness.measurement.convergence import Convergence
from hwnas.harness.measurement.interim import Interim
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.worker.timing import time_batch

NOISY = profile("noisy")
NOBODY: frozenset[int] = frozenset()


def look(*converged, narrow=(), n=3):
    """A look at the rules that ``converged`` meet; ``narrow`` alone is one of them."""
    met = frozenset(converged)
    return Convergence(
        Convergence.nothing(n).summaries,
        met | frozenset(narrow),
        frozenset(range(n)),
        met,
        met,
        1.0,
        all_converged=False,
    )


def test_each_is_reported_at_first_and_whenever_its_samples_have_doubled():
    interim = Interim(times=2)
    found = [interim.due(look(), {0: n, 1: 10 * n}) for n in (10, 12, 19, 20, 21, 39, 40, 90)]
    both = {0: False, 1: False}
    assert found == [both, {}, {}, both, {}, {}, both, both]


def test_one_that_settles_is_reported_then_and_no_more():
    interim = Interim(times=2)
    samples = iter(range(100, 200))
    told = [interim.due(seen, dict.fromkeys((0, 1), next(samples))) for seen in (look(), look(0), look(0), look(0))]
    assert told == [{0: False, 1: False}, {}, {0: True}, {}]
    assert interim.due(look(0), {0: 1000, 1: 1000}) == {1: False}


def test_one_look_does_not_settle_and_looks_have_to_follow_each_other():
    interim = Interim(times=2)
    interim.due(look(), {0: 100})
    assert [interim.due(seen, {0: 100}) for seen in (look(0), look(), look(0), look(narrow=[0]))] == [{}] * 4
    assert [interim.due(look(0), {0: 100}) for _ in range(2)] == [{}, {0: True}]


def test_one_without_samples_is_not_reported():
    assert Interim(times=1).due(look(), {0: 0, 1: 5, 2: 1}) == {1: False, 2: False}
    assert Interim(times=1).early({0: 0, 1: 5}) == {1: False}


def test_reports_before_any_look_count_as_none():
    interim = Interim(times=1)
    assert [interim.early({0: n}) for n in (4, 7, 8, 15)] == [{0: False}, {}, {0: False}, {}]
    assert interim.due(look(), {0: 15}) == {}
    assert interim.due(look(0), {0: 15}) == {0: True}
    assert interim.due(look(0), {0: 1000}) == {}


@pytest.fixture(scope="module")
def reports():
    """A batch of 6 networks and 2 anchors, of which the last never settles: every report, and the whole result."""
    machine, told = Machine(seed=1, jitter=0.02), []

    def report(result, due):
        told.append((result, dict(due), machine.now))
        machine.now += 700_000_000  # the listener takes its time

    networks = [Network(machine, 1e-3 * (1 + 0.1 * number)) for number in range(7)] + [Wandering(machine, 2e-3)]
    result = time_batch(networks, NOISY, machine, np.random.default_rng(0), anchors=2, report=report)
    return told, result


@pytest.mark.slow
def test_the_loop_reports_from_the_first_round_on_and_of_everybody_but_the_anchors(reports):
    told, result = reports
    everybody = dict.fromkeys(range(2, 8), False)
    assert [(before.rounds, due) for before, due, _ in told[:5]] == [(n, everybody) for n in (1, 2, 4, 8, NOISY.rounds)]
    assert NOISY.rounds < result.rounds / 4
    assert all(told[0][0].timed[index].samples.n for index in range(8))  # the anchors are there, too
    assert len(told) < 16  # few enough to cost little


def test_who_settles_is_reported_as_settled_once(reports):
    told, _ = reports
    converged = [index for _, due, _ in told for index, done in due.items() if done]
    assert sorted(converged) == sorted(set(converged))
    assert 7 not in converged
    assert len(converged) >= 3


def test_what_is_reported_is_what_there_is_so_far(reports):
    told, result = reports
    for before, due, _ in told:
        for index in due:
            n = before.timed[index].samples.n
            assert np.array_equal(before.timed[index].samples.wall_ns, result.timed[index].samples.wall_ns[:n])


def test_reports_cost_the_networks_nothing(reports):
    told, result = reports
    assert sum(timed.spent_s for timed in result.timed) <= 8.04 * NOISY.cap_s
    gaps = np.diff([moment for *_, moment in told])
    assert gaps.min() >= 700_000_000
    # What the host did meanwhile is on no visit's account.
    assert max(timed.samples.waiting_ns.max(initial=0) for timed in result.timed) < 700_000_000


@pytest.mark.slow
def test_a_listener_changes_no_order():
    def batch(report):
        machine = Machine(seed=1, jitter=0.02)
        networks = [Network(machine, 1e-3) for _ in range(4)]
        return time_batch(networks, NOISY, machine, np.random.default_rng(0), report=report)

    silent, told = batch(lambda *_: None), batch(lambda *_: [0])
    for one, other in zip(silent.timed, told.timed, strict=True):
        assert np.array_equal(one.samples.wall_ns, other.samples.wall_ns)
