"""When a search stops: the target, the plateau, and the corner that hypervolume is measured from."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.search.objectives import Directions, Outcome
from hwnas.search.study.archive import Archive, Evaluation
from hwnas.search.study.stopping import Reference, reference_default, reference_given, stop_rule
from hwnas.supernets.errors import UsageError
from hwnas.supernets.space import Choice, SearchSpace

BOTH = Directions([False, True])  # a latency and an accuracy
SPACE = SearchSpace((Choice("w", (1, 2, 3)), Choice("k", (3, 5))))


def objective(name, of=None, unit=""):
    """An objective that is known for nothing (``of``), or one that has to be measured."""

    def evaluate(X):
        if of is None:
            raise AssertionError(f"{name} was measured")
        return Outcome.of(np.array([of(row) for row in X], dtype=float), "")

    return SimpleNamespace(name=name, unit=unit, source="counted", costs_nothing=of is not None, evaluate=evaluate)


MEASURED = [objective("latency"), objective("top1")]


def archive(*rows):
    """An archive of (latency, top1): where one is nan it failed."""
    made = Archive(["latency", "top1"], BOTH)
    made.add(
        [
            Evaluation(
                i,
                i,
                (i,),
                {},
                str(i),
                {"latency": a, "top1": b},
                "failed" if np.isnan(a) else "ok",
                violation=np.inf if np.isnan(a) else 0.0,
            )
            for i, (a, b) in enumerate(rows)
        ]
    )
    return made


def stops(archive, *, target=None, plateau=None, point=(10.0, 0.0)):
    return stop_rule(target, plateau, Reference(np.array(point)))(archive)


def steps(gains):
    """An archive whose hypervolume is 1 after the first evaluation and grows by each of ``gains``."""
    areas = np.cumsum([1.0, *gains])
    return archive(*[(9.0, area) for area in areas])


def test_without_rules_a_search_goes_on():
    assert stops(archive()) is None
    assert stops(steps([0.0] * 50)) is None


def test_a_target_that_is_reached_stops():
    # (10 - 8) x 3 = 6 lies between the point and the corner at latency 10 and accuracy 0.
    reached = archive((8.0, 3.0))
    assert stops(reached, target=6.0) == "the target hypervolume 6 is reached"
    assert stops(reached, target=6.001) is None
    assert stops(archive(), target=1e-9) is None
    assert stops(reached, target=0.5) is not None


@pytest.mark.parametrize(
    ("gains", "plateau", "stopped"),
    [
        ([0.0, 0.0, 0.0], 3, True),
        ([0.0, 0.0, 0.0], 4, False),  # as many evaluations as the plateau are no more than a beginning
        ([0.0, 0.0, 0.0], 1, True),
        ([0.5, 0.0, 0.0], 2, True),
        ([0.5, 0.0, 0.0], 3, False),
        ([0.0, 0.0, 0.5], 3, False),
        ([0.0009, 0.0], 2, True),
        ([0.0011, 0.0], 2, False),
        ([99.0, 0.05], 1, True),  # 0.05 is little of 100
        ([99.0, 0.2], 1, False),
        ([0.0006, 0.0006], 2, False),  # together they are more than 0.1 %
        ([0.0006, 0.0006], 1, True),
    ],
)
def test_a_plateau_is_a_front_that_gained_less_than_a_thousandth(gains, plateau, stopped):
    reason = stops(steps(gains), plateau=plateau)
    expected = f"the last {plateau} evaluations added less than 0.1% to the hypervolume"
    assert reason == (expected if stopped else None)


def test_a_gain_of_exactly_a_thousandth_goes_on():
    # 1000 of 1024 squares, then all: shares of two that no rounding touches would be less than 0.1 %.
    assert stops(archive((0.0, 999.0), (0.0, 1000.0)), plateau=1, point=(1.0, 0.0)) is None
    assert stops(archive((0.0, 999.5), (0.0, 1000.0)), plateau=1, point=(1.0, 0.0)) is not None


def test_a_front_beyond_the_corner_is_no_plateau():
    outside = archive(*[(20.0, 1.0)] * 5)
    assert stops(outside, plateau=2) is None
    # Small numbers are numbers too.
    assert stops(archive(*[(9.0, 1e-6)] * 5), plateau=2) is not None


def test_where_nothing_has_a_value_there_is_no_plateau():
    nothing = archive(*[(np.nan, np.nan)] * 5)
    assert stops(nothing, plateau=2, point=(np.nan, np.nan)) is None


def test_a_corner_that_is_not_known_is_the_worst_value_so_far():
    rows = archive((2.0, 50.0), (5.0, 70.0), (np.nan, np.nan), (3.0, 60.0))
    open_ = Reference(np.array([np.nan, -40.0]))
    assert not open_.fixed
    assert open_.of(rows).tolist() == [5.0, -40.0]
    assert Reference(np.array([np.nan, np.nan])).of(rows).tolist() == [5.0, -50.0]
    assert np.isnan(open_.of(archive())).tolist() == [True, False]
    given = Reference(np.array([4.0, -40.0]))
    assert given.fixed
    assert given.of(rows).tolist() == [4.0, -40.0]
    # From the worst so far, 5 ms: the front stood still since the second.
    still = archive((5.0, 50.0), (2.0, 60.0), (2.0, 60.0), (2.0, 60.0))
    assert stops(still, plateau=2, point=(np.nan, -40.0)) is not None
    assert stops(still, plateau=3, point=(np.nan, -40.0)) is None


def test_rules_that_cannot_be_met_are_refused():
    open_, fixed = Reference(np.array([np.nan, 0.0])), Reference(np.array([1.0, 0.0]))
    with pytest.raises(UsageError, match="a target hypervolume needs a reference point"):
        stop_rule(1.0, None, open_)
    for target in (0.0, -1.0, float("nan"), float("inf"), 1e60):
        with pytest.raises(UsageError, match=re.escape(f"hypervolume: expected a positive number, got {target}")):
            stop_rule(target, None, fixed)
    with pytest.raises(UsageError, match="plateau: expected at least 1 evaluation, got 0"):
        stop_rule(None, 0, fixed)
    assert stop_rule(None, 1, open_)(archive()) is None
    assert stop_rule(0.5, None, fixed)(archive()) is None


def test_a_given_corner_is_in_the_users_units():
    given = reference_given({"top1": 60, "latency": 20.0}, MEASURED, BOTH)
    assert given.point.tolist() == [20.0, -60.0]


def test_a_given_corner_names_each_objective_once():
    with pytest.raises(UsageError, match="reference: unknown objective 'latancy'; did you mean 'latency'"):
        reference_given({"latancy": 20.0, "top1": 60.0}, MEASURED, BOTH)
    with pytest.raises(UsageError, match=r"expected a value for each of latency, top1; latency has none"):
        reference_given({"top1": 60.0}, MEASURED, BOTH)
    with pytest.raises(UsageError, match=r"latency, top1 has none"):
        reference_given({}, MEASURED, BOTH)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e60, "20", None, True])
def test_a_given_corner_is_finite(value):
    for name, other in (("latency", "top1"), ("top1", "latency")):
        with pytest.raises(UsageError, match=f"reference: {name}: expected a finite number"):
            reference_given({name: value, other: 20.0}, MEASURED, BOTH)


@pytest.mark.parametrize("value", [0.0, -46.0])
def test_a_given_corner_of_a_time_is_above_0(value):
    times = [objective("latency", unit="ms"), MEASURED[1]]
    with pytest.raises(UsageError, match="reference: latency: expected a finite number above 0"):
        reference_given({"latency": value, "top1": 20.0}, times, BOTH)


def test_the_corner_by_default_is_the_worse_end_of_what_costs_nothing():
    # Of the ends (0, 0) and (2, 1): the counts grow from 0 to 3, the accuracy falls from 90 to 60.
    counts, accuracy = objective("macs", sum), objective("top1", lambda row: 90 - 10 * sum(row))
    assert reference_default(SPACE, [counts, accuracy], BOTH).point.tolist() == [3.0, -60.0]
    assert reference_default(SPACE, [counts, objective("top1")], BOTH).point.tolist()[0] == 3.0
    unknown = reference_default(SPACE, [objective("latency"), accuracy], BOTH).point
    assert np.isnan(unknown[0])
    assert unknown[1] == -60.0
