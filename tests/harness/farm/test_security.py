"""Who may reach a farm: loopback as it is, other machines with TLS; a package that is missing is named."""

from __future__ import annotations

import sys

import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.harness.farm import engine
from hwnas.harness.farm.cluster import Cluster
from hwnas.harness.farm.connection import FarmOptions
from hwnas.harness.farm.platforms import find
from hwnas.harness.farm.scheduler import listening
from hwnas.harness.farm.security import Tls, checked
from hwnas.harness.measure import Measurer
from hwnas.harness.measurement.protocol import profile
from hwnas.supernets.errors import UsageError


@pytest.mark.parametrize("address", ["127.0.0.1:8786", "tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786"])
def test_loopback_needs_no_tls(address):
    assert checked(address, Tls()).startswith("tcp://")


@pytest.mark.parametrize("address", ["10.0.0.7:8786", "tcp://pi.local:8786", "tcp://[fe80::1]:8786", "0.0.0.0:8786"])
def test_what_others_reach_needs_tls(address):
    with pytest.raises(UsageError, match="use tls:// with --tls-ca-file"):
        checked(address, Tls())


@pytest.mark.parametrize("address", ["http://127.0.0.1:80", "127.0.0.1", "tcp://127.0.0.1:many", "", "tcp://:8786"])
def test_what_is_no_address_is_said_so(address):
    with pytest.raises(UsageError, match="expected tls://HOST:PORT"):
        checked(address, Tls())


def test_the_scheduler_listens_to_others_only_with_tls():
    assert listening("127.0.0.1", 0, Tls()) == "tcp://127.0.0.1:0"
    with pytest.raises(UsageError, match="whoever reaches it can run code"):
        listening("0.0.0.0", 8786, Tls())


def test_the_command_line_refuses_too(capsys):
    assert run(["farm", "scheduler", "--host", "0.0.0.0"]) == 2
    assert run(["worker", "--scheduler", "tcp://192.168.1.9:8786"]) == 2
    assert run(["search", "ncf", "-p", "lut:table=note10", "--scheduler", "tcp://192.168.1.9:8786"]) == 2
    assert capsys.readouterr().err.count("docs/farm.md") == 3


def test_half_of_tls_is_none(tmp_path):
    with pytest.raises(UsageError, match="missing: --tls-cert, --tls-key"):
        Tls(ca_file=__file__)
    with pytest.raises(UsageError, match="got both"):
        FarmOptions("127.0.0.1:1", 2)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(UsageError, match=r"pip install 'hwnas\[farm\]'"):
        engine.check_installed()
    with pytest.raises(UsageError, match=r"pip install 'hwnas\[farm\]'"):
        engine.distributed()


@pytest.mark.slow
def test_a_farm_with_tls(own, tmp_path):
    certificates = pytest.importorskip("certificates")  # distributed comes without cryptography
    made, strangers = certificates.make(tmp_path / "made"), certificates.make(tmp_path / "strangers")
    fleet = own(tls=["--tls-ca-file", made.ca_file, "--tls-cert", made.cert, "--tls-key", made.key])
    assert fleet.address.startswith("tls://")
    fleet.add()
    cluster = Cluster(fleet.address, made)
    try:
        fleet.ready(1, cluster)
        quick = profile("noisy", rounds=2, check_every=1, interval=10.0, steady=10.0, tau=-1.0, cap_s=0.1, samples=1)
        net = supernets.get("toy")
        with Measurer(net, find("scripted-device:us=50", cluster), check=False, protocol=quick) as measurer:
            assert measurer.measure([[0, 0, 1]])[0].status == "ok"
        for address in (fleet.address, *cluster.workers()):
            port = int(address.rpartition(":")[2])
            assert certificates.greets(port, made)
            assert not certificates.greets(port, strangers)
            assert not certificates.greets(port)
    finally:
        cluster.close()
    with pytest.raises(UsageError, match="nobody answers"):
        Cluster(fleet.address, strangers)
