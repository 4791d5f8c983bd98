"""What a value may be: a finite number, and above 0 where it is a time."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hwnas.supernets import values
from hwnas.supernets.errors import WorkError
from hwnas.supernets.values import Values, of_kind, one_of

NO_NUMBERS = [
    math.inf,
    -math.inf,
    math.nan,
    np.float32("inf"),
    True,
    np.True_,
    "75",
    b"75",
    None,
    75 + 1j,
    [75.0],
    object,
]


def of(given, n, **options):
    return Values.of(given, n, source="it", missing="knows none", **options)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_finite_number_may_be_no_value(value):
    assert values.fault(value).startswith("expected a finite number, got ")
    with pytest.raises(ValueError, match="expected a finite number, got"):
        values.number(value)


@pytest.mark.parametrize("value", [1e51, -1e308, 10**400, np.float64(1e300)], ids=repr)
def test_a_number_that_is_finite_and_too_large_is_told_the_limit(value):
    assert values.fault(value).startswith("expected a finite number up to 1e+50, got ")
    assert "expected a finite number above 0 and up to 1e+50, got " in values.fault(value, time=True)
    with pytest.raises(ValueError, match=r"expected a finite number up to 1e\+50, got"):
        values.number(value)


@pytest.mark.parametrize("value", [0, 0.0, -0.0, -1e-300, np.int64(-46), -46])
def test_a_time_is_above_0(value):
    assert values.fault(value) is None
    assert values.fault(value, time=True).startswith("expected a finite number above 0, got ")


@pytest.mark.parametrize("value", [1, 5e-324, np.float32(0.5), Fraction(1, 3), 1e50])
def test_what_may_be_a_value_and_a_time(value):
    assert values.fault(value) is values.fault(value, time=True) is None
    assert values.number(value) == float(value)


def test_units_of_time():
    assert all(map(values.is_time, ("s", "ms", "us")))
    assert not any(map(values.is_time, ("", "%", "M", "MB", "ms²")))


def test_stored_values():
    assert math.isnan(values.number_or_none(None))
    assert values.bounds(1, 2.5) == (1.0, 2.5)
    assert math.isnan(values.bounds(None, 2)[0])
    for ends in ((2, 1), (1, "2"), (math.nan, 1), (0, math.inf)):
        with pytest.raises(ValueError, match="expected"):
            values.bounds(*ends)


def objects(given):
    array = np.empty(len(given), dtype=object)
    array[:] = given
    return array


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("form", [list, tuple, objects])
def test_of_an_answer_only_what_may_not_be_is_left_out(form, value):
    found = of(form([1.0, value, 3]), 3)
    assert found.values.dtype == np.float64
    assert found.values.tolist()[::2] == [1.0, 3.0]
    assert math.isnan(found.values[1])
    assert found.reasons[::2] == ("", "")
    if isinstance(value, float) and math.isnan(value):
        assert found.reasons[1] == "knows none"
    else:
        assert found.reasons[1].startswith("it gave ")
        assert found.reasons[1].endswith(": expected a finite number")


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64", "uint8"])
def test_arrays_of_any_numbers(dtype):
    assert of(np.array([1, 2], dtype=dtype), 2).values.tolist() == [1.0, 2.0]
    assert of(torch.tensor([1, 2]), 2).values.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("array", [np.array([1 + 0j]), np.array(["1"]), np.array([True])])
def test_arrays_of_something_else(array):
    assert of(array, 1).reasons[0].startswith("it gave ")


@pytest.mark.parametrize(
    "given", [None, 75.0, np.float64(75), np.ones((2, 1)), [1.0], [1.0, 2.0, 3.0], "75", {1.0, 2.0}]
)
def test_an_answer_of_another_form_is_no_answer(given):
    with pytest.raises(WorkError, match=r"it gave .* for 2 sub-networks, expected one value for each"):
        of(given, 2)


@given(st.lists(st.floats()), st.booleans())
def test_what_is_kept_may_be_a_value(given, time):
    found = of(np.array(given), len(given), time=time)
    assert found.values.shape == (len(given),)
    for before, after, reason in zip(given, found.values, found.reasons, strict=True):
        may_be = math.isfinite(before) and abs(before) <= values.LARGEST and (before > 0 or not time)
        assert (after == before) == may_be == (not reason)


def test_messages_are_short_and_plain():
    for odd in ("\x1b[2J" * 1000, b"\x00" * 10_000, 10**5000, type("X", (), {"__repr__": lambda _: "\x1b" * 10_000})()):
        reason = values.fault(odd)
        assert len(reason) < 200
        assert "\x1b" not in reason


@given(st.floats())
def test_json_has_a_number_for_every_finite_one_and_none_for_others(value):
    assert values.json_number(value) == (value if math.isfinite(value) else None)


def test_json_numbers_keep_the_shape_whole_numbers_and_nine_digits():
    given = [np.array([[1 / 3, math.nan], [-math.inf, 2.0]]), np.arange(2), [7, 1e-12 / 3]]
    assert values.json_numbers(given) == [
        [[0.333333333, None], [None, 2.0]],
        [0, 1],
        [7, 3.33333333e-13],
    ]


# --- stored values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kind", "spelled"),
    [
        ("3", int, "int"),
        (3.0, int, "int"),
        (True, int, "int"),
        (True, int | None, r"int \| None"),
        (3, str, "str"),
        (None, str, "str"),
        ([], dict, "dict"),
        (1, bool, "bool"),
        (["a"], str | None, r"str \| None"),
    ],
)
def test_a_stored_value_of_another_type_is_named(value, kind, spelled):
    with pytest.raises(TypeError, match=f"^what: expected {spelled}, got "):
        of_kind("what", value, kind)


@pytest.mark.parametrize(
    ("value", "kind"), [(3, int), (3, int | None), (None, str | None), (True, bool), ({}, dict), (2.5, float | int)]
)
def test_a_stored_value_of_its_type_is_returned(value, kind):
    assert of_kind("what", value, kind) is value


@pytest.mark.parametrize("value", ["great", "", "OK", None, 3, ["ok"], {"ok": 1}])
def test_a_stored_word_is_one_of_those_there_are(value):
    with pytest.raises(ValueError, match=r"^status: expected one of ok, failed, got "):
        one_of("status", value, ("ok", "failed"))
    assert one_of("effort", "", ("", "quick")) == ""
    with pytest.raises(ValueError, match=r"^effort: expected one of quick, got 'slow'$"):
        one_of("effort", "slow", ("", "quick"))


def test_what_is_quoted_of_a_stored_value_is_short():
    for fails in (lambda: of_kind("key", {"a": "x" * 10_000}, str), lambda: one_of("status", "x" * 10_000, ("ok",))):
        with pytest.raises((TypeError, ValueError)) as caught:
            fails()
        assert len(str(caught.value)) < 200
