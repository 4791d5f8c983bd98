"""Measuring end to end with a scripted backend in a real worker: order, failures, crashes, stored values."""

from __future__ import annotations

import json
import math
import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from hwnas import supernets
from hwnas.harness.host.child import Child
from hwnas.harness.measure import Measurer, measure
from hwnas.harness.measurement.convergence import Rules
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.measurement.samples import SampleLog
from hwnas.harness.platform import parse
from hwnas.harness.store import Store
from hwnas.harness.worker.builder import MeasurementBuilder
from hwnas.harness.worker.messages import BatchFacts, Measured, PreparationFacts, Prepared
from hwnas.supernets.errors import ConfigError, MeasurementError, PlatformError, UsageError

pytestmark = pytest.mark.usefixtures("scripted")

# What these tests are about is said after two rounds as well as after ten, however long a busy machine takes for them.
QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip


@pytest.fixture
def net():
    return supernets.get("toy")


def take(net, X, options="us=50", **settings):
    settings = {"check": False, "protocol": QUICK, **settings}
    with Measurer(net, f"scripted:{options}", **settings) as measurer:
        return measurer.measure(X)


@pytest.mark.slow
def test_one_measurement_per_row_in_order(net):
    X = net.space.sample(6, 1)
    X = np.concatenate([X, X[:2]])
    measurements = take(net, X)
    assert [m.key for m in measurements] == net.space.keys(X)
    assert measurements[0] is measurements[6]
    for m, x in zip(measurements, X, strict=True):
        assert (m.status, m.reason, m.platform) == ("ok", "", "scripted:threads=1,us=50")
        assert m.config == net.space.decode(x[None])[0]
        assert (m.macs, m.params) == (net.macs(x[None])[0], net.params(x[None])[0])
        assert m.latency_s >= 50e-6 * m.macs / 100 * 0.99
        assert m.latency_s == m.summary.value
        assert m.interval[0] <= m.latency_s <= m.interval[1]
        assert set(m.context["anchors"]) == {"000", "222", "333"}
        assert m.read_back == ({"threads": 1, "graph": "scripted"},)
        assert 0 < m.context["overhead_s"] < 1e-4


@pytest.mark.alone
def test_latency_follows_the_work(net):
    small, large = take(net, np.array([[0, 0, 0], [3, 3, 3]]), "us=300")
    assert large.latency_s / small.latency_s == pytest.approx(4, rel=0.1)


@pytest.mark.slow
def test_configs_and_vectors_give_the_same(net):
    X = net.space.sample(2, 1)
    settings = {"check": False, "protocol": QUICK}
    by_config = measure(net, net.space.decode(X), "scripted", **settings)
    assert [m.key for m in by_config] == [m.key for m in measure(net, X, "scripted", **settings)]


@pytest.mark.slow
def test_a_network_is_prepared_as_often_as_the_protocol_says(net):
    for sessions in (1, 2, 4):
        (measurement,) = take(net, [[0, 0, 1]], "us=20", protocol=replace(QUICK, sessions=sessions))
        assert measurement.sessions == sessions
        assert Measurement.from_record(measurement.to_record()).sessions == sessions


def test_nothing_to_measure_starts_nothing(net):
    with Measurer(net, "scripted") as measurer:
        assert measurer.measure(np.empty((0, 3), dtype=int)) == []
        assert measurer._bench._worker is None


