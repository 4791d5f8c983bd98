"""The front that is reported: what may be on it by its noise is measured again, in full."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from hwnas.search.objectives import Directions, Outcome
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.constraints import Constraint
from hwnas.search.study.drift import Drift
from hwnas.search.study.final import FinalFront, candidates, measured_again
from hwnas.search.study.task import EvaluationTask
from hwnas.supernets.space import Choice, SearchSpace

SPACE = SearchSpace(tuple(Choice("kw"[column % 2], (1, 2, 3, 4)) for column in range(4)))
TIME = SimpleNamespace(name="time", unit="ms", maximise=False, source="a clock")
GAIN = SimpleNamespace(name="gain", unit="%", maximise=True, source="a table")


def evaluation(index, time, gain, status="ok", interval=None, violation=0.0):
    vector = tuple(int(digit) for digit in np.base_repr(index, 4).zfill(4))
    values = {"time": np.nan if status == "failed" else time, "gain": gain}
    key = "".join(map(str, vector))
    intervals = {} if interval is None else {"time": interval}
    return Evaluation(index, 0, vector, {}, key, values, status, intervals=intervals, violation=violation)


def archive_of(*evaluations):
    archive = Archive(["time", "gain"], Directions([False, True]))
    archive.add(evaluations)
    return archive


def task_of(*constraints):
    return EvaluationTask(SPACE, (TIME, GAIN), (), constraints)


def drift_of(archive, noise):
    """Return what has learned the values of an archive, and that they are known so well."""
    drift = Drift()
    for one in archive:
        value = one.objectives["time"]
        drift.learn(one.key, value, {}, (value * (1 - 1.96 * noise), value * (1 + 1.96 * noise)))
    return {"time": drift}


def chosen(archive, noise, task=None):
    return candidates(archive, task or task_of(), drift_of(archive, noise), seed=0)


@pytest.mark.parametrize(("noise", "wanted"), [(0.0, {0, 2}), (0.001, {0, 2}), (0.03, {0, 1, 2}), (0.5, {0, 1, 2, 3})])
def test_the_noise_says_who_may_be_on_the_front(noise, wanted):
    # 1 is dominated by 2 %, 3 by half.
    archive = archive_of(
        evaluation(0, 10.0, 70.0), evaluation(1, 10.2, 69.9), evaluation(2, 20.0, 80.0), evaluation(3, 30.0, 75.0)
    )
    assert set(chosen(archive, noise)) == wanted


def test_what_is_on_the_front_that_was_seen_comes_first():
    archive = archive_of(*(evaluation(index, 10.0 + 0.01 * index, 70.0 - 0.01 * index) for index in range(6)))
    assert chosen(archive, 0.02)[0] == 0


def test_all_that_was_seen_on_the_front_is_chosen_however_unlikely():
    """Its value is so uncertain that hardly a draw leaves it there; what is likelier, and was not seen, comes after."""
    seen = evaluation(0, 10.0, 70.0, interval=(-990.0, 1010.0))
    others = [evaluation(index, 10.0 + index, 70.0) for index in range(1, 4)]
    archive = archive_of(seen, *others)
    assert candidates(archive, task_of(), {}, seed=0)[0] == 0
    assert set(candidates(archive, task_of(), {}, seed=0)) == {0, 1}


def test_of_those_on_the_front_the_likeliest_come_first_and_of_equals_the_earliest():
    gains = [70.0, 70.3, 70.6, 80.0]
    archive = archive_of(*(evaluation(index, 10.0 + 0.05 * index, gain) for index, gain in enumerate(gains)))
    assert chosen(archive, 0.0) == [0, 1, 2, 3]
    # Each is doubted for its neighbours' sake; the last stands by itself.
    found = chosen(archive, 0.02)
    assert sorted(found) == [0, 1, 2, 3]
    assert found[0] == 3


def test_many_equals_stay_in_their_order_among_others():
    """Those that are certain come first, in their order; each other is doubted for another's sake."""
    known = [(one, 10.0 + one, 70.0 + one, None) for one in range(0, 60, 3)]
    doubted = [(one + 1, 10.02 + one, 69.5 + one, (9.8 + one, 10.24 + one)) for one in range(0, 60, 3)]
    rows = sorted(known + doubted)
    archive = archive_of(*(evaluation(row, time, gain, interval=i) for row, (_, time, gain, i) in enumerate(rows)))
    found = candidates(archive, task_of(), {}, seed=0)
    certain = [row for row, one in enumerate(rows) if one[3] is None]
    assert [row for row in found if row in certain] == certain
    assert len(found) > len(certain)


