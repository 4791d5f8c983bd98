"""Which profile a host is given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from simulated import Machine, Network

from hwnas.harness.worker.noise import Noise, watch


@pytest.mark.parametrize(
    ("host", "profile"),
    [
        ({"jitter": 0.002}, "quiet"),
        ({"jitter": 0.002, "spikes": 0.3}, "noisy"),
        ({"jitter": 0.03}, "noisy"),
        ({"jitter": 0.002, "slow_mode": 0.1}, "noisy"),
    ],
)
@pytest.mark.parametrize("seconds", [1e-4, 2e-3, 3e-2])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_the_profile_fits_the_host(host, profile, seconds, seed):
    machine = Machine(seed=seed, **host)
    start = machine.now
    noise = watch(Network(machine, seconds), machine, 1)
    assert noise.profile() == profile
    assert machine.now - start < 3e9


@pytest.mark.parametrize("watch_s", [0.05, 0.5])
def test_a_host_is_watched_for_as_long_as_is_asked(watch_s):
    machine = Machine(jitter=0.01)
    start = machine.now
    watch(Network(machine, 1e-3), machine, 1, watch_s)
    assert watch_s < (machine.now - start) / 1e9 < 2 * watch_s


def test_a_network_that_does_not_run_tells_of_no_quiet():
    machine = Machine()
    assert watch(Network(machine, 1e-3, fails_at=1), machine, 1).profile() == "noisy"


def test_a_calm_moment_makes_no_virtual_machine_quiet():
    calm = Noise(0.0, 0.001, 100)
    assert calm.profile() == "quiet"
    assert replace(calm, virtual=True).profile() == "noisy"


def test_a_few_samples_make_no_host_quiet():
    assert Noise(0.0, 0.0, 3).profile() == "noisy"
    assert np.isinf(watch(Network(Machine(), 1e-3, fails_at=1), Machine(), 1).spread)
