"""What is asked of the protocol: on the command line, in ``hwnas.toml``, and in Python."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.harness.measurement.protocol import EFFORTS, PROFILES, ProtocolChoice, TimingProtocol, profile
from hwnas.harness.measurement.request import asked, choice, parse
from hwnas.harness.project_file import asked_of, chosen
from hwnas.supernets.errors import UsageError

COUNTS = [field.name for field in fields(TimingProtocol) if field.type == "int"]
TIMES = [field.name for field in fields(TimingProtocol) if field.name.endswith("_s")]


@pytest.fixture
def toml(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda text: (tmp_path / "hwnas.toml").write_text(text, encoding="utf-8")


def test_numbers_are_those_of_whichever_profile_is_chosen():
    found = choice(asked(parse(["cap_s=5", "visit_runs=8"])))
    for name in PROFILES:
        assert found.of(name) == profile(name, cap_s=5.0, visit_runs=8)
    assert choice(asked(parse(["quiet", "cap_s=5"]))).of("noisy") == profile("quiet", cap_s=5.0)


def test_numbers_are_changed_in_the_base_unless_a_profile_is_asked_for():
    base = profile("noisy", interval=0.005, cap_s=1.0)
    assert choice(asked({"cap_s": 5}), base).of("quiet") == profile("noisy", interval=0.005, cap_s=5.0)
    assert choice(asked({"profile": "quiet", "cap_s": 5}), base).of("noisy") == profile("quiet", cap_s=5.0)
    assert choice({}, base).of("quiet") == base


def test_an_effort_is_the_bases_unless_one_is_asked_for():
    base = profile("quiet", effort="normal", cap_s=0.5)
    assert choice({}, base).of("noisy") == base
    assert choice({"interval": 0.1}, base).of("noisy") == profile("quiet", effort="normal", cap_s=0.5, interval=0.1)
    assert choice({"effort": "quick"}, base).of("noisy") == profile("quiet", effort="quick", cap_s=0.5)
    assert choice({"profile": "noisy"}, base).of("quiet") == profile("noisy")


def test_numbers_are_of_the_protocols_kind_however_they_were_given():
    given = {"visit_runs": 8.0, "cap_s": 5, "effort": "quick", "profile": "quiet"}
    assert json.dumps(asked(given)) == json.dumps(
        {"visit_runs": 8, "cap_s": 5.0, "effort": "quick", "profile": "quiet"}
    )
    with pytest.raises(UsageError, match=r"got 5$"):  # as it was written
        asked(parse(["statistic=5"]))


def test_nothing_asked_is_nothing_and_spaces_say_nothing():
    assert asked(None) == asked({}) == asked(parse([])) == {}
    assert asked("quiet") == {"profile": "quiet"}
    assert parse([" cap_s = 5 ", " quiet "]) == {"cap_s": 5, "profile": "quiet"}


@given(st.sampled_from(TIMES), st.floats(0, 1e6), st.sampled_from(sorted(PROFILES)), st.sampled_from(EFFORTS))
def test_what_is_written_is_what_is_asked(name, value, base, effort):
    found = asked(parse([base, f"{name}={value!r}", f"effort={effort}"]))
    assert choice(found).of("noisy") == profile(base, effort=effort, **{name: value})
    assert asked(json.loads(json.dumps(found))) == asked_of(choice(found)) == found


def test_the_same_number_has_one_name_however_it_is_written():
    names = {choice(asked(parse(["noisy", f"cap_s={text}"]))).of("noisy").name for text in ("3", "3.0", "3e0")}
    assert names == {profile("noisy", cap_s=3).name}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["nosy"], "unknown timing protocol 'nosy'; did you mean 'noisy'?"),
        (["caps=5"], "unknown number 'caps'; did you mean 'cap_s'?"),
        (["profile=quite"], "did you mean 'quiet'?"),
        (["cap_s=five"], "cap_s: expected a finite number, got 'five'"),
        (["cap_s=1_000"], "cap_s: expected a finite number, got '1_000'"),
        (["cap_s=nan"], "cap_s: expected a finite number, got nan"),
        (["cap_s=inf"], "cap_s: expected a finite number, got inf"),
        (["cap_s=-1"], "cap_s: expected a number of at least 0"),
        (["cap_s=5,interval=0.1"], "cap_s: expected a finite number, got '5,interval=0.1'"),
        (["cap_s=5=6"], "cap_s: expected a finite number, got '5=6'"),
        (["cap_s=\u0663"], "cap_s: expected a finite number, got '\u0663'"),
        (["effort=fast"], "unknown effort 'fast'"),
        (["effort=3"], "protocol: effort: expected one of quick, normal, thorough, got 3"),
        (["cap_s="], "expected a profile (noisy or quiet) or NUMBER=VALUE, like cap_s=5"),
        (["=5"], "expected a profile (noisy or quiet) or NUMBER=VALUE, like cap_s=5"),
        ([""], "expected a profile (noisy or quiet) or NUMBER=VALUE, like cap_s=5"),
        (["cap_s=5", "cap_s=6"], "cap_s is given twice"),
        (["noisy", "quiet"], "profile is given twice"),
        (["visit_runs=1.5"], "visit_runs: expected a whole number up to 1,000,000,000, got 1.5"),
        (["batch=" + "9" * 15], "batch: expected a whole number up to"),
        (["samples=" + "9" * 400], "samples: expected a finite number"),
        (["sessions=3"], "sessions: expected a power of 2"),
        (["statistic=mean"], "unknown statistic 'mean'; did you mean 'median'?"),
        (["statistic=5"], "statistic: expected a name, got 5"),
        (["confidence=1"], "confidence: expected a number between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused(texts, words):
    with pytest.raises(UsageError, match=re.escape(words)):
        asked(parse(texts))


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_whole_numbers(name):
    with pytest.raises(UsageError, match=f"{name}: expected a whole number"):
        profile("noisy", **{name: 1.5})
    assert asdict(profile("noisy", **{name: 2.0}))[name] == 2


def test_the_file_is_asked_where_nothing_else_is(toml):
    assert chosen(None) == ProtocolChoice()
    toml("[platforms]\n[protocol]\nprofile = 'quiet'\neffort = 'normal'\ncap_s = 5\ninterval = 0.01\n")
    numbers = {"cap_s": 5.0, "interval": 0.01}
    assert chosen(None).of("noisy") == profile("quiet", effort="normal", **numbers)
    assert chosen(None, "quick").of("noisy") == profile("quiet", effort="quick", **numbers)
    assert chosen({"cap_s": 1}).of("noisy") == profile("quiet", effort="normal", cap_s=1.0, interval=0.01)
    assert chosen("noisy").of("quiet") == profile("noisy", effort="normal", **numbers)
    for whole in (PROFILES["noisy"], ProtocolChoice.exactly(PROFILES["noisy"])):
        assert chosen(whole, "quick").of("quiet") == PROFILES["noisy"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[protocol]\ncaps = 5\n", "hwnas.toml: protocol: unknown number 'caps'; did you mean 'cap_s'?"),
        ("[protocol]\ncap_s = '5'\n", "hwnas.toml: protocol: cap_s: expected a finite number, got '5'"),
        ("[protocol]\ncap_s = {x = 5}\n", "hwnas.toml: protocol: cap_s: expected a finite number"),
        ("[protocol]\nprofile = 3\n", "hwnas.toml: protocol: profile: expected one of noisy, quiet, got 3"),
        ("protocol = 'noisy'\n", "hwnas.toml: [protocol] holds lines like cap_s = 5, got 'noisy'"),
        ("[protocols]\ncap_s = 5\n", "hwnas.toml: unknown section [protocols]; did you mean 'protocol'?"),
        ("[protocol\n", "hwnas.toml: cannot be read"),
    ],
)
def test_a_file_that_asks_for_what_cannot_be_is_named(toml, text, words):
    toml(text)
    with pytest.raises(UsageError, match=re.escape(words)):
        chosen(None)