def test_the_seed_alone_decides_the_draws():
    values = [(10.0 + 0.01 * index, 70.0 - 0.003 * index) for index in range(30)]
    archive = archive_of(*(evaluation(index, *pair) for index, pair in enumerate(values)))
    first, again, other = (candidates(archive, task_of(), drift_of(archive, 0.01), seed=seed) for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(("sigmas", "wanted"), [(1.5, {0, 1}), (3.0, {0})])
def test_one_in_twenty_draws_is_enough(sigmas, wanted):
    """The better of two values that are apart by so many standard deviations of their difference, of one objective."""
    low, high = stats.norm.interval(0.95, loc=10.0, scale=0.1)
    apart = sigmas * 0.1 * np.sqrt(2)
    archive = archive_of(
        evaluation(0, 10.0, 70.0, interval=(low, high)),
        evaluation(1, 10.0 + apart, 70.0, interval=(low + apart, high + apart)),
    )
    assert set(candidates(archive, task_of(), {}, seed=0)) == wanted


@pytest.mark.parametrize(("share", "wanted"), [(0.05, [0, 1]), (0.0475, [0])])
def test_just_one_in_twenty_draws_is_enough(monkeypatch, share, wanted):
    monkeypatch.setattr("hwnas.search.study.final.shares_on_front", lambda *_, **__: np.array([0.9, share]))
    archive = archive_of(evaluation(0, 10.0, 70.0), evaluation(1, 11.0, 70.0))
    assert candidates(archive, task_of(), {}, seed=0) == wanted


def test_values_are_drawn_about_what_is_known_of_them_without_drift():
    """Everything took twice as long in the second batch: by the values as measured, 1 has no chance."""
    drift = Drift()
    drift.learn("0000", 10.0, {}, (10.0, 10.0))
    for key, value in (("0001", 19.0), ("0002", 30.0)):
        drift.learn(key, value, {"0000": 20.0}, (value, value))
    archive = archive_of(evaluation(0, 10.0, 70.0), evaluation(1, 19.0, 69.0), evaluation(2, 30.0, 68.0))
    assert candidates(archive, task_of(), {}, seed=0) == [0]
    assert set(candidates(archive, task_of(), {"time": drift}, seed=0)) >= {0, 1}


def test_an_objective_that_has_failed_is_of_no_evaluation_that_counts():
    """Its value may be there, and good: an evaluation that failed has none."""
    archive = archive_of(evaluation(0, 10.0, 70.0), replace(evaluation(1, 5.0, 95.0), status="failed"))
    assert chosen(archive, 0.02) == [0]


def test_without_drift_the_intervals_say_how_well_values_are_known():
    wide, narrow = (9.8, 10.6), (10.19, 10.21)
    for interval, wanted in ((wide, {0, 1}), (narrow, {0})):
        archive = archive_of(evaluation(0, 10.0, 70.0), evaluation(1, 10.2, 69.9, interval=interval))
        assert set(candidates(archive, task_of(), {}, seed=0)) == wanted


def test_what_failed_is_no_candidate_and_what_may_meet_a_constraint_is_one():
    limit = Constraint("time", False, 10.0, "ms")
    archive = archive_of(
        evaluation(0, 9.0, 70.0),
        evaluation(1, 10.1, 75.0, violation=0.01),  # 1 % beyond, known to 2 %
        evaluation(2, 20.0, 90.0, violation=1.0),
        evaluation(3, 5.0, 95.0, status="failed"),
    )
    assert set(chosen(archive, 0.02, task_of(limit))) == {0, 1}
    assert candidates(archive_of(evaluation(0, 1.0, 1.0, status="failed")), task_of(), {}, seed=0) == []


def test_what_is_measured_again_has_its_new_values_and_remembers_the_old():
    limit = Constraint("time", False, 10.0, "ms")
    before = evaluation(0, 9.0, 70.0, interval=(8.0, 10.0))
    time = Outcome(np.array([12.0]), ("unstable",), ("noise",), np.array([[11.0, 13.0]]), ({},), efforts=("thorough",))
    (after,) = measured_again([before], task_of(limit), {"time": time})
    assert after.objectives == {"time": 12.0, "gain": 70.0}
    assert after.while_searching == {"time": 9.0}
    assert (after.status, after.reason, after.effort) == ("unstable", "time: noise", "thorough")
    assert after.intervals["time"] == (11.0, 13.0)
    assert after.violation == pytest.approx(0.2)
    assert not after.feasible
    assert after.beside == {}
    assert after.load is None


def test_a_new_value_without_bounds_does_not_keep_those_of_the_old_one():
    before = replace(
        evaluation(0, 9.0, 70.0, interval=(8.0, 10.0)), intervals={"time": (8.0, 10.0), "gain": (69.0, 71.0)}
    )
    time = Outcome(np.array([12.0]), ("unstable",), ("few samples",), np.array([[11.0, np.inf]]), ({},))
    (after,) = measured_again([before], task_of(), {"time": time})
    assert after.objectives["time"] == 12.0
    assert after.intervals == {"gain": (69.0, 71.0)}


def test_what_was_beside_it_while_it_was_measured_again_is_known():
    load = {"busy": 1.5, "programs": []}
    before = [replace(evaluation(row, 9.0, 70.0), beside={"time": {"0001": 3.0}}, load={"busy": 9}) for row in range(2)]
    time = Outcome(np.array([12.0, 13.0]), ("ok",) * 2, ("",) * 2, None, loads=(None, load), efforts=("thorough",) * 2)
    first, second = measured_again(before, task_of(), {"time": time})
    assert (first.load, second.load) == (None, load)
    assert (first.beside, second.beside) == ({}, {})
    assert (first.objectives["time"], second.objectives["time"]) == (12.0, 13.0)
    assert (first.index, second.index) == (0, 1)


def test_a_final_front_is_of_its_evaluations_and_no_others():
    archive = archive_of(evaluation(0, 9.0, 70.0), evaluation(1, 10.0, 80.0))
    final = FinalFront("thorough", 2, (archive[1],))
    assert final.of(archive)
    assert not FinalFront("thorough", 1, (archive[0],)).of(archive), "the study has gone on"
    assert not FinalFront("thorough", 2, (replace(archive[1], key="9999"),)).of(archive), "another sub-network"
    assert not FinalFront("thorough", 2, (archive[0], evaluation(2, 11.0, 90.0))).of(archive), "more than there are"


def test_the_front_is_of_what_was_measured_in_full():
    lucky = evaluation(0, 5.0, 80.0)  # too good by chance, and not measured again
    others = [evaluation(1, 10.0, 70.0), evaluation(2, 20.0, 80.0)]
    outcome = Outcome(np.array([11.0, 19.0]), ("ok", "ok"), ("", ""), None, ({}, {}), efforts=("thorough",) * 2)
    found = measured_again(others, task_of(), {"time": outcome})
    archive = archive_of(lucky, *others)
    assert archive.front == [0]
    assert archive.concluded(found).front == [1, 2]
    assert archive.concluded(found).row(1).tolist() == [11.0, -70.0]
    assert archive.front == [0]


def test_a_final_front_survives_its_record():
    outcome = Outcome(np.array([12.0]), ("ok",), ("",), None, ({},), efforts=("thorough",))
    final = FinalFront("thorough", 3, measured_again([evaluation(0, 9.0, 70.0)], task_of(), {"time": outcome}), 2)
    assert FinalFront.from_json(final.to_json()) == final
    assert final.facts() == {"effort": "thorough", "sub_networks": 1, "left_out": 2}
