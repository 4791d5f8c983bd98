"""The loop with several batches under way: what is asked beside what, and what the algorithm is told when."""

from __future__ import annotations

import numpy as np
import pytest
from scripted_search import (
    ALL,
    SPACE,
    Beside,
    Devices,
    Objective,
    Remembering,
    Scripted,
    algorithm_told,
    evaluated,
    keys,
    loop,
    run,
)

from hwnas.search.study.asking import PATIENCE, SIDE_BY_SIDE
from hwnas.search.study.clock import Clock
from hwnas.search.study.drift import Drift
from hwnas.search.study.stored import Snapshot, StudyCheckpoint
from hwnas.supernets.errors import UsageError

ROWS = ALL.tolist()


def test_an_algorithm_is_asked_beside_what_is_under_way_and_told_of_each_batch_as_it_arrives():
    algorithm, devices, reports = Beside(ALL[:2], ALL[2:4], ALL[4:6]), Devices(1, None, 0, 2), []
    made = loop(algorithm, devices, window=2)
    reason = run(made, report=lambda: reports.append(keys(made.archive)))
    assert devices.calls == [ROWS[:2], ROWS[2:4], ROWS[4:6]]
    # Asked a third time it knows of the first alone; a fourth and a fifth time it has nothing to propose.
    assert algorithm.pending[:3] == [[], ROWS[:2], ROWS[:2]]
    assert algorithm.pending[3:] == [ROWS[4:6], []]
    assert algorithm_told(made) == [ROWS[2:4], ROWS[:2], ROWS[4:6]]
    assert reports == [SPACE.keys(ALL[[2, 3]]), SPACE.keys(ALL[[2, 3, 0, 1]]), SPACE.keys(ALL[[2, 3, 0, 1, 4, 5]])]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 2, 2]
    assert reason == "the algorithm has nothing left to ask for after 6 evaluations"


def test_what_it_asks_for_at_once_goes_to_devices_in_batches():
    devices = Devices()
    made = loop(Beside(ALL), devices, window=3)
    assert run(made) == "all 9 sub-networks of the space are evaluated"
    assert SIDE_BY_SIDE == 4
    assert devices.calls == [ROWS[:4], ROWS[4:8], ROWS[8:]]
    assert algorithm_told(made) == devices.calls


def test_one_that_cannot_be_asked_beside_others_is_told_of_all_it_asked_for_at_once():
    algorithm, devices = Scripted(ALL[:6], ALL[6:8]), Devices(1, 0, 2)
    made = loop(algorithm, devices, window=2)
    run(made)
    assert devices.calls == [ROWS[:4], ROWS[4:6], ROWS[6:8]]
    assert keys(made.archive) == SPACE.keys(ALL[[4, 5, 0, 1, 2, 3, 6, 7]])
    assert algorithm_told(made) == [ROWS[:6], ROWS[6:8]]


@pytest.mark.parametrize("kind", [Beside, Scripted])
@pytest.mark.parametrize("evals", [3, 5])
def test_what_is_under_way_counts_among_the_evaluations(kind, evals):
    devices = Devices()
    made = loop(kind(ALL[:6], ALL[6:]), devices, window=2)
    assert run(made, evals=evals) == f"{evals} evaluations are done"
    assert keys(made.archive) == SPACE.keys(ALL[:evals])
    assert sum(map(len, devices.calls)) == evals


def test_what_is_under_way_is_not_evaluated_twice():
    devices = Devices()
    made = loop(Beside(ALL[:2], [[0, 1], [0, 2], [0, 2], [0, 0], [1, 0]]), devices, window=2)
    run(made)
    assert devices.calls == [ROWS[:2], [[0, 2], [1, 0]]]


def test_an_algorithm_without_a_new_proposal_is_asked_again_when_something_has_arrived():
    """It is told what it asked for only where nothing else is under way: else the next arrival tells it enough."""
    algorithm = Beside(ALL[:1], *[ALL[:1]] * PATIENCE, ALL[1:2])
    made = loop(algorithm, Devices(), window=2)
    assert run(made) == "the algorithm has nothing left to ask for after 2 evaluations"
    assert keys(made.archive) == ["00", "01"]
    assert algorithm_told(made) == [ROWS[:1], ROWS[1:2]]


def test_batches_are_started_beside_the_best_of_what_drifts():
    devices = Devices()
    made = loop(Beside(ALL[:1], ALL[1:2], ALL[2:3], ALL[3:4]), devices, window=2, drifts={"latency": Drift()})
    run(made)
    # The first two are sent before anything has arrived; the front is the fastest.
    assert devices.again == [[], [], [ROWS[0]], [ROWS[0]]]


def test_other_objectives_are_evaluated_when_a_batch_has_arrived():
    devices, other = Devices(1, 0), Objective("memory")
    made = loop(Beside(ALL[:2], ALL[2:4]), devices, other, window=2)
    run(made)
    assert other.calls == [ROWS[2:4], ROWS[:2]]
    assert [one.objectives["latency"] for one in made.archive] == [one.objectives["memory"] for one in made.archive]


