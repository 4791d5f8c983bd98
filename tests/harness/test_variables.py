"""What of the user's shell reaches a worker, what is remembered of it, and that none of it places threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas import supernets
from hwnas.harness import platform
from hwnas.harness.bench.bench import BenchOptions
from hwnas.harness.bench.local import LocalBench
from hwnas.harness.host import environment, heap, variables
from hwnas.supernets.errors import MeasurementError, PlatformError

# What a shell can hold that decides how many threads there are, where they run and how they wait.
THREADS = {
    "GOMP_CPU_AFFINITY": "0",
    "GOMP_SPINCOUNT": "infinite",
    "OMP_PLACES": "{0}",
    "OMP_PROC_BIND": "true",
    "OMP_THREAD_LIMIT": "1",
    "OMP_DYNAMIC": "true",
    "OMP_NUM_THREADS": "7",
    "OMP_WAIT_POLICY": "active",
    "KMP_AFFINITY": "granularity=fine,compact",
    "KMP_HW_SUBSET": "1c",
    "KMP_BLOCKTIME": "infinite",
    "__KMP_REGISTERED_LIB_1": "x",
    "MKL_DYNAMIC": "true",
    "MKL_DOMAIN_NUM_THREADS": "MKL_BLAS=1",
    "MKL_VERBOSE": "1",
    "OPENBLAS_NUM_THREADS": "7",
    "TBB_NUM_THREADS": "1",
    "OV_CPU_THREADS": "1",
    "OPENVINO_THREADS": "1",
}
CHOICES = {
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "MKL_CBWR": "COMPATIBLE",
    "ORT_DISABLE_CPU_EP": "1",
    "MALLOC_PERTURB_": "85",
    "MALLOC_CONF": "dirty_decay_ms:0",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "PYTHONMALLOC": "malloc",
    "OPENBLAS_CORETYPE": "Prescott",
}
NEITHER = {"HOME": "/root", "TORCH_HOME": "/x", "OPENVINO_LIB_PATHS": "/x", "KMP_DUPLICATE_LIB_OK": "TRUE", "LANG": "C"}


def test_threads_are_kept_from_workers_and_choices_are_not():
    shell = THREADS | CHOICES | NEITHER
    assert variables.for_worker(shell) == CHOICES | NEITHER
    assert variables.for_worker(dict(reversed(shell.items()))) == CHOICES | NEITHER


@pytest.mark.parametrize("name", THREADS)
def test_what_was_kept_from_workers_is_recorded_and_changes_no_fingerprint(name, monkeypatch):
    before = environment.collect()
    monkeypatch.setenv(name, THREADS[name])
    found = environment.collect()
    assert name in found["variables_left_out"]
    assert environment.fingerprint(found) == environment.fingerprint(before)


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_in_the_fingerprint(name, monkeypatch):
    seen = set()
    for value in (None, CHOICES[name], CHOICES[name] + "0"):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
        seen.add(environment.fingerprint(environment.collect()))
    assert len(seen) == 3


def test_the_workers_own_allocator_settings_are_no_choice_of_the_users():
    assert variables.choices(heap.ENVIRONMENT) is None
    assert "MALLOC_ARENA_MAX=8" in variables.left_out({"MALLOC_ARENA_MAX": "8"})


def test_without_choices_the_fingerprint_is_as_it_was_before_they_were_recorded():
    facts = dict.fromkeys((fact.name for fact in environment.REGISTRY), "a fact")
    before = {**facts, "variables": None}
    del facts["variables"]
    assert environment.fingerprint(before) == environment.fingerprint(facts) == "aa2a47c37657773e"


def test_a_shell_that_sets_nothing_is_recorded_as_nothing():
    assert variables.choices(NEITHER) is None
    assert variables.left_out(NEITHER) is None
    assert variables.binding(NEITHER) is None


def test_values_are_shown_without_what_a_terminal_would_act_on():
    assert variables.left_out({"OMP_PLACES": "\x1b[31m\udcff\n"}) == r"'OMP_PLACES=\x1b[31m\xdcff\x0a'"


names = st.sampled_from([*THREADS, *CHOICES, *NEITHER])
values = st.text(st.characters(exclude_characters="\0", categories=("L", "N", "P", "S", "Zs")), max_size=20)


@pytest.mark.slow
@given(st.dictionaries(names, values))
def test_what_is_set_aside_is_remembered_by_all_that_come_after(shell):
    recorded, worker, binding = variables.left_out(shell), variables.for_worker(shell), variables.binding(shell)
    variables.set_aside(shell)
    assert variables.binding(shell) is None
    assert (variables.left_out(shell) is None) == (recorded is None)
    variables.set_aside(shell)  # a process started by this one does it too
    assert variables.left_out(shell) == recorded
    assert {k: v for k, v in variables.for_worker(shell).items() if k != "HWNAS_SET_ASIDE"} == worker
    assert ("HWNAS_SET_ASIDE" in shell) == (binding is not None)


@pytest.mark.parametrize("text", ["'", "x", "=", "a='", "\\"])
def test_what_somebody_else_has_written_there_is_no_error(text):
    assert variables.left_out({"HWNAS_SET_ASIDE": text, "OMP_PLACES": "{0}"})


PROGRAM = """
import json, os, sys
from unittest import mock
if sys.argv[1] == "command":
    from hwnas import cli
    with mock.patch.object(cli, "run", lambda _: 0):
        try:
            cli.main([])
        except SystemExit:
            pass
