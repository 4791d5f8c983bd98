"""A farm measures what a machine of its own would, on the device that was named, each once."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from hwnas import supernets
from hwnas.cli import build_app, run
from hwnas.harness.bench.bench import BenchOptions, ParallelBench
from hwnas.harness.farm import files
from hwnas.harness.farm.bench import FarmBench
from hwnas.harness.farm.cluster import Cluster, Job
from hwnas.harness.farm.messages import MeasureAnswer
from hwnas.harness.farm.offer import ACCURACY
from hwnas.harness.farm.platforms import find
from hwnas.harness.farm.status import status
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store
from hwnas.supernets.errors import MeasurementError, PlatformError, UsageError

pytestmark = pytest.mark.slow

QUICK = profile(
    "noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, warmup_s=0.0, samples=1,
    calibration_s=0.05,
)  # fmt: skip
DEVICE = "scripted-device:us=50"


@pytest.fixture
def net():
    return supernets.get("toy")


def take(net, platform, X, **settings):
    with Measurer(net, platform, **{"check": False, "protocol": QUICK, **settings}) as measurer:
        return measurer.measure(X)


def test_it_measures_what_this_machine_would(net, cluster):
    X = net.space.sample(6, 1)
    there, here = take(net, find(DEVICE, cluster), X), take(net, DEVICE, X)
    for one, other in zip(there, here, strict=True):
        assert (one.key, one.latency_s, one.platform, one.fingerprint) == (
            other.key, other.latency_s, other.platform, other.fingerprint,
        )  # fmt: skip
        assert one.context["anchors"] == other.context["anchors"]
        assert one.graph == other.graph
        # How many rounds there are follows from how long they took; what each sample says is the device's word.
        assert one.samples.n > 0
        assert set(one.samples.seconds) == set(other.samples.seconds)


def test_networks_are_spread_over_the_devices_and_each_is_measured_once(net, cluster, tmp_path):
    log = tmp_path / "log"
    X = net.space.sample(64, 1)
    found = take(net, find(f"{DEVICE},log={log}", cluster), X, protocol=replace(QUICK, batch=4, sessions=1))
    assert [one.key for one in found] == net.space.keys(X)
    lines = [line.split() for line in log.read_text().splitlines()]
    prepared = [key for _, key in lines if key not in {"000", "222", "333"}]
    assert len(prepared) == len(set(prepared)) == len(set(net.space.keys(X)) - {"000", "222", "333"})
    assert len({pid for pid, _ in lines}) == 2


def test_the_client_looks_up_and_keeps_values(net, cluster):
    X = net.space.sample(3, 0)
    with Store.open(":memory:") as store:
        numbers = replace(QUICK, anchor_agree=0.5)
        settings = {"store": store, "protocol": numbers, "wait_s": None}
        take(net, find(DEVICE, cluster), X, **settings)
        again = take(net, find(DEVICE, cluster), X, **settings)
        assert all(one.cached for one in again)
        assert len(store.measurements()) == 3


def test_the_workers_environment_comes_with_every_result(net, cluster):
    platform = find(DEVICE, cluster)
    with Measurer(net, platform, check=False, protocol=QUICK) as measurer:
        measurer.measure(net.space.sample(1, 0))
        assert measurer.environment["farm"]["worker"].endswith(("-0", "-1"))
        assert measurer.environment["noise"] is not None
        assert measurer.fingerprint == platform.fingerprint


def test_a_description_goes_to_each_worker_once(net, cluster, monkeypatch):
    sent = []
    submit = cluster._client.submit
    monkeypatch.setattr(cluster._client, "submit", lambda *given, **more: sent.append(given) or submit(*given, **more))
    take(net, find(f"{DEVICE}0", cluster), net.space.sample(10, 0), protocol=replace(QUICK, batch=1))
    described = [given for given in sent if given[0].__name__ == "measure" and given[3]]
    # A description without and one with the protocol, to two workers; a few orders were on their way when they asked.
    assert len(described) <= 8
    assert len({given[1] for given in sent if given[0].__name__ == "measure"}) == 1
    assert all(len(given[2]) < 500 for given in sent if given[0].__name__ == "measure")


def test_a_worker_that_builds_another_network_is_refused(net, cluster, monkeypatch):
    monkeypatch.setattr("hwnas.harness.farm.bench.digests", lambda net, X: ["0" * 16] * len(X))
    with pytest.raises(MeasurementError, match="builds another network than the client"):
        take(net, find(DEVICE, cluster), [[0, 0, 1]])


def test_a_result_of_another_environment_is_refused(net, cluster):
    platform = replace(find(DEVICE, cluster), fingerprint="f" * 16)
    bench = FarmBench(cluster, platform, net, net.space.smallest(), BenchOptions(check=False))
    answer = MeasureAnswer([], {}, {}, {}, fingerprint="e" * 16, worker="w")
    with pytest.raises(MeasurementError, match="not mixed"):
        bench._read(None, answer)


def test_the_engine_keeps_the_measured_value_of_a_network_that_cannot_be_prepared(net, cluster):
    (found,) = take(net, find(DEVICE + ",how=die,at=001", cluster), [[0, 0, 1]])
    assert found.status == "failed"
    assert "SIGKILL" in found.reason


def test_a_hung_backend_is_ended_and_tried_again(net, cluster, tmp_path):
    platform = find(f"{DEVICE},how=hang,at=001,once={tmp_path / 'hung'}", cluster)
    (found,) = take(net, platform, [[0, 0, 1]], silence_s=4.0)  # starting up is silent too
    assert found.status == "ok"
    assert (tmp_path / "hung").exists()


def test_its_bench_has_several_devices(net, cluster):
    with Measurer(net, find(DEVICE, cluster), check=False, protocol=QUICK) as measurer:
        assert isinstance(measurer._bench, ParallelBench)
        assert measurer.parallel == 2
        tickets = [measurer.start(X, X[:0]) for X in np.split(net.space.sample(6, 3), 3)]
        found = {}
        while len(found) < 3:
            arrived = measurer.arrived(1.0)
            if arrived is not None:
                found[arrived[0]] = [one.key for one in arrived[1][0]]
        assert [found[ticket] for ticket in tickets] == [net.space.keys(X) for X in np.split(net.space.sample(6, 3), 3)]


# --- names ------------------------------------------------------------------------------------------------------------


def test_tables_need_no_worker(cluster):
    assert str(find("lut:table=note10", cluster)) == "lut:table=note10"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scripted-devise", "no worker offers it; did you mean 'scripted-device'"),
        ("onnxruntime:threads=1", "no worker offers it"),
        ("scripted-device:us=1@nobody", "no worker is called 'nobody'"),
        ("scripted-device:um=1", "has no key 'um'"),
        ("scripted-device:device=gpu", "no worker offers it"),
    ],
)
def test_what_nobody_offers_is_refused(cluster, text, words):
    with pytest.raises(PlatformError, match=words):
        find(text, cluster)


# --- status and the command line --------------------------------------------------------------------------------------


def test_status_tells_workers_devices_and_queue(fleet, cluster):
    shown = json.loads(json.dumps(status(cluster)))
    assert [one["unit"] for one in shown["workers"]] == [0, 1]
    assert all(one["devices"] == ["npu"] and "scripted-device" in one["backends"] for one in shown["workers"])
    assert shown["queue"]["networks"] == 0
    result = CliRunner().invoke(build_app(), ["farm", "status", "--scheduler", fleet.address])
    assert result.exit_code == 0
    assert "scripted-device" in result.stdout
    assert "npu" in result.stdout


def test_a_search_on_the_farm(fleet, tmp_path):
    store, found = str(tmp_path / "s.db"), tmp_path / "found.json"
    common = [
        "search",
        "toy:layers=5",
        "-p",
        "scripted-device:us=5",
        "--scheduler",
        fleet.address,
        "--store",
        store,
        "--study",
        "s",
    ]
    objectives = ["--objective", "latency", "--objective", "params", "--json", str(found), "-q"]
    assert run([*common, "--evals", "12", *objectives]) == 0
    assert run([*common, "--evals", "14", "--resume", *objectives]) == 0
    outcome = json.loads(found.read_text())
    keys = [one["key"] for one in outcome["evaluations"]]
    assert len(keys) == len(set(keys)) == 14
    assert all(one["status"] != "failed" for one in outcome["evaluations"])


def test_accuracy_is_evaluated_by_whichever_worker_is_free(fleet, tmp_path):
    weights, log, found = tmp_path / "weights", tmp_path / "log", tmp_path / "found.json"
    weights.write_text("learned")
    common = ["search", "toy", "-p", DEVICE, "--scheduler", fleet.address, "--store", str(tmp_path / "s.db"), "-q"]
    quality = ["--quality", f"scripted-quality:{log}", "--weights", str(weights)]
    assert run([*common, *quality, "--evals", "6", "--json", str(found)]) == 0
    assert len(log.read_text().splitlines()) == 6
    assert set(map(int, log.read_text().split())) <= set(fleet.joined())
    for one in json.loads(found.read_text())["evaluations"]:
        assert one["objectives"]["score"] == sum(one["config"]["w"])


def test_weights_go_to_the_workers_that_have_none_once(fleet, tmp_path, monkeypatch):
    content = b"learned elsewhere"
    (tmp_path / "weights").write_bytes(content)
    monkeypatch.chdir(tmp_path)  # the workers are in another folder: a file of this name is not there
    sent = []
    carried = Cluster._carried
    monkeypatch.setattr(Cluster, "_carried", lambda self, file: sent.append(file) or carried(self, file))
    common = ["search", "toy", "-p", DEVICE, "--scheduler", fleet.address, "-q", "--evals", "12"]
    quality = ["--quality", f"scripted-quality:{tmp_path / 'log'}", "--weights", "weights"]
    assert run([*common, *quality, "--store", "first.db"]) == 0
    assert sent
    kept = list(fleet.folder.glob("cache-*/hwnas/farm/*"))
    assert {file.name for file in kept} == {hashlib.sha256(content).hexdigest()}
    assert all(file.read_bytes() == content for file in kept)
    if len(kept) == 2:  # one worker may have been quick enough to evaluate all of them
        sent.clear()
        assert run([*common, *quality, "--store", "second.db"]) == 0
        assert not sent


def test_weights_that_are_gone_when_a_worker_needs_them_are_named(fleet, tmp_path, cluster):
    job = Job("{}", "{}", {ACCURACY: 1.0}, file=tmp_path / "gone", carries=True)
    with pytest.raises(UsageError, match=r"gone: a worker needs it, and it cannot be read \(No such file"):
        cluster.send(job)


def test_a_file_is_known_by_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "cache_folder", lambda what: tmp_path / what)
    digest = hashlib.sha256(b"one").hexdigest()
    assert files.here("weights", digest) is None
    with pytest.raises(MeasurementError, match="changed"):
        files.put(b"another", digest)
    files.put(b"one", digest)
    kept = files.here("weights", digest)
    assert kept.read_bytes() == b"one"
    named = tmp_path / "weights"
    named.write_bytes(b"one")
    assert files.here(str(named), digest) == named
    named.write_bytes(b"two")
    assert files.here(str(named), digest) == kept
    kept.write_bytes(b"damaged")
    assert files.here(str(named), digest) is None


def test_a_worker_whose_file_holds_something_else_measures_nothing_for_the_search(net, cluster, tmp_path):
    file = tmp_path / "file"
    file.write_text("one")
    X = net.space.sample(2, 5)
    platform = find(f"{DEVICE},reads={file}", cluster)
    assert platform.settings.contents == {"reads": hashlib.sha256(b"one").hexdigest()}
    file.write_text("two")
    with pytest.raises(MeasurementError, match=r"reads 3fc4ccfe745870e2, the search is of reads 7692c3ad3540bb80; put"):
        take(net, platform, X)
    file.write_text("one")
    assert all(dict(one.contents) == dict(platform.settings.contents) for one in take(net, platform, X))


def test_a_worker_keeps_few_files(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "cache_folder", lambda what: tmp_path / what)
    for number in range(12):
        content = bytes([number])
        files.put(content, hashlib.sha256(content).hexdigest())
    assert len(list((tmp_path / "farm").iterdir())) == 8
    assert files.here("weights", hashlib.sha256(bytes([11])).hexdigest()) is not None


def test_without_a_farm_nothing_of_dask_is_imported():
    code = "import hwnas.cli, sys; hwnas.cli.run(['profile', 'ncf', '-c', 'min', '-p', 'lut:file=none.yaml', '-q'])"
    code += "; import hwnas.harness.measure, hwnas.search.study.run"
    code += "; print([m for m in sys.modules if m in ('dask', 'distributed')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_numbers_are_those_of_the_profile_that_a_worker_chooses(net, cluster):
    asked = {"rounds": 2, "check_every": 1, "tau": -1.0, "interval": 10.0, "steady": 10.0, "cap_s": 0.7}
    (one,) = take(net, find(DEVICE, cluster), [[0, 0, 1]], protocol=asked)
    assert one.protocol == profile(one.protocol.profile, **asked)
