"""What an experiment found with files that were changed since is found anew; what was moved stays as it is."""

from __future__ import annotations

import itertools
import json
import os

import numpy as np
import pytest

from hwnas import experiments, supernets
from hwnas.experiments.experiment import parse
from hwnas.harness.store import Store
from hwnas.latency_luts.table import Entry
from hwnas.latency_luts.write import write_table
from hwnas.supernets.errors import ChangedError

ALL = np.array(list(itertools.product(range(4), repeat=3)))


@pytest.fixture(autouse=True)
def here(scripted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def blocks(file, ms):
    """Write a table of the toy's blocks; every one is as long as every other."""
    found = {f"layer-input:{w}-output:{w}": Entry(ms * w / 1e3) for w in (1, 2, 3, 4)}
    write_table(file, found, supernet="toy", platform="p", environment={}, protocol={})


def csv(file, first, column="top1", names=ALL):
    """Write a measured table of the toy's networks."""
    configs = supernets.get("toy").space.decode(np.asarray(names))
    cells = ['"' + json.dumps(config).replace('"', '""') + f'",{first + row}' for row, config in enumerate(configs)]
    file.write_text("\n".join([f"config,{column}", *cells]) + "\n")


def changed(file, write):
    """Change a file so that its size and the time of its writing stay."""
    before = file.stat()
    write()
    assert file.stat().st_size == before.st_size
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def ran(text, tmp_path):
    """Run an experiment; return what it found."""
    return experiments.run(parse(text, "own"), tmp_path / "out", workers=1, environ={}).result["data"]


COMPARE = """
title = "?"
kind = "compare"
evals = 6
seeds = 1
draw = ["curves"]
[problems.p]
supernet = "toy"
platform = "lut:file={lut}"
quality = "table:{quality}"
[algorithms.random]
algorithm = "random"
"""


def studies(tmp_path):
    with Store.open(str(tmp_path / "out" / "hwnas.db")) as store:
        return {one.name: one.settings["search"]["platform"] for one in store.studies()}


def latencies(tmp_path, name):
    with Store.open(str(tmp_path / "out" / "hwnas.db")) as store:
        return [one["objectives"]["latency"] for one in store.evaluations(store.study(name))]


@pytest.mark.slow
@pytest.mark.parametrize("which", ["lut", "quality"])
def test_searches_and_what_is_made_of_them_follow_what_files_hold(tmp_path, which):
    lut, quality = tmp_path / "lut.yaml", tmp_path / "quality.csv"
    blocks(lut, 1.0)
    csv(quality, 100)
    text = COMPARE.format(lut="lut.yaml", quality="quality.csv")
    first = ran(text, tmp_path)
    (name,) = studies(tmp_path)
    if which == "lut":
        changed(lut, lambda: blocks(lut, 2.0))
    else:
        changed(quality, lambda: csv(quality, 200))
    second = ran(text, tmp_path)
    assert second != first
    (other,) = studies(tmp_path).keys() - {name}
    factor = 2.0 if which == "lut" else 1.0
    assert latencies(tmp_path, other) == pytest.approx([factor * one for one in latencies(tmp_path, name)])
    # And back: both are there.
    if which == "lut":
        changed(lut, lambda: blocks(lut, 1.0))
    else:
        changed(quality, lambda: csv(quality, 100))
    assert ran(text, tmp_path) == first
    assert studies(tmp_path).keys() == {name, other}


def test_files_that_were_moved_are_the_same_and_half_a_study_goes_on(tmp_path):
    lut, quality = tmp_path / "lut.yaml", tmp_path / "quality.csv"
    blocks(lut, 1.0)
    csv(quality, 100)
    text = COMPARE.format(lut="lut.yaml", quality="quality.csv")
    first = ran(text, tmp_path)
    (name,) = studies(tmp_path)
    with Store.open(str(tmp_path / "out" / "hwnas.db")) as store:
        record = store.study(name)
        kept = store.evaluations(record)
        store.delete_study(name)
        store.add_evaluations(store.create_study(name, record.settings), 0, kept[:3])
    for part in (tmp_path / "out" / "parts").rglob("compared-*"):
        part.unlink()
    (tmp_path / "moved").mkdir()
    for file in (lut, quality):
        file.rename(tmp_path / "moved" / file.name)
    again = ran(COMPARE.format(lut="moved/lut.yaml", quality=str(tmp_path / "moved/quality.csv")), tmp_path)
    assert studies(tmp_path) == {name: "lut:file=lut.yaml"}
    assert [run["front"] for one in again["problems"]["p"]["algorithms"] for run in one["runs"]] == [
        run["front"] for one in first["problems"]["p"]["algorithms"] for run in one["runs"]
    ]


def test_a_file_that_is_changed_after_it_was_looked_at_ends_the_experiment(tmp_path, monkeypatch):
    from hwnas.experiments import studies as module

    lut = tmp_path / "lut.yaml"
    blocks(lut, 5.0)
    csv(tmp_path / "quality.csv", 300)
    searched = module.search

    def late(*given, **options):
        changed(lut, lambda: blocks(lut, 6.0))
        return searched(*given, **options)

    monkeypatch.setattr(module, "search", late)
    text = COMPARE.format(lut="lut.yaml", quality="quality.csv")
    with pytest.raises(ChangedError, match=r"lut file lut\.yaml: its content has changed, it was \w+, is \w+"):
        ran(text, tmp_path)
    monkeypatch.undo()


PREDICTORS = """
title = "?"
kind = "predictors"
predictors = ["ridge"]
sizes = [20]
test = 10
trials = 2
[targets.t]
supernet = "toy"
{source}
"""


@pytest.mark.parametrize(
    "source", ['data = ["{0}.csv"]', 'quality = "table:{0}.csv"', 'platform = "table:file={0}.csv,column=x_ms"']
)
def test_fits_follow_what_files_hold(tmp_path, source, monkeypatch):
    column = "x_ms" if "x_ms" in source else "top1"
    rng = np.random.default_rng(0)
    rows, others = rng.permutation(ALL), rng.permutation(ALL)
    file = tmp_path / "measured.csv"
    csv(file, 100, column, rows)
    text = PREDICTORS.format(source=source.format("measured"))
    first = ran(text, tmp_path)
    changed(file, lambda: csv(file, 100, column, others))
    second = ran(text, tmp_path)
    assert second != first
    file.rename(tmp_path / "moved.csv")
    monkeypatch.setattr("hwnas.experiments.kinds.predictors._fits", None)
    moved = ran(PREDICTORS.format(source=source.format("moved")), tmp_path)
    assert moved == second


def test_a_fit_to_a_file_that_is_changed_meanwhile_is_not_kept(tmp_path, monkeypatch):
    from hwnas.experiments.target import Target

    file = tmp_path / "measured.csv"
    csv(file, 100)
    asked = Target.examples

    def late(*given):
        found = asked(*given)
        changed(file, lambda: csv(file, 200))
        return found

    monkeypatch.setattr(Target, "examples", late)
    text = PREDICTORS.format(source='data = ["measured.csv"]')
    with pytest.raises(ChangedError, match=r"data 1 measured\.csv: its content has changed"):
        ran(text, tmp_path)
    assert not list((tmp_path / "out" / "parts").rglob("fits-*"))


PRECISIONS = """
title = "?"
kind = "precisions"
platforms = ["{0}"]
precision = "bf16"
networks = 2
[problem]
supernet = "toy"
quality = "capacity"
"""


def test_parts_that_were_measured_follow_what_files_hold(tmp_path, monkeypatch):
    """A platform that reads a file is a scripted one here, for nothing is measured on tables."""
    from hwnas.experiments.kinds import precisions

    asked = []

    def measured(_net, platform, X, _bench):
        asked.append(dict(platform.settings.contents))
        return {"latency_ms": [1.0] * len(X), "interval_ms": [[1.0, 1.0]] * len(X), "status": ["ok"] * len(X)}

    monkeypatch.setattr(precisions, "measured", measured)
    with_file(monkeypatch)
    for content in ("one", "two", "one"):
        (tmp_path / "file").write_text(content)
        ran(PRECISIONS.format("scripted:once=file"), tmp_path)
    assert len(asked) == 4
    assert len({one["once"] for one in asked}) == 2
    (tmp_path / "file").rename(tmp_path / "moved")
    ran(PRECISIONS.format("scripted:once=moved"), tmp_path)
    assert len(asked) == 4


def with_file(monkeypatch):
    """Let the scripted backend's option ``once`` be a file whose content counts."""
    from dataclasses import replace

    from hwnas import backends

    scripted = type(backends.get("scripted"))
    options = [replace(one, holds="file") if one.key == "once" else one for one in scripted.options]
    monkeypatch.setattr(scripted, "options", tuple(options))


def test_tables_that_are_built_first_follow_what_files_hold(tmp_path, monkeypatch):
    from hwnas.experiments import tabulated

    built = []

    def build(_problem, where, _bench, file):
        built.append(str(where))
        file.parent.mkdir(parents=True, exist_ok=True)
        blocks(file, 1.0)

    monkeypatch.setattr(tabulated, "_build", build)
    with_file(monkeypatch)
    csv(tmp_path / "quality.csv", 100)
    text = COMPARE.format(lut="", quality="quality.csv")
    text = text.replace('platform = "lut:file="', 'platform = "scripted:once=file"\nas_table = true')
    for content in ("one", "two", "one"):
        (tmp_path / "file").write_text(content)
        ran(text, tmp_path)
    assert len(built) == 2


TRANSFER = """
title = "?"
kind = "transfer"
platforms = ["scripted:us=20", "scripted:us=40"]
evals = 6
seeds = 2
samples = 2
[problem]
supernet = "toy"
as_table = true
quality = "capacity"
[algorithm]
algorithm = "random"
[[claims]]
says = "A front does not transfer"
between = ["scripted:us=20", "scripted:us=40"]
"""


def test_fronts_of_tables_that_are_built_first_are_named_by_what_was_measured(tmp_path, monkeypatch):
    from hwnas.experiments import tabulated

    built = []

    def build(_problem, where, _bench, file):
        built.append(str(where))
        file.parent.mkdir(parents=True, exist_ok=True)
        blocks(file, float(len(built)))

    monkeypatch.setattr(tabulated, "_build", build)
    made = parse(TRANSFER, "own")
    finished = experiments.run(made, tmp_path / "out", workers=1, environ={})
    assert built == ["scripted:threads=1,us=20", "scripted:threads=1,us=40"]
    found = finished.result["data"]["transfer"]
    assert found["platforms"] == built
    assert {one["searched_on"] for one in found["regret"]} == set(built)
    assert "lut:file" not in made.kind.gist(finished.result["data"])
    # The second table says twice as long of every block: the same order.
    assert found["kendall_tau"][0][1] == pytest.approx(1.0)
    assert {one["where"] for one in finished.result["claims"]} == {
        f"searched on {a}, deployed on {b}" for a, b in itertools.permutations(built)
    }


def test_where_no_file_is_named_the_text_decides_as_ever():
    from hwnas.experiments.files import Files
    from hwnas.experiments.studies import Search, examined

    settings = parse(COMPARE.replace('"lut:file={lut}"', '"scripted"').replace("table:{quality}", "capacity"), "own")
    problem, use = settings.settings.problems["p"], settings.settings.algorithms["random"]
    problem = type(problem)(**{**vars(problem), "objectives": ("macs", "capacity")})
    search = Search(problem, use, "p", 0, 6)
    assert examined(problem).files == Files()
    # Studies of earlier versions are called so.
    assert search.study("own-full", Files()) == "own-full: p, seed 0 (f7e25012ac)"
