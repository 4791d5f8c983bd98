"""Claims: intervals against simulation, and verdicts on results that are made up."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.experiments.claims import (
    FAILED,
    HELD,
    UNDECIDED,
    ClaimVerdict,
    ConfidenceInterval,
    above,
    below,
    counted,
    difference_interval,
    mean_interval,
)
from hwnas.experiments.compare_claims import AlgorithmOrder, order_verdicts
from hwnas.experiments.kinds import predictors, transfer


def problem(per_seed, budgets, threshold=0.8):
    reached = [{"name": name, "per_seed": seeds} for name, seeds in per_seed.items()]
    algorithms = [
        {"name": name, "runs": [{"evaluations": budgets[name], "at": {}} for _ in seeds]}
        for name, seeds in per_seed.items()
    ]
    return {"p": {"title": "P", "thresholds": [{"value": threshold, "reached": reached}], "algorithms": algorithms}}


def verdict(a, b, budgets=(100, 100)):
    (one,) = order_verdicts(
        AlgorithmOrder("a before b", ("a", "b")), problem({"a": a, "b": b}, {"a": budgets[0], "b": budgets[1]})
    )
    return one


def test_an_order_of_evaluations():
    assert verdict([10, 11, 12], [40, 44, 42]).verdict == HELD
    assert verdict([40, 44, 42], [10, 11, 12]).verdict == FAILED
    assert verdict([10, 30, 90], [12, 28, 80]).verdict == UNDECIDED
    assert verdict([10, 11, 12], [40, 44, 42]).value == pytest.approx(3.82, abs=0.01)


def test_a_gain_that_matters_is_decided_where_both_need_nearly_the_same():
    a, b = [100, 101, 99, 100], [104, 105, 103, 104]
    both = problem({"a": a, "b": b}, {"a": 200, "b": 200})
    assert [one.verdict for one in order_verdicts(AlgorithmOrder("so", ("a", "b")), both)] == [HELD]
    (found,) = order_verdicts(AlgorithmOrder("so", ("a", "b"), times=1.1), both)
    assert (found.verdict, found.needed) == (FAILED, "above 1.1")
    assert found.value == pytest.approx(1.04, abs=0.001)
    (found,) = order_verdicts(AlgorithmOrder("so", ("a", "b"), times=1.02), both)
    assert found.verdict == HELD
    unreached = problem({"a": [10, 11, 12], "b": [None, None, None]}, {"a": 100, "b": 100})
    assert [one.verdict for one in order_verdicts(AlgorithmOrder("so", ("a", "b"), times=5.0), unreached)] == [HELD]
    assert [one.verdict for one in order_verdicts(AlgorithmOrder("so", ("a", "b"), times=20.0), unreached)] == [
        UNDECIDED
    ]


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
        AlgorithmOrder("a before b", ("a", "b"), by="hypervolume"), {"p": {"title": "P", "algorithms": algorithms}}
    )
    assert (one.verdict, one.where) == (HELD, "P, after 30 evaluations")
    assert one.value == pytest.approx(0.11)


@pytest.mark.slow
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
    assert above(ConfidenceInterval(2, 1.1, 3), 1) == HELD == below(ConfidenceInterval(0.5, 0.1, 0.9), 1)
    assert above(ConfidenceInterval(0.5, 0.1, 0.9), 1) == FAILED == below(ConfidenceInterval(2, 1.1, 3), 1)
    assert (
        above(ConfidenceInterval(1.0, 0.5, 1.5), 1)
        == UNDECIDED
        == below(ConfidenceInterval(1.0, float("nan"), float("nan")), 1)
    )


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
    settings = predictors.PredictorSettings(
        {}, (), (), 2, 1, claims=(predictors.PredictorClaim("so", "stacked", **claim),)
    )
    (one,) = predictors.verdicts(settings, predictors_data(stacked))
    assert one.verdict == expected


def test_a_claim_is_against_others_or_a_bound():
    with pytest.raises(ValueError, match="one of against, at_most and at_least"):
        predictors.PredictorClaim("so", "stacked", "mape")
    with pytest.raises(ValueError, match="measure: expected mape or tau"):
        predictors.PredictorClaim("so", "stacked", "luck", at_most=1.0)


# --- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_a_means_interval_is_students(n):
    from scipy import stats

    sample = np.random.default_rng(n).normal(3, 2, n)
    found = mean_interval(sample)
    expected = stats.t.interval(0.95, n - 1, loc=sample.mean(), scale=stats.sem(sample))
    assert found.value == pytest.approx(sample.mean())
    assert (found.low, found.high) == pytest.approx(expected)


def test_two_values_have_the_interval_of_one_degree_of_freedom():
    # Student's t with one degree of freedom is Cauchy's: its 97.5 % quantile is tan(0.475 pi) = 12.706.
    found = mean_interval(np.array([1.0, 3.0]))
    assert (found.low, found.high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)


def test_too_few_or_missing_values_have_no_interval():
    one, nothing, missing = (mean_interval(np.array(values)) for values in ([4.0], [], [1.0, 2.0, np.nan]))
    assert one.value == 4.0
    assert np.isnan([one.low, one.high, nothing.value, nothing.low, nothing.high, missing.low, missing.high]).all()
    a, b = np.array([4.0]), np.array([1.0, 2.0])
    for found, value in ((difference_interval(a, b), 2.5), (difference_interval(b, a), -2.5)):
        assert found.value == value
        assert np.isnan([found.low, found.high]).all()
    endless = difference_interval(np.array([1.0, np.inf]), b)
    assert endless.value == np.inf
    assert np.isnan([endless.low, endless.high]).all()


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 7), (5, 5), (9, 3)])
def test_a_differences_interval_is_welchs(n, m):
    from scipy.stats import ttest_ind

    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, n), rng.normal(1, 4, m)
    found, theirs = difference_interval(a, b), ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_samples_that_do_not_vary_differ_by_exactly_so_much():
    assert difference_interval(np.array([3.0, 3.0]), np.array([1.0, 1.0])) == ConfidenceInterval(2.0, 2.0, 2.0)


def test_an_interval_that_touches_the_level_decides_nothing():
    assert above(ConfidenceInterval(2, 1, 3), 1) == UNDECIDED == below(ConfidenceInterval(2, 1, 3), 3)
    assert above(ConfidenceInterval(2, 1, 3), 3) == UNDECIDED == below(ConfidenceInterval(2, 1, 3), 1)


def test_verdicts_are_counted_and_come_back_from_json():
    one = verdict([10, 11, 12], [40, 44, 42])
    assert ClaimVerdict.of(one.to_json()) == one
    records = [{"verdict": word} for word in (HELD, UNDECIDED, HELD)]
    assert counted(records) == "2 held, 1 undecided"
    assert counted([{"verdict": FAILED}]) == "1 did not hold"
    assert counted([]) == ""


def test_a_verdict_of_evaluations_says_all_of_it():
    from scipy.stats import ttest_ind

    fast, slow = [10, 11, 12, 13], [40, 44, 42, 60]
    found = verdict(fast, slow)
    theirs = ttest_ind(np.log(slow), np.log(fast), equal_var=False).confidence_interval(0.95)
    assert (found.claim, found.where, found.needed) == ("a before b", "P, to 0.800", "above 1")
    assert found.statistic == "evaluations of b over those of a"
    assert found.value == pytest.approx(np.exp(np.mean(np.log(slow)) - np.mean(np.log(fast))))
    assert (found.low, found.high) == pytest.approx((np.exp(theirs.low), np.exp(theirs.high)))


def test_twice_as_many_evaluations_are_more():
    # The level is a ratio of one, whose logarithm is 0.
    assert verdict([10, 10.1, 10.2], [20, 20.2, 20.4]).verdict == HELD


def test_what_the_slower_one_had_is_shown_as_a_bound():
    found = verdict([10, 10, 10], [None, 100, 100])
    assert found.value == pytest.approx(10.0)
    assert found.statistic == "evaluations of b over those of a, at least"


def test_what_the_faster_one_had_is_shown_where_it_did_not_get_there():
    found = verdict([None, 50, 50], [25, 25, 25], budgets=(50, 100))
    assert found.value == pytest.approx(0.5)
    assert found.statistic == "evaluations of b over those of a"


def test_an_order_is_tested_on_its_problems_only():
    first, second = (problem({"a": [10, 11], "b": [40, 44]}, {"a": 99, "b": 99})["p"] for _ in range(2))
    both = {"p": first | {"title": "P"}, "q": second | {"title": "Q"}}
    found = list(order_verdicts(AlgorithmOrder("so", ("a", "b"), problems=("q",)), both))
    assert [one.where for one in found] == ["Q, to 0.800"]
    assert [one.where[0] for one in order_verdicts(AlgorithmOrder("so", ("a", "b")), both)] == ["P", "Q"]


def test_neighbours_of_an_order_are_tested():
    three = problem({"a": [10, 11], "b": [40, 44], "c": [90, 91]}, dict.fromkeys("abc", 99))
    found = [one.statistic for one in order_verdicts(AlgorithmOrder("so", ("a", "b", "c")), three)]
    assert found == ["evaluations of b over those of a", "evaluations of c over those of b"]


def test_a_verdict_of_hypervolumes_says_all_of_it():
    from scipy.stats import ttest_ind

    runs = {"a": [0.5, 0.52, 0.51], "b": [0.5, 0.41, 0.39]}
    algorithms = [{"name": name, "runs": [{"at": {"30": value}} for value in values]} for name, values in runs.items()]
    claim = AlgorithmOrder("a before b", ("a", "b"), by="hypervolume")
    (found,) = order_verdicts(claim, {"p": {"title": "P", "algorithms": algorithms}})
    theirs = ttest_ind(runs["a"], runs["b"], equal_var=False).confidence_interval(0.95)
    assert (found.claim, found.where, found.needed) == ("a before b", "P, after 30 evaluations", "above 0")
    assert found.statistic == "hypervolume of a less that of b"
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_an_order_is_of_two_by_one_of_two_measures():
    with pytest.raises(ValueError, match=r"order: expected two algorithms or more, got \['a'\]"):
        AlgorithmOrder("so", ("a",))
    with pytest.raises(ValueError, match="by: expected evaluations or hypervolume, got 'luck'"):
        AlgorithmOrder("so", ("a", "b"), by="luck")
    for times in (0.9, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="times: expected a number of 1 or more, got "):
            AlgorithmOrder("so", ("a", "b"), times=times)
    with pytest.raises(ValueError, match="times: compares evaluations, not hypervolumes"):
        AlgorithmOrder("so", ("a", "b"), by="hypervolume", times=1.1)


def transferred(*per_seed):
    """Two platforms, and which share the front of the first keeps on the second, with the bootstrap's interval."""
    bounds = {"low": [[1.0, 0.7], [0.7, 1.0]], "high": [[1.0, 0.9], [0.9, 1.0]]}
    found = {"platforms": ["a", "b"], "intervals": {"hypervolume_ratio": bounds}}
    return {
        "given": ["a", "b"],
        "transfer": found,
        "hypervolume_ratios": [[[1.0, share], [share, 1.0]] for share in per_seed],
    }


def transfer_verdict(*per_seed):
    claim = transfer.TransferClaim("so")
    settings = transfer.TransferSettings(None, ("a", "b"), None, 1, 0, claims=(claim,))
    return transfer.verdicts(settings, transferred(*per_seed))[0]


def test_a_transfer_of_one_seed_is_judged_over_its_sub_networks():
    found = transfer_verdict(0.8)
    assert (found.value, found.low, found.high, found.verdict) == (0.8, 0.7, 0.9, HELD)


def test_a_transfer_of_several_seeds_is_judged_over_them():
    found, expected = transfer_verdict(0.96, 0.98, 1.03), mean_interval(np.array([0.96, 0.98, 1.03]))
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert found.verdict == UNDECIDED
    assert transfer_verdict(0.96, 0.97, 0.965).verdict == HELD
    assert transfer_verdict(1.03, 1.04, 1.035).verdict == FAILED


def test_a_share_that_there_is_not_decides_nothing():
    for found in (transfer_verdict(None), transfer_verdict(0.8, None, 0.82)):
        assert (found.value, found.low, found.high, found.verdict) == (None, None, None, UNDECIDED)
