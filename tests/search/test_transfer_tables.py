"""Transfer between measured tables, and what the report says of them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import stats

from hwnas import supernets
from hwnas.search.hypervolume import non_dominated
from hwnas.search.report import transfer_page
from hwnas.search.transfer import transfer
from hwnas.search.transfer.effects import EffectModel, enough_for_stages
from hwnas.search.transfer.tables import all_tabulated, in_every_table
from hwnas.supernets.blocks import BlockSum
from hwnas.supernets.errors import UsageError

pytestmark = pytest.mark.slow

NET = supernets.get("ofa-mbv3-w1.0")


def write(file, X, columns):
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["config", *columns])
        for number, config in enumerate(NET.space.decode(X)):
            rows.writerow([json.dumps(config), *(f"{column[number]:.9g}" for column in columns.values())])


@pytest.fixture(scope="module")
def X():
    drawn = NET.space.canonical(NET.space.sample(130, 0))
    return np.unique(drawn, axis=0)[:120]


@pytest.fixture(scope="module")
def columns(X):
    """Two devices that pay for MACs, and two that hardly agree with them."""
    rng = np.random.default_rng(1)
    macs = NET.macs(X) / 1e6
    ranks = stats.rankdata(macs) / len(macs)
    return {
        "a_ms": macs,
        "b_ms": 3 * macs * rng.normal(1, 0.002, len(X)),
        "c_ms": 10 + 3 * ranks + rng.normal(0, 2.0, len(X)),
        "d_ms": 10 + 3 * ranks + rng.normal(0, 2.0, len(X)),
    }


@pytest.fixture(scope="module")
def file(tmp_path_factory, X, columns):
    file = tmp_path_factory.mktemp("measured") / "measured.csv"
    write(file, X, columns)
    return file


@pytest.fixture(scope="module")
def found(file, columns):
    return transfer(NET, [f"table:file={file},column={name}" for name in columns])


def test_every_row_of_the_tables_is_shared_and_fronts_are_exhaustive(found, X, columns):
    assert sorted(found.rows.keys) == sorted(NET.space.keys(X))
    for place in range(len(columns)):
        points = np.column_stack([found.rows.latency_s[:, place], found.rows.loss])
        assert np.array_equal(found.rows.fronts[:, place], non_dominated(points))
    assert np.diag(found.hypervolume_ratio).tolist() == [1, 1, 1, 1]
    assert found.searches == ()


def test_fronts_keep_to_the_constraints(file, found, X, columns):
    platforms = [f"table:file={file},column={name}" for name in ("a_ms", "c_ms")]
    limit, worst = float(np.median(columns["c_ms"])), float(np.median(found.rows.quality))
    limited = transfer(NET, platforms, constraints=[f"latency<={limit:.9g}ms", f"top1>={worst:.9g}%", "macs<=280M"])
    rows = limited.rows
    assert rows.keys == found.rows.keys
    macs = NET.macs(np.vstack([NET.space.from_key(key) for key in rows.keys])) / 1e6
    for place in range(2):
        within = (rows.latency_s[:, place] * 1e3 <= limit) & (rows.quality >= worst) & (macs <= 280)
        points = np.column_stack([rows.latency_s[:, place], rows.loss])
        assert rows.fronts[:, place].any() == within.any()
        assert np.array_equal(rows.fronts[:, place], non_dominated(np.where(within[:, None], points, np.nan)))
    assert rows.fronts[:, 1].any()
    assert len(limited.to_json()["settings"]["constraints"]) == 3
    with pytest.raises(UsageError, match="constraint 'latency>=5ms': latency is minimised; expected latency<=5ms"):
        transfer(NET, platforms, constraints=["latency>=5ms"])


def test_correlations_are_scipys_on_the_same_rows(found, X, columns):
    order = [NET.space.keys(X).index(key) for key in found.rows.keys]
    for i, one in enumerate(columns.values()):
        for j, other in enumerate(columns.values()):
            expected = stats.kendalltau(one[order], other[order]).statistic
            assert found.correlations.kendall_tau[i, j] == pytest.approx(expected, abs=1e-12)
            expected = stats.spearmanr(one[order], other[order]).statistic
            assert found.correlations.spearman[i, j] == pytest.approx(expected, abs=1e-12)
    tau = found.correlations.kendall_tau
    assert tau[0, 1] > 0.98
    assert tau[0, 2] < 0.45


def test_the_words_say_who_shares_and_who_does_not(found):
    said = found.words()
    a, b, c, d = found.rows.platforms
    assert f"{a} and {b} can share one search" in said[0]
    assert any(f"{c} and {d} each need their own" in line for line in said)


def test_it_says_how_few_measurements_are_enough(found):
    outcome = found.to_json()["samples_to_adapt"]
    assert outcome["target_tau"] == 0.95
    assert outcome["adapted"][0][1] <= 5
    assert outcome["adapted"][0][0] is None or outcome["adapted"][0][0] == 0
    assert outcome["alone"][1] is None or outcome["alone"][1] > 5
    assert outcome["held_out"] == 48
    assert all(n is not None and n <= 5 for n in outcome["from_all"][:2])
    assert all(tau >= 0.95 for tau, n in zip(outcome["reached"], outcome["from_all"], strict=True) if n is not None)
    assert outcome["most_tried"] == 72  # all that are not held out


def test_the_page_of_it_is_made(found):
    page = transfer_page(found.to_json())
    assert "How few measurements are enough" in page
    assert "Which choices make the difference" in page


def test_tables_are_told_from_platforms_that_run(file):
    table = f"table:file={file},column=a_ms"
    assert all_tabulated([table, table])
    assert not all_tabulated([table, "torch:threads=1"])


def test_tables_without_common_rows_are_refused(tmp_path, X, columns):
    platforms = []
    for name, rows in (("one", slice(0, 10)), ("other", slice(10, 20))):
        write(tmp_path / f"{name}.csv", X[rows], {"latency_ms": columns["a_ms"][rows]})
        platforms.append(f"table:file={tmp_path / name}.csv")
    with pytest.raises(UsageError, match="expected two sub-networks or more in all tables, got 0"):
        in_every_table(NET, platforms)


# --- effects ---------------------------------------------------------------------------------------------------------


def test_effects_of_an_additive_device_are_found():
    X = NET.space.sample(400, 3)
    model = EffectModel(NET.space, X)
    assert model.names == ("ks", "e", "d")
    # Latency that depends on the mean kernel size and depth alone, by construction.
    levels = X / (NET.space.n_options - 1)
    active = NET.space.active(X)
    kernels = (levels[:, :20] * active[:, :20]).sum(axis=1) / active[:, :20].sum(axis=1)
    depth = levels[:, 40:].mean(axis=1)
    latency = 10 + 2 * kernels + 6 * depth
    found = model.fit(np.column_stack([latency, 5 * latency]))
    expected = 100 * np.array([2, 0, 6]) / latency.mean()
    assert found.percent[:, 0] == pytest.approx(expected, abs=1.0)
    assert found.percent[:, 1] == pytest.approx(found.percent[:, 0])
    assert found.explained == pytest.approx([1, 1], abs=1e-3)


def test_effects_by_stage_see_where_a_device_pays():
    X = NET.space.sample(600, 4)
    model = EffectModel(NET.space, X, by_stage=True)
    assert model.names[:5] == ("ks 1", "ks 2", "ks 3", "ks 4", "ks 5")
    last = BlockSum(NET.space, NET.slots, lambda b: b.macs * (b.kind == "mbconv" and b.output[-1] == NET.widths[-1]))(X)
    found = model.fit((1e6 + last)[:, None])
    by_name = dict(zip(model.names, found.percent[:, 0], strict=True))
    assert by_name["e 5"] > 10 * abs(by_name["e 1"])
    assert enough_for_stages(NET.space, 600)
    assert not enough_for_stages(NET.space, 30)


def test_too_few_rows_have_no_effects():
    X = NET.space.sample(6, 5)
    found = EffectModel(NET.space, X).fit(NET.macs(X)[:, None].astype(float))
    assert np.isnan(found.percent).all()
    assert np.isnan(found.explained).all()
