"""Which profile a host is given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulated import Machine, Network

from hwnas.harness.measurement.protocol import PROFILES
from hwnas.harness.worker.noise import Noise, watch_first
from hwnas.supernets.errors import MeasurementError


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
    noise = watch_first([Network(machine, seconds)], machine, 1, PROFILES["noisy"].calibration_s)
    assert noise.profile() == profile
    assert machine.now - start < 3e9


@pytest.mark.parametrize("watch_s", [0.05, 0.5])
def test_a_host_is_watched_for_as_long_as_is_asked(watch_s):
    machine = Machine(jitter=0.01)
    start = machine.now
    watch_first([Network(machine, 1e-3)], machine, 1, watch_s)
    assert watch_s < (machine.now - start) / 1e9 < 2 * watch_s


def test_a_network_that_does_not_run_tells_nothing_and_the_next_one_is_asked():
    machine = Machine()
    broken, other = Network(machine, 1e-3, fails_at=1), Network(machine, 1e-3)
    assert watch_first([broken, other], machine, 1, 0.05).samples > 0
    with pytest.raises(MeasurementError, match="none of the anchors can be timed"):
        watch_first([Network(machine, 1e-3, fails_at=1)], machine, 1, 0.05)


def test_a_calm_moment_makes_no_virtual_machine_quiet():
    calm = Noise(0.0, 0.001, 100)
    assert calm.profile() == "quiet"
    assert replace(calm, virtual=True).profile() == "noisy"


def test_a_few_samples_make_no_host_quiet():
    assert Noise(0.0, 0.0, 3).profile() == "noisy"
