"""A transfer compares what the files of its studies hold today with what they held when the studies read them."""

from __future__ import annotations

import csv
import itertools
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from hwnas import supernets
from hwnas.harness.store import Store
from hwnas.latency_luts.table import Entry
from hwnas.latency_luts.write import write_table
from hwnas.search.study.run import search
from hwnas.search.transfer import transfer
from hwnas.supernets.errors import UsageError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("few_resamples")]

ALL = np.array(list(itertools.product(range(4), repeat=3)))
TABLE = "table:quality.csv"


@pytest.fixture
def net(scripted):
    return supernets.get("toy")


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "s.db")) as opened:
        yield opened


@pytest.fixture
def files(net, tmp_path, monkeypatch):
    """Two tables of blocks and one of qualities, in the folder where the call is made."""
    monkeypatch.chdir(tmp_path)
    blocks(tmp_path / "one.yaml", 1.0)
    blocks(tmp_path / "other.yaml", 2.0)
    top1(tmp_path / "quality.csv", 1)
    return ["lut:file=one.yaml", "lut:file=other.yaml"]


def blocks(file, power):
    """Write a table of the toy's blocks; each layer takes a power of its width."""
    found = {f"layer-input:{w}-output:{w}": Entry(1e-3 * w**power) for w in (1, 2, 3, 4)}
    write_table(file, found, supernet="toy", platform="p", environment={}, protocol={})


def top1(file, factor):
    with file.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(["config", "top1"])
        configs = supernets.get("toy").space.decode(ALL)
        rows.writerows([json.dumps(config), factor * sum(x)] for config, x in zip(configs, ALL.tolist(), strict=True))


def searched(net, store, files, **more):
    for number, table in enumerate(files):
        search(net, table, quality=TABLE, algorithm="random", evals=8, store=store, study=f"s-{number}", **more)
    return ["s-0", "s-1"]


def change(what, tmp_path):
    if what == "quality":
        top1(tmp_path / "quality.csv", 2)
        return r"table quality quality\.csv"
    blocks(tmp_path / "other.yaml", 3.0)
    return r"lut file other\.yaml"


@pytest.mark.parametrize("what", ["table", "quality"])
@pytest.mark.parametrize("named", [[], ["lut:file=one.yaml", "lut:file=other.yaml"]])
def test_studies_whose_files_have_changed_since_are_refused(net, store, files, tmp_path, what, named):
    studies = searched(net, store, files)
    transfer(net, named, studies=studies, samples=2, store=store)
    said = change(what, tmp_path)
    with pytest.raises(UsageError, match=rf"study 's-\d' cannot .*{said}: its content has changed, it was \w+, is \w"):
        transfer(net, named, studies=studies, samples=2, store=store)
    with pytest.raises(UsageError, match=said):
        transfer(net, named, studies=studies, samples=2, store=store, quality=TABLE)


def test_another_quality_than_that_of_the_studies_is_a_choice_but_its_file_under_another_spelling_is_none(
    net, store, files, tmp_path
):
    studies = searched(net, store, files)
    top1(tmp_path / "mine.csv", 2)
    transfer(net, studies=studies, samples=2, store=store, quality="table:mine.csv")
    change("quality", tmp_path)
    with pytest.raises(UsageError, match=r"table quality was quality\.csv of content \w+, is .*/quality\.csv of"):
        transfer(net, studies=studies, samples=2, store=store, quality=f"table:{tmp_path / 'quality.csv'}")


def test_studies_from_before_contents_were_recorded_are_taken_with_a_note(net, store, files, tmp_path):
    studies = searched(net, store, files)
    whole = transfer(net, studies=studies, samples=2, store=store).to_json()
    assert not any("note" in one for one in whole["searches"])
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection, connection:
        settings = json.loads(connection.execute("SELECT settings FROM study WHERE name = 's-0'").fetchone()[0])
        del settings["search"]["contents"]
        connection.execute("UPDATE study SET settings = ? WHERE name = 's-0'", [json.dumps(settings)])
    first, second = transfer(net, studies=studies, samples=2, store=store).to_json()["searches"]
    assert "note" not in second
    assert first["note"].startswith("study 's-0' was stored without what its files held (lut file, table quality): ")


def test_studies_whose_files_were_moved_are_those_of_the_moved_platforms(net, store, files, tmp_path):
    studies = searched(net, store, files)
    (tmp_path / "moved").mkdir()
    for name in ("one.yaml", "other.yaml"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = [f"lut:file=moved/{name}" for name in ("one.yaml", "other.yaml")]
    found = transfer(net, moved, studies=studies, samples=2, store=store)
    assert list(found.rows.platforms) == moved
    assert found.to_json()["studies"] == studies
    assert len(store.studies()) == 2


def test_a_transfer_over_moved_files_goes_on_and_over_changed_ones_begins_anew(net, store, files, tmp_path):
    def go(platforms):
        return transfer(net, platforms, quality=TABLE, algorithm="random", evals=8, samples=2, store=store).to_json()[
            "studies"
        ]

    first = go(files)
    (tmp_path / "one.yaml").rename(tmp_path / "moved.yaml")
    assert go(["lut:file=moved.yaml", files[1]]) == first
    change("table", tmp_path)
    second = go(["lut:file=moved.yaml", files[1]])
    assert second[0] == first[0]
    assert second[1] != first[1]


def test_a_table_that_is_changed_while_a_transfer_is_under_way_stays_what_it_was(net, store, files, tmp_path):
    studies = searched(net, store, files)

    def late(event):
        if event.phase == "measure" and event.step == 1 and event.event is None:
            blocks(tmp_path / "other.yaml", 4.0)

    before = (tmp_path / "other.yaml").read_bytes()
    found = transfer(net, studies=studies, samples=2, store=store, progress=late)
    assert (tmp_path / "other.yaml").read_bytes() != before
    (tmp_path / "other.yaml").write_bytes(before)
    assert transfer(net, studies=studies, samples=2, store=store).to_json()["rows"] == found.to_json()["rows"]
