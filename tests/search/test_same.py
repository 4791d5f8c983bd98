"""A study goes on with the files that it was begun with, whatever they are called; with others it does not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from hwnas.harness.store import Store
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.supernets.errors import ChangedError, UsageError
from hwnas.supernets.space import Choice, SearchSpace


class Small:
    """Eighteen networks with two counts."""

    name = "small"
    summary = "a stand-in"
    default_quality = "none"
    slots = ()
    space = SearchSpace((Choice("a", (1, 2, 3)), Choice("b", (1, 2)), Choice("c", (1, 2, 3))))

    def macs(self, X):
        return (np.asarray(X) @ [10, 3, 1] + 5) * 1_000_000

    def params(self, X):
        return (40 - np.asarray(X) @ [7, 5, 2]) * 1_000_000


NET = Small()
ALL = np.array([[a, b, c] for a in range(3) for b in range(2) for c in range(3)])


def table(file, latency, top1=70):
    """Write a table of all networks; every number is of the same length, so that files of other values are as long."""
    rows = [
        f'"{json.dumps(config)}"'.replace('{"', '{""').replace('":', '"":').replace(' "', ' ""')
        + f",{latency + row:d},{top1 + row / 10:.1f}"
        for row, config in enumerate(NET.space.decode(ALL))
    ]
    file.write_text("config,latency_ms,top1\n" + "\n".join(rows) + "\n")
    return file


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return table(Path("latency.csv"), 100), table(Path("quality.csv"), 100)


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


def go(store, evals, resume=False, where="latency.csv", what="quality.csv", study="s", **more):
    given = {"quality": f"table:{what}", "algorithm": "random", "seed": 0} | more
    return search(NET, f"table:file={where}", store=store, study=study, evals=evals, resume=resume, **given)


def changed(file, **values):
    """Change a file so that its size and the time of its writing stay."""
    before = file.stat()
    table(file, **values)
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("which", "values", "said"),
    [
        (
            0,
            {"latency": 200},
            r"table file latency\.csv: its content has changed, it was \w{16}, is \w{16}",
        ),
        (1, {"latency": 100, "top1": 60}, r"table quality quality\.csv: its content has changed, it was "),
    ],
)
def test_a_changed_file_under_the_same_name_is_refused(store, files, which, values, said):
    go(store, 5)
    changed(files[which], **values)
    with pytest.raises(UsageError, match=said):
        go(store, 9, resume=True)
    assert len(load(store, "s").archive) == 5


def test_the_same_files_elsewhere_are_the_same(store, files, tmp_path):
    go(store, 5)
    (tmp_path / "moved").mkdir()
    for file in files:
        file.rename(tmp_path / "moved" / file.name)
    (tmp_path / "link.csv").symlink_to("moved/quality.csv")
    study = go(store, 9, resume=True, where=str(tmp_path / "moved" / "latency.csv"), what="link.csv")
    assert len(study.archive) == 9
    assert study.notes() == []
    assert study.platform == f"table:file={tmp_path}/moved/latency.csv"
    whole = go(None, 9, where="moved/latency.csv", what="moved/quality.csv")
    assert [one.objectives for one in study.archive] == [one.objectives for one in whole.archive]


def test_another_file_under_another_name_is_named_with_both(store, files, tmp_path):
    go(store, 5)
    table(tmp_path / "other.csv", 300)
    with pytest.raises(UsageError, match=r"table file was latency\.csv of content \w{16}, is other\.csv of content"):
        go(store, 9, resume=True, where="other.csv")


def test_what_is_no_file_is_compared_as_ever(store, files):
    go(store, 5)
    with pytest.raises(UsageError, match=r"seed was 0, is 1"):
        go(store, 9, resume=True, seed=1)
    with pytest.raises(UsageError, match=r"platform was 'table:file=latency\.csv', is 'table:column=latency_ms,file="):
        go(store, 9, resume=True, where="latency.csv,column=latency_ms")


def test_a_file_that_is_changed_while_it_is_searched_does_not_mix(files):
    """A table is read when it is first asked, and stays what it was for the whole search."""
    seen = []

    def change(event):
        seen.append(event.best)
        table(files[0], 900)

    study = go(None, 9, progress=change)
    assert seen
    assert max(one.objectives["latency"] for one in study.archive) < 200


def test_a_file_that_is_changed_before_it_is_read_ends_the_search(files):
    from hwnas.harness.pinned import pinned
    from hwnas.harness.platform import parse

    table(files[0], 123)  # what no search has read: what was read once stays known
    platform = pinned(parse("table:file=latency.csv"))
    changed(files[0], latency=500)
    with pytest.raises(ChangedError, match=r"latency\.csv: was changed while it was in use"):
        search(NET, platform, quality="table:quality.csv", algorithm="random", evals=5)


@pytest.mark.slow
def test_the_table_that_a_search_starts_from_counts(store, files, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.search.objectives.latency.KnownLatency.exact", False)
    table(tmp_path / "start.csv", 100)
    options = {"algorithm": "linas", "transfer_from": "table:file=start.csv", "settings": {"first": 4}}
    options["objectives"] = ("latency", "macs")
    given = {"net": NET, "platform": "table:file=latency.csv", "store": store, "study": "t", **options}
    search(**given, evals=5)
    (tmp_path / "start.csv").rename(tmp_path / "moved.csv")
    search(**given | {"transfer_from": "table:file=moved.csv"}, evals=6, resume=True)
    changed(tmp_path / "moved.csv", latency=200)
    with pytest.raises(UsageError, match=r"transfer-from table file was start\.csv of content \w+, is moved\.csv"):
        search(**given | {"transfer_from": "table:file=moved.csv"}, evals=8, resume=True)


def test_a_search_that_a_table_knows_nothing_of_says_why(files):
    rows = files[0].read_text().splitlines()
    files[0].write_text("\n".join(rows[:3]) + "\n")
    study = go(None, 12)
    (told,) = (note for note in study.notes() if "failed" in note)
    assert "evaluations failed: latency: table:file=latency.csv has no latency for it: the table has 2 of" in told
    assert "the space's 18 sub-networks" in told


@pytest.mark.parametrize("algorithm", ["linas", "random", "nsga2"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_table_of_a_few_sub_networks_is_not_searched(store, files, which, algorithm):
    rows = files[which].read_text().splitlines()
    files[which].write_text("\n".join(rows[:2]) + "\n")
    name, instead = (("latency", "lut:file=FILE"), ("top1", "surrogate:FILE"))[which]
    with pytest.raises(UsageError, match=rf"has the {name} of 1 of the space's 18 .*{instead}.*hwnas transfer"):
        go(store, 12, algorithm=algorithm)
    assert store.studies() == []


# --- studies from before contents were recorded ----------------------------------------------------------------------


def as_before(store, tmp_path):
    """Make a study what it was before contents were recorded."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 's.db'}")
    with engine.begin() as connection:
        settings = json.loads(connection.execute(sa.text("SELECT settings FROM study")).scalar_one())
        assert settings["search"].pop("contents").keys() == {"table file", "table quality"}
        settings["search"]["sources"] = {"latency": "table:file=latency.csv", "top1": "table:quality.csv"}
        connection.execute(sa.text("UPDATE study SET settings = :text"), {"text": json.dumps(settings)})
    engine.dispose()


def test_a_study_from_before_contents_were_recorded_goes_on_with_a_remark(store, files, tmp_path):
    go(store, 5)
    as_before(store, tmp_path)
    study = go(store, 9, resume=True)
    assert len(study.archive) == 9
    assert [note.partition(":")[0] for note in study.notes()] == ["table file latency.csv", "table quality quality.csv"]
    assert all("is not known" in note for note in study.notes())


def test_but_not_with_files_of_other_names(store, files, tmp_path):
    go(store, 5)
    as_before(store, tmp_path)
    table(tmp_path / "other.csv", 100)
    with pytest.raises(UsageError, match=r"platform was 'table:file=latency\.csv', is 'table:file=other\.csv'"):
        go(store, 9, resume=True, where="other.csv")
    with pytest.raises(UsageError, match=r"sources was .*'table:quality\.csv'"):
        go(store, 9, resume=True, what="other.csv")
