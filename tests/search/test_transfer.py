import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hwnas.search.transfer import QualityLabel, SharedRows, analyse
from hwnas.search.transfer.bootstrap import bootstrap
from hwnas.search.transfer.fronts import (
    default_budgets,
    front_overlap,
    hypervolume_ratio,
    members,
    references,
    regrets,
    two_digits_up,
)
from hwnas.search.transfer.grouping import groups
from hwnas.search.transfer.rank import rank_correlations


def staircase_area(points, corner):
    """The area dominated by minimised points in two dimensions, by sweeping; the second way for hypervolumes."""
    area, best = 0.0, corner[1]
    for x, y in sorted(map(tuple, points)):
        if x < corner[0] and y < best:
            area += (corner[0] - x) * (best - y)
            best = y
    return area


def dominated(point, others):
    return any((other <= point).all() and (other < point).any() for other in others)


@pytest.fixture
def table():
    """Eighty rows on three platforms: the second like the first, the third unlike both; some failed."""
    rng = np.random.default_rng(5)
    size = rng.random(80)
    latency = np.column_stack([1 + 4 * size, 2 + 9 * size + 0.05 * rng.random(80), 1 + size + 3 * rng.random(80)])
    loss = -70 - 8 * np.sqrt(size) + 0.8 * rng.random(80)
    latency[[3, 40], 1] = np.nan
    latency[[7], 2] = np.nan
    fronts = np.zeros((80, 3), dtype=bool)
    for j in range(3):
        points = np.column_stack([latency[:, j], loss])
        alive = [i for i in range(80) if np.isfinite(latency[i, j])]
        for i in alive:
            fronts[i, j] = not dominated(points[i], points[alive])
    return latency, loss, fronts


def test_rank_correlations_equal_scipys_on_the_pairs_that_have_both_values(table):
    latency, _, _ = table
    found = rank_correlations(latency)
    for i in range(3):
        for j in range(3):
            a, b = latency[:, i], latency[:, j]
            assert found.kendall_tau[i, j] == pytest.approx(stats.kendalltau(a, b, nan_policy="omit").statistic)
            assert found.spearman[i, j] == pytest.approx(stats.spearmanr(a, b, nan_policy="omit").statistic)
    assert found.n_pairs.tolist() == [[80, 78, 79], [78, 78, 77], [79, 77, 79]]


def test_columns_that_are_all_known_are_correlated_together_as_one_by_one(table):
    latency = np.round(table[0][np.isfinite(table[0]).all(axis=1)], 1)  # with ties
    expected = [[stats.spearmanr(a, b).statistic for b in latency.T] for a in latency.T]
    assert rank_correlations(latency).spearman == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    "latency", [np.ones((5, 2)), np.array([[1.0, 2.0]]), np.full((4, 2), np.nan), np.empty((0, 2))]
)
def test_rows_without_an_order_have_no_correlation(latency):
    found = rank_correlations(latency)
    assert np.isnan(found.kendall_tau).all()
    assert np.isnan(found.spearman).all()


def test_hypervolume_ratio_equals_a_swept_staircase(table):
    latency, loss, fronts = table
    corner = references(latency, loss)
    found = hypervolume_ratio(latency, loss, fronts)
    for j in range(3):
        area = [
            staircase_area(np.column_stack([latency[:, j], loss])[fronts[:, i] & np.isfinite(latency[:, j])], corner[j])
            for i in range(3)
        ]
        assert found[:, j] == pytest.approx(np.array(area) / area[j])


def test_a_like_platforms_front_is_worth_more_than_an_unlike_ones(table):
    ratio = hypervolume_ratio(*table)
    assert np.diag(ratio).tolist() == [1, 1, 1]
    assert ratio[0, 1] > 0.99
    assert ratio[2, 1] < 0.98


def test_references_are_the_worst_of_all_rows_that_have_a_value(table):
    latency, loss, _ = table
    assert references(latency, loss)[:, 0].tolist() == np.nanmax(latency, axis=0).tolist()
    assert set(references(latency, loss)[:, 1]) == {loss.max()}


def test_overlap_of_exhaustive_fronts_is_the_share_of_common_members(table):
    latency, loss, fronts = table
    found = front_overlap(latency, loss, fronts)
    for i in range(3):
        for j in range(3):
            here = fronts[:, i] & np.isfinite(latency[:, j])
            assert found[i, j] == pytest.approx((fronts[:, j] & here).sum() / here.sum())


