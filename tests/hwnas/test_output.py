"""Where results go: standard streams in any state, disks that are full, and what is said where a result cannot go."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from lookup_tables import written

from hwnas import supernets
from hwnas.cli import run
from hwnas.cli.output import Delivery
from hwnas.cli.streams import ReaderGone
from hwnas.supernets.errors import OutputError

NET = supernets.get("ofa-mbv3-w1.0")
HWNAS = f"{sys.executable} -m hwnas"
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes, which needs root")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def full(tmp_path):
    """A device on which there is no room."""
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    return "full"


@pytest.fixture
def table():
    return written("table.yaml", NET, lambda block: 1e-6 + block.macs * 1e-11, "torch:threads=1")


def shell(command, encoding="utf-8", **environment):
    given = {**os.environ, **environment}
    done = subprocess.run(["bash", "-c", command], capture_output=True, encoding=encoding, check=False, env=given)
    return done.returncode, done.stdout, done.stderr


# --- standard output and standard error ------------------------------------------------------------------------------


@pytest.mark.slow
@AS_ROOT
@pytest.mark.parametrize("command", ["algorithms", "--help", "--version", "algorithms --json -"])
@pytest.mark.parametrize(
    ("redirected", "reason"), [(">full", "No space left on device"), (">&-", "it is closed"), ("1<full", "Bad file")]
)
def test_standard_output_that_cannot_be_written_is_one_line(full, command, redirected, reason):
    code, _, err = shell(f"{HWNAS} {command} {redirected}")
    assert code == (2 if "json" in command and ">&-" in redirected else 1)
    assert err.count("\n") == 1
    assert err.startswith(f"error: cannot write standard output: {reason}")


@pytest.mark.slow
@AS_ROOT
@pytest.mark.parametrize("redirected", ["2>full", "2>&-", "2>&1 >&3 3>&- | true; exit ${PIPESTATUS[0]}"])
def test_what_cannot_be_said_on_standard_error_ends_nothing(full, table, redirected):
    search = f"{HWNAS} search {NET.name} -p {table} -a random --evals 5"
    code, out, _ = shell(f"{{ {search} {redirected}; }} 3>&1")
    assert (code, "sub-network" in out) == (0, True)
    code, _, _ = shell(f"{{ {HWNAS} serch {redirected}; }} 3>&1")
    assert code == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", ["--help", "algorithms", "algorithms --json -"])
def test_a_reader_that_has_seen_enough_is_no_failure(command):
    assert shell(f"{HWNAS} {command} | true; exit ${{PIPESTATUS[0]}}") == (0, "", "")


def test_files_never_take_the_place_of_a_closed_stream(tmp_path):
    code = "import os; from hwnas.cli.streams import standard_streams\n"
    code += "with standard_streams():\n    os.write(os.open('found', os.O_CREAT | os.O_WRONLY), b'%d' % os.dup(0))"
    assert shell(f'{sys.executable} -c "{code}" <&- >&- 2>&-')[0] == 0
    assert int((tmp_path / "found").read_text()) > 3


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_an_encoding_lacks_is_spelled_in_characters_that_it_has(table, encoding):
    settings = {"PYTHONIOENCODING": encoding, "COLUMNS": "160"}
    search = f"{HWNAS} search {NET.name} -p {table} -a random --evals 5 --study caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    code, out, _ = shell(f"{search} 2>&1", encoding, **settings)
    assert code == 0
    mark = "\N{HORIZONTAL ELLIPSIS}" if encoding == "utf-8" else "~"
    assert sum(mark in line for line in out.splitlines()) >= 1
    assert "Traceback" not in out


@pytest.mark.slow
def test_a_document_is_utf_8_wherever_it_goes(table):
    study = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
    assert run(["search", NET.name, "-p", table, "-a", "random", "--evals", "5", "--study", study]) == 0
    code, out, _ = shell(f"{HWNAS} report {study} --html - --quiet", PYTHONIOENCODING="ascii")
    assert (code, study in out) == (0, True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "/closed/file"), "/closed/file: Permission denied"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "No usable temporary directory"),
    ],
)
def test_what_the_system_refuses_is_one_line_wherever_it_comes_from(error, said, monkeypatch, capsys):
    def refused():
        raise error

    monkeypatch.setattr("hwnas.harness.host.environment.collect", refused)
    assert run(["environment"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"error: {said}")
    assert err.count("\n") == 1


# --- results that cannot go where they were asked for ----------------------------------------------------------------


@AS_ROOT
def test_a_result_that_cannot_be_written_is_in_the_store_and_the_message_says_how_to_get_it(full, table, capsys):
    arguments = ["search", NET.name, "-p", table, "-a", "random", "--evals", "5", "--study", "mine"]
    assert run([*arguments, "--json", full]) == 1
    out, err = capsys.readouterr()
    assert "sub-network" in out  # the table is shown all the same
    error = next(line for line in err.splitlines() if line.startswith("error:"))
    assert "cannot write 'full': No space left on device; the study is in the store: " in error
    assert "hwnas export mine --store hwnas.db --csv FILE" in error
    assert run(["export", "mine", "--store", "hwnas.db", "--csv", "found.csv"]) == 0
    assert run([*arguments, "--resume", "--json", "found.json"]) == 0
    assert len(json.loads(Path("found.json").read_text())["evaluations"]) == 5
    assert stat.S_ISCHR(Path("full").stat().st_mode)


@pytest.mark.slow
@AS_ROOT
@pytest.mark.parametrize(
    "arguments",
    [
        ["profile", NET.name, "-c", "min", "-p", "TABLE", "--json"],
        ["profile", NET.name, "-c", "min", "-p", "TABLE", "--html"],
        ["profile", NET.name, "-c", "min", "-p", "TABLE", "--pytest-benchmark"],
        ["compare", NET.name, "-p", "TABLE", "--algorithms", "random,linas", "--evals", "5", "--seeds", "1", "--html"],
        ["transfer", NET.name, "-p", "TABLE", "-p", "TABLE", "--evals", "5", "--samples", "3", "--html"],
        ["evaluate", NET.name, "-c", "min", "--json"],
        ["predictors", NET.name, "-p", "TABLE", "--kinds", "ridge", "--sizes", "20", "--test", "9", "--html"],
        ["report", "mine", "--html"],
        ["export", "mine", "--csv"],
        ["studies", "--json"],
        ["measurements", "--json"],
        ["algorithms", "--json"],
        ["backends", "--json"],
        ["platforms", "--json"],
        ["supernets", "--json"],
        ["environment", "--json"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_every_command_says_that_it_cannot_write_and_leaves_devices_alone(full, table, arguments, capsys):
    given = [table if one == "TABLE" else one for one in arguments]
    if given.count(table) == 2:
        os.link("table.yaml", "other.yaml")
        given[given.index(table)] = "lut:file=other.yaml"
    run(["search", NET.name, "-p", table, "-a", "random", "--evals", "5", "--study", "mine", "--quiet"])
    capsys.readouterr()
    before = sorted(Path().iterdir())
    assert run([*given, full]) == 1
    err = capsys.readouterr().err
    assert "error: cannot write 'full': No space left on device" in err
    assert "Traceback" not in err
    assert stat.S_ISCHR(Path("full").stat().st_mode)
    assert sorted(Path().iterdir()) == before
    # Into a pipe goes what would have been in a file.
    os.mkfifo("fifo")
    with Path("read").open("wb") as read:
        reader = subprocess.Popen(["cat", "fifo"], stdout=read)
    try:
        assert run([*given, "fifo"]) == 0
        reader.wait(20)
    finally:
        reader.kill()
    assert Path("read").stat().st_size > 20


def test_what_cannot_be_written_keeps_nothing_else_from_being_written(capsys):
    def fails(name):
        raise OutputError(f"cannot write {name!r}")

    def leaves():
        raise ReaderGone

    written = []
    with (  # noqa: PT012
        pytest.raises(OutputError, match=r"^cannot write 'a'; cannot write 'b'; it is in the store$"),
        Delivery("it is in the store") as deliver,
    ):
        deliver(fails, "a")
        deliver(written.append, 1)
        deliver(leaves)
        deliver(fails, "b")
        deliver(written.append, 2)
    assert written == [1, 2]
    with pytest.raises(ReaderGone), Delivery("") as deliver:  # noqa: PT012
        deliver(leaves)
        deliver(written.append, 3)
    assert written == [1, 2, 3]
    with pytest.raises(KeyError), Delivery("") as deliver:  # noqa: PT012
        deliver(fails, "a")
        raise KeyError


def test_a_result_goes_wherever_it_was_asked_for_and_is_printed_unless_its_json_is(tmp_path, capsys):
    outcome = {"value": 1}
    with Delivery("") as deliver:
        deliver.result(outcome, "[a]", "b", json=str(tmp_path / "r.json"), html=str(tmp_path / "r.html"), page=str)
    assert json.loads((tmp_path / "r.json").read_text()) == outcome
    assert (tmp_path / "r.html").read_text() == f"{outcome}\n"
    assert capsys.readouterr().out.splitlines() == ["[a]", "b"]
    with Delivery("") as deliver:
        deliver.result(outcome, "front", json="-")
    assert json.loads(capsys.readouterr().out) == outcome
    with pytest.raises(OutputError, match=r"nowhere.*; it is in the store$"), Delivery("it is in the store") as deliver:
        deliver.result(outcome, "front", json=str(tmp_path / "nowhere" / "r.json"))
    assert capsys.readouterr().out == "front\n"
