"""``--protocol``, ``--cap`` and ``[protocol]`` of ``hwnas.toml``: the timing protocol of whatever measures."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.cli import run
from hwnas.cli.options import wait_s
from hwnas.harness.host.load import Process, Reading
from hwnas.harness.measurement.protocol import profile

BRIEF = ["rounds=2", "check_every=1", "interval=10", "steady=10", "tau=-1", "warmup_s=0", "samples=1",
         "calibration_s=0.05"]  # fmt: skip
PROTOCOL = [part for number in BRIEF for part in ("--protocol", number)]
COMMANDS = [
    ["profile", "toy", "-c", "min", "-p", "scripted"],
    ["search", "toy", "-p", "scripted"],
    ["transfer", "toy", "-p", "scripted", "-p", "scripted:batch=2"],
    ["compare", "toy", "-p", "scripted"],
    ["lut", "build", "toy", "-p", "scripted", "-o", "table.yaml"],
    ["lut", "check", "table.yaml"],
]

pytestmark = pytest.mark.usefixtures("scripted")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command runs in an empty directory of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[:2]))
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--protocol", "caps=5"], "did you mean 'cap_s'?"),
        (["--protocol", "nosy"], "did you mean 'noisy'?"),
        (["--cap", "nan"], "cap_s: expected a finite number"),
        (["--cap", "5", "--protocol", "cap_s=5"], "cap_s is given twice"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(command, options, words, capsys):
    assert run([*command, *options]) == 2
    assert words in capsys.readouterr().err
    assert not Path("hwnas.db").exists()


@pytest.mark.slow
def test_a_profile_is_measured_as_asked(capsys):
    """What the command line says comes before what the file says, and the rest is a calibration's."""
    Path("hwnas.toml").write_text("[protocol]\ncap_s = 0.2\nvisit_runs = 7\n")
    command = ["profile", "toy", "-c", "min", "-p", "scripted", "--json", "-", "-q", "--store", "sqlite://"]
    assert run([*command, "--cap", "0.3", *PROTOCOL]) == 0
    (row,) = json.loads(capsys.readouterr().out)["measurements"]
    made = row["protocol"]
    asked = {name: float(value) for name, value in (number.split("=") for number in BRIEF)}
    assert made.pop("version")
    assert made == vars(profile(made["profile"], **asked, cap_s=0.3, visit_runs=7))


@pytest.mark.slow
def test_a_study_keeps_what_was_asked_of_the_protocol(capsys):
    command = ["search", "toy", "-p", "scripted:us=20", "--objective", "latency", "--objective", "macs", "-a", "random",
               "--evals", "2", "--study", "s", "-q", *PROTOCOL]  # fmt: skip
    assert run([*command, "--json", "study.json"]) == 0
    assert json.loads(Path("study.json").read_text())["settings"]["protocol"]["rounds"] == 2
    assert run([*command, "--resume", "--cap", "4"]) == 2
    assert "study 's' cannot be resumed with other settings (protocol was {" in capsys.readouterr().err
    assert run([*command[: -len(PROTOCOL)], "--resume"]) == 2
    assert "is None); give the same ones" in capsys.readouterr().err
    assert run([*command, "--resume"]) == 0


# --- waiting for calm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command[:2]))
@pytest.mark.parametrize("given", ["-1", "nan", "inf", "soon"])
def test_a_wait_that_is_no_time_is_refused(command, given, capsys):
    assert run([*command, "--wait", given]) == 2
    assert "wait" in capsys.readouterr().err
    assert not Path("hwnas.db").exists()


def test_it_waits_by_itself_only_for_somebody_at_a_terminal(monkeypatch):
    assert wait_s(None) == 0.0
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert (wait_s(None), wait_s(0.0), wait_s(2.5)) == (30.0, 0.0, 2.5)


@pytest.mark.slow
@pytest.mark.parametrize("command", [COMMANDS[0], [*COMMANDS[1], "--objective", "latency", "--objective", "macs"]])
def test_who_measures_is_told_before(command, monkeypatch, capsys):
    """A load that does not end: the command says so, waits no longer than asked, and marks what it measured."""
    now = time.monotonic
    stress = {(1, 7): Process("stress", 0, 0.0, 0.0)}

    def read():
        processes = {key: replace(one, own_s=2 * now()) for key, one in stress.items()}
        return Reading(now(), {cpu: now() for cpu in os.sched_getaffinity(0)}, processes)

    monkeypatch.setattr("hwnas.harness.host.load.read", read)
    more = ["--evals", "2", "-a", "random"] if command[0] == "search" else []
    assert run([*command, *more, *PROTOCOL, "--wait", "0.2", "--json", "found.json", "--store", "sqlite://"]) == 0
    said = capsys.readouterr().err
    assert said.index("waiting up to 0.2 s for calm") < said.index("is marked, and not used again")
    assert "CPUs busy: stress (process 1, 200 % of a CPU)" in said
    assert " measured while other programs (stress) kept up to 100 % of the CPUs busy" in said
    found = json.loads(Path("found.json").read_text())
    rows = found.get("measurements") or found["evaluations"]
    loads = [row.get("load") or row["context"]["load"] for row in rows]
    assert all(load == {"busy": 1.0, "programs": [{"name": "stress", "cpus": 2.0}]} for load in loads)


@pytest.mark.parametrize(
    "command",
    [
        ["profile", "NET", "-c", "min"],
        ["search", "NET"],
        ["transfer", "NET"],
        ["compare", "NET"],
        ["lut", "build", "NET"],
    ],
)
@pytest.mark.parametrize(
    "wrong", [["-p", "onnx"], ["-p", "torch", "--protocol", "cap=3"], ["-p", "torch", "--wait", "inf"]]
)
def test_what_is_misspelled_is_refused_before_a_super_network_is_made(command, wrong, capsys, monkeypatch, tmp_path):
    """Making one of a model of the user's own may take longer than reading the rest of the line."""

    def made(name):
        raise AssertionError(f"{name} was made")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hwnas.supernets.get", made)
    output = ["-o", "table.yaml"] if command[0] == "lut" else []
    assert run([*command, *wrong, *output]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []
