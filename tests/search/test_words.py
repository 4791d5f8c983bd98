import math

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from hwnas.search.words import (
    against,
    facts,
    letter,
    listed,
    number,
    objective_title,
    quality_title,
    shortened,
    spelled,
)

_DIGITS = st.text("012", max_size=40)


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


def test_a_long_key_is_cut_in_the_middle():
    assert shortened(["0" * 20 + "1" * 25]) == {"0" * 20 + "1" * 25: "00000000…1111111"}


def test_a_key_no_longer_than_its_short_form_stays_whole():
    assert shortened(["0123456789012345"]) == {"0123456789012345": "0123456789012345"}


def test_keys_that_differ_near_their_end_show_more_of_it():
    a, b = "2" * 45, "2" * 35 + "1" + "2" * 9
    assert shortened([a, b]) == {a: "22222222…2222222222", b: "22222222…1222222222"}


def test_no_keys_are_no_trouble():
    assert shortened([]) == {}


@drawn(st.lists(st.tuples(_DIGITS, _DIGITS).map("2".join), max_size=8))
def test_different_keys_look_different(keys):
    short = shortened(keys)
    assert set(short) == set(keys)
    assert len(set(short.values())) == len(set(keys))


@pytest.mark.parametrize(
    ("objective", "predicted", "title"),
    [
        ({"name": "top1", "unit": "%"}, True, "predicted top1 (%)"),
        ({"name": "top1", "unit": "%"}, False, "top1 (%)"),
        ({"name": "latency", "unit": "ms"}, True, "latency (ms)"),
        ({"name": "score", "unit": ""}, True, "score"),
    ],
)
def test_a_title_has_the_unit_and_says_what_is_a_prediction(objective, predicted, title):
    assert objective_title(objective, {"metric": "top1", "unit": "%", "predicted": predicted}) == title


def test_a_quality_without_a_unit_has_no_brackets():
    assert quality_title({"metric": "score", "unit": "", "predicted": True}) == "predicted score"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.9477, "0.948"), (0.95, "0.95"), (0.9532, "0.95"), (0.94999, "0.94999"), (0.91, "0.91"), (-0.001, "0.00")],
)
def test_a_number_stays_on_its_side_of_a_threshold(value, shown):
    assert against(value, 0.95) == shown