before = os.sched_getaffinity(0)
import torch
from hwnas.harness.host import environment
print(json.dumps([sorted(before), sorted(os.sched_getaffinity(0)), environment.collect()["variables_left_out"]]))
"""


def placed(how, **shell):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, env={**os.environ, **shell}
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_the_command_line_is_not_bound_by_the_torch_that_it_loads():
    names = ("GOMP_CPU_AFFINITY", "OMP_PROC_BIND", "OMP_PLACES")
    before, after, recorded = placed("command", **{name: THREADS[name] for name in names})
    assert after == before
    assert all(name in recorded for name in names)


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_another_program_is():
    before, after, _ = placed("program", GOMP_CPU_AFFINITY="0")
    assert len(after) < len(before)


def test_a_program_that_is_bound_is_told_what_may_have_done_it(monkeypatch, scripted):
    monkeypatch.setenv("GOMP_CPU_AFFINITY", "0")
    monkeypatch.setattr(platform, "allowed_cpus", lambda: 1)
    with pytest.raises(PlatformError, match=r"perhaps GOMP_CPU_AFFINITY=0 has bound it to so few: start it without"):
        platform.parse("scripted:threads=2")
    monkeypatch.delenv("GOMP_CPU_AFFINITY")
    with pytest.raises(PlatformError, match=r"threads can be 1\.\.1$"):
        platform.parse("scripted:threads=2")


def bench(options):
    net = supernets.get("toy")
    return LocalBench(net, platform.parse(f"scripted:{options}"), net.space.sample(2, 0), BenchOptions(check=False))


@pytest.mark.slow
def test_a_workers_environment(monkeypatch, scripted):
    for name, value in (THREADS | CHOICES).items():
        monkeypatch.setenv(name, value)
    made = bench("us=20")
    try:
        made.begin()
        found = Path(f"/proc/{made.pid}/environ").read_bytes().decode().split("\0")
    finally:
        made.close()
    worker = dict(entry.partition("=")[::2] for entry in found if entry)
    assert not {f"{name}={value}" for name, value in THREADS.items()} & set(found)
    assert CHOICES.items() <= worker.items()
    assert heap.ENVIRONMENT.items() <= worker.items()
    assert worker["OMP_NUM_THREADS"] == "1"
    assert "OMP_WAIT_POLICY=active" in made.environment["variables_left_out"]


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_worker_runs_on_the_cpus_that_were_recorded_whatever_binds_this_process_later(scripted):
    made, before = bench("us=20"), os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})  # as loading torch does
        made.begin()
        assert os.sched_getaffinity(made.pid) == before
    finally:
        made.close()
        os.sched_setaffinity(0, before)


@pytest.mark.alone
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_backend_that_binds_its_threads_to_one_cpu_is_refused(scripted):
    made = bench("threads=2,us=2000,at=all,how=bound")
    try:
        with pytest.raises(
            MeasurementError, match="2 threads were asked for, and those that worked may run on too few"
        ):
            made.begin()
    finally:
        made.close()
