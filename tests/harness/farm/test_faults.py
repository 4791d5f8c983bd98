"""What breaks costs the measurement under way, and no other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hwnas
from hwnas import supernets
from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.engine import differences
from hwnas.harness.farm.platforms import find
from hwnas.harness.farm.worker import CHARTER
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store
from hwnas.supernets.errors import MeasurementError, PlatformError, UsageError

pytestmark = pytest.mark.slow

QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip
ONE = replace(QUICK, batch=1)
DEVICE = "scripted-device:us=50"
SCRIPTS = Path(__file__).parents[3] / "scripts"


@pytest.fixture
def net():
    return supernets.get("toy")


@pytest.fixture
def open_cluster():
    opened = []

    def connect(fleet, **options):
        opened.append(Cluster(fleet.address, **options))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


def take(net, platform, X, **settings):
    with Measurer(net, platform, **{"check": False, "protocol": ONE, **settings}) as measurer:
        return measurer.measure(X)


def test_workers_that_die_are_replaced_and_a_deadly_network_is_given_up(own, net, open_cluster, tmp_path):
    """``kill`` ends the worker itself, as a machine does that runs out of memory."""
    fleet = own()
    for unit in range(2):
        fleet.add("--unit", unit)
    cluster = open_cluster(fleet)
    fleet.ready(2, cluster)
    platform = find(f"{DEVICE},how=kill,at=001,once={tmp_path / 'once'}", cluster)
    found = take(net, platform, [[0, 0, 1], [0, 1, 0]])
    assert [one.status for one in found] == ["ok", "ok"]
    assert (tmp_path / "once").exists()
    found = take(net, find(f"{DEVICE},how=kill,at=001", cluster), [[0, 1, 0], [0, 0, 1]])
    assert [one.status for one in found] == ["ok", "failed"]
    assert found[1].reason == "each of the 3 workers that measured it died meanwhile"
    # And the scheduler: what it had been asked is asked again.
    fleet.restart_scheduler()
    assert [one.status for one in take(net, platform, [[1, 0, 1], [1, 1, 0]])] == ["ok", "ok"]


def test_environments_never_mix_and_one_that_changed_is_refused(own, net, open_cluster):
    """Two machines in all that matters: their fingerprints differ."""
    fleet = own()
    fleet.add("--unit", 0, "--name", "here", platform="same=scripted-device")
    other = fleet.add("--unit", 1, "--name", "there", environment={"SCRIPTED_DEVICE": "2.0"})
    cluster = open_cluster(fleet, patience_s=2.0)
    fleet.ready(2, cluster)
    with pytest.raises(PlatformError, match="scripted-device@here, scripted-device@there"):
        find("scripted-device", cluster)
    assert find("same", cluster).fingerprint == find("scripted-device@here", cluster).fingerprint
    X = net.space.sample(4, 0)
    with Store.open(":memory:") as store:
        numbers = replace(ONE, anchor_agree=0.5)
        places = [find(f"{DEVICE}@{name}", cluster) for name in ("here", "there")]
        found = [take(net, place, X, store=store, protocol=numbers) for place in places]
        assert [{one.platform for one in each} for each in found] == [{f"{place}"} for place in places]
        assert {one.fingerprint for one in found[0]} != {one.fingerprint for one in found[1]}
        assert not any(one.cached for each in found for one in each)
        for each in found:
            assert {one.context["anchors"].keys() == found[0][0].context["anchors"].keys() for one in each} == {True}
        # It comes back as another machine: neither it nor the other one measures for the search that it began.
        fleet.workers.remove(other)
        other.terminate()
        other.wait()
        other.stderr.close()
        other.stdout.close()
        fleet.add("--unit", 1, "--name", "there", environment={"SCRIPTED_DEVICE": "3.0"})
        fleet.ready(2, cluster)
        with pytest.raises(
            MeasurementError, match=r"no worker has offered .*@there.* comes back with another environment"
        ):
            take(net, places[1], net.space.sample(2, 5), store=store, protocol=numbers)
        changed = find(f"{DEVICE}@there", cluster)
        again = take(net, changed, X, store=store, protocol=numbers)
        assert not any(one.cached for one in again)


def worker(fleet, *options):
    process = fleet.run("worker", "--scheduler", fleet.address, *options)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def test_a_worker_is_refused_that_offers_a_device_a_second_time(fleet):
    code, said = worker(fleet, "-p", "scripted-device", "--unit", "1", "-q")
    assert code == 2
    assert "offers npu of this machine already" in said
    assert "--unit" in said


def test_other_versions_are_refused(own, open_cluster):
    fleet = own()
    first = open_cluster(fleet)
    first._client.set_metadata([CHARTER], {"hwnas": "0.0.1", "protocol": "1"})
    code, said = worker(fleet, "-p", "scripted-device", "-q")
    assert code == 2
    assert f"hwnas {hwnas.__version__} here, 0.0.1 there" in said
    with pytest.raises(UsageError, match=r"other versions: .*protocol \d+ here, 1 there"):
        Cluster(fleet.address)


def test_differences_are_told_in_words():
    assert differences({"a": "1", "b": "2"}, {"a": "1", "c": "3"}) == "b 2 here, none there, c none here, 3 there"
    assert not differences({"a": "1"}, {"a": "1"})


def test_nobody_at_the_address_is_said_with_the_way_out(monkeypatch):
    monkeypatch.setattr("hwnas.harness.farm.cluster._CONNECT_S", 0.5)
    with pytest.raises(UsageError, match="start one by 'hwnas farm scheduler'"):
        Cluster("tcp://127.0.0.1:1")


def test_a_search_survives_its_workers_and_its_clients(own, tmp_path):
    """``scripts/farm_chaos.py`` does this at length."""
    script = SCRIPTS / "farm_chaos.py"
    command = [sys.executable, str(script), "--evals", "12", "--workers", "2", "--schedulers", "0", "--us", "50"]
    command += ["--every", "5", "--fair", "--algorithm", "random"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    report = json.loads(done.stdout)
    assert report["evaluations"] == report["distinct"] == 12, done.stderr
    assert report["killed"]["clients"] == 2
    assert report["killed"]["workers"] >= 1
    assert report["exit_code"] == 0
