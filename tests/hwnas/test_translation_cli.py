"""Translation from the command line: trained, evaluated, profiled, searched, compared and transferred as images are."""

from __future__ import annotations

import contextlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from hwnas import supernets
from hwnas.cli import run

pytestmark = pytest.mark.slow

pytest.importorskip("sacrebleu", reason="pip install 'hwnas[translation]'")
pytest.importorskip("sentencepiece", reason="pip install 'hwnas[translation]'")

NAME = "hat-transformer:layers=1,qkv=8,vocab=40,source=6,steps=4,beam=2,embed=8+12,ffn=8+16,heads=2"
NET = supernets.get(NAME)
# All sixteen sub-networks.
EVERY = np.array(list(itertools.product(*map(range, NET.space.n_options))))
TEXT = "data.de,data.en"
QUALITY = ["--quality", f"bleu:{TEXT}", "--weights", "weights.pt", "--subset", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Text, weights, and two tables that know every sub-network's latency."""
    folder = tmp_path_factory.mktemp("translation")
    rng = np.random.default_rng(0)
    words = ["eins", "zwei", "drei", "vier", "acht"], ["one", "two", "three", "four", "eight"]
    rows = [rng.integers(5, size=4) for _ in range(60)]
    for suffix, side in zip(("de", "en"), words, strict=True):
        lines = "\n".join(" ".join(side[word] for word in row) for row in rows)
        (folder / f"data.{suffix}").write_text(f"{lines}\n")
    for name, counted in (("one", NET.macs), ("other", NET.params)):
        cells = zip(NET.space.decode(EVERY), counted(EVERY), strict=True)
        text = "".join(
            f'"{json.dumps(config).replace(chr(34), chr(34) * 2)}",{value / 1e4}\n' for config, value in cells
        )
        (folder / f"{name}.csv").write_text(f"config,latency_ms\n{text}")
    with contextlib.chdir(folder):
        arguments = ["train", NAME, "--data", f"translation:{TEXT},batch=256", "-o", "weights.pt", "--steps", "12"]
        assert run([*arguments, "--json", "train.json", "--quiet"]) == 0
    return folder


def written(file):
    return json.loads(Path(file).read_text())


def test_training_tells_what_it_did_and_does_not_overwrite(here, folder, capsys):
    found = written("train.json")
    assert (found["supernet"], found["steps"], found["options"]["sampling"]) == (NET.name, 12, "uniform")
    assert (folder / "weights.spm").is_file()
    again = ["train", NAME, "--data", TEXT, "-o", "weights.pt", "--steps", "12", "--quiet"]
    assert run(again) == 2
    assert "--resume" in capsys.readouterr().err


def test_evaluate(here):
    assert run(["evaluate", NAME, "-c", "min", "-c", "max", *QUALITY, "--json", "e.json", *here]) == 0
    found = written("e.json")
    assert found["quality"]["metric"] == "bleu"
    assert "tok:13a" in found["quality"]["source"]
    assert [row["n"] for row in found["evaluations"]] == [4, 4]
    assert all("copy_bleu" in row["others"] for row in found["evaluations"])


def test_search_compare_and_transfer(here):
    tables = [f"table:file={name}.csv,column=latency_ms" for name in ("one", "other")]
    assert run(["search", NAME, "-p", tables[0], *QUALITY, "--evals", "8", "--json", "s.json", *here]) == 0
    found = written("s.json")
    assert [one["name"] for one in found["objectives"]] == ["latency", "bleu"]
    assert len({one["key"] for one in found["evaluations"]}) == 8
    arguments = ["compare", NAME, "-p", tables[0], *QUALITY, "--algorithms", "random,nsga2", "--evals", "6"]
    assert run([*arguments, "--seeds", "2", "--json", "c.json", *here]) == 0
    assert [one["name"] for one in written("c.json")["algorithms"]] == ["random", "nsga2"]
    arguments = ["transfer", NAME, "-p", tables[0], "-p", tables[1], *QUALITY, "--evals", "6", "--algorithm", "random"]
    assert run([*arguments, "--json", "t.json", *here]) == 0
    assert np.shape(written("t.json")["hypervolume_ratio"]) == (2, 2)


def test_profile_tells_what_each_stage_takes(here, capsys):
    arguments = ["profile", NAME, "-c", "max", "-p", "torch:threads=1", "--json", "p.json", "--effort", "normal"]
    assert run([*arguments, *here]) == 0
    assert "decoder-step" in capsys.readouterr().out
    (row,) = written("p.json")["measurements"]
    assert list(row["stages_ms"]) == ["encoder", "decoder-step"]
    parts = sum(row["stages_ms"].values())
    assert parts == pytest.approx(row["latency_ms"]["value"], rel=0.2)
    assert row["error"] < 1e-4


def test_lines_that_are_wrong_are_named_and_nothing_is_written(here, tmp_path, capsys):
    (tmp_path / "short.en").write_text("one\n")
    target = tmp_path / "new.pt"
    assert run(["train", NAME, "--data", f"data.de,{tmp_path}/short.en", "-o", str(target), "--quiet"]) == 2
    assert "data.de:2: has no counterpart" in capsys.readouterr().err
    assert not target.exists()
    assert not target.with_suffix(".spm").exists()