@pytest.mark.alone
def test_several_stages_run_as_often_as_they_say():
    net = supernets.get("toy:stages=2")
    (measurement,) = take(net, [[1, 0, 0]], "us=100")
    assert measurement.latency_s == pytest.approx(3 * 4 * 100e-6, rel=0.1)  # the second stage runs twice
    assert measurement.stages == ("part-0", "part-1")
    assert measurement.stage_s["part-1"] / measurement.stage_s["part-0"] == pytest.approx(2, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("refuse", "this network is not to its taste"),
        ("raise", "RuntimeError: had enough"),
        ("die", "SIGSEGV; its last words: these are my last words"),
    ],
)
def test_one_network_fails_and_the_rest_is_measured(net, how, words):
    X = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 0]])
    with Store.open(":memory:") as store:
        measurements = take(net, X, f"us=20,how={how},at=010", store=store)
        assert [record["status"] for record in store.measurements(keys=["010"])] == ["failed"]
        assert len(store.measurements()) == 4
    assert [m.status for m in measurements] == ["ok", "failed", "ok", "ok"]
    assert words in measurements[1].reason
    assert math.isnan(measurements[1].latency_s)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"), [("negative", "the device's clock gave -0.001"), ("tiny", "the device's clock gave 1e-12 s")]
)
def test_a_network_whose_device_gives_no_time_fails_by_name_and_the_rest_is_measured(net, how, words):
    X = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    with Measurer(net, f"scripted-device:us=20,how={how},at=010", check=False, protocol=QUICK) as measurer:
        measurements = measurer.measure(X)
    assert [m.status for m in measurements] == ["ok", "failed", "ok"]
    assert measurements[1].key == "010"
    assert words in measurements[1].reason


@pytest.mark.slow
def test_an_anchor_whose_device_gives_no_time_is_left_out(net):
    with Measurer(net, "scripted-device:us=20,how=nan,at=222", check=False, protocol=QUICK) as measurer:
        measurements = measurer.measure([[2, 2, 2], [0, 1, 0]])
        assert math.isfinite(measurer.environment["noise"]["spread"])
    assert [m.status for m in measurements] == ["failed", "ok"]
    assert set(measurements[1].context["anchors"]) == {"000", "333"}


@pytest.mark.slow
def test_where_no_anchor_can_be_timed_nothing_is_measured(net):
    with (
        Measurer(net, "scripted-device:how=zero,at=all", check=False, protocol=QUICK) as measurer,
        pytest.raises(MeasurementError, match="none of the anchors can be timed: the device's clock gave 0"),
    ):
        measurer.measure([[0, 1, 0]])


@pytest.mark.slow
def test_a_network_that_hangs_is_given_up(net):
    X = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    measurements = take(net, X, "us=20,how=hang,at=010", silence_s=4.0)
    assert [m.status for m in measurements] == ["ok", "failed", "ok"]
    assert "sent nothing for 4 s" in measurements[1].reason


@pytest.mark.slow
def test_a_worker_that_dies_once_is_forgiven(net, tmp_path):
    measurements = take(net, [[0, 0, 1], [0, 1, 0]], f"us=20,how=die,at=010,once={tmp_path / 'died'}")
    assert [m.status for m in measurements] == ["ok", "ok"]
    assert (tmp_path / "died").exists()


@pytest.mark.slow
def test_what_libraries_print_does_not_get_into_the_messages(net):
    assert [m.status for m in take(net, [[0, 0, 1]], "us=20,how=print,at=all")] == ["ok"]
    assert [m.status for m in take(net, [[0, 0, 1]], "us=20,how=chatter,at=all")] == ["ok"]


@pytest.mark.slow
def test_an_anchor_that_cannot_be_prepared_is_left_out(net):
    (measurement,) = take(net, [[0, 0, 1]], "us=20,how=refuse,at=333")
    assert measurement.status == "ok"
    assert set(measurement.context["anchors"]) == {"000", "222"}


@pytest.mark.slow
@pytest.mark.parametrize(("how", "words"), [("refuse", "not to its taste"), ("die", "SIGSEGV")])
def test_a_platform_on_which_nothing_runs_is_an_error(net, how, words):
    with pytest.raises(MeasurementError, match=words):
        take(net, [[0, 0, 1]], f"us=20,how={how},at=all")


@pytest.mark.alone
@pytest.mark.parametrize(("how", "threads", "words"), [("greedy", 1, "more ran"), ("lazy", 2, "fewer ran")])
def test_a_backend_that_ignores_its_threads_is_caught(net, how, threads, words):
    from hwnas.harness.host.cpus import allowed_cpus

    if allowed_cpus() < threads:
        pytest.skip("needs two CPUs")
    with pytest.raises(MeasurementError, match=words):
        take(net, [[0, 0, 1]], f"us=4000,threads={threads},how={how},at=all")


