"""The measurement protocol: what a sample costs, and how it ranks, beside DyNAS-T's protocol and torch.utils.benchmark.

``scripts/protocol_study.py`` takes the figures at full size; here a part of it shows that the claim still holds.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from hwnas.harness.measurement.protocol import profile
from hwnas.harness.worker.clocks import system_clocks
from hwnas.harness.worker.sampling import loop_overhead
from hwnas.harness.worker.timing import time_batch


@pytest.fixture(scope="module")
def script(load_script):
    return load_script("protocol_study")


def test_the_loops_own_time_is_under_one_percent_of_a_millisecond(benchmark):
    with system_clocks() as clocks:
        overhead = benchmark.pedantic(loop_overhead, (clocks,), rounds=5)
    assert overhead < 0.01 * 1e-3


def test_what_the_loop_adds_to_a_millisecond(benchmark):
    """Visits, reading of counters and all: the time of whole rounds beside the time of the runs in them."""

    class Spin:
        n_sessions = 1
        n_stages = 0
        left_out = 0
        marks = ()
        ran = 0

        def turn(self, session):
            pass

        def run(self):
            start = time.thread_time_ns()
            while time.thread_time_ns() < start + 1_000_000:
                pass
            self.ran += time.thread_time_ns() - start

        def clear(self):
            pass

        def time_runs(self):
            return None

    networks = [Spin() for _ in range(24)]
    protocol = profile("noisy", interval=0.0, steady=0.0, tau=2.0, cap_s=0.3)
    with system_clocks() as clocks:
        time_batch(networks[:2], profile("noisy", cap_s=0.1), clocks, np.random.default_rng(0))  # numpy imports lazily
        for network in networks:
            network.ran = 0
        start = time.process_time()
        benchmark.pedantic(time_batch, (networks, protocol, clocks, np.random.default_rng(0)), rounds=1)
        spent = time.process_time() - start
    ran = sum(network.ran for network in networks) / 1e9
    benchmark.extra_info["loop_share"] = spent / ran - 1
    # No sample feels it: it is the stopping rules, between the visits.
    assert spent / ran - 1 < 0.05


@pytest.mark.parametrize("networks", ["random", "neighbours"])
def test_our_ranking_repeats_better_than_the_usual_protocols(benchmark, script, networks, capsys):
    said = []
    rows = benchmark.pedantic(script.study, (["onnxruntime:threads=1"], [networks], 16, 0.0, said.append), rounds=1)
    with capsys.disabled():
        sys.stdout.write("\n".join(["", script.HEADER, *map(script.line, said), ""]))
    ours, dynast, torchs = rows
    benchmark.extra_info |= {row.protocol: row.tau for row in rows}
    assert ours.seconds <= 2.0
    assert ours.tau > dynast.tau
    assert ours.tau >= torchs.tau - 0.05
    # What cannot be told apart on this machine as it is now is not called "ok".
    assert ours.tau >= 0.95 or ours.converged < 1.0
