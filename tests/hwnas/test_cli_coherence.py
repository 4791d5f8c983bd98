"""Commands as a whole: their groups, what help texts name, what shells complete, what may be asked for and listed."""

from __future__ import annotations

import json
import re

import pytest
import typer

from hwnas.cli import build_app, groups, run
from hwnas.search import objectives
from hwnas.search.objectives import Sources
from hwnas.supernets.errors import UsageError

NET = "ofa-mbv3-w1.0"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def shown(capsys, *arguments):
    assert run(arguments) == 0
    return capsys.readouterr().out


# --- help ------------------------------------------------------------------------------------------------------------


def test_every_command_is_in_one_group_and_none_is_only_in_a_group():
    commands = set(typer.main.get_command(build_app()).commands)
    listed = [name for names in groups._GROUPS.values() for name in names]
    assert sorted(listed) == sorted(commands)


def test_help_shows_the_groups_in_the_order_of_a_days_work(capsys):
    text = shown(capsys, "--help")
    places = [text.index(f"\n{title}:") for title in groups._GROUPS]
    assert places == sorted(places)
    order = re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE)
    assert order[:8] == ["demo", "profile", "search", "transfer", "compare", "evaluate", "report", "export"]
    assert "Commands:" not in text


def test_a_command_of_no_group_is_shown_last():
    title, names = groups.grouped(["brand-new", "profile"])[-1]
    assert (title, names) == ("More", ["brand-new"])


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.fixture
def completed(monkeypatch, capsys):
    """Return what a shell offers for a command line."""

    def complete(words, place=None):
        monkeypatch.setenv("_HWNAS_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1 if place is None else place))
        with pytest.raises(SystemExit) as ended:
            run([])
        monkeypatch.delenv("_HWNAS_COMPLETE")
        assert ended.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return complete


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("hwnas search ofa-mbv3", ["ofa-mbv3-w1.0", "ofa-mbv3-w1.2"]),
        ("hwnas profile ofa-mbv3-w1.0 -p openv", ["openvino"]),
        ("hwnas search ofa-mbv3-w1.0 -p lut:table=note", ["lut:table=note10"]),
        ("hwnas search ofa-mbv3-w1.0 --quality pyt", ["python"]),
        ("hwnas search ofa-mbv3-w1.0 --algorithm lin", ["linas"]),
        ("hwnas search ofa-mbv3-w1.0 --objective thr", ["throughput"]),
        ("hwnas search ofa-mbv3-w1.0 --effort th", ["thorough"]),
        ("hwnas search ofa-mbv3-w1.0 --transfer-from kno", ["known"]),
        ("hwnas compare ofa-mbv3-w1.0 --objective thr", ["throughput"]),
        ("hwnas compare ofa-mbv3-w1.0 --algorithms lin", ["linas"]),
        ("hwnas compare ofa-mbv3-w1.0 --algorithms random,lin", ["random,linas"]),
        ("hwnas predictors ofa-mbv3-w1.2 -p lut:table=note", ["lut:table=note10"]),
        ("hwnas predictors ofa-mbv3-w1.2 --kinds ridge,gp-", ["ridge,gp-hierarchical"]),
        ("hwnas lut show note", ["note10"]),
        ("hwnas lut fetch note", ["note10"]),
        ("hwnas lut check mine.yaml -p openv", ["openvino"]),
        ("hwnas lut check mine.yaml --supernet hat", ["hat-transformer"]),
        ("hwnas weights fetch ofa-r", ["ofa-resnet50"]),
        ("hwnas measurements --supernet hat", ["hat-transformer"]),
        ("hwnas measurements -p openv", ["openvino"]),
        ("hwnas worker -p openv", ["openvino"]),
        ("hwnas reproduce table", ["table3"]),
        ("hwnas reproduce summ", ["summary"]),
        ("hwnas report s", []),
        ("hwnas quali", ["qualities"]),
    ],
)
def test_a_shell_completes_names(completed, words, offered):
    assert completed(words) == offered


def test_a_shell_completes_studies_and_named_platforms_and_a_broken_store_offers_nothing(completed, tmp_path, capsys):
    search = ["search", NET, "-p", "torch", "--objective", "macs", "--evals", "2", "-a", "random", "-q"]
    assert run([*search, "--study", "mine"]) == 0
    assert run([*search, "--study", "other", "--store", "far.db"]) == 0
    (tmp_path / "hwnas.toml").write_text('[platforms]\nlaptop = "onnxruntime:threads=1"\n')
    capsys.readouterr()
    assert completed("hwnas export m") == ["mine"]
    assert completed("hwnas report --store far.db o") == ["other"]
    assert completed("hwnas transfer ofa-mbv3-w1.0 --study m") == ["mine"]
    assert completed("hwnas search ofa-mbv3-w1.0 --transfer-from m") == ["mine"]
    assert completed("hwnas profile ofa-mbv3-w1.0 -p lap") == ["laptop"]
    (tmp_path / "hwnas.db").write_text("no database")
    (tmp_path / "hwnas.toml").write_text("no toml = = =")
    assert completed("hwnas export m") == []
    assert completed("hwnas profile ofa-mbv3-w1.0 -p lap") == []


# Objectives of networks with caches and of two stages.
_OF_TEXT = {"kv-cache", "ttft", "tpot", "tokens-per-second"}

# --- listings --------------------------------------------------------------------------------------------------------


