"""The protocol's numbers: profiles, overriding, and the name they are stored under."""

from __future__ import annotations

import json

import pytest

from hwnas.harness.measurement.protocol import PROFILES, VERSION, TimingProtocol, profile
from hwnas.supernets.errors import UsageError


@pytest.mark.parametrize("name", ["noisy", "quiet"])
def test_profiles_survive_a_record(name):
    protocol = profile(name, cap_s=3.5)
    assert TimingProtocol.from_record(json.loads(json.dumps(protocol.to_record()))) == protocol


def test_names_tell_overridden_numbers_apart():
    plain, other, another = profile("noisy"), profile("noisy", cap_s=3.0), profile("noisy", cap_s=4.0)
    assert plain.name == f"noisy/{VERSION}"
    assert len({plain.name, other.name, another.name, profile("quiet").name}) == 4
    assert profile("noisy", cap_s=3.0).name == other.name


def test_a_quiet_host_is_held_to_more():
    noisy, quiet = PROFILES["noisy"], PROFILES["quiet"]
    assert quiet.interval < noisy.interval
    assert quiet.tau > noisy.tau


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("nosy", {}, "did you mean 'noisy'"),
        ("noisy", {"cap": 1.0}, "did you mean 'cap_s'"),
        ("noisy", {"statistic": "mean"}, "known: median, min, p10, p15"),
        ("noisy", {"cap_s": -1.0}, "cap_s: expected"),
        ("noisy", {"cap_s": float("nan")}, "cap_s: expected"),
        ("noisy", {"rounds": 0}, "rounds: expected at least 1"),
        ("noisy", {"sessions": 3}, "a power of 2"),
        ("noisy", {"batch": True}, "batch: expected a number"),
    ],
)
def test_wrong_numbers_are_refused(name, overrides, words):
    with pytest.raises(UsageError, match=words):
        profile(name, **overrides)
