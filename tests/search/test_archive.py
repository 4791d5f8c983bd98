"""The archive: fronts against brute force, round trips through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.search.hypervolume import hypervolume
from hwnas.search.objectives import Directions
from hwnas.search.study.archive import Archive, Evaluation

finite = st.floats(0, 8).map(round) | st.floats(0, 8)
rows = st.lists(st.tuples(finite, finite, st.sampled_from(["ok", "unstable", "failed"]), st.sampled_from([0.0, 0.5])))


def evaluation(index, latency=1.0, top1=70.0, status="ok", violation=0.0, **changed):
    base = {
        "index": index,
        "iteration": 0,
        "vector": (index // 36, index % 36),
        "config": {"d": [index]},
        "key": np.base_repr(index, 36).lower().zfill(2),
        "objectives": {"latency": latency, "top1": top1},
        "status": status,
        "violation": violation,
    }
    return Evaluation(**base | changed)


def archive(evaluations=()):
    made = Archive(["latency", "top1"], Directions([False, True]))
    made.add(evaluations)
    return made


def made_of(table):
    return [evaluation(i, a, b, status, violation) for i, (a, b, status, violation) in enumerate(table)]


def brute_force_front(evaluations):
    good = [one for one in evaluations if one.status != "failed" and one.violation == 0]

    def dominates(a, b):
        better = (a.objectives["latency"], -a.objectives["top1"]), (b.objectives["latency"], -b.objectives["top1"])
        return all(x <= y for x, y in zip(*better, strict=True)) and better[0] != better[1]

    return [one.index for one in good if not any(dominates(other, one) for other in good)]


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(1, 5))
def test_the_front_is_that_of_brute_force_however_it_was_filled(table, step):
    evaluations = made_of(table)
    filled = archive()
    for start in range(0, len(evaluations), step):
        filled.add(evaluations[start : start + step])
    assert filled.front == brute_force_front(evaluations)
    for n in range(len(evaluations) + 1):
        expected = filled.F[brute_force_front(evaluations[:n])]
        np.testing.assert_array_equal(filled.front_after(n), expected)


@settings(max_examples=40, deadline=None)
@given(rows)
def test_hypervolume_after_each_evaluation(table):
    evaluations, reference = made_of(table), np.array([6.0, -1.0])
    whole = archive(evaluations).hypervolumes(reference)
    each = [archive(evaluations[: n + 1]).hypervolume(reference) for n in range(len(evaluations))]
    np.testing.assert_allclose(whole, each)


def test_hypervolume_of_known_points():
    filled = archive([evaluation(0, 1, 72), evaluation(1, 2, 75)])
    # The box of the second, and the strip that the first adds on its left.
    assert filled.hypervolume(np.array([4.0, -70.0])) == pytest.approx(2 * 5 + 1 * 2)
    assert filled.hypervolume(np.array([4.0, -70.0])) == hypervolume(filled.F, [4.0, -70.0])


def test_an_evaluation_is_shown_in_one_line():
    one = evaluation(37, 1.23456789, 75, "unstable")
    assert repr(one) == "<Evaluation 37: latency 1.23457, top1 75; unstable; 11>"


def test_nearest_is_there_only_where_nothing_is_feasible():
    missed = [
        evaluation(0, violation=0.5),
        evaluation(1, violation=0.2),
        evaluation(2, status="failed", violation=np.inf),
    ]
    assert archive().nearest is None
    assert archive(missed).nearest == 1
    assert archive(missed).front == []
    assert archive([*missed, evaluation(3)]).nearest is None
    failed = evaluation(0, status="failed", violation=np.inf)
    assert archive([failed]).nearest is None  # what failed misses them by nothing that is known


def test_what_is_done_with_a_front_does_not_change_the_archive():
    made = archive([evaluation(0)])
    made.front.clear()
    made.front.append(7)
    assert made.front == [0]


def test_the_worst_leaves_out_what_failed():
    filled = archive([evaluation(0, 3, 70), evaluation(1, 1, 60), evaluation(2, np.nan, 10, "failed")])
    assert filled.worst().tolist() == [3, -60]
    assert np.isnan(archive().worst()).all()


def test_a_sub_network_is_kept_once_and_in_order():
    filled = archive([evaluation(0)])
    with pytest.raises(ValueError, match="out of order"):
        filled.add([evaluation(2)])
    with pytest.raises(ValueError, match="here already"):
        filled.add([evaluation(1, key="00")])
    assert "00" in filled
    assert "01" not in filled
    assert len(filled) == 1


@given(finite, st.sampled_from([0.0, 0.25, np.inf]), st.sampled_from([np.nan, 75.0]), st.text())
def test_json_and_back(latency, violation, top1, reason):
    given_one = evaluation(
        37,
        latency,
        top1,
        "failed",
        violation,
        reason=reason,
        intervals={"latency": (0.5, 1.5)},
        measure_s=1.5,
        total_s=2.5,
    )
    record = json.loads(json.dumps(given_one.to_json(), allow_nan=False))
    back = Evaluation.from_json(record)
    np.testing.assert_equal(asdict(back), asdict(given_one))


def test_what_was_measured_beside_goes_to_json_and_back():
    beside = {"latency": {"0a": 1.5, "zz": np.nan}, "top1": {}}
    one = evaluation(1295, beside=beside, iteration=3, search_s=0.5, measure_s=1.5, total_s=2.5)
    record = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert record["beside"] == {"latency": {"0a": 1.5, "zz": None}, "top1": {}}
    assert (record["search_s"], record["measure_s"], record["total_s"]) == (0.5, 1.5, 2.5)
    back = Evaluation.from_json(record)
    assert back.vector == (35, 35)  # a digit per choice, in base 36
    np.testing.assert_equal(asdict(back), asdict(one))


def test_evaluations_of_versions_that_measured_nothing_beside_are_read():
    record = evaluation(0).to_json()
    del record["beside"]
    assert Evaluation.from_json(record).beside == {}


LOADED = {"busy": 1.5, "programs": [{"name": "make", "cpus": 1.25}]}


def test_what_is_known_of_some_only_goes_to_json_and_back():
    some = {"load": LOADED, "effort": "quick", "while_searching": {"latency": 1.5, "top1": np.nan}}
    one = evaluation(0, **some)
    record = json.loads(json.dumps(one.to_json(), allow_nan=False))
    assert {name: record[name] for name in some} == {**some, "while_searching": {"latency": 1.5, "top1": None}}
    np.testing.assert_equal(asdict(Evaluation.from_json(record)), asdict(one))
    assert not {*some} & {*evaluation(0).to_json()}


def test_a_value_that_failed_leaves_the_others():
    one = evaluation(0, np.nan, 60.0, "failed", np.inf)
    assert Evaluation.from_json(one.to_json()).objectives["top1"] == 60.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"index": "0"}, "index: expected int, got '0'"),
        ({"iteration": True}, "iteration: expected int, got True"),
        ({"key": 0}, "key: expected str, got 0"),
        ({"config": "d"}, "config: expected dict, got 'd'"),
        ({"reason": None}, "reason: expected str, got None"),
        ({"status": "great"}, "status: expected one of ok, unstable, failed, got 'great'"),
        ({"effort": "some"}, "effort: expected one of quick, normal, thorough, got 'some'"),
        ({"objectives": {"latency": None}}, "latency: expected a finite number, got None in an evaluation that is ok"),
        ({"objectives": {"latency": np.inf}}, "latency: expected a finite number, got inf in an evaluation that is ok"),
        ({"violation": -0.5}, "violation: expected 0 or more, got -0.5"),
        ({"measure_s": -1}, "measure_s: expected 0 or more, got -1.0"),
        ({"search_s": "1"}, "search_s: expected a finite number, got '1'"),
        ({"total_s": np.inf}, "total_s: expected a finite number, got inf"),
        ({"intervals": {"top1": [2, 1]}}, "intervals, top1: expected an interval from low to high, got 2.0 to 1.0"),
        ({"beside": {"top1": {"00": np.inf}}}, "beside, top1: expected a finite number, got inf"),
        ({"while_searching": {"top1": "x"}}, "while_searching, top1: expected a finite number, got 'x'"),
        ({"load": {**LOADED, "busy": np.inf}}, "load: expected a finite number, got inf"),
    ],
)
def test_a_record_that_is_none_says_where(change, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        Evaluation.from_json(evaluation(0).to_json() | change)
    assert str(caught.value) == message


def test_an_archive_is_a_sequence_with_places():
    made = [evaluation(0), evaluation(1), evaluation(2)]
    filled = archive(made)
    assert list(filled) == made
    assert filled[1] is made[1]
    assert [filled.index(one.key) for one in made] == [0, 1, 2]
    with pytest.raises(KeyError):
        filled.index("zz")


def test_an_objective_without_a_value_is_nan_in_the_rows():
    filled = archive([evaluation(0), evaluation(1, status="failed", violation=np.inf, objectives={"latency": 2.0})])
    np.testing.assert_array_equal(filled.F, [[1.0, -70.0], [2.0, np.nan]])
    np.testing.assert_array_equal(filled.row(1), [2.0, np.nan])
    assert archive().F.shape == (0, 2)


def test_what_was_measured_again_takes_the_place_of_the_same_and_is_compared_with_its_like():
    found = archive([evaluation(0, 1.0, 70.0), evaluation(1, 2.0, 75.0), evaluation(2, 3.0, 80.0)])
    again = [
        evaluation(2, 3.5, 79.0, while_searching={"latency": 3.0}),
        evaluation(0, 1.5, 69.0, while_searching={"latency": 1.0}),
    ]
    concluded = found.concluded(again)
    assert list(concluded) == [again[1], found[1], again[0]]
    assert concluded.names == found.names
    np.testing.assert_array_equal(concluded.F, [[1.5, -69.0], [2.0, -75.0], [3.5, -79.0]])
    assert concluded.front == [0, 2]  # the second was measured briefly: it may be too good by chance
    assert found.front == [0, 1, 2]
    assert list(found.concluded([])) == list(found)


def test_of_a_front_that_was_measured_again_the_curve_is_of_that_front_alone():
    """What was measured briefly counts no more, before the first of the front was found as little as after it."""
    found = archive([evaluation(0, 1.0, 60.0), evaluation(1, 2.0, 75.0), evaluation(2, 3.0, 80.0)])
    again = [evaluation(index, index + 1.5, 70.0 + index, while_searching={"latency": 1.0}) for index in (1, 2)]
    concluded, corner = found.concluded(again), np.array([5.0, -50.0])
    first, last = hypervolume([[2.5, -71.0]], corner), hypervolume([[2.5, -71.0], [3.5, -72.0]], corner)
    assert concluded.hypervolumes(corner).tolist() == [0.0, first, last]
    assert concluded.hypervolume(corner) == last
    # Where nothing of them meets the constraints any more, the front is that of the others.
    broken = found.concluded([replace(one, violation=1.0) for one in again])
    assert broken.hypervolumes(corner).tolist() == [broken.hypervolume(corner)] * 3
    assert broken.hypervolume(corner) == hypervolume([[1.0, -60.0]], corner)


def test_nothing_dominates_nothing():
    corner = np.array([10.0, 0.0])
    assert archive().hypervolume(corner) == 0.0
    assert archive([evaluation(0, violation=1.0)]).hypervolume(corner) == 0.0
    assert archive([evaluation(0)]).hypervolume(np.array([np.nan, 0.0])) == 0.0
    assert archive([evaluation(0, 8.0, 3.0)]).hypervolume(corner) == 6.0
    assert archive([evaluation(0, violation=1.0), evaluation(1, 8.0, 3.0)]).hypervolumes(corner).tolist() == [0.0, 6.0]