def test_objectives_are_listed_as_they_are(capsys, assets):
    rows = json.loads(shown(capsys, "objectives", "--json", "-"))["objectives"]
    assert [row["objective"] for row in rows] == objectives.registry.names()
    assert all(row["summary"] for row in rows)
    from hwnas import supernets

    images, text = supernets.get("ofa-mbv3-w1.2"), supernets.get("hw-gpt-s")
    with Sources(images, "lut:table=note10") as sources, Sources(text, "torch:threads=1") as of_text:
        for row in rows:
            if row["objective"] == "quality" or "p9" in row["objective"] or "median" in row["objective"]:
                continue
            (made,) = objectives.make([row["objective"]], of_text if row["objective"] in _OF_TEXT else sources)
            assert (made.unit, made.maximise) == (row["unit"], row["better"] == "more"), made.name
    assert "throughput" in shown(capsys, "objectives")


def test_qualities_are_listed_and_those_that_serve_a_super_network(capsys):
    rows = json.loads(shown(capsys, "qualities", "--json", "-"))["qualities"]
    from hwnas.harness import quality

    assert [row["quality"] for row in rows] == quality.registry.names()
    assert all(row["summary"] and row["spelled"].startswith(row["quality"]) for row in rows)
    ncf = json.loads(shown(capsys, "qualities", "ncf", "--json", "-"))
    names = [row["quality"] for row in ncf["qualities"]]
    assert ncf["default"] in names
    assert {"hit-rate", "table", "python"} <= set(names)
    assert "images" not in names
    assert run(["qualities", "ofa-mbv3"]) == 2
    assert "did you mean" in capsys.readouterr().err


# --- results ---------------------------------------------------------------------------------------------------------


def test_a_search_writes_its_page(capsys, tmp_path):
    search = [
        "search",
        NET,
        "-p",
        "torch",
        "--objective",
        "macs",
        "--objective",
        "params",
        "--evals",
        "4",
        "-a",
        "random",
    ]
    assert run([*search, "--html", "page.html", "--json", "found.json", "-q"]) == 0
    assert "<html" in (tmp_path / "page.html").read_text()
    assert json.loads((tmp_path / "found.json").read_text())["study"]
    assert run([*search, "--html", "no/such/page.html"]) == 2
    assert "no directory" in capsys.readouterr().err


def test_the_latest_search_is_resumed_where_no_study_is_named(capsys):
    search = ["search", NET, "-p", "torch", "--objective", "macs", "-a", "random", "-q"]
    assert run([*search, "--evals", "3", "--study", "mine"]) == 0
    capsys.readouterr()
    found = json.loads(shown(capsys, *search, "--evals", "5", "--resume", "--json", "-"))
    assert (found["study"], len(found["evaluations"])) == ("mine", 5)
    assert run([*search, "--evals", "5", "--resume", "--seed", "7"]) == 2
    assert "has no study of ofa-mbv3-w1.0 by random with seed 7" in capsys.readouterr().err


TINY = "ofa-mbv3-w1.0:r=12+16,classes=2,channels=3,scale=0.1"


@pytest.mark.slow
def test_a_quality_of_ones_own_is_evaluated_and_what_it_prints_is_no_part_of_the_json(capsys, tmp_path):
    (tmp_path / "mine.py").write_text("def depth(module, config):\n    print('hello')\n    return sum(config['d'])\n")
    evaluate = ["evaluate", TINY, "-c", "min", "--quality", "python:mine.py:depth", "-q"]
    found = json.loads(shown(capsys, *evaluate, "--json", "-"))
    assert [row["value"] for row in found["evaluations"]] == [10]
    assert found["quality"]["metric"] == "depth"
    for spec, said in (
        ("python:none.py:depth", "cannot read the file 'none.py': No such file or directory"),
        ("python:mine.py:width", "has no function 'width'"),
        ("python:mine.py", "expected FILE.py:FUNCTION, got 'mine.py'"),
        ("python:mine.py:depth,metric=top1", "expected NAME:max or NAME:min"),
    ):
        assert run([*evaluate[:-2], spec]) == 2
        err = capsys.readouterr().err
        assert said in " ".join(err.split())
        assert "Traceback" not in err
    (tmp_path / "mine.py").write_text("def depth(module, config):\n    return float('nan')\n")
    assert run(evaluate[:-1]) == 1
    assert "python:mine.py:depth returned no quality: the value: expected a finite number, got nan" in " ".join(
        capsys.readouterr().err.split()
    )


def test_what_may_be_given_once_is_refused_twice_in_every_command():
    """Whatever a command's options are: one of two values would be lost."""
    for words, command in commands(typer.main.get_command(build_app())):
        for option in command.params:
            if option.param_type_name != "option" or option.multiple or (option.is_flag and not option.secondary_opts):
                continue
            given = [option.opts[0]] if option.is_flag else [option.opts[0], "5"]
            with pytest.raises(UsageError, match=f"{max(option.opts, key=len)}.* is given 2 times"):
                command.make_context(" ".join(words), [*given, *given])


def commands(command, words=()):
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
    for name, one in (inner or {}).items():
        yield from commands(one, (*words, name))


def test_a_flag_may_be_given_twice_and_help_is_shown_whatever_is_given(capsys):
    assert run(["algorithms", "--json", "-"]) == 0
    assert run(["search", NET, "-p", "torch", "-p", "onnxruntime", "--help"]) == 0
    assert "Usage: hwnas search" in capsys.readouterr().out
    assert run(["search", NET, "-p", "torch", "--quiet", "--quiet", "--objective", "none-such"]) == 2
    assert "is given" not in capsys.readouterr().err
