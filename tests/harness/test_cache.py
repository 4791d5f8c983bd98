"""Which stored values may be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scripted_supernet

from harness import cache
from harness.measurement import Measurement
from harness.protocol import profile
from harness.samples import Samples
from harness.store import Store

ANCHORS = {"000": 1e-3, "222": 2e-3, "333": 3e-3}
NOISY, QUIET = profile("noisy"), profile("quiet")


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
        found = cache.candidates(store, "toy", "scripted:threads=1", "host", protocol, {"001": "graph", "002": "graph"})
        return cache.serving(found, now, 0.03)


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


def taken_since(*stored, since="2030-01-01T00:00:00.750000+00:00"):
    with Store.open(":memory:") as store:
        for one in stored:
            store.put_measurement(one.to_record())
        return cache.taken_since(store, "toy", "scripted:threads=1", "host", since, {"001": "graph"})


def test_what_was_taken_since_serves_settled_or_not():
    assert taken_since(measurement(status="unstable", reason="x", context={}))["001"].status == "unstable"
    assert taken_since(measurement(protocol=QUIET))["001"].cached


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed", "latency_s": float("nan")},
        {"fingerprint": "another host"},
        {"graph": "another graph"},
        {"platform": "scripted:threads=2"},
        {"measured_at": "2029-12-31T23:59:59+00:00"},
    ],
)
def test_what_is_older_failed_or_of_something_else_does_not(change):
    assert taken_since(measurement(**change)) == {}
