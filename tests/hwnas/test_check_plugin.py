"""``hwnas check-plugin``: each fault of a plug-in fails the check that is about it, and its warnings fail none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hwnas.cli import run
from hwnas.conformance import Request
from hwnas.conformance.backends import SUITE as BACKENDS
from hwnas.conformance.check import Cost

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
BACKEND, NET = re.findall(r'^```python title="[^"]+"\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
QUALITY = """
import warnings
from hwnas.harness.quality import FunctionQuality

def create(name, argument, net):
    def evaluate(X):
        warnings.warn("an old library", DeprecationWarning)
        return net.params(X) * 1.0
    return FunctionQuality(name, "score", "%", True, False, "made up", evaluate)
"""
ALGORITHM = """
import numpy as np
SUMMARY = "asks for whatever"
MAX_OBJECTIVES = None

class Whatever:
    def __init__(self, problem): self.space = problem.space
    def ask(self): return self.space.sample(5, np.random.default_rng())
    def tell(self, X, F): pass

def create(name, problem, evals, rng, settings):
    return Whatever(problem)
"""


def outcomes(tmp_path, *command):
    """Return the exit code, and what came of each check by its name."""
    file = tmp_path / "checks.json"
    code = run(["check-plugin", *command, "--json", str(file)])
    return code, {one["check"]: one for one in json.loads(file.read_text())["checks"]}


def failed(suite, name):
    """Return what fails of the checks that cost little."""
    subject = suite.subject(Request(name))
    found = (one for one in suite.run(subject) if one.check.cost == Cost.QUICK)
    return {one.check.name: one.reason for one in found if one.status == "failed"}


@pytest.fixture
def quick():
    """Leave out the checks that take long."""
    before = list(BACKENDS.checks)
    BACKENDS.checks[:] = [one for one in before if one.cost == Cost.QUICK]
    yield
    BACKENDS.checks[:] = before


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (("np.array(tensor)", "tensor.numpy()"), "inputs_are_copied"),
        (("return tuple(self.found)", "return tuple(self.found[:1])"), "several_inputs_and_outputs"),
        (("return tuple(self.found)", "return (self.found,)"), "several_inputs_and_outputs"),
        (("return tuple(self.found)", "return tuple(x * 1.01 for x in self.found)"), "small_outputs_are_torchs"),
        (("self.runtime, self.inputs, self.found = None, {}, ()", "del self.runtime"), "closing_twice"),
        (("self.runtime, self.inputs, self.found = None, {}, ()", "pass"), "closing_twice"),
        (("self.inputs = dict(zip(self.inputs, arrays, strict=True))", "pass"), "other_inputs_are_taken"),
        (("chosen = check_settings(self, settings)", 'chosen = {"fusion": "on"}'), "unknown_settings_are_refused"),
        (('return installed_versions("onnxruntime")', "return {}"), "says_what_it_runs_on"),
        (("graph = export(stage)", "graph = export(stage); stage.inputs[0].zero_()"), "inputs_are_copied"),
        (
            ("    def run(self):", "    def time_runs(self, n):\n        return [0.0] * n\n\n    def run(self):"),
            "times_of_its_own",
        ),
    ],
)
def test_a_fault_of_a_backend_fails_the_check_that_is_about_it(site, quick, change, check):
    assert change[0] in BACKEND
    site.add("hwnas.backends", "acme-runtime", BACKEND.replace(*change))
    found = failed(BACKENDS, "acme-runtime")
    assert check in found
    assert all(found.values())


def test_a_session_that_holds_its_module_is_found(site, quick):
    kept = (
        BACKEND.replace("return Session(runtime", "KEPT.append(stage)\n        return Session(runtime")
        + "\nKEPT = []\n"
    )
    site.add("hwnas.backends", "acme-runtime", kept)
    assert set(failed(BACKENDS, "acme-runtime")) == {"closing_releases_the_module"}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (("9 * before * after\n", "8 * before * after\n"), "parameters_are_the_modules"),
        (("(None,) * len(pairs) + tuple", "tuple"), "slots_cover_their_columns"),
        (("needs=(0, 1)", "needs=None"), "every_choice_has_an_effect"),
        (("self.name = name", 'self.name = "other"'), "says_what_it_is"),
        (("nn.ReLU()]", "nn.ReLU(), nn.Threshold(1e9, float('nan'))]"), "stages_run"),
        (
            ("return build_live(make,", "import torch; torch.seed(); return (lambda m, _: m().eval())(make,"),
            "one_network_is_one_module",
        ),
    ],
)
def test_a_fault_of_a_super_network_fails_the_check_that_is_about_it(site, tmp_path, change, check):
    assert change[0] in NET
    site.add("hwnas.supernets", "acme-net", NET.replace(*change))
    code, found = outcomes(tmp_path, "acme-net")
    assert code == 1
    assert found[check]["status"] == "failed", {name: one["reason"] for name, one in found.items()}


def test_an_algorithm_without_a_seed(site, tmp_path):
    site.add("hwnas.algorithms", "whatever", ALGORITHM)
    code, found = outcomes(tmp_path, "whatever")
    assert code == 1
    wrong = {name for name, one in found.items() if one["status"] == "failed"}
    assert wrong >= {"same_seed_same_search", "never_more_than_needed", "unknown_settings_are_refused"}


def test_warnings_of_a_plug_in_are_shown_and_fail_nothing(site, tmp_path, capsys):
    site.add("hwnas.quality", "acme-score", QUALITY)
    code, found = outcomes(tmp_path, "acme-score")
    assert code == 0
    assert found["values_are_finite"]["warnings"] == ["DeprecationWarning: an old library"]
    assert "warning: DeprecationWarning: an old library" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("import no_such_module", 1, "does not load: ModuleNotFoundError"),
        ("def create(name, argument, net):\n    return 3", 1, "makes no quality source"),
        ("def create(name, argument, net):\n    return 1 / 0", 1, "failed: ZeroDivisionError"),
    ],
)
def test_what_does_not_load_fails_in_one_line(site, capsys, source, code, said):
    site.add("hwnas.quality", "acme-score", source)
    assert run(["check-plugin", "acme-score"]) == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_an_unknown_name(capsys):
    assert run(["check-plugin", "randon"]) == 2
    assert "unknown plug-in 'randon'; did you mean 'random'?" in capsys.readouterr().err


def test_what_is_needed_in_addition_is_said(capsys):
    assert run(["check-plugin", "translation"]) == 2
    assert "--supernet" in capsys.readouterr().err


def test_json_on_standard_output_is_nothing_else(capsys):
    assert run(["check-plugin", "macs", "--json", "-"]) == 0
    assert [one["status"] for one in json.loads(capsys.readouterr().out)["checks"]] == ["passed", "passed"]
