"""``hwnas profile --model`` and ``hwnas.measure(models=...)``: fixed models beside sub-networks, or alone."""

from __future__ import annotations

import json

import pytest
import torch

import hwnas
from hwnas.cli import run
from hwnas.harness.store import Store
from hwnas.supernets.errors import PlatformError, StoreError, UsageError

FILE = """
import torch

def small(batch):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 8)), torch.rand(batch, 3, 8, 8)

def large(batch):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 4000)), torch.rand(batch, 3, 8, 8)

def odd(batch):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(5, 5)), torch.rand(batch, 3, 8, 8)
"""
TINY = "ofa-mbv3-w1.0:r=12+16,classes=2,channels=3,scale=0.1"
QUICK = ["--effort", "quick", "--cap", "0.3", "--protocol", "calibration_s=0.05", "-q"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(FILE)


def stored():
    """The super-network and the key of every measurement in the store, each of which is there once."""
    with Store.open("hwnas.db") as store:
        return sorted((row["supernet"], row["key"]) for row in store.measurements())


@pytest.mark.slow
def test_models_are_measured_beside_sub_networks_and_stored_under_their_names(capsys, tmp_path):
    profile = ["profile", TINY, "-c", "min", "--model", "net.py:small", "--model", "net.py:large", "-p", "torch"]
    assert run([*profile, *QUICK, "--json", "found.json", "--html", "page.html"]) == 0
    rows = json.loads((tmp_path / "found.json").read_text())["measurements"]
    assert [row["supernet"] for row in rows] == [hwnas.supernet(TINY).name, "model", "model"]
    assert [row["key"] for row in rows][1:] == ["net.py:small", "net.py:large"]
    assert [row["macs"] for row in rows][1:] == [192 * 8, 192 * 4000]
    assert all(row["latency_ms"]["value"] > 0 for row in rows)
    assert rows[1]["latency_ms"]["value"] < rows[2]["latency_ms"]["value"]
    assert len({json.dumps(row["context"]["anchors"], sort_keys=True) for row in rows}) == 1  # of one batch
    assert "net.py:small" in (tmp_path / "page.html").read_text()
    assert "net.py:large" in capsys.readouterr().out
    assert stored() == sorted((row["supernet"], row["key"]) for row in rows)


@pytest.mark.slow
def test_models_are_measured_alone_from_python(capsys):
    module = torch.nn.Linear(16, 4)
    module.train()
    models = ["net.py:small", hwnas.Fixed(module, torch.rand(1, 16), name="mine")]
    options = {"effort": "quick", "protocol": {"cap_s": 0.3, "calibration_s": 0.05}, "progress": False}
    measured = hwnas.measure(None, None, "torch", models=models, **options)
    assert [one.key for one in measured] == ["net.py:small", "mine"]
    assert all(one.status != "failed" for one in measured)
    assert "mine" in repr(measured[1])
    assert module.training  # as it was
    assert stored() == [("model", "mine"), ("model", "net.py:small")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "torch"], "expected a super-network with --config, or --model"),
        (["-c", "min", "-p", "torch", "--model", "net.py:small"], "--config: expected a super-network before it"),
        ([TINY, "-p", "torch"], "expected --config, like -c min"),
        (["--model", "net.py:small", "--model", "net.py:small", "-p", "torch"], "is given twice"),
        (["--model", "net.py:none", "-p", "torch"], "has no function 'none'"),
        (["--model", "net.py:odd", "-p", "torch"], "does not run on its example inputs"),
        (["--model", "none.onnx", "-p", "torch"], "cannot read the file 'none.onnx'"),
        (["--model", "net.txt", "-p", "torch"], "expected FILE.py:FUNCTION, FILE.onnx or FILE.pt2"),
        (["--model", "net.py:small", "-p", "lut:table=note10"], "cannot run the model 'net.py:small': it looks up"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(capsys, arguments, said):
    assert run(["profile", *arguments]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert said in err
    assert "Traceback" not in err


def test_an_onnx_graph_on_a_platform_that_cannot_run_it_is_refused_with_those_that_can(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    sizes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", sizes[:1], sizes[1:])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    for platform, said in (
        ("torch", "cannot run the model 'net.onnx': an ONNX graph runs on onnxruntime"),
        ("onnxruntime:precision=int8", "is measured in the precision that it has"),
    ):
        with pytest.raises(PlatformError, match=said):
            hwnas.measure(None, None, platform, models=["net.onnx"], progress=False)


def test_what_is_no_model_is_refused():
    for models, said in (
        ([hwnas.Fixed("resnet", torch.rand(1))], "expected a torch module, got a str"),
        ([hwnas.Fixed(torch.nn.Linear(4, 4), torch.rand(1, 5), "odd")], "Fixed 'odd': torch.export cannot export it"),
        ([5], "expected FILE.py:FUNCTION"),
        ([], "expected a super-network with its configs, or models"),
    ):
        with pytest.raises(UsageError, match=said):
            hwnas.measure(None, None, "torch", models=models, progress=False)
    with pytest.raises(UsageError, match="expected a super-network and configs"):
        hwnas.measure(TINY, None, "torch", progress=False)


MODELS = [
    {"key": name, "latency_ms": {"value": value, "ci_low": 1.5, "ci_high": 2.5}, "macs": 7_000_000, "params": 3}
    | {"status": status, "reason": "it broke"}
    for name, value, status in (("a<b>.py:f", 2.0, "unstable"), ("c.onnx", None, "failed"))
]


def test_a_model_is_a_dotted_line_on_the_fronts_whose_axis_is_known_of_it(assets):
    from hwnas.search.report import search_page
    from hwnas.search.report.search_figures import pairs, projection
    from hwnas.search.report.study_view import StudyView

    options = {"objectives": ["latency", "macs", "top1"], "algorithm": "random", "evals": 6, "store": None}
    result = hwnas.search("ofa-mbv3-w1.2", "lut:table=note10", progress=False, **options).to_json()
    plain = StudyView(result)
    assert not any("shapes" in projection(plain, *pair).layout for pair in pairs(plain))
    seen = StudyView(result | {"models": MODELS})
    lines = {}
    for a, b in pairs(seen):
        figure = projection(seen, a, b)
        lines[seen.names[a]] = [one["x0"] for one in figure.layout.get("shapes", ())]
        assert [one["text"] for one in figure.layout.get("annotations", ())][:1] in (["a&lt;b&gt;.py:f"], [])
        assert ("Dotted: a<b>.py:f at" in figure.says) == bool(lines[seen.names[a]])
    assert lines == {"latency": [2.0], "macs": [7.0, 7.0]}
    assert "a&lt;b&gt;.py:f" in search_page(result | {"models": MODELS})


def test_a_model_is_one_line_in_words():
    from hwnas.search.words import model_in_words

    assert [model_in_words(one) for one in MODELS] == [
        "model a<b>.py:f: 2 ms (1.5 to 2.5), unstable, 7.0M MACs",
        "model c.onnx failed: it broke",
    ]


def test_a_model_that_cannot_be_measured_is_refused_before_the_search(capsys, assets):
    search = ["search", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--evals", "3", "-q"]
    assert run([*search, "--model", "net.py:small"]) == 2
    assert "cannot run the model" in " ".join(capsys.readouterr().err.split())
    with Store.open("hwnas.db") as store:
        assert store.studies() == []


@pytest.mark.slow
def test_models_are_measured_when_a_search_has_ended(tmp_path):
    search = ["search", TINY, "-p", "torch", "--objective", "macs", "--evals", "2", "-a", "random"]
    arguments = [one for one in QUICK if one not in {"--effort", "quick"}]
    assert run([*search, "--model", "net.py:small", *arguments, "--json", "found.json", "--html", "page.html"]) == 0
    (model,) = json.loads((tmp_path / "found.json").read_text())["models"]
    assert (model["key"], model["macs"]) == ("net.py:small", 192 * 8)
    assert model["latency_ms"]["value"] > 0


@pytest.mark.slow
def test_models_stay_with_their_study_and_are_joined_by_others_when_it_goes_on(tmp_path):
    options = {
        "objectives": ["macs", "params"],
        "algorithm": "linas",
        "study": "kept",
        "wait_s": 0,
        "protocol": {"cap_s": 0.3, "calibration_s": 0.05},
        "progress": False,
    }
    first = hwnas.search(TINY, "torch", evals=14, models=["net.py:small"], **options)
    assert [one.key for one in first.models] == ["net.py:small"]
    again = hwnas.load_study("kept")
    assert [row["latency_ms"]["value"] for row in again.to_json()["models"]] == [first.models[0].latency_ms]
    assert run(["report", "kept", "--html", "page.html", "-q"]) == 0
    assert "net.py:small" in (tmp_path / "page.html").read_text()
    # It goes on with more evaluations, which stores snapshots anew, and without naming the model again.
    on = hwnas.search(TINY, "torch", evals=20, resume=True, **options)
    assert [one.key for one in on.models] == ["net.py:small"]
    mine = hwnas.Fixed(torch.nn.Linear(16, 4), torch.rand(1, 16), name="mine")
    more = hwnas.search(TINY, "torch", evals=20, resume=True, models=[mine], **options)
    assert [one.key for one in more.models] == ["net.py:small", "mine"]
    assert [one.key for one in hwnas.load_study("kept").models] == ["net.py:small", "mine"]
    assert [one.key for one in hwnas.load_study("kept").evaluations] == [one.key for one in more.evaluations]


def test_an_interruption_while_models_are_measured_leaves_the_study(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hwnas.harness.bench.side_by_side.SideBySide.measure", interrupted)
    options = {"objectives": ["macs", "params"], "algorithm": "random", "evals": 3, "models": ["net.py:small"]}
    with pytest.raises(hwnas.SearchInterrupted, match="has 3 evaluations") as found:
        hwnas.search(TINY, "torch", progress=False, **options)
    assert len(found.value.study.evaluations) == 3
    monkeypatch.setattr("sys.ps1", ">>> ", raising=False)
    assert len(hwnas.search(TINY, "torch", progress=False, **options).evaluations) == 3


def test_models_need_a_platform_and_are_looked_at_before_the_search():
    with pytest.raises(UsageError, match="models: expected a platform to measure them on"):
        hwnas.search(TINY, objectives=["macs", "params"], models=["net.py:small"], store=None, progress=False)
    with pytest.raises(UsageError, match=r"net\.py"):
        hwnas.search(TINY, "torch", objectives=["macs"], models=["net.py:odd"], store=None, progress=False)


@pytest.mark.parametrize("kept", ["text", [{"schema": 1}], [3]])
def test_models_that_are_damaged_in_the_store_are_named(kept):
    options = {"objectives": ["macs", "params"], "algorithm": "random", "evals": 3, "progress": False}
    hwnas.search(TINY, study="kept", **options)
    with Store.open("hwnas.db") as store:
        store.put_snapshot(store.study("kept"), {"models": kept})
    with pytest.raises(StoreError, match="damaged"):
        hwnas.load_study("kept")