def test_wrong_arguments(net):
    with pytest.raises(PlatformError):
        Measurer(net, "scripted:thread=1")
    with pytest.raises(UsageError):
        Measurer(net, "scripted", protocol="nosy")
    with Measurer(net, "scripted") as measurer, pytest.raises(ConfigError):
        measurer.measure([[9, 9, 9]])


# --- the worker ------------------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_the_worker_ends_with_the_measurer_and_the_program_sleeps_meanwhile(net):
    with Measurer(net, "scripted:us=500", check=False, protocol=replace(QUICK, cap_s=0.5, interval=0.0)) as measurer:
        measurer.measure([[0, 0, 1]])
        pid = measurer._bench._worker.pid
        before, start = time.process_time(), time.perf_counter()
        measurer.measure(net.space.sample(3, 0))
        assert time.process_time() - before < 0.2 * (time.perf_counter() - start)
    assert not psutil.pid_exists(pid)


@pytest.mark.slow
@pytest.mark.parametrize(("fresh", "workers"), [(6, 2), (9, 1), (0, 1), (1, 3)])
def test_a_worker_that_has_prepared_many_is_replaced(net, fresh, workers):
    """Between batches, never within one: a batch that is too large for any worker gets one of its own."""
    protocol = replace(QUICK, fresh=fresh, batch=3, sessions=1)
    with Measurer(net, "scripted:us=50", check=False, protocol=protocol) as measurer:
        pids = []
        for batch in range(3):
            (first, *_) = measurer.measure([[batch, 0, 1], [batch, 1, 1], [batch, 2, 1]])
            pids.append(measurer._bench.pid)
            assert first.status == "ok"
    assert len(set(pids)) == workers


@pytest.mark.slow
def test_a_worker_whose_parent_is_gone_ends(net):
    with Measurer(net, "scripted:us=50", check=False, protocol=QUICK) as measurer:
        measurer.measure([[0, 0, 1]])
        process = psutil.Process(measurer._bench._worker.pid)
        measurer._bench._worker._process.stdin.close()
        measurer._bench._worker._process.stdin = None
        assert process.wait(timeout=10) == 0


@pytest.mark.slow
def test_an_interrupted_measurement_leaves_no_worker_and_keeps_what_is_done(net):
    def interrupt(progress):
        if progress.phase == "preparing" and progress.done == 2:
            raise KeyboardInterrupt

    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        take(net, net.space.sample(3, 0), progress=interrupt)
    assert set(psutil.Process().children()) == before


@pytest.mark.slow
def test_progress_tells_the_phases(net):
    told = []
    take(net, net.space.sample(3, 0), progress=told.append, protocol=replace(QUICK, cap_s=0.6, interval=0.0))
    assert list(dict.fromkeys(p.phase for p in told)) == ["starting", "preparing", "timing"]
    preparing = [p for p in told if p.phase == "preparing"]
    # Each once, before any is prepared again.
    assert [p.done for p in preparing] == [1, 2, 3, *[3] * 9]
    assert ["again" in p.message for p in preparing] == [False] * 3 + [True] * 9


# --- stored values ---------------------------------------------------------------------------------------------------


@pytest.fixture
def store():
    with Store.open(":memory:") as opened:
        yield opened


STABLE = replace(QUICK, anchor_agree=0.5)


@pytest.mark.slow
def test_stored_values_serve_while_the_anchors_agree(net, store):
    X = net.space.sample(3, 0)
    first = take(net, X, store=store, protocol=STABLE)
    again = take(net, np.concatenate([X, [[0, 0, 1]]]), store=store, protocol=STABLE)
    assert [m.cached for m in again] == [True, True, True, False]
    assert [m.latency_s for m in again[:3]] == [m.latency_s for m in first]
    assert again[0].measured_at == first[0].measured_at
    assert len(store.measurements()) == 4


