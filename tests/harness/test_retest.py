"""Test and retest: how two passes are compared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.retest import Retest, retest


def one(key, latency_s, status="ok", anchors=None, platform="p"):
    context = {} if anchors is None else {"anchors": anchors}
    return Measurement("net", {}, key, platform, status, "", "p15", latency_s, 1, 1, context=context)


def passes(first, second, anchors=(None, None)):
    return (
        [one(key, value, anchors=anchors[0]) for key, value in first.items()],
        [one(key, value, anchors=anchors[1]) for key, value in second.items()],
    )


FIRST = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}


def test_the_same_twice_agrees_wholly():
    found = retest(*passes(FIRST, FIRST))
    assert found == Retest("p", 4, 1.0, 0.0, 0.0, 0.0, "a", 0)
    assert str(found) == "p: two passes over 4 sub-networks agree at tau 1.000, median difference 0.00%, at most 0.00%"


def test_differences_are_relative_to_the_first_pass():
    second = {"a": 1.5, "b": 1.5, "c": 3.0, "d": 4.4}
    found = retest(*passes(FIRST, second))
    assert found.median_difference == pytest.approx(np.median([0.5, 0.25, 0.0, 0.1]))
    assert (found.worst_difference, found.worst_key) == (pytest.approx(0.5), "a")
    assert found.tau == pytest.approx(kendalltau(list(FIRST.values()), list(second.values())).statistic)
    assert found.drift == 0.0


def test_what_the_anchors_say_of_the_machine_is_divided_out():
    before, after = {"x": 1.0, "y": 2.0, "z": 4.0}, {"x": 1.1, "y": 2.2, "z": 8.0}
    found = retest(*passes(FIRST, {key: 1.1 * value for key, value in FIRST.items()}, (before, after)))
    assert found.drift == pytest.approx(0.1)
    assert found.worst_difference == pytest.approx(0.0, abs=1e-12)
    assert "(the machine's drift of +10.0% apart)" in str(found)


def test_a_machine_that_got_faster_has_a_drift_below_0():
    found = retest(*passes(FIRST, {key: 0.8 * value for key, value in FIRST.items()}, ({"x": 1.0}, {"x": 0.8})))
    assert found.drift == pytest.approx(-0.2)
    assert found.worst_difference == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    "after", [{}, {"other": 3.0}, {"x": np.nan}, {"x": np.inf}, {"x": 0.0}, {"x": -1.0}, {"x": 1.0, "new": 9.0}]
)
def test_anchors_that_say_nothing_are_no_drift(after):
    found = retest(*passes(FIRST, FIRST, ({"x": 1.0}, after)))
    assert found.drift == 0.0
    assert found.worst_difference == 0.0
    assert "drift" not in str(found)


def test_a_drift_is_told_from_half_a_thousandth_on():
    told = Retest("p", 2, 1.0, 0.0005, 0.0, 0.0, "a", 0)
    assert "drift of +0.1%" in str(told)
    assert "drift of -0.1%" in str(Retest("p", 2, 1.0, -0.0005, 0.0, 0.0, "a", 0))
    assert "drift" not in str(Retest("p", 2, 1.0, 0.00049, 0.0, 0.0, "a", 0))


def test_the_drift_is_the_median_over_the_networks():
    first = [one(key, value, anchors={"x": 1.0}) for key, value in FIRST.items()]
    ratios = (1.0, 1.2, 1.2, 1.4)
    second = [
        one(key, value * ratio, anchors={"x": ratio}) for (key, value), ratio in zip(FIRST.items(), ratios, strict=True)
    ]
    found = retest(first, second)
    assert found.drift == pytest.approx(0.2)
    assert found.worst_difference == pytest.approx(0.0, abs=1e-12)


def test_networks_without_a_value_are_left_out():
    first, second = passes(FIRST, {**FIRST, "a": np.nan, "b": 2.2})
    found = retest(first, second)
    assert (found.n, found.worst_key) == (3, "b")
    assert retest(second, first).n == 3
    nothing = retest(*passes(FIRST, dict.fromkeys(FIRST, np.nan)))
    assert (nothing.platform, nothing.n, nothing.worst_key) == ("p", 0, "")
    assert (nothing.drift, nothing.unconverged) == (0.0, 4)
    assert np.isnan([nothing.tau, nothing.median_difference, nothing.worst_difference]).all()


def test_one_network_has_no_tau():
    assert retest(*passes({"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 0.5})).tau == -1.0
    assert retest(*passes({"a": 1.0}, {"a": np.nan})).platform == "p"
    found = retest(*passes({"a": 1.0}, {"a": 1.25}))
    assert np.isnan(found.tau)
    assert str(found) == (
        "p: two passes over 1 sub-networks agree at no tau (two sub-networks are needed), median difference 25.00%, at "
        "most 25.00%"
    )


def test_what_did_not_settle_in_either_pass_is_counted():
    first = [one("a", 1.0, "unstable"), one("b", 2.0), one("c", 3.0, "unstable"), one("d", 4.0)]
    second = [one("a", 1.0), one("b", 2.0, "unstable"), one("c", 3.0, "unstable"), one("d", 4.0)]
    found = retest(first, second)
    assert found.unconverged == 3
    assert str(found).endswith("; 3 did not converge")


def test_passes_over_others_are_refused():
    fault = "^retest: expected two passes over the same sub-networks, in the same order$"
    for first, second in (
        ({}, {}),
        (FIRST, {}),
        (FIRST, {"b": 2.0, "a": 1.0, "c": 3.0, "d": 4.0}),
        ({"a": 1.0}, {"b": 1.0}),
    ):
        with pytest.raises(ValueError, match=fault):
            retest(*passes(first, second))
