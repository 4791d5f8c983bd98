"""What a worker knows of a network reaches the client's store before its order is done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.bench.bench import BenchOptions
from hwnas.harness.farm import reports
from hwnas.harness.farm.bench import FarmBench
from hwnas.harness.farm.platforms import find
from hwnas.harness.farm.reports import Reporter, read_event
from hwnas.harness.host.child import python_path
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.measurement import Measurement
from hwnas.harness.measurement.protocol import profile
from hwnas.harness.store import Store
from hwnas.supernets.errors import MeasurementError

pytestmark = pytest.mark.slow

# A batch that never settles: it goes on until its time is up.
LONG = profile("noisy", interval=0.0, cap_s=1.5, warmup_s=0.0, own_memory=0, sessions=1)
DEVICE = "scripted-device:us=50"
VECTORS = [[first, second, 1] for first in range(2) for second in range(4)]
N = len(VECTORS)  # few enough to be one order

# A client that measures networks into a store.
CLIENT = """
import sys
from hwnas import supernets
from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.platforms import find
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import TimingProtocol
from hwnas.harness.store import Store
import json

address, platform, path, numbers, vectors = sys.argv[1:]
net = supernets.get("toy")
with Store.open(path) as store:
    settings = {"store": store, "check": False, "protocol": TimingProtocol.from_record(json.loads(numbers))}
    with Measurer(net, find(platform, Cluster(address)), **settings) as measurer:
        measurer.measure(json.loads(vectors))
"""


@pytest.fixture
def net():
    return supernets.get("toy")


def test_a_client_that_is_killed_in_the_midst_of_an_order_measures_nothing_again(fleet, net, cluster, tmp_path):
    path, log = str(tmp_path / "a.db"), tmp_path / "log"
    spelled = f"{DEVICE},log={log}"
    numbers = replace(LONG, batch=N)
    with Store.open(path) as store:
        given = [fleet.address, spelled, path, json.dumps(numbers.to_record()), json.dumps(VECTORS)]
        client = subprocess.Popen(
            [sys.executable, "-c", CLIENT, *given],
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        try:
            _wait(lambda: len(store.measurements(samples=False)) == N)
        finally:
            client.kill()
            client.wait()
        before = store.measurements()
        assert all(row["context"].get("interim") for row in before)
        assert len({row["key"] for row in before}) == N
        prepared = log.read_text()
        since = min(row["measured_at"] for row in before)
        with Measurer(net, find(spelled, cluster), store=store, check=False, protocol=numbers, since=since) as measurer:
            again = measurer.measure(VECTORS)
        assert all(one.cached and one.interim for one in again)
        assert log.read_text() == prepared
        assert len(store.measurements()) == N


def test_a_final_value_takes_the_place_of_interim_ones(net, cluster, monkeypatch):
    kept = []
    put = Store.put_measurement
    monkeypatch.setattr(
        Store, "put_measurement", lambda self, record, **more: kept.append(more) or put(self, record, **more)
    )
    with Store.open(":memory:") as store:
        settings = {"store": store, "check": False, "protocol": replace(LONG, cap_s=0.3)}
        with Measurer(net, find(DEVICE, cluster), **settings) as measurer:
            ticket = measurer.start(net.space.sample(3, 1), net.space.sample(0, 1))
            arrived = None
            while arrived is None:
                arrived = measurer.arrived(1.0)
        assert arrived[0] == ticket
        rows = store.measurements()
    assert len(kept) >= 3 * 4  # after rounds 1, 2, 4 and 8 at least
    assert not any("interim" in row["context"] for row in rows)
    assert sorted(row["key"] for row in rows) == sorted(net.space.keys(net.space.sample(3, 1)))
    # The scheduler keeps nothing of it.
    assert cluster._client.get_events(cluster._topic) == ()


def _wait(done, within_s=120.0):
    end = time.monotonic() + within_s
    while not done():
        assert time.monotonic() < end, done
        time.sleep(0.05)


# --- what is sent and read --------------------------------------------------------------------------------------------


def interim(net, **changes):
    """A measurement in the midst of its batch."""
    (key,) = net.space.keys(net.space.smallest())
    facts = {"supernet": "toy", "config": {}, "key": key, "platform": "p", "status": "unstable", "reason": ""}
    made = Measurement(**facts, statistic="p15", latency_s=1.0, macs=1, params=1, context={"interim": True})
    return replace(made, **changes)


@pytest.mark.parametrize("error", [TimeoutError(), OSError("closed"), RuntimeError("no loop")])
def test_a_scheduler_that_does_not_listen_holds_an_order_up_once(net, monkeypatch, error):
    asked = []

    def sync(*given, **more):
        asked.append(more)
        raise error

    monkeypatch.setattr(reports, "distributed", lambda: SimpleNamespace(utils=SimpleNamespace(sync=sync)))
    reporter = Reporter(SimpleNamespace(loop=None, scheduler=SimpleNamespace(log_event=None)), "topic", 3)
    for _ in range(3):
        assert reporter.interim(interim(net)).interim
    assert len(asked) == 1
    assert asked[0]["callback_timeout"] <= 10


def test_final_values_are_left_to_the_answer(net):
    reporter = Reporter(None, "topic", 3)  # which cannot tell anything
    final = interim(net, context={})
    assert reporter.interim(final) is final


@pytest.mark.parametrize(
    ("said", "found"),
    [(3, (3, None)), ([1], (-1, None)), (None, (-1, None)), ({"number": 1}, (-1, None)), (b"3", (-1, None))],
)
def test_events_that_are_no_texts(said, found):
    assert read_event(said) == found


@pytest.mark.parametrize(
    "said",
    ["", "{", "3", "[]", "{}", '{"number": 1}', '{"number": "x", "measurement": {}}', '{"number": 1, "measurement": 3}',
     '{"number": -1, "measurement": {}}', "[" * 100_000],
)  # fmt: skip
def test_texts_of_another_form_are_refused_by_name(said):
    with pytest.raises(MeasurementError, match="a worker's report"):
        read_event(said)


@pytest.mark.parametrize(
    "changes", [{"fingerprint": "e" * 16}, {"key": "999"}, {"context": {}}, {"context": {"interim": False}}]
)
def test_what_is_not_of_the_order_is_not_kept(net, cluster, changes):
    bench = FarmBench(cluster, find(DEVICE, cluster), net, net.space.smallest(), BenchOptions(check=False))
    kept = []
    ours = interim(net, fingerprint=bench.fingerprint)
    bench._interim(ours.to_record(), {ours.key}, kept.append)
    assert [one.platform for one in kept] == [str(find(DEVICE, cluster))]
    bench._interim(replace(ours, **changes).to_record(), {ours.key}, kept.append)
    assert len(kept) == 1


def test_a_record_that_is_none_is_refused(net, cluster):
    bench = FarmBench(cluster, find(DEVICE, cluster), net, net.space.smallest(), BenchOptions(check=False))
    with pytest.raises(Exception, match=r"damaged|cannot be understood"):
        bench._interim({"status": np.nan}, {"000"}, lambda one: one)
