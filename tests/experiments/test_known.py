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


def test_an_algorithm_starts_from_searches_on_known_platforms(scripted, tables, tmp_path):
    new, known = tables
    text = MINE.format(new=new, known=known).replace("known = 1", "known = 1\nsearched = 9")
    experiments.run(parse(text, "mine"), tmp_path / "out", workers=1, environ={})
    with Store.open(str(tmp_path / "out" / STORE)) as store:
        there = {one.name.split(",")[1].strip(): one for one in store.studies()}
    assert list(there) == [f"one known: {known}", "one known", "none known"]
    before, with_it, without = there.values()
    assert (before.settings["search"]["platform"], before.evaluations) == (known, 9)
    assert [one.settings["search"]["transfer_from"] for one in (with_it, without)] == [before.name, None]

    # Searched for longer it is another study, and so is what starts from it.
    more = text.replace("searched = 9", "searched = 10")
    experiments.run(parse(more, "mine"), tmp_path / "out", workers=1, environ={})
    assert len(sources(tmp_path / "out")) == 5


@pytest.mark.parametrize(("known", "searched"), [(1, 0), (0, 9)])
def test_searches_on_known_platforms_need_both(known, searched):
    text = MINE.format(new="lut:table=note10", known="lut:table=jetson-cpu")
    with pytest.raises(UsageError, match=f"searched: expected at least 1 evaluation, .* got {searched} on {known}"):
        parse(text.replace("known = 1", f"known = {known}\nsearched = {searched}"), "mine")


@pytest.mark.parametrize("known", ["2", "-1"])
def test_an_algorithm_starts_from_no_more_platforms_than_the_problem_knows(known):
    text = MINE.format(new="lut:table=note10", known="lut:table=jetson-cpu")
    with pytest.raises(UsageError, match=rf"known: expected 0 to 1 \(the problem's known platforms\), got {known}"):
        parse(text.replace("known = 1", f"known = {known}"), "mine")
