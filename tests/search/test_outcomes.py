"""What the outcomes of several objectives say of one sub-network."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from hwnas.search.objectives import Outcome
from hwnas.search.study.outcomes import effort_of, intervals_of, load_of, rows_of, status_of

N = 3
WHOLE = Outcome(
    np.array([1.0, 2.0, 3.0]),
    ("ok", "unstable", "failed"),
    ("", "noise", "no memory"),
    np.array([[0.5, 1.5], [1.5, 2.5], [np.nan, np.nan]]),
    ({"a": 1.0}, {"b": 2.0}, {}),
    (None, {"cpus": 1}, {"cpus": 2}),
    ("quick", "normal", "thorough"),
)
BARE = Outcome(np.array([4.0, 5.0, 6.0]), ("ok",) * N, ("",) * N)


@pytest.mark.parametrize("row", range(N))
def test_one_row_has_its_own_of_everything_and_nothing_of_others(row):
    one = rows_of(WHOLE, [row])
    for field in fields(Outcome):
        whole, own = getattr(WHOLE, field.name), getattr(one, field.name)
        assert len(own) == 1, field.name
        np.testing.assert_equal(own[0], whole[row])


@pytest.mark.parametrize("row", range(N))
def test_one_row_of_what_was_not_measured_has_as_little(row):
    one = rows_of(BARE, [row])
    assert (one.values.tolist(), one.status, one.reasons) == ([4.0 + row], ("ok",), ("",))
    assert (one.intervals, one.beside, one.loads, one.efforts) == (None, (), (), ())


def test_what_is_said_of_one_row_is_what_is_said_of_it_among_all():
    outcomes = {"time": WHOLE, "macs": BARE}
    for row in range(N):
        alone = {name: rows_of(one, [row]) for name, one in outcomes.items()}
        for said in (status_of, effort_of, load_of, intervals_of):
            assert said(alone, 0) == said(outcomes, row)


def test_the_least_effort_counts_and_where_nothing_is_measured_there_is_none():
    def outcome(*efforts):
        return Outcome(np.ones(len(efforts)), (), (), efforts=efforts)

    assert effort_of({"a": outcome("thorough", "quick"), "b": outcome("normal", "thorough")}, 0) == "normal"
    assert effort_of({"a": outcome("thorough", "quick"), "b": outcome("normal", "thorough")}, 1) == "quick"
    assert effort_of({"a": BARE, "b": outcome("thorough")}, 0) == "thorough"
    assert effort_of({"a": BARE}, 0) == effort_of({}, 0) == ""


def test_the_first_load_there_is_is_told():
    def outcome(*loads):
        return Outcome(np.ones(len(loads)), (), (), loads=loads)

    assert load_of({"a": outcome(None), "b": outcome({"cpus": 3}), "c": outcome({"cpus": 4})}, 0) == {"cpus": 3}
    assert load_of({"a": BARE, "b": outcome(None)}, 0) is None


def test_a_failure_is_worse_than_noise_and_each_names_its_objective():
    def outcome(status, reason=""):
        return Outcome(np.ones(1), (status,), (reason,))

    time, gain = outcome("unstable", "noise"), outcome("failed", "no memory")
    assert status_of({"time": time, "gain": gain}, 0) == ("failed", "time: noise; gain: no memory")
    assert status_of({"time": time, "gain": outcome("ok", "of no account")}, 0) == ("unstable", "time: noise")
    assert status_of({}, 0) == ("ok", "")


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (np.nan, 1.0), (1.0, np.inf), (-np.inf, 1.0)])
def test_bounds_that_are_none_are_left_out(bounds):
    outcome = Outcome(np.ones(2), ("ok",) * 2, ("",) * 2, np.array([bounds, (1.0, 1.0)]))
    assert intervals_of({"a": outcome, "b": BARE}, 0) == {}
    assert intervals_of({"a": outcome, "b": BARE}, 1) == {"a": (1.0, 1.0)}
    assert intervals_of({"a": WHOLE, "b": outcome}, 0) == {"a": (0.5, 1.5)}