@pytest.mark.slow
def test_stored_values_are_measured_anew_when_asked_for(net, store):
    X = net.space.sample(2, 0)
    with Measurer(net, "scripted:us=50", check=False, protocol=STABLE, store=store) as measurer:
        measurer.measure(X)
        assert not any(m.cached for m in measurer.measure(X, fresh=True))
    assert len(store.measurements()) == 4


@pytest.mark.slow
def test_every_value_is_stored_before_the_batch_returns(net, tmp_path):
    class Dying(Store):
        def put_measurement(self, record, **options):
            number = super().put_measurement(record, **options)
            if len(self.measurements()) == 2:
                raise KeyboardInterrupt
            return number

    with Dying.open(str(tmp_path / "a.db")) as store, pytest.raises(KeyboardInterrupt):
        take(net, net.space.sample(4, 0), store=store)
    with Store.open(str(tmp_path / "a.db")) as store:
        assert len(store.measurements()) == 2


# --- records ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_records_survive_json(net):
    good, bad = take(net, [[0, 0, 1], [0, 1, 0]], "us=20,how=refuse,at=010")
    for measurement in (good, bad):
        record = json.loads(json.dumps(measurement.to_record(), allow_nan=False))
        again = Measurement.from_record(record)
        assert again.to_record() == measurement.to_record()
        assert again.summary == measurement.summary


@pytest.mark.slow
def test_the_contracts_json(net):
    good, bad = take(net, [[0, 0, 1], [0, 1, 0]], "us=20,how=refuse,at=010")
    shown = json.loads(json.dumps(good.to_json(), allow_nan=False))
    promised = "supernet config key platform status reason latency_ms throughput_per_s macs params prepare_s"
    assert set(promised.split()) | {"first_inference_ms", "threads_verified"} <= set(shown)
    assert set(shown["latency_ms"]) == {"value", "statistic", "min", "p10", "median", "p90", "n", "ci_low", "ci_high"}
    assert shown["latency_ms"]["value"] == good.latency_ms == 1e3 * good.latency_s
    assert shown["threads_verified"] is True
    assert "samples_ms" not in shown
    assert good.to_json(samples=True)["samples_ms"] == pytest.approx(1e3 * good.samples_s)
    failed = json.loads(json.dumps(bad.to_json(), allow_nan=False))
    assert failed["latency_ms"]["value"] is None
    assert failed["status"] == "failed"


@pytest.mark.slow
def test_the_worker_sees_its_environment_before_it_imports(net, monkeypatch):
    monkeypatch.setenv("SCRIPTED_THREADS", "77")
    (measurement,) = take(net, [[0, 0, 1]])
    assert measurement.read_back[0]["threads"] == 1
    assert os.environ["SCRIPTED_THREADS"] == "77"


@pytest.mark.slow
@pytest.mark.parametrize("huge_pages", [0, 1])
def test_the_worker_is_started_with_huge_pages_if_the_protocol_says_so(net, monkeypatch, huge_pages):
    started: list[dict[str, str]] = []

    def child(*args, environment, **more):
        started.append(environment)
        return Child(*args, environment=environment, **more)

    monkeypatch.setattr("hwnas.harness.worker.process.Child", child)
    take(net, [[0, 0, 1]], protocol=replace(QUICK, huge_pages=huge_pages))
    assert ("hugetlb=1" in started[0].get("GLIBC_TUNABLES", "")) == bool(huge_pages)


@pytest.mark.slow
def test_the_worker_runs_from_anywhere(net, monkeypatch, tmp_path):
    Path(tmp_path / "torch.py").write_text("raise SystemExit('the working directory is on the path')")
    monkeypatch.chdir(tmp_path)
    assert take(net, [[0, 0, 1]])[0].status == "ok"


@pytest.mark.slow
def test_a_network_without_memory_fails_alone_and_the_record_says_how_many_were_side_by_side(net):
    X = net.space.encode([{"w": [1, 1, 2]}, {"w": [1, 2, 1]}, {"w": [2, 1, 1]}])
    keys = net.space.keys(X)
    taken = take(net, X, f"us=20,at={keys[1]},how=hungry")
    assert [one.status for one in taken] == ["ok", "failed", "ok"]
    assert "it does not fit" in taken[1].reason
    assert "allocate" in taken[1].reason
    for one in (taken[0], taken[2]):
        assert one.context["networks"] >= 1
        assert set(one.context["anchors"]) <= {"000", "222", "333"}
    again = Measurement.from_record(json.loads(json.dumps(taken[0].to_record())))
    assert again.context["networks"] == taken[0].context["networks"]


