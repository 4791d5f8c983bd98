"""Whole runs from the command line: determinism, an interrupted search on a real backend, the pages."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from hwnas.cli import run
from hwnas.harness.store import Store
from hwnas.supernets.errors import StoreError

pytestmark = pytest.mark.slow

HWNAS = [sys.executable, "-m", "hwnas"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in an empty directory of its own, and waits for no other program's measurements."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def published(assets, monkeypatch):
    """Commands find the published data although they run elsewhere."""
    monkeypatch.setenv("HWNAS_ASSETS", str(assets))


def search(*more, hash_seed):
    where = ["ofa-mbv3-w1.2", "-p", "lut:table=note10", "--quality", "ofa-predictor", "--study", "mine"]
    command = [*HWNAS, "search", *where, "--algorithm", "linas", "--seed", "0", "--json", "-", "--quiet", *more]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


@pytest.fixture(scope="module")
def mine(assets, tmp_path_factory):
    """A search and the store that it is in."""
    store = tmp_path_factory.mktemp("mine") / "mine.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWNAS_ASSETS", str(assets))
        return search("--evals", "24", "--store", str(store), hash_seed="1"), store


def test_the_same_search_under_any_hash_seed(published, mine):
    first, second = mine[0], search("--evals", "24", hash_seed="2")
    keys = [evaluation["key"] for evaluation in first["evaluations"]]
    assert len(set(keys)) == len(keys) == 24
    assert keys == [evaluation["key"] for evaluation in second["evaluations"]]
    values = [[one["objectives"] for one in found["evaluations"]] for found in (first, second)]
    assert values[0] == values[1]
    assert first["front"] == second["front"]
    assert first["hypervolume"] == second["hypervolume"]


def test_json_of_a_search_is_the_contracts(mine):
    found, _ = mine
    assert found["schema"] == 1
    assert (found["study"], found["supernet"], found["platform"]) == ("mine", "ofa-mbv3-w1.2", "lut:table=note10")
    assert (found["algorithm"], found["seed"]) == ("linas", 0)
    assert [tuple(one.values()) for one in found["objectives"]] == [("latency", "ms", False), ("top1", "%", True)]
    assert {"index", "iteration", "config", "objectives", "status"} <= set(found["evaluations"][0])
    assert {"value", "reference"} <= set(found["hypervolume"])
    assert {"measure", "search", "total"} <= set(found["time_s"])
    rows = {one["index"]: one["objectives"] for one in found["evaluations"]}
    for index in found["front"]:
        mine = rows[index]
        assert not any(o["latency"] < mine["latency"] and o["top1"] >= mine["top1"] for o in rows.values())


# The cheapest real search: small images, one thread, two counts as objectives beside nothing predicted.
REAL = ["search", "ofa-mbv3-w1.0:r=28,classes=10,channels=1,scale=0.25", "-p", "onnxruntime:threads=1"]
REAL += ["--objective", "latency", "--objective", "macs", "--cap", "0.8"]
REAL += ["--algorithm", "nsga2", "--evals", "10", "--final-front", "3", "--study", "real", "--quiet"]


def stored(store="hwnas.db"):
    try:
        with Store.open(store, create=False) as kept:
            record = kept.study("real")
            evaluations = kept.evaluations(record) if record else []
            return kept.measurements(samples=False), evaluations
    except StoreError:  # it is not there yet
        return [], []


def test_killed_in_the_middle_nothing_is_lost_or_measured_again(elsewhere):
    process = subprocess.Popen(
        [*HWNAS, *REAL], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        # How long that takes says how busy the machine is; the time limit of tests ends what never comes.
        while len(stored()[0]) < 3 and process.poll() is None:
            time.sleep(0.2)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    measured, evaluated = stored()
    assert measured, "nothing was stored before the kill"
    assert run([*REAL, "--resume", "--json", "out.json"]) == 0
    found = json.loads((elsewhere / "out.json").read_text())
    keys = [one["key"] for one in found["evaluations"]]
    assert len(set(keys)) == len(keys) == 10
    after, _ = stored()
    brief = [row for row in after if "quick" in row["protocol"]]
    assert sorted(row["key"] for row in brief) == sorted(keys)  # each measured once, the early ones too
    final = [one["key"] for one in found["evaluations"] if "while_searching" in one]
    assert sorted(row["key"] for row in after if row not in brief) == sorted(final)  # and the front once more, in full
    assert final
    assert {row["id"] for row in measured} <= {row["id"] for row in after}
    early = {row["key"]: row["latency_s"] for row in measured if "quick" in row["protocol"]}
    seen = {one["key"]: one.get("while_searching", one["objectives"]) for one in found["evaluations"]}
    values = {key: one["latency"] for key, one in seen.items()}
    assert {key: values[key] / 1e3 for key in early} == pytest.approx(early)
    assert [one["key"] for one in evaluated] == keys[: len(evaluated)]


def test_profile_reports_and_exports(elsewhere, capsys):
    arguments = ["profile", "ofa-mbv3-w1.0:r=128", "-c", "min", "-c", "random:3", "-p", "onnxruntime", "--quiet"]
    arguments += ["--effort", "quick"]
    files = ["--json", "p.json", "--html", "p.html", "--pytest-benchmark", "b.json", "--samples"]
    assert run([*arguments, *files]) == 0
    assert "onnxruntime:threads=1" in capsys.readouterr().out
    found = json.loads((elsewhere / "p.json").read_text())
    assert found["schema"] == 1
    assert found["environment"]["allowed_cpus"] >= 1
    for row in found["measurements"]:
        latency = row["latency_ms"]
        assert row["status"] in {"ok", "unstable"}
        assert bool(row["reason"]) == (row["status"] == "unstable")
        assert latency["min"] <= latency["p10"] <= latency["median"] <= latency["p90"]
        assert latency["ci_low"] <= latency["value"] <= latency["ci_high"]
        assert latency["n"] == len(row["samples_ms"])
        assert row["throughput_per_s"] == pytest.approx(1e3 / latency["value"])
        assert row["threads_verified"] is True
        assert row["prepare_s"] > 0
        assert row["first_inference_ms"] > 0
    smallest, other = found["measurements"]
    assert smallest["latency_ms"]["value"] < other["latency_ms"]["value"]
    assert smallest["macs"] < other["macs"]
    page = (elsewhere / "p.html").read_text()
    assert "How fast, and how sure" in page
    assert "http://" not in page.split('id="plotly"')[0]
    benchmarks = json.loads((elsewhere / "b.json").read_text())["benchmarks"]
    assert [one["stats"]["rounds"] for one in benchmarks] == [row["latency_ms"]["n"] for row in found["measurements"]]


def test_report_export_and_the_csv_as_a_platform(published, elsewhere, mine, capsys):
    found, store = mine
    kept = ["--store", str(store)]
    assert run(["report", "mine", "--html", "mine.html", *kept]) == 0
    assert "mine" in (elsewhere / "mine.html").read_text()
    assert run(["export", "mine", "--csv", "mine.csv", *kept]) == 0
    assert run(["studies", "--json", "-", *kept]) == 0
    assert json.loads(capsys.readouterr().out)["studies"][0]["evaluations"] == 24
    (elsewhere / "all.json").write_text(json.dumps([one["config"] for one in found["evaluations"]]))
    table = "table:file=mine.csv,column=latency_ms"
    assert run(["profile", "ofa-mbv3-w1.2", "-c", "all.json", "-p", table, "--json", "p.json"]) == 0
    rows = json.loads((elsewhere / "p.json").read_text())["measurements"]
    assert {row["latency_ms"]["statistic"] for row in rows} == {"table"}
    expected = [one["objectives"]["latency"] for one in found["evaluations"]]
    assert [row["latency_ms"]["value"] for row in rows] == pytest.approx(expected)


def test_published_latencies_of_the_smallest_and_largest(published, elsewhere):
    assert (
        run(["profile", "ofa-mbv3-w1.2", "-c", "min", "-c", "max", "-p", "lut:table=note10", "--json", "p.json"]) == 0
    )
    rows = json.loads((elsewhere / "p.json").read_text())["measurements"]
    assert [round(row["latency_ms"]["value"], 3) for row in rows] == [17.769, 92.398]


def test_transfer_between_two_tables(published, assets, elsewhere, capsys):
    tables = ["-p", "lut:table=note10", "-p", "lut:file=half.yaml"]
    whole = (assets / "ofa/note10/224_lookup_table.yaml").read_text()
    halved = re.sub(r"mean: ([\d.]+)", lambda mean: f"mean: {float(mean[1]) / 2}", whole)
    (elsewhere / "half.yaml").write_text(halved)
    arguments = ["transfer", "ofa-mbv3-w1.2", *tables, "--evals", "12", "--algorithm", "random", "--quiet"]
    assert run([*arguments, "--json", "t.json", "--html", "t.html"]) == 0
    assert "search once" in capsys.readouterr().out
    found = json.loads((elsewhere / "t.json").read_text())
    assert found["platforms"] == ["lut:table=note10", "lut:file=half.yaml"]
    assert found["kendall_tau"] == [[1.0, pytest.approx(1.0)], [pytest.approx(1.0), 1.0]]
    assert found["hypervolume_ratio"][0][0] == pytest.approx(1)
    assert found["n_shared"] > 12
    assert (elsewhere / "t.html").stat().st_size < 10e6


def test_compare_on_a_table(published, elsewhere, capsys):
    arguments = ["compare", "ofa-mbv3-w1.2", "-p", "lut:table=note10", "--algorithms", "random,nsga2", "--evals", "12"]
    assert run([*arguments, "--seeds", "2", "--json", "c.json", "--html", "c.html", "--quiet"]) == 0
    assert "random" in capsys.readouterr().out
    found = json.loads((elsewhere / "c.json").read_text())
    assert [one["name"] for one in found["algorithms"]] == ["random", "nsga2"]
    assert all(len(one["mean"]) == 12 for one in found["algorithms"])