def test_with_one_batch_at_a_time_nothing_is_pending():
    algorithm = Beside(ALL[:2], ALL[2:4])
    made = loop(algorithm, window=1)
    run(made)
    assert algorithm.pending == [None] * 3
    assert algorithm_told(made) == [ROWS[:2], ROWS[2:4]]


def test_with_one_batch_at_a_time_nothing_is_started():
    class One(Devices):
        evaluate = Objective.evaluate

    one = One()
    run(loop(Scripted(ALL[:2], ALL[2:3]), one, window=1))
    assert one.calls == [ROWS[:2], ROWS[2:3]]
    assert one.again == []


def test_waiting_for_devices_is_time_of_measuring(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hwnas.search.study.clock.time.perf_counter", lambda: now[0])

    class Slow(Devices):
        def arrived(self, timeout_s):
            now[0] += 2.0
            assert 0 < timeout_s <= 1
            return super().arrived(timeout_s)

    made = loop(Beside(ALL[:2], ALL[2:4]), Slow(None, 0, None, 1), window=2, clock=Clock())
    run(made)
    assert [one.measure_s for one in made.archive] == [4.0, 4.0, 8.0, 8.0]


def test_what_is_under_way_is_saved_before_it_is_asked_again():
    saved = []
    made = loop(Beside(ALL[:1], ALL[1:2], ALL[2:3]), Devices(), checkpoint=StudyCheckpoint(save=saved.append), window=2)
    run(made)
    assert [(one["evaluations"], one["under_way"]) for one in saved] == [
        (1, [ROWS[1:2]]),
        (2, [ROWS[2:3]]),
        (3, []),
    ]


def test_a_state_that_does_not_say_all_is_neither_saved_nor_restored():
    """With a wide window, one that waits for all it asked for has observed less than what has arrived."""
    saved, algorithm = [], Remembering(ALL[:2], ALL[2:4])
    snapshot = Snapshot(2, (), {"asked": 1}).to_json()
    made = loop(algorithm, Devices(), checkpoint=StudyCheckpoint(evaluated([ALL[:2]]), snapshot, save=saved.append),
                window=2)  # fmt: skip
    run(made)
    assert saved == []
    assert algorithm.restored is None
    assert algorithm_told(made) == [ROWS[:2], ROWS[2:4]]


# --- going on from the store -----------------------------------------------------------------------------------------


def stored(batches, order):
    made = loop(Beside(*batches), Devices(*order), window=2)
    run(made)
    return list(made.archive)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (0, 2, 1)])
def test_batches_are_replayed_in_the_order_in_which_they_arrived(order):
    batches = [ALL[:2], ALL[2:4], ALL[4:6]]
    before = stored(batches, order)
    algorithm, devices = Beside(*batches, ALL[6:7]), Devices()
    made = loop(algorithm, devices, checkpoint=StudyCheckpoint(before), window=2)
    run(made)
    assert list(made.archive)[:6] == before
    assert algorithm_told(made) == [batches[place].tolist() for place in order] + [ROWS[6:7]]
    assert devices.calls == [ROWS[6:7]]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 2, 2, 3]


def test_of_a_batch_that_was_cut_short_the_rest_is_measured_with_its_number():
    before = stored([ALL[:3], ALL[3:5]], (1, 0))[:3]
    assert keys(before) == SPACE.keys(ALL[[3, 4, 0]])
    devices = Devices()
    made = loop(Beside(ALL[:3], ALL[3:5], ALL[5:6]), devices, checkpoint=StudyCheckpoint(before), window=2)
    run(made)
    assert devices.calls == [ROWS[1:3], ROWS[5:6]]
    assert [one.iteration for one in made.archive] == [0, 0, 1, 1, 1, 2]


def test_what_was_under_way_is_sent_again_in_its_batches():
    snapshot = Snapshot(2, (ALL[2:4], ALL[4:5]), {"asked": 3}).to_json()
    algorithm, devices = Beside(ALL[:2], ALL[2:4], ALL[4:5], ALL[5:6]), Devices()
    made = loop(algorithm, devices, checkpoint=StudyCheckpoint(evaluated([ALL[:2]]), snapshot), window=3)
    run(made)
    assert algorithm.restored == ({"asked": 3}, ROWS[:5])
    assert devices.calls == [ROWS[2:4], ROWS[4:5], ROWS[5:6]]
    assert algorithm.pending[0] == ROWS[2:5]


def test_other_batches_than_those_of_the_study_are_refused():
    before = stored([ALL[:2], ALL[2:4]], (1, 0))
    made = loop(Beside(ALL[:2], ALL[4:6]), Devices(), checkpoint=StudyCheckpoint(before), window=2)
    with pytest.raises(UsageError, match="the algorithm proposes other sub-networks than the study has evaluated"):
        run(made)


def test_canonical_vectors_are_whole_numbers():
    made = loop(Beside(np.array(ROWS[:2], dtype=np.int8)), Devices(), window=2)
    run(made)
    assert [one.vector for one in made.archive] == [(0, 0), (0, 1)]
