"""Names that authors choose become files within the run's folder, or are refused by name before any work."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hwnas import experiments
from hwnas.experiments.experiment import parse
from hwnas.experiments.naming import LONGEST, LONGEST_WITHIN, check_distinct, check_experiment, file_name
from hwnas.experiments.parts import Parts
from hwnas.experiments.summary import summary
from hwnas.supernets.errors import UnknownNameError, UsageError

MINE = """
title = "Mine?"
kind = "compare"
evals = 4
seeds = 1
[problems."NAME"]
supernet = "ncf"
objectives = ["macs", "params"]
[algorithms.random]
algorithm = "random"
"""
# Each is allowed, and no file can be called so on every system.
ODD = ("a/b", "../../../up", "/etc/x", "..\\up", "CON", "Aa", "a:b*?|<>", "größe 7", "x" * LONGEST_WITHIN, "-rf", "~")
NONE = ("", " ", "..", "a\\u0000b", "a\\u001b[31m", "a\\nb", "a\\u202eb", "x" * (LONGEST_WITHIN + 1), "é" * 60)


@pytest.mark.parametrize("name", ODD)
def test_parts_stay_in_their_folder(tmp_path, name):
    parts = Parts(tmp_path / "a" / "b" / "parts")
    assert parts.get(f"compared-{name}", {"x": 1}, lambda: 7) == 7
    assert parts.get(f"compared-{name}", {"x": 1}, lambda: 8) == 7
    assert {file.parent for file in tmp_path.rglob("*.json")} == {tmp_path / "a" / "b" / "parts"}


@given(st.text())
@example("\ud800")
@example("a" * 300)
@example(".")
def test_any_text_has_a_safe_file_name(name):
    found = file_name(name)
    assert found.isascii()
    assert found.isprintable()
    assert len(found) <= LONGEST_WITHIN
    assert "/" not in found
    assert not found.startswith(".")
    assert found == found.lower()


@given(st.text(), st.text())
@example("A", "a")
@example("a/b", "a-b")
@example("\u212a", "k")
def test_names_that_differ_have_files_that_differ(one, other):
    assert (file_name(one) == file_name(other)) == (one == other)


def test_plain_names_stay_as_they_were():
    assert file_name("compared-ofa-mbv3_w1.0") == "compared-ofa-mbv3_w1.0"


@pytest.mark.parametrize("name", ODD)
def test_names_in_an_experiment(name):
    settings = parse(MINE.replace("NAME", name.replace("\\", "\\\\")), "mine").settings
    assert list(settings.problems) == [name]


@pytest.mark.parametrize("name", NONE)
def test_names_in_an_experiment_that_are_none(name):
    with pytest.raises(UsageError, match=r"mine\.toml: problems: .* is no name"):
        parse(MINE.replace("NAME", name), "mine")


@pytest.mark.parametrize(
    "name", ["..", "", "a\nb", "a\x1b[2J", "x" * (LONGEST + 1), "é" * 101, "n\udcff", "a/b", "../x"]
)
def test_experiments_that_no_file_can_be_called_after(tmp_path, name):
    with pytest.raises(UsageError, match="rename the file"):
        check_experiment(name)
    with pytest.raises(UsageError, match="rename the file"):
        parse(MINE, name)


def test_a_file_with_such_a_name(tmp_path):
    file = tmp_path / "a\x1b[31mb\nc.toml"
    file.write_text(MINE)
    with pytest.raises(UsageError, match="rename the file"):
        experiments.read_file(file)


@pytest.mark.parametrize("names", [["fig5", "mine", "fig5"], ["Mine", "mine"], ["straße", "STRASSE"]])
def test_experiments_whose_results_would_replace_each_other(names):
    with pytest.raises(UsageError, match="would replace the other's"):
        check_distinct(names)


@pytest.mark.parametrize("scale", ["../x", "", "x" * 400, "a\0b"])
def test_a_summary_of_a_scale_that_there_is_not(tmp_path, scale):
    with pytest.raises(UnknownNameError, match="unknown scale"):
        summary(tmp_path, scale)
