"""The command line as a user meets it: exit codes, messages, where output goes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from hwnas import supernets
from hwnas.cli import run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in an empty directory of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(elsewhere):
    """A measured table of the smallest and largest sub-networks of width 1.0."""
    space = supernets.get("ofa-mbv3-w1.0").space
    with (elsewhere / "measured.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["config", "latency_ms", "top1"])
        for number, config in enumerate(space.decode(space.sample(30, 0))):
            writer.writerow([json.dumps(config), 10 + number, 70 + number / 10])
    return "measured.csv"


SEARCH = ["search", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--evals", "5"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["profile", "ofa-mbv3-w1.1", "-c", "min", "-p", "torch"], "did you mean 'ofa-mbv3-w1."),
        (["profile", "ofa-mbv3-w1.0", "-c", "min", "-p", "torch:thread=1"], "threads"),
        (["profile", "ofa-mbv3-w1.0", "-c", "min", "-p", "torhc"], "did you mean 'torch'"),
        (["profile", "ofa-mbv3-w1.0", "-c", "min", "-p", "torch:threads=4096"], "threads"),
        (["profile", "ofa-mbv3-w1.0", "-c", "min", "-p", "torch:threads=0"], "threads"),
        (
            ["profile", "ofa-mbv3-w1.0", "-c", '{"ks": [3], "e": [3], "d": [2]}', "-p", "torch"],
            "ks: expected 20 values",
        ),
        (["profile", "ofa-mbv3-w1.0", "-c", "bad.json", "-p", "torch"], r"ks[3]: expected one of {3, 5, 7}, got 4"),
        (["profile", "ofa-mbv3-w1.0", "-c", "{not json", "-p", "torch"], "is not JSON"),
        (["profile", "ofa-mbv3-w1.0", "-c", "smallest", "-p", "torch"], "expected min, max, random:SEED"),
        (["profile", "ofa-mbv3-w1.0", "-c", "random:x", "-p", "torch"], "random:SEED"),
        (["profile", "ofa-mbv3-w1.0", "-c", "missing.json", "-p", "torch"], "missing.json"),
        (["profile", "ofa-mbv3-w1.0", "-c", "min", "-p", "torch", "--json", "no/such/dir.json"], "no directory"),
        (
            ["search", "ofa-mbv3-w1.0", "-p", "lut:file=empty.yaml", "--evals", "5"],
            "has no block expanded_conv-input:112x112x16",
        ),
        (["search", "ofa-mbv3-w1.0", "-p", "table:file=measured.csv,column=v100_ms"], "latency_ms"),
        (["search", "ofa-mbv3-w1.0", "-p", "table:file=measured.csv,column=latency_ms", "--evals", "0"], "--evals"),
        (
            ["search", "ofa-mbv3-w1.0", "-p", "lut:table=note11"],
            "expected one of jetson-cpu, jetson-gpu, note10, got 'note11'",
        ),
        ([*SEARCH, "--algorithm", "linass"], "did you mean 'linas'"),
        ([*SEARCH, "--quality", "surogate"], "did you mean 'surrogate'"),
        ([*SEARCH, "--objective", "latencyy"], "did you mean 'latency'"),
        ([*SEARCH, "--constraint", "latency<=20parsecs"], "ms"),
        ([*SEARCH, "--constraint", "latency<=inf"], "expected NAME<=NUMBER"),
        (
            [*SEARCH, "--reference", "latency=inf", "--reference", "top1=50"],
            "expected a finite number above 0, got",
        ),
        ([*SEARCH, "--reference", "latency=-1", "--reference", "top1=50"], "expected a finite number above 0, got"),
        ([*SEARCH, "--reference", "latency=90", "--reference", "top1=nan"], "top1: expected a finite number, got nan"),
        ([*SEARCH, "--target", "nan"], "target hypervolume: expected a positive number, got nan"),
        ([*SEARCH, "--target", "inf"], "target hypervolume: expected a positive number, got inf"),
        ([*SEARCH, "--store", "no/such/dir/hwnas.db"], "no/such/dir"),
        ([*SEARCH, "--resume"], "leave out resume (--resume) to begin one"),
        ([*SEARCH, "--resume", "--study", "never-begun"], "never-begun"),
        (["transfer", "ofa-mbv3-w1.2", "-p", "lut:table=note10"], "two platforms"),
        (["search", "ofa-mbv3-w1.2"], "latency needs a platform (-p): expected one like"),
        (["compare", "ofa-mbv3-w1.2", "--objective", "latency"], "latency needs a platform (-p): expected one like"),
        (
            ["search", "ofa-mbv3-w1.2", "--objective", "macs", "--model", "mine.onnx"],
            "--model: expected a platform to measure it on, like -p",
        ),
        (
            [*SEARCH, "-p", "lut:table=note11"],
            "2 times, and takes one value; hwnas profile measures on several platforms, hwnas transfer searches on",
        ),
        (["compare", *SEARCH[1:], "--platform=torch"], "--platform is given 2 times, and takes one value; hwnas"),
        ([*SEARCH, "--evals", "6"], "--evals is given 2 times, and takes one value"),
        ([*SEARCH, "-a", "nsga2", "--algorithm", "random"], "hwnas compare runs several algorithms"),
        (["lut", "show", "note10", "-r", "160", "-r", "192"], "--resolution is given 2 times"),
        (["train", "ncf", "--progressive", "--at-once"], "--progressive/--at-once is given 2 times"),
        ([*SEARCH, "--reference", "latency=90", "--reference", "latency=80"], "reference: latency is given twice"),
        (["serch"], "Did you mean 'search'"),
        (["search", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--eval", "5"], "--evals"),
        (["lut", "show", "nothing.yaml"], "nothing.yaml"),
        (["lut", "show", "note1"], "neither a file nor a published table; did you mean 'note10'?"),
        (["lut", "show", "note10", "-r", "999"], "note10: has no table at r=999; there is one at each of 160, 164"),
        (["predictors", "ofa-mbv3-w1.0", "--kinds", "rigde"], "did you mean 'ridge'"),
        (["predictors", "ofa-mbv3-w1.0", "--kinds", "hierarchical"], "did you mean 'gp-hierarchical'"),
        (["predictors", "ofa-mbv3-w1.0", "--sizes", "ten"], "like 100,200,400"),
        (
            ["predictors", "ofa-mbv3-w1.0", "--data", "measured.csv", "--sizes", "1000"],
            "needs 1000 examples for training",
        ),
        ([*SEARCH, "--json", "same", "--html", "./same"], "--html './same': --json goes there too"),
        ([*SEARCH, "--json", "-", "--html", "-"], "--html '-': --json goes there too"),
        (
            ["search", "ncf", "-p", "torch:threads=1"],
            "no quality is given (--quality), so it is that of ncf: hit-rate: expected hit-rate:PREFIX",
        ),
        (["measurements", "--prune"], "name what to delete"),
        (["measurements", "--store", "nowhere.db"], "nowhere.db"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_wrong_arguments_exit_with_2_and_say_what_is_right(arguments, message, elsewhere, table, capsys):
    (elsewhere / "bad.json").write_text(json.dumps({"ks": [3, 3, 3, 4] * 5, "e": [3] * 20, "d": [2] * 5}))
    (elsewhere / "empty.yaml").write_text("Conv-input:224x224x3-output:112x112x16:\n  count: 1\n  mean: 1.0\n")
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in " ".join(err.split())
    assert "Traceback" not in err


def test_what_asks_for_no_latency_needs_no_platform(elsewhere, capsys):
    objectives = ["--objective", "macs", "--objective", "params"]
    assert run(["search", "ncf", *objectives, "--evals", "8", "--json", "found.json", "--html", "front.html"]) == 0
    assert json.loads((elsewhere / "found.json").read_text())["platform"] is None
    assert run(["studies"]) == 0
    assert "None" not in capsys.readouterr().out
    known = ["--algorithm", "random", "--transfer-from", "known"]
    assert run(["search", "ncf", *objectives, "--evals", "8", *known]) == 2
    assert "no study of ncf with 8 evaluations of an objective of this search" in " ".join(
        capsys.readouterr().err.split()
    )


def test_help_and_version(capsys):
    assert run(["--help"]) == 0
    assert "profile" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hwnas ")


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom hwnas.cli import run\nrun(['--help'])\n"
        "heavy = {'torch', 'onnx', 'onnxruntime', 'openvino', 'sklearn', 'pymoo', 'plotly', 'sqlalchemy', 'scipy'}\n"
        "heavy |= {'numpy', 'pydantic', 'jinja2', 'psutil'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("command", ["algorithms", "backends", "platforms", "supernets"])
def test_listings(command, capsys):
    assert run([command]) == 0
    assert capsys.readouterr().out
    assert run([command, "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)[command]
    assert rows


@pytest.mark.slow
def test_search_on_a_measured_table(table, capsys):
    arguments = [
        "search",
        "ofa-mbv3-w1.0",
        "-p",
        f"table:file={table},column=latency_ms",
        "--quality",
        f"table:{table}",
    ]
    assert run([*arguments, "--algorithm", "random", "--evals", "5", "--json", "-"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "sub-networks, and a search proposes others; search what knows all of them" in said


def test_predictors(capsys, elsewhere):
    arguments = ["predictors", "ofa-mbv3-w1.0", "--kinds", "ridge,svr-rbf", "--sizes", "50,100", "--test", "100"]
    assert run([*arguments, "--trials", "2", "--json", "p.json", "--html", "p.html", "--quiet"]) == 0
    assert "svr-rbf" in capsys.readouterr().out
    found = json.loads((elsewhere / "p.json").read_text())
    assert [one["kind"] for one in found["predictors"]] == ["ridge", "svr-rbf"]
    assert all(len(one["tau"]) == 2 for one in found["predictors"])
    assert "With 100 examples, " in (elsewhere / "p.html").read_text()


def test_predictors_learn_the_rows_of_a_measured_table(capsys, elsewhere):
    """All 90 rows are used, and the process that searches use is among the kinds."""
    net = supernets.get("ofa-mbv3-w1.0")
    X = np.unique(net.space.canonical(net.space.sample(90, 0)), axis=0)
    with (elsewhere / "measured.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["config", "latency_ms"])
        writer.writerows(
            [json.dumps(config), macs / 1e6] for config, macs in zip(net.space.decode(X), net.macs(X), strict=True)
        )
    arguments = ["predictors", net.name, "-p", "table:file=measured.csv", "--kinds", "ridge,gp-hierarchical"]
    assert run([*arguments, "--trials", "1", "--json", "p.json"]) == 0
    out, err = capsys.readouterr()
    assert "30 held out" in err
    assert "gp-hierarchical" in out
    found = json.loads((elsewhere / "p.json").read_text())
    assert (found["target"], found["n_test"], found["sizes"]) == ("latency (ms)", 30, [60])
    taus = {one["kind"]: one["tau"][0][0] for one in found["predictors"]}
    assert taus["gp-hierarchical"] > max(0.85, taus["ridge"])


def test_predictors_of_a_table_that_is_too_small_say_how_many_there_are(capsys, elsewhere):
    net = supernets.get("ofa-mbv3-w1.0")
    config = json.dumps(net.space.decode(net.space.smallest())[0]).replace('"', '""')
    (elsewhere / "one.csv").write_text(f'config,latency_ms\n"{config}",3.0\n')
    assert run(["predictors", net.name, "-p", "table:file=one.csv"]) == 2
    assert "got 1 in all" in capsys.readouterr().err


@pytest.mark.filterwarnings("error")
def test_predictors_of_what_is_the_same_for_all_have_no_rank_correlation(capsys, elsewhere):
    net = supernets.get("ncf")
    configs = (json.dumps(config).replace('"', '""') for config in net.space.decode(net.space.sample(30, seed=0)))
    (elsewhere / "same.csv").write_text("config,top1\n" + "".join(f'"{config}",50.0\n' for config in configs))
    arguments = ["predictors", net.name, "--data", "same.csv", "--kinds", "ridge", "--sizes", "10", "--test", "5"]
    assert run([*arguments, "--trials", "2", "--html", "page.html", "--json", "same.json"]) == 0
    assert "0.000, \N{EN DASH}" in capsys.readouterr().out
    assert json.loads((elsewhere / "same.json").read_text())["predictors"][0]["tau"] == [[None, None]]
    assert "ranks best" not in (elsewhere / "page.html").read_text()


def test_lut_show(assets, monkeypatch, capsys):
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))
    assert run(["lut", "show"]) == 0
    assert "note10" in capsys.readouterr().out
    assert run(["lut", "show", "note10", "-r", "160"]) == 0
    assert "Logits-input:1x1x1536-output:1000" in capsys.readouterr().out
    assert run(["lut", "fetch", "note10"]) == 0


def test_lut_show_of_a_table_without_variances_has_no_nan(elsewhere, capsys):
    (elsewhere / "plain.yaml").write_text("Conv-input:224x224x3-output:112x112x16:\n  count: 1\n  mean: 1.0\n")
    assert run(["lut", "show", "plain.yaml"]) == 0
    out = capsys.readouterr().out
    assert "1.0000" in out
    assert "nan" not in out


def test_algorithms_of_one_number_of_objectives_say_that_number(capsys):
    assert run(["algorithms"]) == 0
    rows = {words[0]: words[1:] for line in capsys.readouterr().out.splitlines() if (words := line.split())}
    assert rows["ga"][:2] == ["1", "a"]
    assert rows["exact"][:3] == ["1", "to", "2"]
    assert rows["linas"][:3] == ["1", "or", "more"]


@pytest.mark.parametrize("arguments", [SEARCH, ["predictors", "ofa-mbv3-w1.2", "-p", "lut:table=note10"]], ids=" ".join)
def test_the_page_that_was_written_is_named(arguments, assets, monkeypatch, capsys):
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))
    fast = ["--kinds", "ridge", "--sizes", "10", "--test", "5", "--trials", "1"] if arguments[0] == "predictors" else []
    assert run([*arguments, *fast, "--html", "a page.html"]) == 0
    assert "page: a page.html" in capsys.readouterr().err


def test_a_command_that_is_printed_can_be_pasted(assets, monkeypatch, capsys):
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))
    assert run([*SEARCH, "--study", "my study", "--json", "/dev/full"]) == 1
    said = capsys.readouterr().err
    assert "hwnas export 'my study' --store hwnas.db --csv FILE" in said
    assert "--study 'my study' --resume" in said


def test_a_comparison_in_which_nothing_meets_the_constraints_says_so(assets, monkeypatch, capsys, elsewhere):
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))
    arguments = ["compare", *SEARCH[1:], "--algorithms", "random", "--seeds", "1", "--constraint", "latency<=1ms"]
    assert run([*arguments, "--html", "page.html"]) == 1
    assert "no search found a sub-network that meets latency<=1ms" in capsys.readouterr().err
    assert "No search found a sub-network that meets latency&lt;=1ms." in (elsewhere / "page.html").read_text()
    assert run([*arguments, "--quiet"]) == 1
    assert capsys.readouterr().err == "no search found a sub-network that meets latency<=1ms\n"


def test_environment(capsys):
    assert run(["environment"]) == 0
    assert "allowed cpus" in capsys.readouterr().out
    assert run(["environment", "--json", "-"]) == 0
    assert {"environment", "warnings", "fingerprint"} <= set(json.loads(capsys.readouterr().out))
