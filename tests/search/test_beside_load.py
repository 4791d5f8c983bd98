"""Evaluations and profiles that were measured beside a load say so: in JSON, tables, notes and pages."""

from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from hwnas.cli import measurements as measurements_command
from hwnas.cli import profile as profile_command
from hwnas.cli.progress import _bars, _warn
from hwnas.cli.search import front_table
from hwnas.harness.bench.progress import MeasuringProgress
from hwnas.harness.measurement.beside_load import beside_load, status_shown
from hwnas.harness.store import Store
from hwnas.search import objectives
from hwnas.search.comparison.result import Comparison, Contestant
from hwnas.search.objectives import Outcome
from hwnas.search.report import compare_page, search_page
from hwnas.search.study.archive import Evaluation
from hwnas.search.study.final import measured_again
from hwnas.search.study.run import search
from hwnas.search.study.stored import load
from hwnas.search.study.task import EvaluationTask
from hwnas.search.transfer import verdict
from hwnas.search.transfer.sentence import BESIDE, Name
from hwnas.supernets.errors import MALFORMED
from hwnas.supernets.space import Choice, SearchSpace

LOAD = {"busy": 0.954, "programs": [{"name": "stress", "cpus": 1.9}, {"name": "<b>odd", "cpus": 0.1}]}


def test_what_is_said_of_marked_values():
    other = {"busy": 0.5, "programs": [{"name": "cc1", "cpus": 0.7}]}
    assert beside_load([None, LOAD, other, None]) == (
        "2 of 4 values were measured while other programs (stress, cc1, <b>odd) kept up to 95 % of the CPUs busy: they "
        "are marked as busy, and not used again"
    )
    assert beside_load([None, {}]) == ""
    assert "other programs kept up to 50 %" in beside_load([{"busy": 0.5, "programs": []}])
    assert (status_shown("ok", None), status_shown("unstable", LOAD)) == ("ok", "unstable, busy")


class Measured:
    """An objective that is measured beside a load every other time."""

    name, unit, maximise, source, costs_nothing, exact, batched = "latency", "ms", False, "s", False, False, True

    def evaluate(self, X):
        states = ("ok",) * len(X)
        loads = tuple(LOAD if row.sum() % 2 else None for row in X)
        return Outcome(1.0 + X.sum(axis=1), states, ("",) * len(X), None, (), loads)


@pytest.fixture
def study(monkeypatch):
    from weighed import Weighed

    net = Weighed(SearchSpace((Choice("k", (1, 2)), Choice("w", (1, 2)))), macs=[10, 3], params=[3, 10])
    registered = objectives.registry.create
    monkeypatch.setattr(
        objectives.registry, "create", lambda name, *a: Measured() if name == "latency" else registered(name, *a)
    )
    with Store.open(":memory:") as store:
        made = search(net, "torch", objectives=("latency", "params"), algorithm="random", evals=4, store=store)
        assert [one.load for one in load(store, made.name).evaluations] == [one.load for one in made.evaluations]
    return made


def test_a_study_says_which_of_its_evaluations_were_measured_beside_a_load(study):
    outcome = json.loads(json.dumps(study.to_json()))
    marked = [bool(np.sum(one.vector) % 2) for one in study.evaluations]
    assert [one.load is not None for one in study.evaluations] == marked
    assert ["load" in one for one in outcome["evaluations"]] == marked
    assert any(note.startswith("2 of 4 evaluations were measured while other programs") for note in outcome["notes"])
    page = search_page(outcome)
    assert "ok, busy" in page
    assert "2 of 4 evaluations were measured while other programs" in page
    assert "<b>odd" not in page
    states = [row[-1] for row in front_table(outcome).rows]
    assert set(states) == {"ok, busy"} or "ok" in states


@pytest.mark.parametrize("damaged", [3, [], {"busy": 1.0}, {"busy": "x", "programs": []}, {**LOAD, "programs": [3]}])
def test_a_damaged_load_is_a_damaged_evaluation(study, damaged):
    record = study.evaluations[0].to_json()
    with pytest.raises(MALFORMED):
        Evaluation.from_json({**record, "load": damaged})
    assert Evaluation.from_json({**record, "load": LOAD}).load == LOAD


def test_a_profile_says_which_of_its_values_were_measured_beside_a_load(capsys):
    row = {
        "key": "000", "platform": "scripted", "status": "ok", "reason": "",
        "latency_ms": {"value": None, "statistic": "p15"},
        "throughput_per_s": None, "first_inference_ms": None, "prepare_s": None, "macs": 1, "params": 1,
        "memory_bytes": None, "statistic_in_words": "the median", "stages_ms": {}, "context": {"load": LOAD},
    }  # fmt: skip
    (cells,) = profile_command._table([row]).rows
    assert ("ok, busy", "ok*") in cells
    profile_command._remark_on([row])
    assert "1 of 1 values was measured while other programs (stress" in capsys.readouterr().err


@pytest.mark.parametrize("quiet", [False, True])
def test_a_warning_is_a_line_that_stays(quiet, capsys, monkeypatch):
    event = MeasuringProgress.begun("busy", "other programs keep 2 of 2 CPUs busy: [bold]odd (90 % of a CPU)")
    monkeypatch.setattr("hwnas.cli.progress.notes", lambda: Console(stderr=True, width=40))
    with _bars(quiet) as bars:
        _warn(bars, event)
        _warn(bars, MeasuringProgress.begun("starting", "not this"))
        _warn(bars, None)
    assert capsys.readouterr().err == ("" if quiet else f"{event.message}\n")


def test_a_transfer_says_on_which_platform_values_were_measured_beside_a_load():
    result = {"platforms": ["torch", "lut:table=note10"], "environment": {"platforms": {"torch": {BESIDE: "3 of 9"}}}}
    assert list(verdict._beside(result)) == [("On ", Name(0), ", 3 of 9.")]
    everywhere = {**result, "environment": {BESIDE: "all of them"}}
    assert [sentence[1].index for sentence in verdict._beside(everywhere)] == [0, 1]
    assert list(verdict._beside({"platforms": ["torch"]})) == []


def test_a_comparison_counts_the_evaluations_of_all_searches(study):
    runs = {Contestant.parse("random"): [study, study]}
    outcome = Comparison.of(runs, 4, None, None).to_json()
    assert outcome["beside_load"].startswith("4 of 8 evaluations were measured while other programs (stress")
    assert "4 of 8 evaluations were measured" in compare_page(outcome)


@pytest.mark.parametrize("after", [None, LOAD])
def test_what_is_measured_again_is_marked_by_what_was_beside_it_then(study, after):
    task = EvaluationTask(SearchSpace((Choice("k", (1, 2)), Choice("w", (1, 2)))), (Measured(),), (), ())
    again = Outcome(np.array([2.0]), ("ok",), ("",), None, (), (after,))
    for before in study.evaluations:
        (found,) = measured_again([before], task, {"latency": again})
        assert found.load == after


@pytest.mark.parametrize(("context", "shown"), [({}, "ok"), ({"load": LOAD}, "ok, busy")])
def test_the_list_of_measurements_shows_which_are_marked(context, shown):
    row = {
        "id": 1, "measured_at": "", "supernet": "toy", "key": "000", "platform": "p", "latency_s": 1.0, "status": "ok",
        "fingerprint": "f", "context": context,
    }  # fmt: skip
    assert shown in measurements_command._cells(row, {"000": "000"})
