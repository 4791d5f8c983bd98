from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwnas.cli.keys import shortened

DIGITS = st.text("012", max_size=40)


def test_a_long_key_is_cut_in_the_middle():
    assert shortened(["0" * 20 + "1" * 25]) == {"0" * 20 + "1" * 25: "00000000…1111111"}


def test_a_key_no_longer_than_its_short_form_stays_whole():
    assert shortened(["0123456789012345"]) == {"0123456789012345": "0123456789012345"}


def test_keys_that_differ_near_their_end_show_more_of_it():
    a, b = "2" * 45, "2" * 35 + "1" + "2" * 9
    assert shortened([a, b]) == {a: "22222222…2222222222", b: "22222222…1222222222"}


def test_no_keys_are_no_trouble():
    assert shortened([]) == {}


@given(st.lists(st.tuples(DIGITS, DIGITS).map("2".join), max_size=8))
def test_different_keys_look_different(keys):
    short = shortened(keys)
    assert set(short) == set(keys)
    assert len(set(short.values())) == len(set(keys))
