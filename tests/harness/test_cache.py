"""Which stored values may be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scripted_supernet

from hwnas.harness import cache
from hwnas.harness.measurement.measurement import SCHEMA, Measurement
from hwnas.harness.measurement.pace import Pace
from hwnas.harness.measurement.protocol import EFFORTS, THOROUGH, profile
from hwnas.harness.measurement.samples import Samples
from hwnas.harness.store import Store, measurements
from hwnas.supernets.errors import StoreError, StoreFaultError

ANCHORS = {"000": 1e-3, "222": 2e-3, "333": 3e-3}
NOISY, QUIET = profile("noisy"), profile("quiet")


def criteria(platform="scripted:threads=1", keys=("001",), **contents):
    return cache.Criteria("toy", platform, "host", dict.fromkeys(keys, "graph"), **contents)


def samples(milliseconds):
    wall = np.round(np.asarray(milliseconds) * 1e6).astype(int).tolist()
    n = len(wall)
    whole = {
        "at_ns": range(n),
        "wall_ns": wall,
        "cpu_ns": wall,
        "switches": [0] * n,
        "group": [1] * n,
        "visit": range(n),
    }
    visits = {"round": range(1, n + 1), **dict.fromkeys(("waiting_ns", "steal_ns", "throttled_ns"), [0] * n)}
    return Samples.from_record({**whole, **visits, "stage_ns": [[]] * n})


def measurement(protocol=NOISY, **changes):
    net = scripted_supernet.create("toy", {})
    one = Measurement(
        supernet="toy",
        config=net.space.decode([[0, 0, 1]])[0],
        key="001",
        platform="scripted:threads=1",
        status="ok",
        reason="",
        statistic=protocol.statistic,
        latency_s=1.25e-3,
        macs=400,
        params=40,
        graph="graph",
        samples=samples(np.linspace(1.25, 1.35, 101)),
        protocol=protocol,
        fingerprint="host",
        measured_at="2030-01-01T00:00:00+00:00",
        context={"anchors": ANCHORS},
    )
    return replace(one, **changes)


def serving(*stored, now=ANCHORS, protocol=NOISY):
    with Store.open(":memory:") as store:
        for one in stored:
            store.put_measurement(one.to_record())
        found = cache.candidates(store, criteria(keys=("001", "002")), protocol)
        return cache.serving(found, now, 0.03)


def test_a_stored_measurement_that_is_damaged_names_the_store(tmp_path):
    file = str(tmp_path / "s.db")
    with Store.open(file) as store:
        store.put_measurement(measurement().to_record() | {"threads": "x"})
        with pytest.raises(StoreFaultError, match=r"s\.db: the record of a measurement is damaged .number 1"):
            cache.candidates(store, criteria(), NOISY)
        with pytest.raises(StoreFaultError, match=r"s\.db: the record of a measurement is damaged .number 1"):
            cache.taken_since(store, criteria(), "2020-01-01T00:00:00")


def test_a_value_of_the_same_everything_serves():
    (served,) = serving(measurement()).values()
    assert served.cached
    assert served.latency_s == 1.25e-3
    assert np.array_equal(served.samples_s, measurement().samples_s)


@pytest.mark.parametrize(
    "change",
    [
        {"supernet": "other"},
        {"platform": "scripted:threads=2"},
        {"fingerprint": "another host"},
        {"graph": "another graph"},
        {"key": "003"},
        {"status": "unstable"},
        {"protocol": profile("noisy", cap_s=1.0)},
        {"context": {}},
    ],
)
def test_a_value_of_anything_else_does_not(change):
    assert serving(measurement(**change)) == {}


@pytest.mark.parametrize(
    ("now", "serves"),
    [
        ({key: 1.029 * value for key, value in ANCHORS.items()}, True),
        ({**ANCHORS, "333": 3.1e-3}, False),
        ({key: value / 1.04 for key, value in ANCHORS.items()}, False),
        ({"000": 1e-3, "222": 2e-3}, False),
        ({**ANCHORS, "333": float("nan")}, False),
        ({}, False),
    ],
)
def test_the_anchors_decide(now, serves):
    assert bool(serving(measurement(), now=now)) == serves


def test_the_latest_value_whose_anchors_agree_serves():
    old, good, bad = (measurement(latency_s=value) for value in (1.1e-3, 1.2e-3, 1.3e-3))
    bad = replace(bad, context={"anchors": {key: 2 * value for key, value in ANCHORS.items()}})
    assert serving(old, good, bad)["001"].latency_s == 1.2e-3


def test_a_quiet_hosts_value_serves_a_noisy_one_by_the_same_samples_and_not_the_other_way_round():
    quiet = measurement(QUIET, latency_s=1.3e-3)
    served = serving(quiet)["001"]
    assert (served.statistic, served.latency_s) == ("p15", pytest.approx((37.935e-3 + 0.3 * 1.28e-3) / 30.3))
    assert served.summary.value == served.latency_s
    assert serving(measurement(), protocol=QUIET) == {}


def taken_since(*stored, since="2030-01-01T00:00:00.750000+00:00", **options):
    with Store.open(":memory:") as store:
        for one in stored:
            store.put_measurement(one.to_record())
        return cache.taken_since(store, criteria(), since, **options)


def test_what_was_taken_since_serves_settled_or_not():
    assert taken_since(measurement(status="unstable", reason="x", context={}))["001"].status == "unstable"
    assert taken_since(measurement(protocol=QUIET))["001"].cached


@pytest.mark.parametrize("taken", EFFORTS)
@pytest.mark.parametrize("wanted", EFFORTS)
def test_what_was_taken_since_serves_where_it_was_worth_as_much_effort(taken, wanted):
    one = measurement(profile("noisy", effort=taken))
    assert bool(taken_since(one, effort=wanted)) == (EFFORTS.index(taken) >= EFFORTS.index(wanted))
    assert bool(serving(one, protocol=profile("noisy", effort=wanted))) == bool(taken_since(one, effort=wanted))


def test_what_no_protocol_measured_is_worth_every_effort():
    known = replace(measurement(), protocol=None, statistic="table", samples=Samples.none())
    assert taken_since(known, effort=THOROUGH)["001"].latency_s == 1.25e-3


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed", "latency_s": float("nan")},
        {"fingerprint": "another host"},
        {"graph": "another graph"},
        {"platform": "scripted:threads=2"},
        {"supernet": "other"},
        {"measured_at": "2029-12-31T23:59:59+00:00"},
    ],
)
def test_what_is_older_failed_or_of_something_else_does_not(change):
    assert taken_since(measurement(**change)) == {}


# --- each condition by itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "within", "agrees"),
    [
        ({"a": 1.0}, {"a": 1.25}, 0.25, True),  # just within
        ({"a": 1.25}, {"a": 1.0}, 0.25, True),  # relative to the smaller one
        ({"a": 1.0}, {"a": 1.2501}, 0.25, False),
        ({"a": 1.2501}, {"a": 1.0}, 0.25, False),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 2.0}, 0.25, False),
        ({"a": 1.0, "b": 2.0}, {"a": 1.0}, 9.0, False),
        ({"a": 1.0}, {"a": 1.0, "b": 2.0}, 9.0, False),
        ({"a": 1.0}, {"b": 1.0}, 9.0, False),
        ({}, {}, 9.0, False),
        ({"a": 1.0}, {}, 9.0, False),
        ({}, {"a": 1.0}, 9.0, False),
        ({"a": np.nan}, {"a": 1.0}, 9.0, False),
        ({"a": 1.0}, {"a": np.nan}, 9.0, False),
        ({"a": np.nan}, {"a": np.nan}, 9.0, False),
        ({"a": np.inf}, {"a": np.inf}, 9.0, False),
        ({"a": np.inf}, {"a": 1.0}, np.inf, False),
        ({"a": 1.0}, {"a": np.inf}, np.inf, False),
    ],
)
def test_anchors_agree_or_do_not(then, now, within, agrees):
    assert cache.agree(then, now, within) is agrees


def test_a_value_without_anchors_serves_nobody():
    assert cache.serving({"001": [measurement(context={})]}, ANCHORS, 9.0) == {}
    assert cache.serving({"001": [measurement(context={"anchors": {}})]}, {}, 9.0) == {}
    assert cache.serving({}, ANCHORS, 0.03) == {}


def test_a_key_that_nothing_serves_is_left_out_and_others_are_not():
    good, bad = measurement(), measurement(context={"anchors": {"000": 9.0}})
    assert cache.serving({"001": [bad], "002": [bad, good], "003": []}, ANCHORS, 0.03) == {"002": good}


def test_candidates_are_the_latest_first_and_of_each_key():
    one, two, other = (measurement(latency_s=1.1e-3), measurement(latency_s=1.2e-3), measurement(key="002"))
    with Store.open(":memory:") as store:
        for each in (one, other, two):
            store.put_measurement(each.to_record())
        found = cache.candidates(store, criteria(keys=("001", "002")), NOISY)
    assert {key: [m.latency_s for m in those] for key, those in found.items()} == {
        "001": [1.2e-3, 1.1e-3],
        "002": [1.25e-3],
    }
    assert all(m.cached for those in found.values() for m in those)


def test_a_statistic_is_taken_again_from_the_samples():
    median = cache.restated(measurement(), QUIET)
    assert (median.statistic, median.protocol.statistic) == ("median", "median")
    assert median.latency_s == pytest.approx(1.30e-3)
    assert median.protocol == replace(NOISY, statistic="median")
    same = measurement()
    assert cache.restated(same, NOISY) is same
    known = replace(measurement(), protocol=None, statistic="table", samples=Samples.none())
    assert cache.restated(known, NOISY) is known
    empty = replace(measurement(), samples=Samples.none())
    assert cache.restated(empty, QUIET) is empty


def test_a_statistic_is_taken_again_without_the_pace_of_the_other():
    slower = Pace(np.full(101, 0.1), "p15", 0.01)
    again = cache.restated(measurement(pace=slower), QUIET)
    assert again.pace is None
    assert again.latency_s == pytest.approx(1.30e-3)
    assert cache.restated(measurement(pace=slower), NOISY).pace is slower


def test_a_quiet_hosts_values_serve_only_the_noisy_profile_as_it_is():
    changed = profile("noisy", cap_s=1.0)
    assert serving(measurement(QUIET), protocol=changed) == {}
    assert serving(measurement(changed), protocol=changed) != {}
    assert serving(measurement(QUIET), protocol=QUIET)["001"].statistic == "median"


@pytest.mark.parametrize("contents", [{}, {"calibration": "d" * 64}])
def test_no_record_is_read_that_cannot_serve(monkeypatch, contents):
    """What is read is of the platform, of a state that serves, and as new as is asked for."""
    ours, moved = "scripted:calibration=a,threads=1", "scripted:calibration=elsewhere/a,threads=1"
    with Store.open(":memory:") as store:
        for changes in (
            {"status": "failed", "latency_s": float("nan")},
            {"platform": "scripted:calibration=a,threads=2"},
            {"platform": "other:threads=1"},
            {"measured_at": "2020-01-01T00:00:00+00:00", "status": "unstable"},
            {},
            {"platform": moved},
        ):
            given = {"platform": ours, "contents": contents, **changes}
            store.put_measurement(measurement(**given).to_record())
        read = []
        decode = measurements._record
        monkeypatch.setattr(measurements, "_record", lambda *row: read.append(row[0]) or decode(*row))
        found = cache.candidates(store, criteria(ours, contents=contents), NOISY)
        assert read == ([5, 6] if contents else [5])
        assert [one.platform for one in found["001"]] == ([moved, ours] if contents else [ours])
        read.clear()
        since = cache.taken_since(store, criteria(ours, contents=contents), "2030-01-01T00:00:00")
        assert read == ([5, 6] if contents else [5])
        assert since["001"].platform == (moved if contents else ours)


@pytest.mark.parametrize(
    ("measured_at", "serves"),
    [
        ("2030-01-01T00:00:00.250000+00:00", True),  # in the same second
        ("2030-01-01T00:00:01+00:00", True),
        ("2029-12-31T23:59:59.999999+00:00", False),
    ],
)
def test_since_is_counted_in_whole_seconds(measured_at, serves):
    assert bool(taken_since(measurement(measured_at=measured_at))) is serves


def test_the_latest_of_what_was_taken_since_serves():
    first, second = measurement(latency_s=1.1e-3), measurement(latency_s=1.3e-3, status="unstable", reason="x")
    assert taken_since(first, second)["001"].latency_s == 1.3e-3
    assert taken_since(second, measurement(key="003"), first)["001"].latency_s == 1.1e-3


def test_one_that_did_not_settle_hides_no_earlier_one():
    assert serving(measurement(), measurement(status="unstable", reason="x"))["001"].status == "ok"


@pytest.mark.parametrize(
    ("status", "interim", "states", "serves"),
    [
        ("ok", True, ("ok",), True),  # it had settled before its measuring was cut short
        ("unstable", True, ("ok", "unstable"), False),
        ("unstable", False, ("ok", "unstable"), True),
        ("unstable", False, ("ok",), False),
        ("ok", False, ("unstable",), False),
    ],
)
def test_what_was_cut_short_serves_where_it_had_settled(status, interim, states, serves):
    with Store.open(":memory:") as store:
        store.put_measurement(measurement(status=status, context={"interim": interim}).to_record())
        found = cache.candidates(store, criteria(), NOISY, states=states)
    assert bool(found) is serves


@pytest.mark.parametrize(
    ("platform", "contents", "serves"),
    [
        ("lut:file=two.yaml,threads=1", {"file": "a" * 64}, True),  # it was renamed
        ("lut:file=one.yaml,threads=1", {"file": "b" * 64}, False),  # it was changed
        ("lut:file=one.yaml,threads=2", {"file": "a" * 64}, False),  # another option is another
        ("lut:file=one.yaml,threads=1", {}, False),  # it is unknown what it holds
    ],
)
def test_files_are_known_by_what_they_hold(platform, contents, serves):
    kept = measurement(platform="lut:file=one.yaml,threads=1", contents={"file": "a" * 64})
    with Store.open(":memory:") as store:
        store.put_measurement(kept.to_record())
        wanted = criteria(platform, contents=contents)
        assert bool(cache.candidates(store, wanted, NOISY)) is serves
        assert bool(cache.taken_since(store, wanted, "2029")) is serves


@pytest.mark.parametrize("newer", [1, 98])
def test_a_measurement_of_a_newer_schema_is_refused(newer):
    record = measurement().to_record()
    assert record["schema"] == SCHEMA
    assert Measurement.from_record(record).latency_s == 1.25e-3
    del record["schema"]  # as the first ones were
    assert Measurement.from_record(record).latency_s == 1.25e-3
    fault = f"the measurement is of schema {SCHEMA + newer}, this version reads up to {SCHEMA}: update hwnas"
    with pytest.raises(StoreError, match=fault):
        Measurement.from_record(record | {"schema": SCHEMA + newer})


def test_what_was_taken_beside_a_load_serves_only_a_study_that_goes_on():
    load = {"busy": 0.9, "programs": [{"name": "stress", "cpus": 1.8}]}
    marked = measurement(context={"anchors": ANCHORS, "load": load})
    assert serving(marked) == {}
    assert serving(measurement(latency_s=1.3e-3), marked)["001"].latency_s == 1.3e-3
    assert taken_since(marked)["001"].load == load


@pytest.mark.parametrize("load", [3, [], {"busy": 0.9}, {"busy": "x", "programs": []}, {"busy": 1, "programs": [{}]}])
def test_a_stored_load_that_is_damaged_is_named(load):
    with pytest.raises(StoreFaultError, match="the record of a measurement is damaged"):
        serving(measurement(context={"anchors": ANCHORS, "load": load}))
