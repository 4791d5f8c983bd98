"""Building and checking a lookup table, with a scripted backend whose blocks take as long as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.luts.build import build_table
from hwnas.harness.luts.check import Scores, calibrated, check_table
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store
from hwnas.latency_luts import LatencyTable
from hwnas.supernets.errors import MeasurementError, TableError, UsageError

pytestmark = pytest.mark.usefixtures("scripted")

QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip
NAMES = [f"layer-input:{width}-output:{width}" for width in (1, 2, 3, 4)]


@pytest.fixture
def net():
    return supernets.get("toy")


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store.db")) as opened:
        yield opened


def build(net, options="us=300", protocol=QUICK, **more):
    return build_table(net, f"scripted:{options}", protocol=protocol, check=False, **more)


@pytest.mark.slow
def test_every_block_is_measured_alone_and_takes_as_long_as_it_says(net):
    events = []
    built = build(net, progress=events.append)
    assert list(built.entries) == NAMES
    for width, entry in enumerate(built.entries.values(), 1):
        assert entry.mean_s == pytest.approx(width * 300e-6, rel=0.15)
        assert entry.variance_s2 >= 0
        assert entry.count > 0
    assert built.platform == "scripted:threads=1,us=300"
    assert built.protocol["profile"] == "noisy"
    assert built.environment["cpu"]
    assert built.facts()["blocks"] == 4
    assert {event.total for event in events} == {4}
    assert "blocks 1 to 4: " in events[-1].message


@pytest.mark.slow
def test_what_the_store_has_is_not_measured_again(net, store):
    first = build(net, store=store)
    again = build(net, store=store)
    assert (first.cached, again.cached) == (0, 4)
    assert again.entries == first.entries
    assert build(net, store=store, fresh=True).cached == 0


@pytest.mark.slow
def test_a_block_that_did_not_settle_is_not_measured_again_but_one_that_was_cut_short_is(net, store):
    # Nobody's interval is narrow enough, and the anchors always agree.
    never = replace(QUICK, interval=0.0, accept=0.0, anchor_agree=9.0, cap_s=0.1)
    first = build(net, store=store, protocol=never)
    assert len(first.unconverged) == 4
    again = build(net, store=store, protocol=never)
    assert (again.cached, again.unconverged) == (4, first.unconverged)
    row = store.measurements()[-1]
    store.put_measurement(row | {"context": row["context"] | {"interim": True}}, replaces=row["id"])
    assert build(net, store=store, protocol=never).cached == 3
    assert build(net, store=store, protocol=never, fresh=True).cached == 0


@pytest.mark.slow
def test_a_block_that_fails_is_named_and_the_others_are_kept(net, store):
    with pytest.raises(MeasurementError, match=r"block layer-input:3-output:3 could not be measured: .*had enough"):
        build(net, "us=300,at=layer-3,how=raise", store=store)
    assert len(store.measurements(supernet="toy/blocks", status="ok")) == 3


def test_a_super_network_without_blocks_alone_is_refused(net):
    class Plain:
        name, slots, space = net.name, net.slots, net.space

    with pytest.raises(UsageError, match="does not build its blocks alone"):
        build_table(Plain(), "scripted")


@pytest.fixture(scope="module")
def entries():
    """Those of the table, once a test has asked for it: building it starts a worker."""
    return {}


@pytest.fixture
def table(net, entries):
    if not entries:
        entries |= build(net).entries
    return LatencyTable("built", entries, ("toy",))


def check(table, net, **more):
    return check_table(table, net, "scripted:us=300", protocol=QUICK, check=False, **more)


@pytest.mark.slow
def test_sums_of_blocks_that_add_up_are_right(table, net):
    found = check(table, net, n=12)
    scores = found.scores(found.plain_s)
    assert scores.n == 12
    assert scores.mape < 8
    assert found.corrected_s is None
    outcome = found.to_json()
    assert outcome["corrected"] is None
    assert len(outcome["rows"]) == 12
    errors = [abs(row["error_percent"]) for row in outcome["worst"]]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.slow
def test_a_correction_mends_a_table_that_is_wrong_throughout(table, net):
    wrong = LatencyTable("wrong", {name: replace(e, mean_s=2 * e.mean_s + 1e-4) for name, e in table.entries.items()})
    found = check(wrong, net, n=12, calibrate=10)
    assert found.scores(found.plain_s).mape > 50
    assert found.scores(found.corrected_s).mape < 8
    assert found.calibration.sum() == 10
    fitted = calibrated(found)
    assert fitted.facts["fitted_on"] == 10
    assert fitted.facts["held_out"]["plain"]["n"] == 12
    held_out = {key for key, used in zip(found.keys, found.calibration, strict=True) if not used}
    fitted_on = {key for key, used in zip(found.keys, found.calibration, strict=True) if used}
    assert not held_out & fitted_on


@pytest.mark.slow
def test_a_tables_own_correction_is_applied(table, net):
    fitted = check(table, net, n=4, calibrate=10)
    again = check(replace(table, correction=fitted.correction), net, n=4)
    assert again.corrected_s is not None
    assert not again.calibration.any()
    with pytest.raises(UsageError, match="fitted no correction"):
        calibrated(again)


@pytest.mark.slow
def test_a_missing_block_is_said_before_anything_is_measured(table, net):
    gap = LatencyTable("gap", {name: entry for name, entry in table.entries.items() if not name.endswith(":4")})
    with pytest.raises(TableError, match="has no block layer-input:4-output:4"):
        check_table(gap, net, "scripted:how=die,at=all")


@pytest.mark.slow
@pytest.mark.parametrize(("n", "calibrate", "fault"), [(1, 0, "n: expected at least 2"), (5, 3, "at least 8")])
def test_too_few_are_refused(table, net, n, calibrate, fault):
    with pytest.raises(UsageError, match=fault):
        check_table(table, net, "scripted", n=n, calibrate=calibrate)


def test_scores_by_hand():
    scores = Scores.of(np.array([1.1, 1.8, 3.0]), np.array([1.0, 2.0, 3.0]))
    assert scores.mape == pytest.approx(20 / 3)
    assert scores.bias == pytest.approx(0)
    assert scores.kendall_tau == 1.0
    assert Scores.of(np.array([1.0, 1.0]), np.array([1.0, 2.0])).to_json()["kendall_tau"] is None
