"""``scripts/mutants.py`` says what a run of mutmut found out, and nothing that it did not."""

from __future__ import annotations

import json
import sys

import pytest

KILLED, SURVIVED, UNREACHED, OUT_OF_TIME = 1, 0, 33, 24
NOT_TRIED, INTERRUPTED, TERMINATED = None, 2, -15
LISTED = [{"where": "m.f", "old": "return 1", "new": ["return 2"]}]


@pytest.fixture
def script(load_script):
    return load_script("mutants")


def found(script, *codes, changed=("return 1", "return 3")):
    """What is read of mutants with these exit codes; every survivor is the same change."""
    return [
        script.Mutant("m.py", "m.f", *changed, None if code in script._UNTRIED else code in script._SURVIVED)
        for code in codes
    ]


def test_a_share_is_of_what_was_tried_to_the_end(script, capsys):
    assert script.report(found(script, *[KILLED] * 8, OUT_OF_TIME, 3), []) == 0
    assert capsys.readouterr().out == (
        "m.py: 100.0% of 10 killed; 0 survived, 0 of them listed as equivalent; 0 more only in sentences\n"
    )


@pytest.mark.parametrize("code", [NOT_TRIED, INTERRUPTED, TERMINATED])
def test_an_interrupted_run_has_no_share(script, capsys, code):
    assert script.report(found(script, *[KILLED] * 18, code, code), []) == 1
    assert capsys.readouterr().out == "m.py: not known: 2 of 20 mutants were not tried; run it to its end\n"


@pytest.mark.parametrize("code", [SURVIVED, UNREACHED, 5])
def test_a_survivor_is_named_unless_it_is_listed(script, capsys, code):
    many = [KILLED] * 99
    assert script.report(found(script, *many, code), LISTED) == 1
    shown = "m.py: 99.0% of 100 killed; 1 survived, 0 of them listed as equivalent; 0 more only in sentences\n"
    assert capsys.readouterr().out == shown + "    m.f\n      - return 1\n      + return 3\n"
    assert script.report(found(script, *many, code, changed=("return 1", "return 2")), LISTED) == 0
    assert "1 of them listed" in capsys.readouterr().out


def test_listed_survivors_count_as_survivors(script):
    assert script.report(found(script, *[KILLED] * 8, SURVIVED, changed=("return 1", "return 2")), LISTED) == 1
    assert script.report(found(script, *[KILLED] * 9, SURVIVED, changed=("return 1", "return 2")), LISTED) == 0


def test_what_ran_out_of_time_is_tried_once_more(script, tmp_path, monkeypatch, capsys):
    """The machine may have been busy: here the mutant survives where it has its time."""
    meta, ran = tmp_path / "mutants" / "hwnas" / "m.py.meta", []
    meta.parent.mkdir(parents=True)

    def run(_processes, names=()):
        ran.append(list(names))
        codes = {f"m.x_f__mutmut_{number}": code for number, code in enumerate([KILLED] * 98 + [-24, OUT_OF_TIME])}
        codes |= dict(zip(names, (SURVIVED, -24), strict=False))
        meta.write_text(json.dumps({"exit_code_by_key": codes}))

    monkeypatch.setattr(script, "WORK", tmp_path)
    monkeypatch.setattr(script, "chosen", lambda *_: {"m.py": ["test_m.py"]})
    monkeypatch.setattr(script, "prepare", lambda _: None)
    monkeypatch.setattr(script, "run", run)
    monkeypatch.setattr(script, "changed_lines", lambda *_: ("return 1", "return 3"))
    monkeypatch.setattr(sys, "argv", ["mutants.py"])
    assert script.main() == 1
    assert ran == [[], ["m.x_f__mutmut_98", "m.x_f__mutmut_99"]]
    assert capsys.readouterr().out.startswith("m.py: 99.0% of 100 killed; 1 survived, 0 of them listed")


def test_what_mutmut_wrote_is_read(script, tmp_path, monkeypatch):
    (tmp_path / "mutants" / "hwnas").mkdir(parents=True)
    codes = {"m.x_f__mutmut_1": KILLED, "m.xǁAǁg__mutmut_2": NOT_TRIED}
    (tmp_path / "mutants" / "hwnas" / "m.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    monkeypatch.setattr(script, "WORK", tmp_path)
    assert [(one.where, one.survived) for one in script.mutants(["m.py"])] == [("m.f", False), ("m.A.g", None)]