def test_overlap_counts_what_the_own_front_does_not_dominate():
    # Searched on 0: rows 0 and 1; on 1: rows 2 and 3. On platform 1, row 2 dominates row 0, and row 1 stands.
    latency = np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 4.0], [4.0, 9.0]])
    loss = np.array([-1.0, -9.0, -2.0, -10.0])
    fronts = np.array([[True, False], [True, False], [False, True], [False, True]])
    assert front_overlap(latency, loss, fronts)[0, 1] == 0.5


def test_a_front_without_a_value_there_has_no_overlap_and_no_volume():
    latency = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 4.0]])
    loss = np.array([-1.0, -2.0, -1.0])
    fronts = np.array([[True, False], [False, True], [False, False]])
    assert np.isnan(front_overlap(latency, loss, fronts)[0, 1])
    assert hypervolume_ratio(latency, loss, fronts)[0, 1] == 0
    assert members(latency, loss, fronts).tolist() == [[1, 0], [1, 1]]


def test_regret_by_hand():
    # On platform 1 within 20: the own front reaches 75, the other front 74.6; within 8 nothing of the other front fits.
    latency = np.array([[5.0, 18.0], [9.0, 30.0], [7.0, 8.0], [8.0, 20.0]])
    loss = np.array([-74.6, -76.0, -73.0, -75.0])
    fronts = np.array([[True, False], [True, False], [False, True], [False, True]])
    at_20, at_8 = (
        next(r for r in regrets(latency, loss, fronts, [[], [budget]]) if r.deployed_on == 1) for budget in (20.0, 8.0)
    )
    assert (at_20.searched_on, at_20.own, at_20.transferred) == (0, -75.0, -74.6)
    assert at_20.lost == pytest.approx(0.4)
    assert np.isnan(at_8.transferred)
    assert np.isnan(at_8.lost)


def test_budgets_that_the_own_front_cannot_meet_are_left_out():
    latency, loss = np.array([[1.0, 10.0], [2.0, 20.0]]), np.array([-1.0, -2.0])
    assert regrets(latency, loss, np.ones((2, 2), dtype=bool), [[], [9.0]]) == []


def test_default_budgets_lie_within_the_own_front_and_are_readable(table):
    latency, loss, fronts = table
    for j, budgets in enumerate(default_budgets(latency, loss, fronts)):
        own = latency[fronts[:, j], j]
        assert 1 <= len(budgets) <= 5
        assert all(own.min() <= budget <= own.max() * 1.1 for budget in budgets)
        assert all(float(f"{budget:.2g}") == budget for budget in budgets)


@given(st.floats(1e-6, 1e6))
def test_two_digits_up_is_never_less_and_at_most_a_tenth_more(value):
    rounded = two_digits_up(value)
    assert value * (1 - 1e-9) <= rounded <= value * 1.1 + 1e-12
    assert float(f"{rounded:.2g}") == rounded


def test_groups_hold_only_platforms_that_all_agree_with_each_other():
    # 0-1 and 1-2 agree, 0-2 does not: no group of three.
    tau = np.array([[1, 0.97, 0.6, 0.3], [0.97, 1, 0.96, 0.3], [0.6, 0.96, 1, 0.3], [0.3, 0.3, 0.3, 1]])
    assert groups(tau) == [[0, 1], [2], [3]]


