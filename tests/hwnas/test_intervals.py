"""An interval of few samples may have one bound only; the table of a profile shows what there is."""

from __future__ import annotations

import pytest

from hwnas.cli.profile import _interval


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(1.25, 2.5, "1.250..2.500"), (1.25, None, "1.250.."), (None, 2.5, "..2.500"), (None, None, "")],
)
def test_bounds_that_are_not_known_are_left_out(low, high, shown):
    assert _interval({"ci_low": low, "ci_high": high}) == shown


def test_a_table_has_none():
    assert _interval({"value": 1.0}) == ""
