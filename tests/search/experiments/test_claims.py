"""Claims: intervals against simulation, and verdicts on results that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from search.experiments.claims import (
    FAILED,
    HELD,
    UNDECIDED,
    Interval,
    above,
    below,
    difference_interval,
    mean_interval,
)
from search.experiments.compare_claims import Order, order_verdicts
from search.experiments.kinds import predictors


def problem(per_seed, budgets, threshold=0.8):
    reached = [{"name": name, "per_seed": seeds} for name, seeds in per_seed.items()]
    algorithms = [
        {"name": name, "runs": [{"evaluations": budgets[name], "at": {}} for _ in seeds]}
        for name, seeds in per_seed.items()
    ]
    return {"p": {"title": "P", "thresholds": [{"value": threshold, "reached": reached}], "algorithms": algorithms}}


def verdict(a, b, budgets=(100, 100)):
    (one,) = order_verdicts(
        Order("a before b", ("a", "b")), problem({"a": a, "b": b}, {"a": budgets[0], "b": budgets[1]})
    )
    return one


def test_an_order_of_evaluations():
    assert verdict([10, 11, 12], [40, 44, 42]).verdict == HELD
    assert verdict([40, 44, 42], [10, 11, 12]).verdict == FAILED
    assert verdict([10, 30, 90], [12, 28, 80]).verdict == UNDECIDED
    assert verdict([10, 11, 12], [40, 44, 42]).value == pytest.approx(3.82, abs=0.01)


def test_what_was_not_reached_is_a_bound_and_never_in_favour():
    # The slower one needs more than its 100: that may be used.
    assert verdict([10, 11, 12], [None, None, None]).verdict == HELD
    assert "at least" in verdict([10, 11, 12], [None, 90, 95]).statistic
    # Where the faster one did not get there, nobody knows how much later it would have been.
    assert verdict([10, 11, None], [40, 44, 42]).verdict == UNDECIDED
    assert verdict([None, None, None], [40, 44, 42], budgets=(100, 100)).verdict == FAILED
    assert verdict([None, None, None], [40, 44, 42], budgets=(20, 100)).verdict == UNDECIDED
    assert verdict([None, None], [None, None]).verdict == UNDECIDED
    assert verdict([None, None], [None, None]).value is None


def test_one_seed_decides_nothing():
    assert verdict([10], [90]).verdict == UNDECIDED


def test_an_order_of_hypervolumes_is_judged_where_both_are():
    runs = {"a": [{"30": 0.5, "60": 0.8}, {"30": 0.52, "60": 0.81}, {"30": 0.51, "60": 0.82}]}
    runs["b"] = [{"30": 0.4}, {"30": 0.41}, {"30": 0.39}]
    algorithms = [{"name": name, "runs": [{"at": at} for at in ats]} for name, ats in runs.items()]
    (one,) = order_verdicts(
        Order("a before b", ("a", "b"), by="hypervolume"), {"p": {"title": "P", "algorithms": algorithms}}
    )
    assert (one.verdict, one.where) == (HELD, "P, after 30 evaluations")
    assert one.value == pytest.approx(0.11)


def test_intervals_hold_what_they_should():
    rng = np.random.default_rng(1)
    one = two = 0
    for _ in range(2000):
        a, b = rng.normal(1.0, 0.5, size=5), rng.normal(0.0, 2.0, size=5)
        mean, difference = mean_interval(a), difference_interval(a, b)
        one += mean.low < 1.0 < mean.high
        two += difference.low < 1.0 < difference.high
    assert one / 2000 == pytest.approx(0.95, abs=0.015)
    assert two / 2000 == pytest.approx(0.95, abs=0.02)


def test_welch_as_scipy_has_it():
    from scipy.stats import ttest_ind

    a, b = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.6, 0.9])
    theirs = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    ours = difference_interval(a, b)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_above_and_below():
    assert above(Interval(2, 1.1, 3), 1) == HELD == below(Interval(0.5, 0.1, 0.9), 1)
    assert above(Interval(0.5, 0.1, 0.9), 1) == FAILED == below(Interval(2, 1.1, 3), 1)
    assert above(Interval(1.0, 0.5, 1.5), 1) == UNDECIDED == below(Interval(1.0, float("nan"), float("nan")), 1)


def predictors_data(stacked):
    rng = np.random.default_rng(2)

    def errors(level):
        return (level + 0.01 * rng.random((2, 5))).tolist()

    kinds = {"ridge": (0.5, 0.90), "svr-rbf": (0.4, 0.92), "stacked": stacked}
    rows = [{"kind": kind, "mape": errors(mape), "tau": errors(tau)} for kind, (mape, tau) in kinds.items()]
    return {"targets": {"t": {"title": "T", "sizes": [10, 20], "predictors": rows}}}


@pytest.mark.parametrize(
    ("stacked", "claim", "expected"),
    [
        ((0.35, 0.94), {"measure": "mape", "against": ("ridge", "svr-rbf")}, HELD),
        ((0.45, 0.91), {"measure": "mape", "against": ("ridge", "svr-rbf")}, FAILED),
        ((0.45, 0.91), {"measure": "mape", "against": ("ridge", "svr-rbf"), "margin": 0.3}, HELD),
        ((0.35, 0.94), {"measure": "tau", "against": ("ridge", "svr-rbf")}, HELD),
        ((0.45, 0.90), {"measure": "tau", "against": ("ridge", "svr-rbf")}, FAILED),
        ((0.35, 0.94), {"measure": "mape", "at_most": 0.91}, HELD),
        ((1.35, 0.94), {"measure": "mape", "at_most": 0.91}, FAILED),
        ((0.35, 0.94), {"measure": "tau", "at_least": 0.8348}, HELD),
        ((0.35, 0.74), {"measure": "tau", "at_least": 0.8348}, FAILED),
    ],
)
def test_claims_about_predictors(stacked, claim, expected):
    settings = predictors.Settings({}, (), (), 2, 1, claims=(predictors.Claim("so", "stacked", **claim),))
    (one,) = predictors.verdicts(settings, predictors_data(stacked))
    assert one.verdict == expected


def test_a_claim_is_against_others_or_a_bound():
    with pytest.raises(ValueError, match="one of against, at_most and at_least"):
        predictors.Claim("so", "stacked", "mape")
    with pytest.raises(ValueError, match="measure: expected mape or tau"):
        predictors.Claim("so", "stacked", "luck", at_most=1.0)
