"""What the store has of a platform's measurements, and what it is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scripted_supernet

from hwnas.harness.cache import StoredValues
from hwnas.harness.measurement.graph import digests
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import SampleLog
from hwnas.harness.store import Store

NET = scripted_supernet.create("toy", {})
ROWS = np.array([[0, 0, 1], [1, 2, 3]])
NETWORKS = list(zip(NET.space.keys(ROWS), ROWS, strict=True))
NOISY = profile("noisy")


def measurement(row=0, **changes):
    log = SampleLog()
    for number in range(20):
        log.sample(number, 1_000_000, 1_000_000, 0, 1)
        log.end_visit(number, 0, 0, 0)
    one = Measurement(
        supernet="toy",
        config=NET.space.decode(ROWS[row : row + 1])[0],
        key=NETWORKS[row][0],
        platform="scripted",
        status="ok",
        reason="",
        statistic="p15",
        latency_s=1e-3,
        macs=1,
        params=1,
        graph=digests(NET, ROWS)[row],
        samples=log.samples(),
        protocol=NOISY,
        fingerprint="host",
        measured_at="2030-01-01T00:00:00+00:00",
    )
    return replace(one, **changes)


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


def values(store, **changes):
    return StoredValues(**{"store": store, "net": NET, "platform": "scripted", "fingerprint": "host", **changes})


def test_what_is_kept_is_found_again(store):
    kept = measurement()
    assert values(store).put(kept) is kept
    values(store).put(measurement(row=1, graph="another graph"))
    found = values(store).candidates(NETWORKS, NOISY)
    assert list(found) == [kept.key]
    assert found[kept.key][0].latency_s == 1e-3
    assert values(store).candidates(NETWORKS[1:], NOISY) == {}
    assert values(store).candidates([], NOISY) == {}


@pytest.mark.parametrize("change", [{"platform": "other"}, {"fingerprint": "other"}])
def test_what_was_measured_elsewhere_is_not(store, change):
    values(store).put(measurement())
    assert values(store, **change).candidates(NETWORKS, NOISY) == {}
    assert values(store, since="2029", **change).taken_since(NETWORKS) == {}


def test_what_was_taken_since_serves_only_where_a_moment_is_given(store):
    kept = values(store).put(measurement())
    assert values(store).taken_since(NETWORKS) == {}
    assert list(values(store, since="2030-01-01T00:00:00").taken_since(NETWORKS)) == [kept.key]
    assert values(store, since="2030-01-01T00:00:01").taken_since(NETWORKS) == {}


@pytest.mark.parametrize(("effort", "found"), [("quick", 1), ("normal", 1), ("thorough", 0)])
def test_what_was_taken_since_serves_where_no_more_effort_is_asked_for(store, effort, found):
    values(store).put(measurement(protocol=profile("noisy", effort="normal")))
    assert len(values(store, since="2030-01-01T00:00:00", effort=effort).taken_since(NETWORKS)) == found


def test_what_another_super_network_has_is_not(store):
    values(store).put(measurement(supernet="other"))
    assert values(store).candidates(NETWORKS, NOISY) == {}
    assert values(store, since="2029").taken_since(NETWORKS) == {}


def test_only_what_was_measured_with_the_same_content_of_files_serves(store):
    digests_of = {"lut": "a" * 64}
    kept = measurement(platform="lut:lut=one.yaml", contents=digests_of)
    values(store).put(kept)
    # The file may have another name by now.
    here = {"platform": "lut:lut=two.yaml", "since": "2029"}
    for contents, found in ((digests_of, [kept.key]), ({"lut": "b" * 64}, []), ({}, [])):
        assert list(values(store, contents=contents, **here).candidates(NETWORKS, NOISY)) == found
        assert list(values(store, contents=contents, **here).taken_since(NETWORKS)) == found


@pytest.mark.parametrize(("status", "strict", "lenient"), [("ok", 1, 1), ("unstable", 0, 1), ("failed", 0, 0)])
def test_what_did_not_settle_serves_where_it_may(store, status, strict, lenient):
    values(store).put(measurement(status=status))
    for unconverged, found in ((False, strict), (True, lenient)):
        assert len(values(store, unconverged=unconverged).candidates(NETWORKS, NOISY)) == found


def test_a_measurement_takes_the_place_of_its_own_interim_ones(store):
    def kept():
        return [(row["key"], row["latency_s"]) for row in store.measurements()]

    keeper, interim = values(store), {"interim": True}
    keeper.put(measurement(latency_s=9.0))
    for row in (0, 1):
        keeper.put(measurement(row, latency_s=1.0, context=interim))
    keeper.put(measurement(latency_s=2.0, context=interim))
    first, second = measurement().key, measurement(row=1).key
    assert kept() == [(first, 9.0), (first, 2.0), (second, 1.0)]
    keeper.put(measurement(latency_s=3.0))
    assert kept() == [(first, 9.0), (first, 3.0), (second, 1.0)]
    # What is kept after that is a measurement of its own.
    keeper.put(measurement(latency_s=4.0))
    assert kept() == [(first, 9.0), (first, 3.0), (second, 1.0), (first, 4.0)]


def test_without_a_store_there_is_nothing():
    nothing = values(None, since="2029")
    kept = measurement()
    assert nothing.put(kept) is kept
    assert nothing.candidates(NETWORKS, NOISY) == {}
    assert nothing.taken_since(NETWORKS) == {}
