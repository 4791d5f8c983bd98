"""What a Python caller gives is taken in Python's own types, or refused in one line."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from hwnas.supernets.errors import UnknownNameError, UsageError
from hwnas.supernets.given import as_int, plain, several


def test_numbers_and_arrays_of_numpy_become_pythons_own_wherever_they_are():
    given = {"n": np.int64(3), "x": [np.float32(0.5), (np.bool_(True), "a")], "w": np.array([[1, 2]]), "none": None}
    assert json.dumps(plain(given)) == '{"n": 3, "x": [0.5, [true, "a"]], "w": [[1, 2]], "none": null}'


@pytest.mark.parametrize("value", [7, np.int8(7), np.uint64(7)])
def test_whole_numbers(value):
    assert type(as_int("seed", value)) is int
    assert as_int("seed", value) == 7


@pytest.mark.parametrize("value", [7.0, "7", None, True, np.float64(7), [7]])
def test_what_is_no_whole_number(value):
    with pytest.raises(UsageError, match="seed: expected a whole number, got "):
        as_int("seed", value)


def test_a_whole_number_that_is_too_small():
    assert as_int("evals", 1, 1) == 1
    with pytest.raises(UsageError, match="evals: expected at least 1, got 0"):
        as_int("evals", np.int64(0), 1)


@pytest.mark.parametrize("given", [["a", "b"], ("a", "b"), {"a": 1, "b": 2}.keys(), (one for one in "ab")])
def test_several(given):
    assert several("names", given, "a") == ["a", "b"]


@pytest.mark.parametrize("given", ["ab", b"ab", None, 5, {"a": 1}])
def test_one_thing_is_not_several(given):
    with pytest.raises(UsageError, match=r"names: expected a list like \['a'\], got "):
        several("names", given, "a")


def test_an_unknown_name_comes_back_from_another_process():
    error = UnknownNameError("study", "sm", ["small", "large"])
    back = pickle.loads(pickle.dumps(error))
    assert (str(back), back.kind, back.name, back.known) == (str(error), "study", "sm", ["large", "small"])
