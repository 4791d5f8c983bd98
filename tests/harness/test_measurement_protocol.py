"""The protocol's numbers: profiles, overriding, and the name they are stored under."""

from __future__ import annotations

import json

import pytest

from hwnas.harness.measurement.protocol import EFFORTS, PROFILES, VERSION, ProtocolChoice, TimingProtocol, profile
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


def test_less_effort_takes_less_time():
    for name in PROFILES:
        quick, normal, thorough = (profile(name, effort=effort) for effort in EFFORTS)
        assert thorough == PROFILES[name]
        assert quick.cap_s < normal.cap_s < thorough.cap_s
        assert quick.sessions < normal.sessions < thorough.sessions
        assert quick.interval > normal.interval > thorough.interval
        assert len({quick.name, normal.name, thorough.name}) == 3


def test_values_of_more_effort_serve_and_of_less_do_not():
    noisy = {effort: profile("noisy", effort=effort) for effort in EFFORTS}
    quiet = {effort: profile("quiet", effort=effort) for effort in EFFORTS}
    assert set(noisy["thorough"].serving()) == {noisy["thorough"].name, quiet["thorough"].name}
    assert set(noisy["quick"].serving()) == {one.name for one in (*noisy.values(), *quiet.values())}
    assert set(quiet["normal"].serving()) == {quiet["normal"].name, quiet["thorough"].name}
    assert noisy["quick"].serving()[0] == noisy["quick"].name
    changed = profile("noisy", cap_s=3.0)
    assert changed.serving() == [changed.name]


def test_protocols_from_before_there_were_efforts_are_thorough():
    record = profile("noisy").to_record()
    del record["effort"]
    assert TimingProtocol.from_record(record) == profile("noisy")


@pytest.mark.parametrize("watched", list(PROFILES))
def test_a_choice_leaves_the_profile_to_the_host(watched):
    choice = ProtocolChoice(effort="quick", numbers={"cap_s": 0.125})
    chosen = ProtocolChoice.from_record(json.loads(json.dumps(choice.to_record()))).of(watched)
    assert chosen == profile(watched, effort="quick", cap_s=0.125)
    assert choice.allows(chosen)
    assert not choice.allows(profile(watched, effort="quick"))
    assert not choice.allows(profile(watched, cap_s=0.125))


@pytest.mark.parametrize(
    "protocol",
    [
        profile("quiet"),
        profile("noisy", effort="normal", rounds=5, statistic="min"),
        TimingProtocol("calibration", "p15", interval=0.0, steady=0.0, tau=2.0),
    ],
    ids=lambda protocol: protocol.name,
)
def test_a_protocol_is_followed_as_it_is_whatever_the_host(protocol):
    for choice in (ProtocolChoice.exactly(protocol), ProtocolChoice.wanted(protocol)):
        record = json.loads(json.dumps(choice.to_record()))
        assert {ProtocolChoice.from_record(record).of(watched).name for watched in PROFILES} == {protocol.name}
        assert choice.of("noisy") == choice.of("quiet") == protocol


def test_what_a_caller_may_ask_for():
    choice = ProtocolChoice(effort="normal")
    assert ProtocolChoice.wanted(choice) is choice
    assert ProtocolChoice.wanted(None).of("quiet") == profile("quiet")
    assert ProtocolChoice.wanted("noisy", "quick").of("quiet") == profile("noisy", effort="quick")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"profile": "nosy"}, "did you mean 'noisy'"),
        ({"effort": "quik"}, "did you mean 'quick'"),
        ({"numbers": {"cap": 1.0}}, "did you mean 'cap_s'"),
        ({"numbers": {"cap_s": -1.0}}, "cap_s: expected"),
        ({"numbers": {"effort": "quick"}}, "unknown number 'effort'"),
    ],
)
def test_a_wrong_choice_is_refused_before_a_worker_starts(wrong, words):
    with pytest.raises(UsageError, match=words):
        ProtocolChoice(**wrong)


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
        ("noisy", {"batch": True}, "batch: expected a finite number, got True"),
        ("noisy", {"effort": "quik"}, "did you mean 'quick'"),
        ("noisy", {"profile": "quiet"}, "unknown number 'profile'"),
    ],
)
def test_wrong_numbers_are_refused(name, overrides, words):
    with pytest.raises(UsageError, match=words):
        profile(name, **overrides)
