"""Experiment files: what is accepted, and what is said of what is not."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import experiments
from hwnas.experiments.experiment import parse
from hwnas.experiments.reading import merged, read
from hwnas.supernets.errors import UnknownNameError, UsageError

MINE = """
title = "Mine?"
kind = "compare"
evals = 12
seeds = 2

[problems.mine]
supernet = "ofa-mbv3-w1.0"
objectives = ["macs", "params"]

[algorithms.random]
algorithm = "random"

[algorithms.nsga2]
algorithm = "nsga2"

[[claims]]
says = "NSGA-II is better than random search"
order = ["nsga2", "random"]
by = "hypervolume"

[small]
evals = 8

[small.algorithms.random]
settings = { batch = 4 }
"""


def test_a_scale_overrides_and_full_is_the_file_as_it_stands():
    full, small = parse(MINE, "mine"), parse(MINE, "mine", "small")
    assert (full.settings.evals, small.settings.evals) == (12, 8)
    assert small.settings.algorithms["random"].settings == {"batch": 4}
    assert full.settings.algorithms["random"].settings == {}
    assert small.settings.problems == full.settings.problems


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("evals = 12", "eval = 12", r"mine.toml: unknown key 'eval'; did you mean 'evals'"),
        ("seeds = 2", "", "mine.toml: lacks seeds"),
        ("seeds = 2", 'seeds = "many"', "seeds: expected a whole number, got 'many'"),
        ("seeds = 2", "seeds = true", "seeds: expected a whole number, got True"),
        ("seeds = 2", "seeds = 0", "expected at least 1 of evals and of seeds"),
        ('kind = "compare"', 'kind = "compair"', "unknown kind of experiment 'compair'; did you mean 'compare'"),
        ('algorithm = "nsga2"', 'algorithm = "nsga3"', "unknown algorithm 'nsga3'"),
        ('algorithm = "nsga2"', 'algoritm = "nsga2"', "algorithms.nsga2: unknown key 'algoritm'; did you mean 'algor"),
        (
            'supernet = "ofa-mbv3-w1.0"',
            'supernets = "x"',
            "problems.mine: unknown key 'supernets'; did you mean 's",
        ),
        ('["nsga2", "random"]', '["nsga", "random"]', "claims: order: unknown 'nsga'; did you mean 'nsga2'"),
        ('["nsga2", "random"]', '["nsga2"]', "order: expected two algorithms or more"),
        ('by = "hypervolume"', 'by = "luck"', "by: expected evaluations or hypervolume, got 'luck'"),
        ("[small.algorithms.random]", "[small.algorithms.radnom]", "'radnom'; did you mean 'random'"),
        ("[small]\nevals = 8\n", "[small]\nevls = 8\n", "unknown key 'evls'; did you mean 'evals'"),
        ("seeds = 2", "seeds =", "is no TOML"),
        ("seeds = 2", 'seeds = 2\nsmoke = "quick"', r"smoke: expected a section \[smoke\]"),
        ('objectives = ["macs", "params"]', 'objectives = "macs"', "objectives: expected an array"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(right, wrong, message):
    assert right in MINE
    with pytest.raises(UsageError, match=message):
        parse(MINE.replace(right, wrong, 1), "mine", "small")


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="did you mean 'fig5'"):
        experiments.shipped("fgi5")
    with pytest.raises(UnknownNameError, match="did you mean 'small'"):
        experiments.shipped("fig5", "smal")
    with pytest.raises(UsageError, match=r"nowhere.toml.*cannot be read"):
        experiments.read_file("nowhere.toml")


def test_an_original_is_used_when_all_that_it_names_is_given():
    problem = experiments.shipped("table3").settings.problems["ncf"]
    assert problem.resolved({"HWNAS_NCF": "ncf"}) == problem
    environ = {
        "HWNAS_NCF": "ncf:users=10,items=20",
        "HWNAS_PLATFORM": "torch:threads=1",
        "HWNAS_PINTEREST": "/data/pinterest-20",
        "HWNAS_NCF_WEIGHTS": "/data/ncf.pth",
    }
    found = problem.resolved(environ)
    assert (found.supernet, found.quality) == ("ncf:users=10,items=20", "hit-rate:/data/pinterest-20")
    assert found.objectives == ("latency", "quality")
    assert found.stands_in == ""
    assert list(problem.notes("ncf"))[1].startswith("With HWNAS_NCF, HWNAS_NCF_WEIGHTS, HWNAS_PINTEREST and HWNAS_PL")
    assert list(found.notes("ncf")) == []


@dataclass(frozen=True)
class Inner:
    n: int
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()


@given(
    st.text(max_size=8),
    st.integers(-(2**31), 2**31),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.integers(0, 9), max_size=4),
)
def test_what_is_right_comes_back(name, n, share, many):
    table = {"name": name, "inner": {"n": n, "share": share}, "many": [{"n": one} for one in many]}
    assert read(Outer, table, "x") == Outer(name, Inner(n, share), tuple(Inner(one) for one in many))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["name", "inner", "n", "x"]), one),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["name", "inner", "many", "other"]), JUNK))
def test_whatever_is_wrong_is_a_usage_error(table):
    # Nothing else may be raised.
    with contextlib.suppress(UsageError):
        read(Outer, table, "x")


def test_merging_changes_no_input():
    base, over = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}, {"a": {"c": {"d": 4}}, "e": 5}
    before = str((base, over))
    assert merged(base, over, "x") == {"a": {"b": 1, "c": {"d": 4}}, "e": 5}
    assert str((base, over)) == before
