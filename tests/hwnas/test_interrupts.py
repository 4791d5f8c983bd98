"""Commands that are interrupted, terminated, or whose reader is gone."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import typer
from plug_in import PATHS

from hwnas.cli import run
from hwnas.cli.interrupts import Interrupted, Interrupts, going_on
from hwnas.supernets.training.interruption import put_off

HWNAS = [sys.executable, "-m", "hwnas"]
OBJECTIVES = ["--objective", "latency", "--objective", "params", "-q"]
SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start commands in a folder of their own; their temporary files go to its folder ``temporary``."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*PATHS, *sys.path]),
        "TMPDIR": str(tmp_path / "temporary"),
        "COLUMNS": "80",
    }
    begun = []

    def starter(*command, **options):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        process = subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)
        begun.append(process)
        return process

    yield starter
    for process in begun:
        process.kill()
        process.communicate()


def until(condition, process, within_s=60):
    deadline = time.monotonic() + within_s
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes):
    _, left = psutil.wait_procs(processes, timeout=5)
    return not [one for one in left if one.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_search_ends_and_says_how_it_goes_on(start, tmp_path, number):
    command = ["search", "toy:layers=3", "-p", "scripted-device:us=400", *OBJECTIVES, "-a", "random", "--evals", "6"]
    command += ["--final-front", "0"]
    process = start(*HWNAS, *command)
    until(lambda: family(process), process)
    time.sleep(0.5)
    children = family(process)
    # As a terminal does: to everybody.
    os.killpg(process.pid, number)
    said = process.communicate(timeout=15)[1]
    assert process.returncode == SIGNALS[number], said
    assert gone(children)
    assert list((tmp_path / "temporary").iterdir()) == []
    assert "Traceback" not in said
    (how,) = (line for line in said.splitlines() if line.startswith("to go on: "))
    again = shlex.split(how.removeprefix("to go on: "))
    assert again == ["hwnas", *command, "--study", "toy-random-1", "--resume"]
    assert start(*HWNAS, *again[1:]).wait(120) == 0


@pytest.mark.slow
def test_a_comparison_ends_with_its_processes(start):
    command = [
        "compare",
        "toy:layers=6",
        "-p",
        "scripted",
        "--objective",
        "params",
        "--objective",
        "macs",
        "--seeds",
        "4",
    ]
    process = start(*HWNAS, *command, "--algorithms", "nsga2,random", "--evals", "100000", "-q")
    until(lambda: len(family(process)) > 2, process)  # two, and what keeps account of semaphores
    children = family(process)
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=15)[1]
    assert process.returncode == 130, said
    assert gone(children)
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_scheduler_is_terminated(start, tmp_path):
    process = start(*HWNAS, "farm", "scheduler", "--port", "0")
    assert process.stderr.readline().startswith("listening on")
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=15)[1].splitlines() == ["terminated"]
    assert process.returncode == 143
    assert list((tmp_path / "temporary").iterdir()) == []


# --- the signals themselves -------------------------------------------------------------------------------------------

STUBBORN = """
import sys, time
from hwnas.cli import interrupts
interrupts.PATIENCE_S = 0.5
with interrupts.Interrupts(["search", "--store", "postgresql://me:pw@host/db"]) as guard:
    guard.note_saved("all is kept", "--resume")
    try:
        print("ready", flush=True)
        time.sleep(60)
    except interrupts.Interrupted:
        print("ending", flush=True)
        time.sleep(60)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_command_that_does_not_end_is_ended_with_the_same_words(start, number):
    process = start(sys.executable, "-c", STUBBORN)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.readline() == "ending\n"
    process.send_signal(signal.SIGINT)  # once more: it is ending already
    said = process.communicate(timeout=15)[1].splitlines()
    assert process.returncode == SIGNALS[number]
    assert said[0].endswith("; all is kept")
    assert said[1] == "to go on: hwnas search --store URL --resume"
    assert len(said) == 2


def interrupts_here():
    """Return what handles signals in this process, which a pause of the machine must not end with all of its tests."""
    return Interrupts([], end=lambda _: None)


def test_the_first_signal_interrupts_and_the_second_is_passed_over():
    before = [signal.getsignal(number) for number in SIGNALS]
    with interrupts_here():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGTERM)
        for number in SIGNALS:
            os.kill(os.getpid(), number)
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_was_switched_off_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_here():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_signals_are_left_alone():
    before = [signal.getsignal(number) for number in SIGNALS]
    seen = []

    def inside():
        with interrupts_here():
            seen.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == before


@pytest.mark.parametrize(
    ("given", "more", "expected"),
    [
        (["search", "net"], ["--study", "a b", "--resume"], "search net --study a b --resume"),
        (["search", "--study=a", "--resume"], ["--study", "a", "--resume"], "search --study=a --resume"),
        (["search", "--study", "a"], ["--study", "a", "--resume"], "search --study a --resume"),
        (["profile", "net", "--store", "my.db"], [], "profile net --store my.db"),
        (["profile", "--store=sqlite:///my.db"], [], "profile --store=sqlite:///my.db"),
        (["profile", "--store", "postgresql+psycopg://u:p@h/d", "-q"], [], "profile --store URL -q"),
        (["profile", "--store=postgresql://h/d?password=p"], [], "profile --store=URL"),
    ],
)
def test_the_command_that_goes_on(given, more, expected):
    assert " ".join(going_on(given, more)) == expected


def test_a_step_is_done_before_a_signal_is_heard():
    done = []

    def step():
        with put_off():
            for number in SIGNALS:
                os.kill(os.getpid(), number)
            done.append("step")

    with interrupts_here(), pytest.raises(Interrupted, match="SIGINT"):
        step()
    assert done == ["step"]


def test_in_other_threads_a_step_is_a_step():
    done = []

    def step():
        with put_off():
            done.append("step")

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert done == ["step"]


# --- a reader that has seen enough ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("command", [["backends"], ["algorithms", "--json", "-"], ["--help"]])
def test_a_reader_that_is_gone_is_no_error(start, command):
    read, write = os.pipe()
    os.close(read)
    process = start(*HWNAS, *command, stdout=write)
    os.close(write)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_another_broken_pipe_is_an_error(monkeypatch):
    def broken():
        raise BrokenPipeError

    app = typer.Typer()
    app.command()(broken)
    monkeypatch.setattr("hwnas.cli.build_app", lambda: app)
    with pytest.raises(BrokenPipeError):
        run([])


# --- kills at any moment ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_searches_leave_nothing_and_measure_nothing_again(start, tmp_path):
    """``scripts/kill_study.py`` does this at length, on a real backend."""
    script = Path(__file__).parents[2] / "scripts" / "kill_study.py"
    options = ["--net", "toy:layers=3", "--platform", "scripted-device:us=300", "--evals", "6", "--kills", "3"]
    process = start(sys.executable, str(script), *options, "--longest", "12", "--at-once")
    said, seen = process.communicate(timeout=240)
    assert process.returncode == 0, seen
    report = json.loads(said)
    assert report["kills"] == 3
    assert set(report["worst"].values()) == {0}
