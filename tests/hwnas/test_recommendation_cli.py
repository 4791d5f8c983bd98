"""Recommendation from the command line: trained, evaluated, searched, compared and transferred as images are."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import lookup_tables
import numpy as np
import pytest

from hwnas import supernets
from hwnas.cli import run
from hwnas.supernets.checkpoints import read_document

pytestmark = pytest.mark.slow

NAME = "ncf:users=24,items=160"
NET = supernets.get(NAME)
QUALITY = ["--quality", "hit-rate:u.data", "--weights", "ncf.pth"]
PLATFORMS = ("lut:file=one.yaml", "lut:file=other.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Interactions of users who take up items of their own quarter, weights, and two devices' lookup tables."""
    folder = tmp_path_factory.mktemp("recommendation")
    rng = np.random.default_rng(0)
    rows = []
    for user in range(24):
        items = rng.permutation(40)[:30] + 40 * (user % 4)
        rows += [f"{user}\t{item}\t5\t{time}" for time, item in enumerate(items)]
    (folder / "u.data").write_text("\n".join(rows))
    lookup_tables.written(folder / "one.yaml", NET, lambda block: 1e-6 + block.macs * 1e-9)
    lookup_tables.written(folder / "other.yaml", NET, lambda block: 1e-6 + block.params * 1e-8)
    with contextlib.chdir(folder):
        arguments = ["train", NAME, "--data", "u.data,batch=128", "-o", "ncf.pth", "--epochs", "15", "--lr", "0.01"]
        assert run([*arguments, "--json", "train.json", "--quiet"]) == 0
    return folder


def written(file):
    return json.loads(Path(file).read_text())


def test_one_sub_network_a_mini_batch_is_trained_by_adam(here):
    told = written("train.json")
    assert (told["supernet"], told["steps"]) == (NAME, 15 * 6)  # 24 users with 29 interactions each, 128 at a time
    options = told["options"]
    assert (options["sampling"], options["samples"], options["optimizer"]) == ("uniform", 1, "adam")
    assert read_document("ncf.pth")["supernet"] == NAME


def test_what_was_trained_beats_popularity(here):
    assert run(["evaluate", NAME, "-c", "max", "-c", "min", *QUALITY, "--json", "found.json", *here]) == 0
    found = written("found.json")
    assert (found["quality"]["metric"], found["quality"]["predicted"]) == ("hr10", False)
    # So few steps, most of them on other sub-networks, teach the smallest; in the largest, six layers learn little yet.
    _, smallest = found["evaluations"]
    assert smallest["value"] > smallest["others"]["popularity_hr10"] + 0.3
    assert 0 < smallest["others"]["ndcg10"] <= smallest["value"]
    for one in found["evaluations"]:
        assert one["low"] <= one["value"] <= one["high"]
        assert one["n"] == 24


def test_it_is_searched(here):
    arguments = ["search", NAME, "-p", PLATFORMS[0], *QUALITY, "--json", "search.json", "--study", "mine", *here]
    assert run([*arguments, "--evals", "12"]) == 0
    found = written("search.json")
    assert [one["name"] for one in found["objectives"]] == ["latency", "hr10"]
    assert len(found["evaluations"]) == 12
    assert all(one["status"] == "ok" for one in found["evaluations"])
    assert run([*arguments, "--evals", "14", "--resume"]) == 0
    again = written("search.json")
    assert [one["key"] for one in again["evaluations"][:12]] == [one["key"] for one in found["evaluations"]]


def test_algorithms_are_compared(here):
    arguments = ["compare", NAME, "-p", PLATFORMS[0], *QUALITY, "--algorithms", "nsga2,random", "--evals", "12"]
    assert run([*arguments, "--seeds", "2", "--json", "compare.json", *here]) == 0
    found = written("compare.json")
    assert [one["name"] for one in found["algorithms"]] == ["nsga2", "random"]
    assert found["quality"]["metric"] == "hr10"


def test_it_is_transferred(here):
    platforms = [part for platform in PLATFORMS for part in ("-p", platform)]
    arguments = ["transfer", NAME, *platforms, *QUALITY, "--algorithm", "random", "--evals", "12", "--samples", "4"]
    assert run([*arguments, "--json", "transfer.json", *here]) == 0
    assert written("transfer.json")["n_shared"] > 0


def test_it_is_profiled(here):
    arguments = ["profile", NAME, "-c", "min", "-p", "onnxruntime:threads=1", "--json", "profile.json"]
    arguments += ["--effort", "quick"]
    assert run([*arguments, *here]) == 0
    (measurement,) = written("profile.json")["measurements"]
    assert measurement["status"] in ("ok", "unstable")
    assert 0 < measurement["latency_ms"]["value"] < 10


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty"),
        (["1\t2\t5\t1", "1\t2"], "bad: line 2: expected 4 columns"),
        ([f"{user}\t{item}\t5\t1" for user in range(25) for item in range(6 * user, 6 * user + 40)], "ncf:users=25,"),
    ],
)
def test_what_cannot_be_learned_from_leaves_nothing_behind(here, tmp_path, monkeypatch, capsys, lines, message):
    monkeypatch.chdir(tmp_path)
    Path("bad").write_text("\n".join(lines))
    assert run(["train", NAME, "--data", "bad", "-o", "out.pth", "--quiet"]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert [file.name for file in tmp_path.iterdir()] == ["bad"]


def test_weights_of_another_super_network_are_refused(here, capsys):
    other = NAME.replace("160", "161")
    assert run(["evaluate", other, "-c", "min", *QUALITY, *here]) == 2
    assert "(160, 128) for (161, 128)" in " ".join(capsys.readouterr().err.split())
