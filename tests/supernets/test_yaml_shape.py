"""YAML that would end the process, or take all its memory, is refused before it is built."""

from __future__ import annotations

import pytest

from hwnas.supernets.documents import parse_yaml

LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "{a: " * 60_000, "- " * 60_000, "[" * 60_000 + "]" * 60_000, "? " * 60_000, "- " * 61 + "x"]
)
def test_what_is_nested_too_deeply(text):
    with pytest.raises(ValueError, match="nested deeper than 60 levels"):
        parse_yaml(text)


@pytest.mark.parametrize("text", [LAUGHS, "&a [*a]", "a: &b {c: *b}"])
def test_repetitions_of_repetitions(text):
    with pytest.raises(ValueError, match="within what can be repeated itself"):
        parse_yaml(text)


def test_what_is_repeated_once_is_read():
    assert parse_yaml("a: &x {mean: 1}\nb: *x\nc: [*x]") == {"a": {"mean": 1}, "b": {"mean": 1}, "c": [{"mean": 1}]}
    assert parse_yaml("- " * 59 + "x")