@given(st.integers(1, 7), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_groups_are_a_partition_and_keep_the_threshold(n, seed):
    rng = np.random.default_rng(seed)
    tau = np.triu(rng.uniform(0.8, 1, (n, n)), 1)
    tau = tau + tau.T + np.eye(n)
    found = groups(tau)
    assert sorted(member for group in found for member in group) == list(range(n))
    assert all(tau[a, b] >= 0.95 for group in found for a in group for b in group)


def test_a_platform_without_correlations_stands_alone():
    tau = np.array([[1, 0.99, np.nan], [0.99, 1, np.nan], [np.nan, np.nan, np.nan]])
    assert groups(tau) == [[0, 1], [2]]
    assert groups(np.array([[1.0]])) == [[0]]


def test_bootstrap_of_a_mean_agrees_with_its_standard_error():
    values = np.random.default_rng(0).normal(10, 2, 400)
    found = bootstrap(
        lambda rows: {"mean": values[rows].mean(keepdims=True)[None]}, 400, np.random.default_rng(1), resamples=2000
    )["mean"]
    half = stats.norm.ppf(0.975) * values.std() / 20
    assert found.low[0, 0] == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high[0, 0] == pytest.approx(values.mean() + half, abs=0.03)


def test_bootstrap_ignores_resamples_without_a_value_and_says_nan_where_none_has():
    draws = iter([np.array([[np.nan, np.nan]]), np.array([[2.0, np.nan]])])
    found = bootstrap(lambda _: {"m": next(draws)}, 3, np.random.default_rng(0), resamples=2)["m"]
    assert found.low[0, 0] == found.high[0, 0] == 2
    assert np.isnan(found.low[0, 1])


@pytest.fixture
def rows(table):
    latency, loss, fronts = table
    status = tuple(tuple("ok" if np.isfinite(v) else "failed" for v in row) for row in latency)
    return SharedRows(
        supernet="net",
        platforms=("a", "b", "c"),
        keys=tuple(f"k{i}" for i in range(80)),
        configs=tuple({"d": [i]} for i in range(80)),
        quality=-loss,
        label=QualityLabel("surrogate", "top1", "%", predicted=True, note="a prediction"),
        latency_s=latency / 1e3,
        low_s=latency / 1e3 * 0.99,
        high_s=latency / 1e3 * 1.01,
        status=status,
        reasons=tuple(tuple("" if s == "ok" else "went wrong" for s in row) for row in status),
        fronts=fronts,
    )


def test_a_platform_is_relied_on_where_half_of_what_did_not_fail_has_converged_on_a_calm_machine(rows):
    def settled(*column, loaded=()):
        status = [(one, one, "ok") for one in column]
        given = replace(rows, keys=tuple("abcd"[: len(column)]), status=tuple(status))
        if loaded:
            given = replace(given, loaded=np.array([[one, False, False] for one in loaded]))
        return given.settled

    assert settled("ok", "unstable") == (True, True, True)
    assert settled("ok", "unstable", "unstable") == (False, False, True)
    assert settled("ok", "unstable", "failed") == (True, True, True)
    assert settled("ok", "ok", "unstable", loaded=(True, False, False)) == (False, True, True)


def test_json_has_the_contracts_fields_and_survives_strict_json(rows):
    found = analyse(rows, np.random.default_rng(0), resamples=20).to_json()
    again = json.loads(json.dumps(found, allow_nan=False))
    assert again == found
    contract = "schema platforms n_shared kendall_tau spearman hypervolume_ratio front_overlap regret samples_to_adapt"
    assert set(contract.split()) <= set(found)
    assert (found["schema"], found["n_shared"], found["platforms"]) == (1, 80, ["a", "b", "c"])
    assert found["samples_to_adapt"] == {}


def test_json_speaks_milliseconds_and_outward_quality(rows):
    found = analyse(rows, np.random.default_rng(0), resamples=0).to_json()
    row = found["rows"][0]
    assert row["latency_ms"] == pytest.approx((rows.latency_s[0] * 1e3).tolist())
    assert row["quality"] == pytest.approx(rows.quality[0])
    assert found["rows"][3]["latency_ms"][1] is None
    assert found["rows"][3]["interval_ms"][1] is None
    assert found["rows"][3]["reason"][1] == "went wrong"
    regret = next(r for r in found["regret"] if r["lost"] is not None and r["lost"] > 0)
    assert regret["own"] - regret["transferred"] == pytest.approx(regret["lost"])
    assert float(f"{regret['budget_ms']:.2g}") == regret["budget_ms"]


def test_a_minimised_quality_is_not_turned_around(rows):
    from dataclasses import replace

    error = replace(rows, quality=rows.loss, label=replace(rows.label, metric="error", maximise=False))
    assert np.array_equal(error.loss, rows.loss)
    assert analyse(error, np.random.default_rng(0), resamples=0).to_json()["regret"][0]["own"] < 0


@pytest.mark.slow
def test_intervals_hold_their_values_and_narrow_with_more_rows(rows):
    found = analyse(rows, np.random.default_rng(0), resamples=100)
    interval = found.intervals["kendall_tau"]
    assert (interval.low <= found.correlations.kendall_tau + 1e-12).all()
    assert (found.correlations.kendall_tau <= interval.high + 1e-12).all()
    assert interval.high[0, 2] - interval.low[0, 2] > interval.high[0, 1] - interval.low[0, 1]
    overlap = found.intervals["front_overlap"]
    assert (overlap.low <= found.front_overlap).all()
    assert (found.front_overlap <= overlap.high).all()


def test_the_report_is_the_same_for_the_same_seed_and_changes_no_input(rows):
    before = rows.latency_s.copy(), rows.quality.copy(), rows.fronts.copy()
    first = analyse(rows, np.random.default_rng(3), resamples=10).to_json()
    assert first == analyse(rows, np.random.default_rng(3), resamples=10).to_json()
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(before, (rows.latency_s, rows.quality, rows.fronts), strict=True)
    )
