"""What workers answer is data: a pickle that would run code in the client does not."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from hwnas import supernets
from hwnas.harness.farm import cluster as clusters
from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.pickles import Unread, loads
from hwnas.harness.farm.platforms import find
from hwnas.harness.farm.supervisor import JoinOrder
from hwnas.harness.host.child import python_path
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.supernets.errors import HwnasError

pytestmark = pytest.mark.slow

QUICK = profile("noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, samples=1, calibration_s=0.05)
SCRIPT = str(Path(__file__).parents[2] / "plugin" / "hostile_worker.py")


@pytest.mark.parametrize("how", ["result", "error", "event", "warning"])
def test_nothing_of_a_worker_runs_in_the_client(own, tmp_path, monkeypatch, how):
    monkeypatch.setattr(clusters, "_RETURNS", 2)
    fleet = own()
    order = JoinOrder(fleet.address, platforms=("scripted-device",), accuracy=0)
    hostile = subprocess.Popen(
        [sys.executable, SCRIPT, str(tmp_path / "touched"), how, str(os.getpid())],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    hostile.stdin.write(order.to_json() + "\n")
    hostile.stdin.flush()
    connected = Cluster(fleet.address, patience_s=20.0)
    try:
        fleet.ready(1, connected)
        platform = find("scripted-device:us=50", connected)
        net = supernets.get("toy")
        try:
            with Measurer(net, platform, check=False, protocol=QUICK) as measurer:
                found = measurer.measure([[0, 0, 1]])
            assert found[0].status == "ok"
        except HwnasError:
            assert how != "warning"
    finally:
        connected.close()
        hostile.kill()
        hostile.communicate()
    assert not (tmp_path / "touched").exists()


class Touch:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_data_is_read_and_nothing_else_is_made(tmp_path, protocol):
    file = tmp_path / "touched"
    given = {"a": [1, 2.5, None, True, "x", b"y"], "b": (Touch(file), Path("/x"), {3}), "c": ValueError("said")}
    found = loads(pickle.dumps(given, protocol=protocol))
    assert found["a"][:-1] == given["a"][:-1]
    assert isinstance(found["b"][0], Unread)
    assert isinstance(found["c"], Unread)
    assert not file.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'touch touched'\ntR.",
        b'cbuiltins\neval\n(S\'open("touched", "w")\'\ntR.',
        b"cbuiltins\nexec\n(S'1'\ntR.",
        b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
        b"(S'touch touched'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0dtouch touched\x85R.",
        b"cdistributed.scheduler\nKilledWorker.__init__.__globals__\n.",
    ],
)
def test_pickles_written_by_hand(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    found = loads(content)
    assert found is Unread or isinstance(found, Unread)
    assert list(tmp_path.iterdir()) == []


def test_who_has_no_certificate_is_turned_away_from_a_local_cluster():
    import certificates

    from hwnas.harness.farm.local import local_cluster

    with local_cluster(1, ["scripted-device"]) as mine:
        (worker,) = mine.workers()
        for address in (mine.address, worker):
            assert address.startswith("tls://127.0.0.1:")
            assert not certificates.greets(int(address.rpartition(":")[2]))
        commands = [" ".join(child.cmdline()) for child in psutil.Process().children()]
        assert any("hwnas.harness.farm.scheduler" in one for one in commands)
        assert not any("BEGIN" in one for one in commands)
        assert "PRIVATE KEY" not in repr(mine._tls)


def test_the_order_of_a_worker_is_on_no_command_line():
    assert json.loads(JoinOrder("tls://127.0.0.1:1").to_json())["scheduler"] == "tls://127.0.0.1:1"
