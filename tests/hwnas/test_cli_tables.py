"""The command line of lookup tables, of deploying, and of starting from another platform."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lookup_tables import written

from hwnas import supernets
from hwnas.cli import run
from hwnas.latency_luts import read

NET = supernets.get("ofa-mbv3-w1.0")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(name, per_mac):
    written(name, NET, lambda block: 1e-6 + block.macs * per_mac, platform="torch:threads=1")


@pytest.fixture
def study():
    """A search on device A, in the store of the working directory."""
    table("a.yaml", 1e-11)
    assert run(["search", NET.name, "-p", "lut:file=a.yaml", "-a", "random", "--evals", "20", "--study", "on-a"]) == 0


@pytest.mark.slow
def test_a_sub_network_of_the_front_is_written(study, capsys):
    assert run(["export", "on-a", "--front", "2", "--onnx", "out", "--csv", "-"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") > 20
    assert "network.onnx, config.json, README.md: in out" in err
    assert "its weights are random" in err
    assert "Number 2 of the front of the study `on-a`" in Path("out/README.md").read_text()


@pytest.mark.slow
def test_export_says_what_it_can_do(study, capsys):
    assert run(["export", "on-a"]) == 2
    assert "expected at least one of --csv FILE, --onnx DIR" in capsys.readouterr().err
    assert run(["export", "on-a", "--front", "99", "--torch", "out"]) == 2
    assert "got 99" in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_starts_from_other_platforms(study, capsys, monkeypatch):
    from hwnas.search.objectives.latency import KnownLatency

    table("b.yaml", 2e-11)
    search = ["search", NET.name, "-p", "lut:file=b.yaml", "--evals", "16", "--json", "-"]
    assert run([*search, "--transfer-from", "lut:file=a.yaml"]) == 2
    assert "there is nothing to transfer, lut:file=b.yaml knows the latencies" in capsys.readouterr().err
    # As where it is measured.
    monkeypatch.setattr(KnownLatency, "exact", False)
    assert run([*search, "--transfer-from", "on-a", "--transfer-from", "lut:file=b.yaml"]) == 0
    said = capsys.readouterr()
    assert len(json.loads(said.out)["evaluations"]) == 16
    assert "the search starts from on-a (" in said.err
    assert "lut:file=b.yaml (a table)" in said.err
    assert run([*search, "--transfer-from", "on-b"]) == 2
    assert "neither a study in the store nor a platform" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lut", "check", "foreign.yaml", "-p", "torch:threads=1"], "does not say its supernet; give --supernet"),
        (["lut", "check", "foreign.yaml", "--supernet", NET.name], "does not say its platform; give --platform"),
        (["lut", "check", "a.yaml", "--calibrate", "3"], "calibrate: expected at least 8 sub-networks, or 0, got 3"),
        (["lut", "check", "a.yaml", "--supernet", "ofa-mbv3-w1.2"], "has no block"),
        (["lut", "build", NET.name, "-p", "torch:threads=1", "-o", "none/x.yaml"], "there is no directory"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(arguments, words, capsys):
    table("a.yaml", 1e-11)
    entries = "\n".join(f"{name}: {{mean: 1.0}}" for name in read("a.yaml").entries)
    Path("foreign.yaml").write_text(entries)
    assert run(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
