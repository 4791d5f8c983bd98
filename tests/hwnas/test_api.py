"""The public Python functions: what they take and return, how that shows itself, and what an interrupt leaves."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
from trainable import Sorter

import hwnas
from hwnas.api import showing
from hwnas.cli.search import front_table
from hwnas.harness.store import Store
from hwnas.search.deploy.write import of_front
from hwnas.search.report.study_view import StudyView
from hwnas.supernets.errors import ConfigError, OutputError, StoreError, UnknownNameError, UsageError

NET = "ofa-mbv3-w1.0"
EXACT = {"objectives": ["macs", "params"], "algorithm": "random", "progress": False}
FUNCTIONS = (hwnas.measure, hwnas.search, hwnas.transfer, hwnas.create_study, hwnas.load_study, hwnas.supernet)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# --- what an editor sees ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_option_has_a_name_a_type_and_words(function):
    signature = inspect.signature(function)
    kinds = {one.kind for one in signature.parameters.values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert signature.return_annotation is not signature.empty
    for name, one in signature.parameters.items():
        assert one.annotation is not one.empty, name
        assert f"    {name}: " in function.__doc__ or len(signature.parameters) == 1, name


def test_all_names_are_there_and_no_others_are():
    assert set(hwnas.__all__) <= set(dir(hwnas))
    for name in hwnas.__all__:
        assert getattr(hwnas, name) is not None
    with pytest.raises(AttributeError, match="module 'hwnas' has no attribute 'serch'"):
        hwnas.serch  # noqa: B018


@pytest.mark.slow
def test_importing_it_imports_nothing_heavy():
    code = "import hwnas, sys; print(*sorted({'numpy', 'torch', 'rich', 'typer', 'sqlalchemy'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.slow
@pytest.mark.parametrize("module", ["", ".api.measuring", ".api.searching", ".api.studying", ".api.transferring"])
def test_examples_in_docstrings_run(assets, module):
    found = doctest.DocTestFinder(exclude_empty=True).find(
        importlib.import_module(f"hwnas{module}"), extraglobs={"hwnas": hwnas}
    )
    examples = [one for one in found if one.examples]
    assert examples
    for one in examples:
        said = []
        doctest.DocTestRunner().run(one, out=said.append)
        assert not said, "".join(said)
        Path("hwnas.db").unlink(missing_ok=True)


# --- what is given by name -------------------------------------------------------------------------------------------


def test_the_store_is_hwnas_db_unless_another_is_named_or_none():
    hwnas.search(NET, **EXACT, evals=2, store=None)
    hwnas.search(NET, **EXACT, evals=2, store=False)
    assert not Path("hwnas.db").exists()
    hwnas.search(NET, **EXACT, evals=2, store=Path("other.db"))
    hwnas.search(NET, **EXACT, evals=2, store=f"sqlite:///{Path('url.db').absolute()}", study="s")
    assert sorted(one.name for one in Path().glob("*.db")) == ["other.db", "url.db"]
    study = hwnas.search(NET, **EXACT, evals=2)
    assert hwnas.load_study(study.name).evaluations == study.evaluations
    assert hwnas.load_study("s", "url.db").name == "s"


def test_a_store_of_the_callers_stays_open():
    with Store.open(":memory:") as store:
        first = hwnas.search(NET, **EXACT, evals=2, store=store)
        with hwnas.create_study(NET, objectives=["macs"], algorithm="random", evals=2, store=store) as study:
            study.tell(study.ask(1))
        assert [one.name for one in store.studies()] == [first.name, study.name]


def test_a_study_of_the_callers_closes_the_store_that_it_has_opened(monkeypatch):
    closed = []
    monkeypatch.setattr(Store, "close", lambda self, close=Store.close: (closed.append(self.name), close(self)))
    with hwnas.create_study(NET, objectives=["macs"], algorithm="random", evals=2) as study:
        study.tell(study.ask())
        assert closed == []
    assert [Path(one).name for one in closed] == ["hwnas.db"]
    study.close()
    assert len(closed) == 1
    with pytest.raises(UsageError):
        hwnas.create_study(NET, objectives=["no such"])
    assert len(closed) == 2


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: hwnas.search("ofa-mbv3", **EXACT), UnknownNameError, "unknown super-network"),
        (lambda: hwnas.search(5, **EXACT), UsageError, "expected a super-network or the name of one, got a int"),
        (lambda: hwnas.measure(NET, "min", "onnxruntme", progress=False), UsageError, "did you mean 'onnxruntime'"),
        (lambda: hwnas.measure(NET, "min", [], progress=False), UsageError, "platform: expected one"),
        (lambda: hwnas.measure(NET, "smallest", "torch", progress=False), ConfigError, "config 'smallest'"),
        (lambda: hwnas.measure(NET, [{"ks": 5}], "torch", progress=False), ConfigError, ""),
        (lambda: hwnas.search(NET, **EXACT, store=5), UsageError, "store: expected a file's path"),
        (lambda: hwnas.search(NET, **EXACT, store=True), UsageError, "store: expected a file's path"),
        (lambda: hwnas.search(NET, **{**EXACT, "progress": "loud"}), UsageError, "progress: expected True"),
        (lambda: hwnas.search(NET, quality=5, objectives=["quality"], progress=False), UsageError, "got a int"),
        (lambda: hwnas.load_study("s", None), UsageError, "expected a store"),
        (lambda: hwnas.load_study("s", "none.db"), StoreError, "none.db"),
        (
            lambda: hwnas.search(NET, **EXACT, evals=2, resume=True),
            UsageError,
            "has no study of ofa-mbv3-w1.0 by random",
        ),
        (lambda: hwnas.search(NET, **EXACT, store=None, resume=True), UsageError, "resume: expected a store"),
        (lambda: hwnas.search(NET, **EXACT, evals=1e2), UsageError, "evals: expected a whole number, got 100.0"),
        (lambda: hwnas.search(NET, **EXACT, seed=None), UsageError, "seed: expected a whole number, got None"),
        (lambda: hwnas.search(NET, **EXACT, seed=True), UsageError, "seed: expected a whole number, got True"),
        (lambda: hwnas.search(NET, **EXACT, parallel=-2), UsageError, "parallel: expected at least 1, got -2"),
        (lambda: hwnas.search(NET, **EXACT, plateau=1.5), UsageError, "plateau: expected a whole number, got 1.5"),
        (lambda: hwnas.search(NET, **EXACT, final_front=1.5), UsageError, "final_front: expected a whole number"),
        (lambda: hwnas.search(NET, **EXACT, subset=0), UsageError, "subset: expected at least 1, got 0"),
        (lambda: hwnas.search(NET, **EXACT, workers=-1), UsageError, "workers: expected at least 0, got -1"),
        (lambda: hwnas.transfer(NET, [], seed=-1, progress=False), UsageError, "seed: expected at least 0, got -1"),
        (lambda: hwnas.transfer(NET, [], samples=-1, progress=False), UsageError, "samples: expected at least 0"),
        (lambda: hwnas.search(NET, objectives="macs"), UsageError, "objectives: expected a list like ['latency'], got"),
        (lambda: hwnas.search(NET, **EXACT, constraints="macs<=300M"), UsageError, "constraints: expected a list like"),
        (lambda: hwnas.create_study(NET, objectives="macs"), UsageError, "objectives: expected a list like"),
        (lambda: hwnas.create_study(NET, objectives=["macs"], evals="9"), UsageError, "evals: expected a whole number"),
        (lambda: hwnas.transfer(NET, "torch", progress=False), UsageError, "platforms: expected a list like"),
        (lambda: hwnas.measure(None, None, "torch", models="net.py:f"), UsageError, "models: expected a list like"),
        (lambda: hwnas.search(NET, ["torch"], progress=False), UsageError, "platform: expected one, like"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, error, said):
    with pytest.raises(error) as refused:
        call()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_configs_come_in_every_form(assets):
    net = hwnas.supernet("ofa-mbv3-w1.2")
    X = net.space.sample(2, 0)
    options = {"platform": "lut:table=note10", "store": None, "progress": False}
    wanted = [one.key for one in hwnas.measure(net, X, **options)]
    assert wanted == net.space.keys(X)
    assert [one.key for one in hwnas.measure(net, net.space.decode(X), **options)] == wanted
    assert [one.key for one in hwnas.measure(net, wanted, **options)] == wanted
    assert [one.key for one in hwnas.measure(net, net.space.decode(X)[0], **options)] == wanted[:1]
    assert [one.key for one in hwnas.measure(net, X[0], **options)] == wanted[:1]
    assert [one.key for one in hwnas.measure(net.name, "max", **options)] == net.space.keys(net.space.largest())
    assert hwnas.measure(net, [], **options) == []
    twice = hwnas.measure(net, X, ["lut:table=note10"] * 2, store=None, progress=False)
    assert [one.key for one in twice] == wanted * 2


# --- what it returns -------------------------------------------------------------------------------------------------


@pytest.fixture
def study(assets):
    return hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", algorithm="random", evals=12, store=None, progress=False)


@pytest.mark.parametrize("objectives", [["latency", "top1"], ["top1", "latency"]])
def test_the_front_is_in_the_order_in_which_exports_pages_and_the_console_count(assets, objectives):
    given = {"objectives": objectives, "algorithm": "random", "evals": 30, "store": None, "progress": False}
    study = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", **given)
    front = [one.index for one in study.front]
    firsts = [one.objectives[objectives[0]] for one in study.front]
    assert len(front) > 2
    assert firsts == sorted(firsts, reverse=objectives[0] == "top1")
    assert [of_front(study, place).index for place in range(1, 1 + len(front))] == front
    assert [int(row[1]) for row in front_table(study.to_json()).rows] == front
    assert StudyView(study.to_json()).front == front


def test_the_front_holds_evaluations(study):
    assert study.front
    assert all(isinstance(one, hwnas.Evaluation) for one in study.front)
    assert sorted(one.index for one in study.front) == study.to_json()["front"]
    for one in study.front:
        assert study.evaluations[one] is one  # as scripts of earlier versions index
        assert hwnas.supernet(study.supernet).space.keys(hwnas.supernet(study.supernet).space.encode([one.config])) == [
            one.key
        ]
        assert set(one.objectives) == {"latency", "top1"}


def test_everything_shows_itself_in_one_line(study, assets):
    net = hwnas.supernet("ofa-mbv3-w1.2")
    (measurement,) = hwnas.measure(net, "min", "lut:table=note10", store=None, progress=False)
    for one in (study, study.front[0], measurement, net, net.space):
        assert "\n" not in repr(one)
        assert len(repr(one)) < 250
        assert repr(one).startswith(f"<{type(one).__name__}" if one is not net else "<SuperNetwork")
    assert "12 evaluations" in repr(study)
    assert "17.77 ms" in repr(measurement)


def test_everything_shows_itself_in_a_notebook_and_markup_in_names_stays_text(study, assets):
    measured = hwnas.measure("ofa-mbv3-w1.2", ["min", "max"], "lut:table=note10", store=None, progress=False)
    odd = hwnas.search("ofa-mbv3-w1.2", **EXACT, evals=2, study="<script>alert(1)</script>")
    for one in (study, measured, measured[0], hwnas.supernet(NET), hwnas.supernet(NET).space, odd):
        page = one._repr_html_()
        assert page.startswith("<table>")
        assert "<script>" not in page
    assert "&lt;script&gt;" in odd._repr_html_()


def test_a_study_is_plotted_in_real_colours_and_says_what_points_are(study):
    figure = study.plot()
    text = figure.to_json()
    assert "@" not in json.dumps([trace["marker"] for trace in json.loads(text)["data"] if "marker" in trace])
    assert sum(len(trace.x) for trace in figure.data if trace.customdata is not None) == len(study.evaluations)
    assert "evaluation 0" in text
    turned = study.plot(x="top1", y="latency")
    assert "top1" in turned.layout.xaxis.title.text
    for x, y in (("top2", None), ("top1", "top1")):
        with pytest.raises(UsageError, match="plot: "):
            study.plot(x, y)


def test_measurements_are_plotted_and_reported(assets, tmp_path):
    measured = hwnas.measure("ofa-mbv3-w1.2", ["min", "max"], "lut:table=note10", store=None, progress=False)
    (trace,) = measured.plot().data
    assert list(trace.y) == pytest.approx([one.latency_ms for one in measured], rel=1e-4)
    measured.report(tmp_path / "page.html")
    assert "<html" in (tmp_path / "page.html").read_text()
    json.dumps(measured.to_json())
    with pytest.raises(UsageError, match="no measurement"):
        hwnas.measure("ofa-mbv3-w1.2", [], "lut:table=note10", store=None, progress=False).report("x.html")


def test_a_study_is_written(study, tmp_path):
    study.report(tmp_path / "page.html")
    study.to_csv(tmp_path / "study.csv")
    assert "<html" in (tmp_path / "page.html").read_text()
    assert len((tmp_path / "study.csv").read_text().splitlines()) == 13
    with pytest.raises((UsageError, OutputError), match="no directory"):
        study.report(tmp_path / "no" / "page.html")


def test_a_sub_network_of_a_study_is_exported(study, monkeypatch):
    asked = []
    monkeypatch.setattr("hwnas.search.deploy.write.deploy", lambda *arguments: asked.append(arguments))
    study.export("out", front=2, form="torch", weights=Path("w.pt"), batch=4)
    ((net, *rest),) = asked
    assert net.name == study.supernet
    assert rest == [study, 2, "torch", "out", "w.pt", 4]


def test_a_study_and_its_interruption_come_back_from_another_process(study):
    for one in (study, hwnas.SearchInterrupted(study, "interrupted")):
        back = pickle.loads(pickle.dumps(one))
        back, said = (back.study, str(back)) if isinstance(back, KeyboardInterrupt) else (back, "interrupted")
        assert said == "interrupted"
        assert isinstance(back, hwnas.Study)
        assert back.to_json() == study.to_json()
        with pytest.raises(UsageError, match="expected one of its front, 1 to"):
            back.export("out", front=1000)  # its super-network is made again by its name


def test_numbers_of_numpy_are_numbers():
    options = {**EXACT, "seed": 1, "evals": 9, "settings": {"batch": 4}, "reference": {"macs": 300, "params": 7}}
    own = hwnas.search(NET, **options, study="own")
    given = {"seed": np.int64(1), "evals": np.int32(9), "settings": {"batch": np.int64(4)}}
    given["reference"] = {"macs": np.float32(300), "params": np.int8(7)}
    numpys = hwnas.search(NET, **{**EXACT, **given}, study="numpys")
    assert numpys.settings == own.settings
    assert [one.key for one in numpys.evaluations] == [one.key for one in own.evaluations]
    assert json.loads(json.dumps(numpys.to_json()))["seed"] == 1
    assert hwnas.search(NET, **options, resume=True).name == "numpys"
    with hwnas.create_study(NET, objectives=["macs"], seed=np.int64(1), evals=np.int64(4)) as asking:
        assert len(asking.ask(np.int64(3))) == 3


def test_tables_are_pandas_frames(study, assets):
    import pandas as pd

    frame = study.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [
        "index", "iteration", "key", "config", "latency_ms", "top1_%", "status", "reason", "on_front",
    ]  # fmt: skip
    assert frame["latency_ms"].tolist() == [one.objectives["latency"] for one in study.evaluations]
    assert frame["on_front"].sum() == len(study.front)
    measured = hwnas.measure("ofa-mbv3-w1.2", ["min", "max"], "lut:table=note10", store=None, progress=False)
    assert measured.to_pandas()["latency_ms"].tolist() == [one.latency_ms for one in measured]


def test_tables_count_as_the_csv_does(tmp_path):
    import pandas as pd

    study = hwnas.search(NET, **EXACT, evals=5, store=None)
    study.to_csv(tmp_path / "s.csv")
    frame, read = study.to_pandas(), pd.read_csv(tmp_path / "s.csv")
    counts = hwnas.supernet(NET).macs(np.array([one.vector for one in study.evaluations]))
    assert frame["macs"].tolist() == read["macs"].tolist() == counts.tolist()
    assert frame["params"].tolist() == read["params"].tolist()


def test_without_pandas_it_says_so(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        study.to_pandas()


@pytest.mark.slow
def test_a_transfer_shows_itself(assets, tmp_path):
    columns = "config,a_ms,b_ms,top1\n"
    net = hwnas.supernet(NET)
    rows = [json.dumps(one).replace('"', '""') for one in net.space.decode(net.space.sample(30, 0))]
    lines = [f'"{row}",{5 + n % 7},{6 + n % 5},{70 + n % 11}\n' for n, row in enumerate(rows)]
    (tmp_path / "t.csv").write_text(columns + "".join(lines))
    places = [f"table:file={tmp_path / 't.csv'},column={one}_ms" for one in "ab"]
    found = hwnas.transfer(NET, places, quality=f"table:{tmp_path / 't.csv'}", progress=False)
    assert "\n" not in repr(found)
    assert repr(found).startswith("<TransferResult of ofa-mbv3-w1.0: 30 sub-networks on table:")
    assert found._repr_html_().count("<tr>") == 3
    assert found.plot(places[1]).data
    found.report(tmp_path / "page.html")
    with pytest.raises(UsageError, match="plot: unknown platform 'torch:"):
        found.plot("torch")
    assert found.to_pandas().shape == (4, 6)


def test_an_own_loop_returns_the_same_kind_of_study():
    with hwnas.create_study(NET, objectives=["macs", "depth:min"], algorithm="random", evals=3) as study:
        while proposals := study.ask():
            study.tell(proposals, {"depth": [sum(one.config["d"]) for one in proposals]})
        assert isinstance(study, hwnas.OpenStudy)
        assert isinstance(study.result(), hwnas.Study)
        assert [one.key for one in study.front] == [one.key for one in study.result().front]


def test_an_own_loop_over_a_super_network_of_ones_own_is_exported(monkeypatch):
    asked = []
    monkeypatch.setattr("hwnas.search.deploy.write.deploy", lambda *arguments: asked.append(arguments))
    net = hwnas.supernet(NET)
    net.name = "nowhere"
    with hwnas.create_study(net, objectives=["macs"], evals=2) as study:
        study.tell(study.ask())
        study.result().export("out")
    assert asked[0][0] is net


def test_a_quality_of_ones_own_is_searched_for_and_resumed_and_a_changed_one_is_not():
    @hwnas.quality("width", maximise=False)
    def width(module, config):
        assert not module.training
        return {"value": config["width"][0], "low": config["width"][0] - 1, "high": config["width"][0] + 1}

    options = {"objectives": ["macs", "width"], "algorithm": "random", "study": "s", "progress": False}
    study = hwnas.search(Sorter(), quality=width, evals=3, **options)
    for one in study.evaluations:
        assert one.objectives["width"] == one.config["width"][0]
        assert one.intervals["width"] == (one.config["width"][0] - 1, one.config["width"][0] + 1)
    assert [(one.name, one.maximise) for one in study.objectives] == [("macs", False), ("width", False)]
    more = hwnas.search(Sorter(), quality=width, evals=4, resume=True, **options)
    assert more.evaluations[:3] == study.evaluations

    @hwnas.quality("width", maximise=False)
    def other(module, config):
        return 1 + config["width"][0]

    with pytest.raises(UsageError, match=r"python quality was .*width of content .*, is .*other of content"):
        hwnas.search(Sorter(), quality=other, evals=5, resume=True, **options)


def test_a_metric_that_is_called_as_an_objective_is_refused():
    with pytest.raises(UsageError, match="its metric is called 'macs', as an objective is"):
        hwnas.search(NET, quality=hwnas.quality("macs")(lambda m, c: 1), objectives=["params", "quality"], store=None)


# --- progress --------------------------------------------------------------------------------------------------------


def test_progress_is_shown_unless_it_is_silenced(capsys):
    hwnas.search(NET, **{**EXACT, "progress": False}, evals=3, store=None)
    assert capsys.readouterr() == ("", "")
    hwnas.search(NET, **{**EXACT, "progress": True}, evals=3, store=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert "3/3" in err
    events = []
    hwnas.search(NET, **{**EXACT, "progress": events.append}, evals=3, store=None)
    assert events[-1].done == 3
    assert capsys.readouterr() == ("", "")


def test_a_notebook_has_one_line_that_changes(monkeypatch, capsys):
    shown = []

    class ZMQInteractiveShell:
        pass

    class Handle:
        def update(self, data, raw):
            shown.append(data["text/plain"])

    notebook = types.ModuleType("IPython")
    notebook.get_ipython = ZMQInteractiveShell
    display = types.ModuleType("IPython.display")
    display.display = lambda *a, **k: Handle()
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    assert showing.is_notebook()
    hwnas.search(NET, **{**EXACT, "progress": True}, evals=3, store=None)
    assert shown[-1].startswith("ofa-mbv3-w1.0-random-1: 3 of 3 evaluations, hypervolume ")
    assert capsys.readouterr() == ("", "")


# --- interrupts ------------------------------------------------------------------------------------------------------


def interrupting(after):
    """Return a progress function that interrupts as Ctrl-C does, after so many evaluations."""

    def progress(event):
        if event.done >= after:
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_script_has_the_study_in_the_exception_and_in_the_store():
    options = {**EXACT, "evals": 40, "settings": {"batch": 5}}
    whole = hwnas.search(NET, **options, store=None)
    with pytest.raises(hwnas.SearchInterrupted) as interrupted:
        hwnas.search(NET, **{**options, "progress": interrupting(10)})
    so_far = interrupted.value.study
    assert isinstance(interrupted.value, KeyboardInterrupt)
    assert "hwnas.db; study='ofa-mbv3-w1.0-random-1', resume=True goes on" in str(interrupted.value)
    assert isinstance(so_far, hwnas.Study)
    assert so_far.stopped == "interrupted"
    assert [one.key for one in so_far.evaluations] == [one.key for one in whole.evaluations[:10]]
    assert len(hwnas.load_study(so_far.name).evaluations) == 10
    again = hwnas.search(NET, **options, resume=True)  # the same call
    assert again.name == so_far.name
    assert [one.key for one in again.evaluations] == [one.key for one in whole.evaluations]
    assert hwnas.search(NET, **options, resume=True).evaluations == again.evaluations


def test_at_a_prompt_what_there_is_is_returned(monkeypatch, capsys):
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    options = {**EXACT, "evals": 40, "settings": {"batch": 5}}
    so_far = hwnas.search(NET, **{**options, "progress": interrupting(10)})
    assert len(so_far.evaluations) == 10
    assert "interrupted: study 'ofa-mbv3-w1.0-random-1' has 10 evaluations" in capsys.readouterr().err
    unstored = hwnas.search(NET, **{**options, "progress": interrupting(5)}, store=None)
    assert len(unstored.evaluations) == 5
    assert "nothing is stored" in capsys.readouterr().err


def test_the_latest_of_the_same_search_is_gone_on_with():
    options = {**EXACT, "evals": 4}
    hwnas.search(NET, **options, study="first")
    hwnas.search(NET, **options, study="second")
    hwnas.search(NET, **options, study="another", seed=1)
    hwnas.search(NET, **{**options, "objectives": ["macs"]}, study="third")
    assert hwnas.search(NET, **options, resume=True).name == "second"
    assert hwnas.search(NET, **{**options, "objectives": ["macs"]}, resume=True).name == "third"
    with pytest.raises(UsageError, match="study 'third' cannot be resumed with other settings"):
        hwnas.search(NET, **{**options, "objectives": ["params"]}, resume=True)


@pytest.mark.parametrize("start", [{"warm_start": "source"}, {"transfer_from": "source"}, {"transfer_from": "known"}])
def test_the_latest_of_the_same_search_keeps_what_its_source_had_found(assets, start):
    source = {"algorithm": "random", "progress": False, "study": "source"}
    first = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", **source, evals=10)
    options = {"algorithm": "linas", "progress": False, **start}
    begun = hwnas.search("ofa-mbv3-w1.2", "lut:table=jetson-cpu", **options, evals=9)
    more = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", **source, evals=40, resume=True)
    assert more.front != first.front
    again = hwnas.search("ofa-mbv3-w1.2", "lut:table=jetson-cpu", **options, evals=10, resume=True)
    assert (again.name, len(again.evaluations)) == (begun.name, 10)
    assert again.evaluations[:9] == begun.evaluations


def test_the_latest_of_the_same_search_goes_on_without_the_study_that_it_started_from():
    hwnas.search(NET, **EXACT, evals=5, study="source")
    begun = hwnas.search(NET, **EXACT, evals=8, warm_start="source")
    with Store.open("hwnas.db") as store:
        store.delete_study("source")
    assert hwnas.search(NET, **EXACT, evals=9, warm_start="source", resume=True).name == begun.name
    with pytest.raises(UnknownNameError, match="unknown study 'source'"):
        hwnas.search(NET, **EXACT, evals=9, warm_start="source", seed=1, resume=True)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_process_that_gets_a_signal_has_its_evaluations_in_the_store(tmp_path):
    script = """
        import hwnas, os, signal
        def interrupt(event):
            if event.done >= 10:
                os.kill(os.getpid(), signal.SIGINT)
        try:
            hwnas.search("ofa-mbv3-w1.0", objectives=["macs", "params"], algorithm="random", evals=100000,
                         settings={"batch": 5}, progress=interrupt)
        except KeyboardInterrupt as error:
            print(len(error.study.evaluations), error.study.name)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    n, name = ran.stdout.split()
    assert int(n) >= 10
    assert len(hwnas.load_study(name).evaluations) >= int(n)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    more = hwnas.search(NET, **EXACT, settings={"batch": 5}, evals=int(n) + 10, resume=True)
    assert (more.name, len(more.evaluations)) == (name, int(n) + 10)
    assert np.unique([one.key for one in more.evaluations]).size == int(n) + 10
