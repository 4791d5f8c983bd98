from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.supernets import assets, weights
from hwnas.supernets.assets import Asset
from hwnas.supernets.weights import PublishedWeights

NAME = "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.25"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A server on this machine that publishes weights of a small super-network; gives the file that it serves."""
    web = tmp_path / "web"
    web.mkdir()
    monkeypatch.delenv(assets.VARIABLE, raising=False)
    monkeypatch.setattr(assets, "_beside_checkout", lambda: None)
    monkeypatch.setattr(assets, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(web))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        base = f"http://127.0.0.1:{server.server_address[1]}"
        asset = Asset("ofa/small", (f"{base}/gone", f"{base}/small"), None, "ours")
        monkeypatch.setattr(weights, "_WEIGHTS", (PublishedWeights(NAME, "of a test", asset),))
        yield web / "small"
        server.shutdown()
        thread.join(5)


@pytest.mark.slow
def test_fetch_brings_checks_and_names_the_file(published, capsys):
    supernets.get(NAME).shared(seed=1).save(published)
    assert run(["weights", "fetch", NAME]) == 0
    told = capsys.readouterr()
    file = told.out.strip()
    assert file.endswith("cache/ofa/small")
    assert f"SHA-256 {assets.digest(published)}; none is published to compare with" in told.err
    config = supernets.get(NAME).space.decode(supernets.get(NAME).space.smallest())[0]
    supernets.get(NAME).build(config, file)


@pytest.mark.slow
def test_what_does_not_fit_is_refused(published, capsys):
    supernets.get(NAME.replace("0.25", "1")).shared().save(published)
    assert run(["weights", "fetch", NAME]) == 2
    assert "has other shapes: first_conv.conv.weight" in " ".join(capsys.readouterr().err.split())


def test_an_address_that_does_not_answer_is_an_error_and_leaves_nothing(published, tmp_path, capsys):
    assert run(["weights", "fetch", NAME]) == 1
    assert "ofa/small: not in" in " ".join(capsys.readouterr().err.split())
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_unknown_names_are_refused(capsys):
    assert run(["weights", "fetch", "ofa-mbv3-w1.1"]) == 2
    assert "did you mean 'ofa-mbv3-w1.2'" in " ".join(capsys.readouterr().err.split())


def test_list(capsys):
    assert run(["weights", "list"]) == 0
    told = capsys.readouterr().out
    for name in ("ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-resnet50"):
        assert name in told
    assert "han-cai/files" in told.replace("\n", "")


def test_every_published_file_is_of_a_registered_super_network():
    assert set(weights.names()) <= set(supernets.names())
