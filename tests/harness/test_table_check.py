"""What a check says of a table's sums, from latencies that are given; ``test_lut.py`` measures them."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.harness.luts.check import TableCheck

MEASURED = np.array([1.0, 2.0, 4.0, 1.0])
PREDICTED = np.array([1.1, 1.4, 4.8, 9.0])


def check(corrected=None):
    """Three held-out sub-networks, off by 10, -30 and 20 %, and one that a correction was fitted on."""
    fitted = np.array([False, False, False, True])
    return TableCheck("net", "p", ("a", "b", "c", "d"), MEASURED, MEASURED, MEASURED, PREDICTED, corrected, fitted)


def test_the_worst_are_farthest_off_to_either_side_and_held_out():
    found = check()
    assert [one["key"] for one in found.worst()] == ["b", "c", "a"]
    assert [one["error_percent"] for one in found.worst(2)] == pytest.approx([-30.0, 20.0])
    assert found.worst(1)[0] == {
        "key": "b", "measured_ms": 2000.0, "predicted_ms": 1400.0, "error_percent": pytest.approx(-30.0)
    }  # fmt: skip


def test_scores_are_of_what_was_held_out():
    scores = check().scores(PREDICTED)
    assert (scores.n, scores.mape, scores.bias) == (3, pytest.approx(20.0), pytest.approx(0.0))
    assert scores.kendall_tau == 1.0


def test_a_correction_takes_the_place_of_the_sums():
    corrected = check(corrected=MEASURED * 1.01)
    assert [one["error_percent"] for one in corrected.worst()] == pytest.approx([1.0] * 3)
    assert corrected.to_json()["plain"]["mape_percent"] == pytest.approx(20.0)
    assert corrected.to_json()["corrected"]["mape_percent"] == pytest.approx(1.0)
    assert check().to_json()["corrected"] is None
