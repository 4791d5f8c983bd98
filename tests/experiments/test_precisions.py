"""Experiments of the kind ``precisions``: what a reduced precision gains, and what it loses where that is measured."""

import json

import numpy as np
import pytest

from hwnas import supernets
from hwnas.experiments.bench import Workspace
from hwnas.experiments.claims import FAILED, HELD
from hwnas.experiments.experiment import parse
from hwnas.experiments.kinds import precisions
from hwnas.experiments.parts import Parts
from hwnas.experiments.problem import ExperimentProblem, Original
from hwnas.harness import quality
from hwnas.harness.platform import parse as platform
from hwnas.harness.quality.evaluated import EvaluatedQuality
from hwnas.harness.quality.quality import Score

MINE = """
title = "What does it cost?"
kind = "precisions"
platforms = ["scripted:us=20"]
precision = "bf16"
networks = 2

[problem]
supernet = "toy"
quality = "capacity"

[[claims]]
says = "It is faster"

[[claims]]
says = "It loses less than one point"
loses = 1.0
"""


def data(**more):
    """Return what an experiment has found of three sub-networks."""
    rows = {
        name: {"latency_ms": ms, "interval_ms": [[one, one] for one in ms], "status": ["ok"] * 3}
        for name, ms in (("full", [2.0, 4.0, 6.1]), ("reduced", [1.0, 2.0, 3.0]))
    }
    return {
        "precision": "bf16", "keys": ["a", "b", "c"], "macs": [1, 2, 3], "values": [80.0, 81.0, 82.0],
        "quality": {"source": "s", "metric": "top1", "unit": "%", "predicted": False, "note": ""},
        "platforms": [{"platform": "scripted:us=20", "reduced": "scripted:us=20,precision=bf16", "rows": rows, **more}],
    }  # fmt: skip


LITTLE = {"values": [79.9, 80.8, 81.9], "lost": [0.1, 0.2, 0.1]}


@pytest.mark.parametrize(
    ("more", "verdicts"),
    [
        ({}, [HELD]),  # what was not measured is not claimed
        (LITTLE, [HELD, HELD]),
        ({"values": [70.0, 70.9, 72.0], "lost": [10.0, 10.1, 10.0]}, [HELD, FAILED]),
    ],
)
def test_what_is_lost_is_tested_where_it_was_measured(more, verdicts):
    made = precisions.verdicts(parse(MINE, "mine").settings, data(**more))
    assert [one.verdict for one in made] == verdicts
    if more:
        assert made[1].value == pytest.approx(np.mean(more["lost"]))
        assert made[1].statistic == "top1 in fp32 less that in bf16"


def test_the_page_and_the_table_have_the_quality_of_each_precision():
    experiment = parse(MINE, "mine")
    assert "was not measured" in precisions.sections(experiment, data(), None)[0].lead
    found = data(**LITTLE)
    shown = precisions.sections(experiment, found, None)[0]
    assert "each with its top1 in that precision" in shown.lead
    assert [row[3] for row in shown.figures[0].table.rows] == [80.0, 81.0, 82.0, *LITTLE["values"]]
    assert [row[-1] for row in precisions.table(found).rows] == [80.0, 81.0, 82.0, *LITTLE["values"]]
    assert precisions.gist(found).endswith("loses 0.13 of top1 in the mean")


class Deployed:
    """A quality source of image networks on a platform: what int8 loses stands beside its values."""

    name = source = "deployed"
    metric, unit, note = "top1", "%", ""
    maximise, predicted, costs_nothing = True, False, False
    contents, rows = {}, None

    def scores(self, X):
        return [Score(70.0 + row, 60.0, 80.0, 100, {"fp32": 71.0 + row, "loss": 1.0}) for row in range(len(X))]

    def evaluate(self, X):
        return np.array([one.value for one in self.scores(X)])


def test_the_quality_is_evaluated_in_the_precision_by_a_source_that_can(scripted, monkeypatch, tmp_path):
    asked = []
    get = quality.get
    monkeypatch.setattr(quality, "get", lambda spec, *rest: asked.append(spec) or (
        Deployed() if "precision" in spec else get(spec, *rest)))  # fmt: skip
    net = supernets.get("toy")
    X = net.space.canonical(net.space.sample(3, 0))

    bench = Workspace(str(tmp_path / "s.db"), Parts(tmp_path / "parts"), tmp_path, "mine")

    def reduced(spec):
        problem = ExperimentProblem("toy", quality=spec)
        where = platform("scripted:us=20,precision=bf16")
        return precisions._reduced_quality(problem, net, X, where, bench)

    assert reduced("capacity") == {}
    assert json.loads(json.dumps(reduced("images:photos"))) == {"values": [70.0, 71.0, 72.0], "lost": [1.0] * 3}
    assert asked == ["images:photos,backend=scripted,precision=bf16"]


def test_what_was_evaluated_before_an_interruption_is_not_evaluated_again(scripted, monkeypatch, tmp_path):
    evaluated = []

    def score(config):
        if len(evaluated) == 2 and not resumed:
            raise KeyboardInterrupt
        evaluated.append(config)
        return Score(70.0 + len(evaluated))

    def mine(_spec, net, options):
        return EvaluatedQuality("mine", "top1", "%", True, net, options, "photos", score, weights_needed=False)

    monkeypatch.setattr(quality, "get", mine)
    net = supernets.get("toy")
    X = net.space.canonical(net.space.sample(3, 0))
    bench = Workspace(str(tmp_path / "s.db"), Parts(tmp_path / "parts"), tmp_path, "mine")
    problem = ExperimentProblem("toy", quality="mine")
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        precisions._scores("mine", problem, net, X, bench)
    resumed = True
    _, scores = precisions._scores("mine", problem, net, X, bench)
    assert [one.value for one in scores] == [71.0, 72.0, 73.0]
    assert len(evaluated) == 3


def test_of_the_papers_own_data_something_may_still_be_missing():
    original = Original(quality="images:$PHOTOS", stands_in="my photos are in place of ImageNet")
    problem = ExperimentProblem("toy", quality="capacity", stands_in="capacity is in place of top-1", original=original)
    assert list(problem.notes("toy")) == [
        "toy: capacity is in place of top-1.",
        "With PHOTOS set in the environment, my photos are in place of ImageNet.",
    ]
    resolved = problem.resolved({"PHOTOS": "here"})
    assert (resolved.quality, resolved.stands_in) == ("images:here", "my photos are in place of ImageNet")
    assert list(resolved.notes("toy")) == ["toy: my photos are in place of ImageNet."]
