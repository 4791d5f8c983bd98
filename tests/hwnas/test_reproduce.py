"""``hwnas reproduce``: from the command line to files, an edited file, a killed run, and the table of all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from hwnas.cli import run
from hwnas.cli.output import results
from hwnas.cli.reproduce import _verdicts
from hwnas.harness.store import Store

MINE = """
title = "Mine?"
kind = "compare"
evals = 12
seeds = 2

[problems.mine]
supernet = "ofa-mbv3-w1.0"
objectives = ["macs", "params"]

[algorithms.random]
algorithm = "random"
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    here = tmp_path / "here"  # what is written beside it is seen, and other tests' files are not
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "mine.toml").write_text(MINE)
    return here / "mine.toml"


def reproduce(*arguments):
    return run(["reproduce", *arguments, "--workers", "1", "--quiet"])


def test_a_file_of_ones_own_becomes_a_page_a_csv_and_json(mine, capsys):
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "out") == 0
    out = mine.parent / "out"
    assert {file.name for file in out.glob("mine-full.*")} == {"mine-full.html", "mine-full.csv", "mine-full.json"}
    assert json.loads((out / "mine-full.json").read_text())["data"]["algorithms"] == ["random"]
    assert (out / "mine-full.csv").read_text().count("\n") == 1 + 12
    assert "mine-full: Mine?" in capsys.readouterr().out


@pytest.mark.slow
def test_one_more_algorithm_is_a_few_lines_and_nothing_is_done_twice(mine):
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "out") == 0
    mine.write_text(f'{MINE}\n[algorithms.nsga2]\nalgorithm = "nsga2"\n')
    with Store.open("out/hwnas.db") as store:
        before = {one.name: one.created_at for one in store.studies()}
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "out") == 0
    with Store.open("out/hwnas.db") as store:
        after = {one.name: one.created_at for one in store.studies()}
    assert len(before) == 2
    assert len(after) == 4
    assert before.items() <= after.items()
    found = json.loads((mine.parent / "out" / "mine-full.json").read_text())["data"]
    assert [one["name"] for one in found["problems"]["mine"]["algorithms"]] == ["random", "nsga2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a name, --file or 'all'"),
        (["tabel3"], "did you mean 'table3'"),
        (["fig5", "--scale", "smal"], "did you mean 'small'"),
        (["--file", "nowhere.toml"], "cannot be read"),
        (["fig5", "--markdown", "x.md"], "goes with 'summary' alone"),
        (["fig5", "--keep", "x"], "--keep: goes with 'summary' alone"),
        (["summary", "--out", "nowhere"], "has no results at scale 'small'"),
    ],
)
def test_wrong_arguments(mine, capsys, arguments, message):
    assert reproduce(*arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_two_files_of_one_name_are_refused_before_any_work(mine, capsys):
    (mine.parent / "sub").mkdir()
    (mine.parent / "sub" / "Mine.toml").write_text(MINE)
    assert reproduce("--file", "mine.toml", "--file", "sub/Mine.toml") == 2
    assert "along with 'mine'" in " ".join(capsys.readouterr().err.split())
    assert not (mine.parent / "reproduction").exists()


@pytest.mark.slow
def test_a_problem_that_is_called_as_a_path_leaves_nothing_elsewhere(mine):
    before = set(mine.parent.parent.rglob("*"))
    mine.write_text(MINE.replace("problems.mine", 'problems."../../../../up/mine"'))
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "a/b/out") == 0
    assert {file.parts[: len(mine.parts)] for file in set(mine.parent.parent.rglob("*")) - before} == {
        (mine.parent / "a").parts
    }


def test_a_wrong_key_gets_the_right_one_back(mine, capsys):
    mine.write_text(MINE.replace("seeds = 2", "seed = 2"))
    assert reproduce("--file", "mine.toml") == 2
    assert "unknown key 'seed'; did you mean 'seeds'" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_the_list_names_all(capsys):
    assert run(["reproduce", "list"]) == 0
    printed = capsys.readouterr().out
    assert "table3" in printed
    assert "fig14" in printed


KILLED = """
import os, signal, sys
from hwnas.cli import run
from hwnas.cli.output import results
from hwnas.cli.reproduce import _verdicts
from hwnas.harness.store import Store

add, left = Store.add_evaluations, iter(range(2))

def add_and_die(*arguments):
    add(*arguments)
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

Store.add_evaluations = add_and_die
run(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_as_one_that_was_not(mine):
    """It kills itself, so that how fast it is does not decide how far it gets."""
    mine.write_text(MINE.replace("evals = 12", "evals = 120").replace('"random"', '"nsga2"'))
    command = ["reproduce", "--file", "mine.toml", "--scale", "full", "--workers", "1", "--out", "killed", "--quiet"]
    process = subprocess.run([sys.executable, "-c", KILLED, *command], stdout=subprocess.DEVNULL, check=False)
    assert process.returncode == -signal.SIGKILL
    with Store.open("killed/hwnas.db") as store:
        assert 0 < sum(one.evaluations for one in store.studies()) < 240
    assert not (mine.parent / "killed" / "mine-full.json").exists()
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "killed") == 0
    assert reproduce("--file", "mine.toml", "--scale", "full", "--out", "whole") == 0

    def fronts(folder):
        found = json.loads((mine.parent / folder / "mine-full.json").read_text())["data"]["problems"]["mine"]
        return [(run["seed"], run["front"]) for run in found["algorithms"][0]["runs"]]

    assert fronts("killed") == fronts("whole")


@pytest.mark.slow
def test_the_table_of_all_is_written_from_results(mine, assets, capsys):
    assert reproduce("fig7b", "--scale", "smoke", "--out", "out") == 0
    assert run(["reproduce", "summary", "--scale", "smoke", "--out", "out", "--markdown", "all.md"]) == 0
    text = (mine.parent / "all.md").read_text()
    assert "| **fig7b**: How large a population inside LINAS? |" in text
    assert "`hwnas reproduce fig7b --scale smoke`" in text
    assert "OFA's published predictor" in text


def test_rows_of_one_claim_are_told_apart_at_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    places = [f"searched on lut:table={name}, deployed on lut:table=jetson-gpu" for name in ("note10", "jetson-cpu")]
    claim = {"claim": "A front does not transfer: elsewhere it keeps less than 98 % of that platform's own"}
    found = {"verdict": "undecided", "value": 0.931, "low": 0.726, "high": 1.14}
    results().print(_verdicts([claim | found | {"where": place} for place in places]))
    out = capsys.readouterr().out
    assert all(f"lut:table={name}" in out for name in ("note10", "jetson-cpu", "jetson-gpu"))
    assert out.count("0.931 (0.726 to 1.14)") == 2
