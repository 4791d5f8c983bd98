"""Objectives of the caller's own: how they are spelled, and what may be a value of one."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hwnas.search.objectives import Objective, Outcome
from hwnas.search.study.own import OwnObjective, own_objective
from hwnas.supernets.errors import UsageError


@pytest.mark.parametrize(
    ("spelled", "name", "unit", "maximise"),
    [
        ("top1:max", "top1", "", True),
        ("energy[mJ]:min", "energy", "mJ", False),
        ("latency:max", "latency", "", True),  # the caller's own, though hwnas knows one of this name
    ],
)
def test_a_word_says_name_unit_and_direction(spelled, name, unit, maximise):
    own = own_objective(spelled)
    assert (own.name, own.unit, own.maximise) == (name, unit, maximise)
    assert (own.source, own.costs_nothing, own.exact, own.batched) == ("the caller", False, False, True)
    assert isinstance(own, OwnObjective)


@pytest.mark.parametrize("spelled", ["energy", "latency", "macs", "quality"])
def test_what_says_no_direction_is_not_the_callers(spelled):
    assert own_objective(spelled) is None


def test_a_name_with_a_colon_that_hwnas_has_is_not_the_callers():
    assert own_objective("latency:p99") is None


@pytest.mark.parametrize("spelled", ["energy:", "energy:MIN", ":min", "energy:min:mJ", "energy[]:min", "e y:min"])
def test_another_form_is_refused(spelled):
    wanted = f"objective {re.escape(repr(spelled))}: expected NAME:min or NAME:max for one of your own"
    with pytest.raises(UsageError, match=f"^{wanted}"):
        own_objective(spelled)


def test_what_was_nearly_one_of_ours_is_suggested():
    with pytest.raises(UsageError, match=r"or one that hwnas evaluates.*did you mean 'latency:p99'"):
        own_objective("latncy:p99")


def test_values_are_the_callers_and_none_is_a_failure():
    found = OwnObjective("energy", "mJ", maximise=False).outcome([3, None, np.float32(0.5), -2.0])
    np.testing.assert_equal(found.values, [3.0, np.nan, 0.5, -2.0])
    assert found.values.dtype == np.float64
    assert found.status == ("ok", "failed", "ok", "ok")
    assert found.reasons == ("", "the caller has no value of it", "", "")
    assert (found.intervals, found.beside) == (None, ())
    assert isinstance(found, Outcome)


def test_of_no_sub_networks_there_are_no_values():
    assert OwnObjective("energy", "mJ", maximise=False).outcome([]).values.shape == (0,)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "3", True, [1.0], 1e400, 10**400])
def test_what_can_be_no_value_is_named_with_its_place(value):
    energy = OwnObjective("energy", "mJ", maximise=False)
    with pytest.raises(UsageError, match=r"^energy: value 2: expected .*; None says that an evaluation failed$"):
        energy.outcome([None, 1.0, value, np.nan])


@pytest.mark.parametrize(("unit", "refused"), [("ms", True), ("s", True), ("mJ", False), ("", False)])
def test_a_time_is_above_zero(unit, refused):
    own = OwnObjective("wait", unit, maximise=False)
    for value in (0.0, -1.0):
        if refused:
            with pytest.raises(UsageError, match=r"^wait: value 0: expected"):
                own.outcome([value])
        else:
            assert own.outcome([value]).values.tolist() == [value]


def test_nobody_but_the_caller_evaluates_it():
    own: Objective = OwnObjective("energy", "mJ", maximise=False)
    with pytest.raises(UsageError, match=r"^energy: expected the caller's values of 3 sub-networks, got none$"):
        own.evaluate(np.zeros((3, 2), dtype=np.int64))
