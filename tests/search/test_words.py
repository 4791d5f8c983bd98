import math

import pytest

from search.words import facts, letter, listed, number, spelled


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (17.7691, "17.77"),
        (0.0123456, "0.01235"),
        (-3.14159, "-3.142"),
        (20.0, "20"),
        (1234567, "1\u202f234\u202f567"),
        (12345.678, "12\u202f346"),
        (0, "0"),
        (None, "\u2013"),
        (math.nan, "\u2013"),
        ("as it is", "as it is"),
        (True, "True"),
    ],
)
def test_numbers(given, shown):
    assert number(given) == shown


def test_letters_go_on_after_z():
    assert [letter(index) for index in (0, 25, 26, 52)] == ["A", "Z", "A1", "A2"]
    assert len({letter(index) for index in range(200)}) == 200


def test_lists():
    assert [listed(["A"]), listed(["A", "B"]), listed(["A", "B", "C"])] == ["A", "A and B", "A, B and C"]


def test_configs_in_lines():
    assert spelled({"d": [2, 3], "r": [224], "note": "x"}) == ["d: 2 3", "r: 224", "note: x"]


def test_facts_are_flat():
    tree = {"cpu": {"model": "x", "flags": ["a", "b"]}, "none": None, "list": [{"a": 1}, 2], "empty": []}
    assert facts(tree) == [
        ("cpu \u00b7 model", "x"),
        ("cpu \u00b7 flags", "a, b"),
        ("none", "\u2013"),
        ("list 1 \u00b7 a", "1"),
        ("list 2", "2"),
        ("empty", "\u2013"),
    ]
