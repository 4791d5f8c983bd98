"""Long texts that repeat one thing: the time of reading them grows with their length, not with its square."""

from __future__ import annotations

import contextlib

import pytest
from fuzzing import bounded

from hwnas.harness.store.secrets import check_path
from hwnas.latency_luts.formats._document import _NUMBER
from hwnas.latency_luts.metric import Metric
from hwnas.search.study import constraints
from hwnas.supernets.errors import HwnasError

LENGTH = 60_000
# What stands before, what is repeated, and what stands behind.
TEXTS = [
    ("latency<", "9", "=20ms"),
    ("latency<=1", " ", "!"),
    ("latency<=1", "e", "!"),
    ("latency", " ", "!"),
    ("", "a", "!"),
    ("", "pass", "!"),
    ("host", " ", "!"),
    ("", "a:", "!"),
    ("", ":", "!"),
    ("", " pass", "!"),
    ("latency", " ", "x"),
    ("latency", " (", "x"),
    ("latency", "_s", "x"),
    ("latency [", " ", "x"),
]


class Latency:
    """An objective, as far as a constraint looks at it."""

    name, unit, maximise = "latency", "ms", False


@pytest.mark.parametrize("parts", TEXTS, ids=["".join(one) for one in TEXTS])
@pytest.mark.parametrize(
    "read",
    [
        lambda text: constraints.parse(text, [Latency()]),
        lambda text: check_path(text, "expected a path"),
        Metric.of,
        _NUMBER.fullmatch,
    ],
    ids=["a constraint", "a store", "a column", "a number"],
)
def test_reading_takes_no_longer_than_any_case(read, parts):
    before, repeated, behind = parts
    text = before + repeated * (LENGTH // len(repeated)) + behind
    with bounded(), contextlib.suppress(HwnasError):
        read(text)
