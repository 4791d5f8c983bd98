"""The environment registry: what is read here, what is warned about, what decides."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from hwnas.harness.host import environment
from hwnas.harness.host.environment import REGISTRY, Fact

BAD = {"governor": "powersave", "turbo": True, "smt": True, "load": 3.0, "quota": 1.5, "virtual_machine": True}
GOOD = {"governor": "performance", "turbo": False, "smt": False, "load": 0.1, "quota": None, "virtual_machine": False}


def test_this_machine_can_be_read():
    here = environment.collect()
    assert json.loads(json.dumps(here)) == here
    assert here["cpus"] >= here["affinity"] >= here["allowed_cpus"] >= 1
    assert here["cpu"]
    assert here["torch"]
    assert {name for name, _, _ in environment.table(here)} == {
        name for name, value in here.items() if value is not None
    }


def test_names_are_unique():
    assert len({fact.name for fact in REGISTRY}) == len(REGISTRY)


@pytest.mark.parametrize("name", BAD)
def test_warnings_name_what_would_help(name):
    (warned,) = environment.warnings({**GOOD, name: BAD[name]})
    assert warned.fact == name
    assert warned.message
    assert warned.command or name == "virtual_machine"


def test_a_machine_at_rest_gives_no_warning():
    assert environment.warnings(GOOD) == []
    assert environment.warnings({}) == []


def test_nothing_is_changed_by_looking(monkeypatch):
    ran = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda command, **kw: (ran.append(command), real(command, **kw))[1])
    environment.warnings(environment.collect() | BAD)
    assert all(command[0] == "git" and "describe" in command for command in ran)


def test_what_decides_changes_the_fingerprint_and_the_rest_does_not():
    here = environment.collect()
    base = environment.fingerprint(here)
    for fact in REGISTRY:
        changed = environment.fingerprint({**here, fact.name: "something else"})
        assert (changed != base) == fact.decides, fact.name
    assert environment.fingerprint(here, backend={"openvino": "1"}) != environment.fingerprint(
        here, backend={"openvino": "2"}
    )
    assert environment.fingerprint(environment.collect()) == base


@pytest.mark.parametrize("error", [OSError, ValueError, subprocess.SubprocessError])
def test_what_cannot_be_read_is_none(error):
    def read():
        raise error

    assert environment.collect([Fact("broken", "", read)]) == {"broken": None}


def test_the_hosts_identity_gives_nothing_away():
    import platform

    assert platform.node() not in json.dumps(environment.collect()["host"])


def test_what_environments_share_stands_once_and_the_rest_by_platform():
    first, second = {"cpu": "A", "backend": {"torch": "2"}, "load": 1.0}, {"cpu": "A", "backend": {}, "load": 1.0}
    assert environment.merged({"torch": first, "lut": second}) == {
        "cpu": "A",
        "load": 1.0,
        "platforms": {"torch": {"backend": {"torch": "2"}}, "lut": {"backend": {}}},
    }


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_in_a_checkout_the_commit_is_recorded_and_whether_files_have_changed(tmp_path, monkeypatch):
    def git(*arguments):
        command = ["git", "-C", tmp_path, "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    # Where this file lies in its checkout.
    file = tmp_path / "harness" / "host" / "environment.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(environment, "__file__", str(file))
    (commit,) = (fact for fact in REGISTRY if fact.name == "commit")
    assert environment.collect([commit]) == {"commit": None}
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "m")
    assert environment.collect([commit]) == {"commit": git("rev-parse", "HEAD")[:12]}
    file.write_text("changed")
    assert environment.collect([commit])["commit"].endswith("-dirty")
