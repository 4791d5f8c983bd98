"""Searches that start from platforms of which latencies are known."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwnas import experiments
from hwnas.experiments.experiment import parse
from hwnas.experiments.run import STORE
from hwnas.harness.store import Store
from hwnas.supernets.errors import UsageError

MINE = """
title = "Mine?"
kind = "compare"
evals = 8
seeds = 1

[problems.mine]
supernet = "toy"
platform = "{new}"
quality = "capacity"
known = ["{known}"]

[algorithms."one known"]
algorithm = "linas"
settings = {{ exact = false, first = 4, inner_evals = 100 }}
known = 1

[algorithms."none known"]
algorithm = "linas"
settings = {{ exact = false, first = 4, inner_evals = 100 }}
"""


def sources(folder):
    """Where each study of a run started from, by its name."""
    with Store.open(str(folder / STORE)) as store:
        return {one.name: one.settings["search"]["transfer_from"] for one in store.studies()}


def test_an_algorithm_starts_from_as_many_known_platforms_as_it_says(scripted, tables, tmp_path):
    new, known = tables
    text = MINE.format(new=new, known=known)
    finished = experiments.run(parse(text, "mine"), tmp_path / "out", workers=1, environ={})
    assert finished.result["gist"]
    found = sources(tmp_path / "out")
    assert sorted((name.split(",")[1].strip(), one) for name, one in found.items()) == [
        ("none known", None),
        ("one known", known),
    ]

    # A known table that holds something else is another source: that search begins anew, the other one is as it was.
    before = Path(known.removeprefix("lut:file=")).read_text(encoding="utf-8")
    other = tmp_path / "other.yaml"
    other.write_text(f"{before}# measured again\n", encoding="utf-8")
    experiments.run(
        parse(MINE.format(new=new, known=f"lut:file={other}"), "mine"), tmp_path / "out", workers=1, environ={}
    )
    after = sources(tmp_path / "out")
    assert found.items() <= after.items()
    assert len(after) == 3

    # One that was moved is the same.
    moved = tmp_path / "moved.yaml"
    moved.write_text(before, encoding="utf-8")
    experiments.run(
        parse(MINE.format(new=new, known=f"lut:file={moved}"), "mine"), tmp_path / "out", workers=1, environ={}
    )
    assert sources(tmp_path / "out") == after


@pytest.mark.parametrize("known", ["2", "-1"])
def test_an_algorithm_starts_from_no_more_platforms_than_the_problem_knows(known):
    text = MINE.format(new="lut:table=note10", known="lut:table=jetson-cpu")
    with pytest.raises(UsageError, match=rf"known: expected 0 to 1 \(the problem's known platforms\), got {known}"):
        parse(text.replace("known = 1", f"known = {known}"), "mine")