# --- values in the midst of a batch -----------------------------------------------------------------------------------

# Every look has news, and the batch takes a while.
LONG = replace(QUICK, interval=0.0, cap_s=0.5, own_memory=0, sessions=1)


class CutError(Exception):
    """The program ends here."""


class CutStore(Store):
    """A store whose program ends after so many measurements were put."""

    left = 10**9

    def put_measurement(self, record, **options):
        number = super().put_measurement(record, **options)
        self.left -= 1
        if not self.left:
            raise CutError
        return number


@pytest.mark.slow
def test_a_final_value_takes_the_place_of_the_interim_one(net, tmp_path):
    X = net.space.sample(4, 0)
    with CutStore.open(str(tmp_path / "a.db")) as store:
        taken = take(net, X, "us=20", store=store, protocol=LONG)
        puts = 10**9 - store.left
        rows = store.measurements()
    assert puts >= 3 * len(X)  # it was reported before
    assert sorted(row["key"] for row in rows) == sorted(net.space.keys(X))
    assert not any("interim" in row["context"] for row in rows)
    assert {row["key"]: row["latency_s"] for row in rows} == {one.key: one.latency_s for one in taken}


@pytest.mark.slow
@pytest.mark.parametrize("left", [4, 7])
def test_a_program_that_is_cut_short_keeps_what_it_had_and_measures_nothing_again(net, tmp_path, left):
    X = net.space.sample(4, 0)
    with CutStore.open(str(tmp_path / "a.db")) as store:
        store.left = left
        with pytest.raises(CutError):
            take(net, X, "us=20", store=store, protocol=LONG)
    with Store.open(str(tmp_path / "a.db")) as store:
        before = store.measurements()
        assert sorted(row["key"] for row in before) == sorted(net.space.keys(X))
        for row in before:
            assert row["status"] == "unstable"
            assert re.fullmatch(r"its measuring was cut short after (1 round|[2-9] rounds); .*", row["reason"])
            assert set(row["context"]["anchors"]) == {"000", "222", "333"}
        since = min(row["measured_at"] for row in before)
        again = take(net, X, "us=20", store=store, protocol=LONG, since=since)
        assert all(one.cached and one.interim for one in again)
        # Without a study, it is measured to its end.
        fresh = take(net, X, "us=20", store=store, protocol=LONG)
        assert not any(one.cached or one.interim for one in fresh)


def message(samples, **more):
    """What a worker says of a network with these samples."""
    batch = BatchFacts(20, 1.0, 1e-9, 2.0, None, own_memory=False)
    return Measured(0, samples.to_record(), 1.0, 3, None, Rules(True, True, True), batch, [], 1, **more)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({}, "ok"),
        ({"interim": True, "converged": True}, "ok"),
        ({"interim": True, "converged": False}, "unstable"),
    ],
)
def test_an_interim_value_is_ok_where_it_has_settled(net, more, status):
    writer = MeasurementBuilder(net, parse("scripted"), "here", net.space.sample(1, 0))
    writer.begin(QUICK.to_record(), {})
    writer.prepared(Prepared(0, False, PreparationFacts(0.1, 0.1, 0, ["all"], [])))
    log = SampleLog()
    for visit in range(20):
        log.sample(visit, 1000 + visit % 3, 1000, 0, 1)
        log.end_visit(visit, 0, 0, 0)
    found = writer.measurement(np.array([0, 0, 1]), message(log.samples(), **more))
    interim = more.get("interim", False)
    assert (found.status, found.interim) == (status, interim)
    assert found.latency_s == pytest.approx(1e-6, rel=0.01)
    again = Measurement.from_record(json.loads(json.dumps(found.to_record())))
    assert again.interim == interim
