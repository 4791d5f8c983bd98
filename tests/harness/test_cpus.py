"""Which CPUs to use."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.host import cpus
from hwnas.supernets.errors import MeasurementError


@given(st.sets(st.integers(0, 30), min_size=1))
def test_lists_of_cpus_read_back(tmp_path_factory, several):
    file = tmp_path_factory.mktemp("cpus") / "list"
    file.write_text(cpus.listed(several))
    assert cpus._listed(file) == several


def test_a_process_runs_where_it_is_told():
    here = cpus.affinity()
    try:
        cpus.run_on({min(here)})
        assert cpus.affinity() == {min(here)}
        cpus.run_on(here)
        assert cpus.affinity() == here
        with pytest.raises(MeasurementError, match=r"may not run on CPU 1020-1021, .*; begin again"):
            cpus.run_on({1020, 1021})
    finally:
        os.sched_setaffinity(0, here)


@pytest.fixture
def topology(tmp_path):
    """Write a machine's topology; return what ``physical_cores`` takes."""

    def write(siblings, nodes):
        for cpu, text in siblings.items():
            folder = tmp_path / "cpu" / f"cpu{cpu}" / "topology"
            folder.mkdir(parents=True)
            (folder / "thread_siblings_list").write_text(text + "\n")
        for node, text in nodes.items():
            (tmp_path / "node" / f"node{node}").mkdir(parents=True)
            (tmp_path / "node" / f"node{node}" / "cpulist").write_text(text + "\n")
        return {"cpus": tmp_path / "cpu", "nodes": tmp_path / "node"}

    return write


EIGHT = {cpu: f"{cpu % 4},{cpu % 4 + 4}" for cpu in range(8)}  # 4 cores of 2 siblings


def test_one_sibling_of_each_core_of_one_node(topology):
    where = topology(EIGHT, {0: "0-1,4-5", 1: "2-3,6-7"})
    assert cpus.physical_cores(2, set(range(8)), **where) == {0, 1}
    assert cpus.physical_cores(3, set(range(8)), **where) is None  # no node has three
    assert cpus.physical_cores(1, {1, 2, 3, 5}, **where) == {2, 3}  # the node with the most allowed


def test_nothing_to_choose(topology):
    where = topology({0: "0", 1: "1"}, {0: "0-1"})
    assert cpus.physical_cores(1, {0, 1}, **where) is None


def test_a_system_that_says_nothing(tmp_path):
    assert cpus.physical_cores(1, {0, 1}, tmp_path, tmp_path) is None
