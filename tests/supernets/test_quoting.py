"""What others say is cut in messages, and harmless on a terminal."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.supernets.errors import HwnasError, UnknownNameError, UsageError
from hwnas.supernets.quoting import LONGEST, shortened, shortened_message, visible


@pytest.mark.parametrize(
    "long", ["x" * 10**6, "a b " * 10**5, "'" * 10**5, "\\" * 10**5, "é\n" * 10**5, "\x1b[3m" * 10**5]
)
def test_an_error_of_any_kind_quotes_little_of_what_was_given(long):
    for error in (
        UsageError(f"config {long!r}: expected min or max"),
        UsageError(f"the study's table {long!r} and {long!r}: is damaged"),
        HwnasError(f"{long}: no such file"),
        UnknownNameError("study", long, ["s"]),
    ):
        assert len(str(error)) < 5 * LONGEST + 1


def test_what_frames_a_value_is_whole():
    said = str(UsageError(f"the config {'a b ' * 5000!r}: expected min, max or random:SEED, as 'min' is"))
    assert said.startswith("the config 'a b a b")
    assert said.endswith("': expected min, max or random:SEED, as 'min' is")
    assert len(said) < LONGEST + 60


def test_ordinary_messages_are_as_they_were():
    said = "unknown algorithm 'linass'; did you mean 'linas'? (known: age-moea, ctaea, ga, linas)"
    assert shortened_message(said) == said
    names = ", ".join(f"name-{number}" for number in range(60))
    assert shortened_message(f"expected one of {names}") == f"expected one of {names}"


@given(st.text(max_size=3 * LONGEST))
def test_a_text_is_cut_in_the_middle(text):
    cut = shortened(text)
    assert cut == text if len(text) <= LONGEST else len(cut) == LONGEST
    assert text.startswith(cut.partition("...")[0])


def test_no_message_takes_long():
    before = time.process_time()
    for text in ('"\\' * 10**6, "'a" * 10**6, " '" * 10**6):
        shortened_message(text)
    assert time.process_time() - before < 5


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_steers_a_terminal_is_left(text):
    shown = visible(text)
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs"} or char in "\n\t" for char in shown)
    shown.encode("utf-8")


def test_what_can_be_read_stays():
    for text in ("Größe 1 µs", "日本\n\t語", "a\N{NO-BREAK SPACE}b", ""):
        assert visible(text) == text
    assert visible("\x1b[31m\u202e\udcff\r\x9b\x7f") == r"\x1b[31m\u202e\udcff\r\x9b\x7f"
