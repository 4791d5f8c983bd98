"""Every shipped experiment at smoke scale, end to end: result, page, CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwnas import experiments
from hwnas.experiments import output, published
from hwnas.experiments.claims import FAILED, HELD, UNDECIDED, counted
from hwnas.experiments.studies import examined
from hwnas.harness.host.cpus import allowed_cpus
from hwnas.search.hypervolume import hypervolume
from hwnas.supernets.errors import UsageError

NAMES = experiments.names()
BEYOND = ("effort", "new-device")  # the paper has nothing like them


def test_they_are_listed_in_the_order_of_the_paper():
    assert NAMES == [
        "table3", "fig3", "fig5", "fig6", "fig7a", "fig7b", "fig7c", "fig8", "fig8-measured", "fig9", "fig10",
        "fig10-measured", "fig11", "fig12", "fig13", "fig13-measured", "fig14", "fig14-measured", "effort",
        "new-device",
    ]  # fmt: skip


@pytest.mark.parametrize("scale", experiments.SCALES)
@pytest.mark.parametrize("name", NAMES)
def test_every_file_can_be_read_at_every_scale_and_says_what_stands_in(name, scale):
    made = experiments.shipped(name, scale)
    assert made.head.title.endswith("?")
    assert bool(made.head.paper) is (name not in BEYOND)
    assert list(made.kind.stand_ins(made.settings, {}))


def problems_of(settings):
    """The problems of an experiment, each on each platform that it is searched on."""
    if hasattr(settings, "problem"):
        platforms = getattr(settings, "platforms", (settings.problem.platform,))
        return [replace(settings.problem, platform=platform) for platform in platforms]
    return list(getattr(settings, "problems", {}).values())


@pytest.mark.parametrize("scale", ["small", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_searched_beyond_smoke_scale_can_be_searched(name, scale, assets):
    if name == "fig11" and allowed_cpus() < 2:
        pytest.skip("two threads on one CPU")
    for problem in problems_of(experiments.shipped(name, scale).settings):
        assert examined(problem).costs_nothing is (problem.platform is None or problem.platform.startswith("lut:"))


def test_what_counts_as_1_is_the_hypervolume_of_the_best_known_front(assets):
    front = np.array(json.loads((assets / "reference/front_note10.json").read_text()))
    script = Path(__file__).parents[2] / "scripts" / "search_study.py"
    named = [float(re.search(r"^_BEST_NOTE10 = ([\d.]+)$", script.read_text(encoding="utf-8"), re.MULTILINE)[1])]
    for name in NAMES:
        for problem in getattr(experiments.shipped(name).settings, "problems", {}).values():
            if problem.best is not None:
                assert problem.platform == "lut:table=note10"
                corner = np.array([problem.reference["latency"], -problem.reference["top1"]])
                assert problem.best == pytest.approx(hypervolume(front, corner), abs=5e-4)
                named.append(problem.best)
    assert len(set(named)) == 1
    assert len(named) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_experiment_runs_draws_and_is_done_once(name, smoke, assets, tmp_path, monkeypatch):
    made = smoke(name)
    steps = []
    finished = experiments.run(made, tmp_path / "out", workers=1, environ={}, progress=steps.append)
    result = json.loads(json.dumps(finished.result, allow_nan=False))
    assert (result["experiment"], result["scale"]) == (name, "smoke")
    assert steps
    assert result["gist"]
    assert {one["verdict"] for one in result["claims"]} <= {HELD, FAILED, UNDECIDED}

    page = output.page(finished)
    assert page.index("Stand-ins.") < page.index("<h1>")
    assert "<script src" not in page
    assert page.count("data-figure=") >= 2
    assert ("What the paper claims, tested" in page) is (name not in BEYOND and bool(result["claims"]))
    rows = list(csv.reader(io.StringIO(output.csv_text(made.kind, result["data"]))))
    assert len(rows) > 2
    assert len({len(row) for row in rows}) == 1

    # What is kept is not done again: nothing that searches, fits or measures may be called.
    for forbidden in (
        "hwnas.experiments.studies.search",
        "hwnas.experiments.kinds.predictors._fits",
        "hwnas.harness.measure.Measurer.measure_beside",
    ):
        monkeypatch.setattr(forbidden, None)
    again = experiments.run(made, tmp_path / "out", workers=1, environ={})
    assert again.result["data"] == finished.result["data"]
    assert again.result["seconds"] >= finished.result["seconds"]


@pytest.mark.parametrize("name", published.names())
def test_published_numbers_name_their_source(name):
    numbers = published.load(name)
    assert "2205.10358" in numbers.source
    assert numbers.thresholds or numbers.bounds
    assert any(experiments.shipped(one).head.published == name for one in NAMES)


def test_table_3_as_published():
    theirs = published.load("table3").thresholds
    assert theirs["mobilenetv3"][0].evaluations == {"linas": 100, "nsga2": 260, "random": 2000}
    assert theirs["ncf"][1].evaluations == {"linas": 148, "nsga2": 160}
    assert {name: [one.hypervolume for one in rows] for name, rows in theirs.items()} == {
        "mobilenetv3": [0.810, 0.955],
        "resnet50": [0.800, 0.925],
        "transformer": [0.967, 0.997],
        "ncf": [0.965, 0.989],
    }


def test_a_published_file_that_is_not_there():
    with pytest.raises(UsageError, match="did you mean 'table3'"):
        published.load("tabel3")


def test_counting_verdicts():
    assert counted([{"verdict": HELD}, {"verdict": UNDECIDED}, {"verdict": HELD}]) == "2 held, 1 undecided"
    assert counted([]) == ""
