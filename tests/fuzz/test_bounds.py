"""Cases are bounded: the bounds are seen to hold."""

from __future__ import annotations

import itertools

import fuzzing
import pytest
from fuzzing import bounded


def test_a_case_that_takes_long_fails(monkeypatch):
    monkeypatch.setattr(fuzzing, "SECONDS", 0.05)
    with pytest.raises(pytest.fail.Exception, match=r"expected at most 0\.05"), bounded():
        sum(range(10_000_000))


def test_a_case_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(fuzzing, "_HARD_SECONDS", 0.05)
    with pytest.raises(pytest.fail.Exception, match="was ended"), bounded():
        all(1 for _ in itertools.repeat(0))


@pytest.mark.slow
def test_a_case_that_takes_much_memory_fails(monkeypatch):
    monkeypatch.setattr(fuzzing, "SECONDS", 60)  # to touch so much takes some machines seconds
    with pytest.raises(pytest.fail.Exception, match="MiB, expected at most 1,024"), bounded():
        # More than this process had before, whatever that was.
        bytearray(max(fuzzing.BYTES, fuzzing._most() - fuzzing._resident()) + (64 << 20))


def test_no_case_takes_all_memory():
    with pytest.raises(MemoryError), bounded():
        bytearray(16 << 30)


def test_what_takes_little_passes():
    with bounded():
        bytearray(1 << 20)
