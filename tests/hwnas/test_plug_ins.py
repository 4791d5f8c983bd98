"""Plug-ins that are broken, each in its own way: one line names them, and nothing else stops working."""

from __future__ import annotations

import json

import pytest

from hwnas import backends, supernets
from hwnas.cli import run
from hwnas.experiments import kinds
from hwnas.harness import data, quality
from hwnas.search import algorithms, predictors
from hwnas.search.study.run import search
from hwnas.supernets.errors import PlugInError

ACME = "acme-hwnas 1.2"
TOY = ["--store", "sqlite://", "-q"]
NETWORKS = ["-c", "min", "-c", "max"]
MACS = ["search", "toy", "-p", "scripted", "--objective", "macs", "--evals", "4", *TOY]

BACKEND = """
from hwnas.backends.backend import Option

def create(name):
    return Backend()

class Backend:
    name = "acme"
    keys = frozenset({"batch"})
    options = (Option("how", "what it does", default="well"),)
    devices = ("npu",)
    precisions = ("fp32",)

    def why_not(self):
        return None

    def versions(self):
        return {"acme": "1"}

    def environment(self, settings):
        return {}

    def prepare(self, stage, settings):
        return Session(stage)

class Session:
    def __init__(self, stage):
        self.key = stage.module.key

    def run(self):
        pass

    def time_runs(self, n):
        return [1e-4] * n

    def outputs(self):
        import numpy as np

        return (np.zeros(1),)

    def describe(self):
        return {}

    def close(self):
        pass
"""

QUALITY = """
from hwnas.harness.quality import FunctionQuality

def create(name, argument, net):
    return FunctionQuality(name, "score", "%", True, False, "made up", evaluate)

def evaluate(X):
    return X.sum(axis=1) * 1.0
"""


def told(capsys, *command):
    """Run a command, and return its exit code and what it says on standard error."""
    code = run(command)
    return code, capsys.readouterr().err.strip()


# --- loading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import no_such_module", "does not load: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('enough')", "does not load: SystemExit: enough (acme_acme.py, line 1)"),
        ("def create(:", "does not load: SyntaxError"),
        (
            "class E(Exception):\n    def __str__(self): raise ValueError\nraise E",
            "does not load: E (acme_acme.py, line 3",
        ),
        ("", "it has no function create"),
        ("create = 3", "it has no function create"),
        ("NAMES = 'acme'\ndef create(name): pass", "its NAMES is of type str, expected tuple of str"),
        ("SUMMARY = 3\ndef create(name): pass", "its SUMMARY is of type int, expected str"),
        ("MAX_OBJECTIVES = '2'\ndef create(name): pass", "its MAX_OBJECTIVES is of type str, expected int or None"),
    ],
)
@pytest.mark.parametrize("group", ["hwnas.algorithms", "hwnas.supernets"])
def test_what_does_not_load_is_listed_with_the_reason(site, group, source, reason):
    from installed import REGISTRIES

    site.add(group, "acme", source)
    registry = REGISTRIES[group]
    assert "acme" in registry.names()
    assert "acme" not in registry.working()
    assert reason in registry.broken()["acme"]
    assert ACME in registry.broken()["acme"]
    with pytest.raises(PlugInError, match=r"^the plug-in 'acme' \(\w+, acme-hwnas 1\.2\) "):
        registry.provider("acme")


def test_a_kind_of_experiment_offers_all_that_is_called(site):
    site.add("hwnas.experiments", "acme", "SUMMARY = 'mine'\nclass Settings: pass\ndef check(settings): pass")
    reason = kinds.registry.broken()["acme"]
    assert "its check cannot be called as check(settings, where)" in reason


def test_two_of_one_name_are_both_named(site):
    site.add("hwnas.backends", "acme", BACKEND)
    site.add("hwnas.backends", "acme", BACKEND, distribution="other", version="3", module="acme_other")
    with pytest.raises(PlugInError, match=r"acme-hwnas 1\.2 and other 3 have a plug-in of this name"):
        backends.get("acme")


def test_a_name_of_ours_stays_ours(site):
    site.add("hwnas.backends", "torch", BACKEND)
    assert type(backends.get("torch")).__module__ == "hwnas.backends.torch_cpu"
    assert "hwnas itself has a backend 'torch'" in backends.registry.broken()[f"torch ({ACME})"]


# --- what is made ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("return Backend()", "return None", "makes no backend: it has no name"),
        ("return Backend()", "return Backend", "makes no backend: it is the class Backend, expected an object of it"),
        (
            "def create(name)",
            "def create()",
            "failed: TypeError: create() takes 0 positional arguments but 1 was given",
        ),
        ("return Backend()", "raise SystemExit(3)", "failed: SystemExit: 3 (acme_acme.py, line 5)"),
        ('name = "acme"', "name = 3", "makes no backend: its name is of type int, expected str"),
        ('frozenset({"batch"})', '"batch"', "makes no backend: its keys is of type str, expected frozenset of str"),
        ('Option("how", "what it does", default="well"),', '"how",', "its options is of type tuple, expected tuple of"),
        ("def prepare(self, stage, settings)", "def prepare(self, stage)", "its prepare cannot be called as prepare("),
        ("def prepare(", "def prepared(", "makes no backend: it has no prepare and it has no latency"),
        (
            "def why_not(self):\n        return None",
            "def why_not(self):\n        return 1",
            "its why_not() is of type int",
        ),
        ('return {"acme": "1"}', "return None", "versions() gave None, expected names and versions"),
        ('return {"acme": "1"}', "return 1 / 0", "failed: ZeroDivisionError: division by zero (acme_acme.py, line 18)"),
    ],
)
def test_a_backend_that_is_none_breaks_nothing_else(site, capsys, old, new, reason):
    assert old in BACKEND
    site.add("hwnas.backends", "acme", BACKEND.replace(old, new))
    assert run(["backends", "--json", "-"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)["backends"]}
    assert reason in rows["acme"]["why_not"]
    assert "torch" in rows
    assert run(["backends"]) == 0
    assert run(["platforms"]) == 0
    assert "torch" in capsys.readouterr().out


@pytest.mark.slow
def test_a_backend_as_it_should_be_is_used_and_fails_with_the_network_with_which_it_fails(site, scripted, capsys):
    source = BACKEND.replace("    def run(self):\n", "    def run(self):\n        assert self.key != '012'\n")
    site.add("hwnas.backends", "acme", source)
    assert backends.registry.broken() == {}
    command = ["profile", "toy", "-p", "acme", "-c", "012", "-c", "210", "--json", "-"]
    assert run([*command, *TOY]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)["measurements"]}
    assert rows["210"]["status"] != "failed"
    assert (
        rows["012"]["reason"] == f"the plug-in 'acme' (backend, {ACME}) failed: AssertionError (acme_acme.py, line 31)"
    )


@pytest.mark.parametrize(
    ("module", "source", "call", "reason"),
    [
        (supernets.registry, "return object()", ({},), "makes no super-network: it has no name"),
        (algorithms.registry, "return object()", (None, 1, None, {}), "makes no algorithm: it has no ask"),
        (quality.registry, "return object()", ("", None), "makes no quality source: it has no name"),
        (data.registry, "return object()", ("", None), "makes no kind of data: it has no name"),
        (predictors.registry, "return object()", (None, None), "makes no predictor: it has no predict"),
        (predictors.registry, "return [][0]", (None, None), "failed: IndexError: list index out of range"),
        (predictors.registry, "raise OSError(28, 'full')", (None, None), "failed: OSError: [Errno 28] full"),
    ],
)
def test_what_is_made_is_looked_at_in_every_group(site, module, source, call, reason):
    from installed import REGISTRIES

    group = next(group for group, registry in REGISTRIES.items() if registry is module)
    site.add(group, "acme", f"def create(name, *others):\n    {source}\n")
    with pytest.raises(PlugInError) as caught:
        module.create("acme", *call)
    assert reason in str(caught.value)
    assert ACME in str(caught.value)


def test_a_quality_that_cannot_be_asked_is_refused_before_the_search(site, scripted, capsys):
    source = QUALITY + "\nclass Narrow(FunctionQuality):\n    def evaluate(self): return 1\n"
    site.add("hwnas.quality", "acme", source.replace("return FunctionQuality(", "return Narrow("))
    code, error = told(capsys, "search", "toy", "--platform", "scripted", "--quality", "acme", "--evals", "4", *TOY)
    assert code == 1
    assert "makes no quality source: its evaluate cannot be called as evaluate(X)" in error
    assert error.count("\n") == 0


# --- at work ---------------------------------------------------------------------------------------------------------


def test_a_plug_in_that_fails_with_some_networks_fails_with_these(site, scripted):
    site.add("hwnas.quality", "acme", QUALITY.replace("return X.sum", "assert X[:, 0].all()\n    return X.sum"))
    found = search(
        supernets.get("toy"), "scripted", quality="acme", objectives=("score",), evals=20, algorithm="random"
    )
    failed = [one for one in found.evaluations if one.status == "failed"]
    assert {one.vector[0] for one in failed} == {0}
    assert {one.vector[0] for one in found.evaluations if one.status == "ok"} == {1, 2, 3}
    assert f"the plug-in 'acme' (quality, {ACME}) failed: AssertionError (acme_acme.py, line 8)" in failed[0].reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("    def run(self):\n        pass\n", "", "acme: prepare gave what is no session: it has no run"),
        (
            "return {}\n\n    def prepare",
            "return None\n\n    def prepare",
            "failed: TypeError: 'NoneType' object is not iterable",
        ),
        ("self.key = stage.module.key", "raise SystemExit", "failed: SystemExit (acme_acme.py, line 28)"),
    ],
)
def test_a_backend_that_always_fails_ends_it_with_one_line(site, scripted, capsys, old, new, reason):
    assert old in BACKEND
    site.add("hwnas.backends", "acme", BACKEND.replace(old, new))
    code, error = told(capsys, "profile", "toy", "--platform", "acme", *NETWORKS, *TOY)
    assert code == 1
    assert reason in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_an_algorithm_that_fails_is_named_and_its_traceback_is_to_be_had(site, scripted, capsys, monkeypatch):
    source = """
    import numpy as np

    def create(name, problem, evals, rng, settings):
        return Algorithm()

    class Algorithm:
        def ask(self):
            return np.array([[0, 0, 0]])

        def tell(self, X, F):
            return F[99]
    """
    site.add("hwnas.algorithms", "acme", source)
    command = [*MACS, "-a", "acme"]
    code, error = told(capsys, *command)
    assert code == 1
    assert error.startswith(f"error: the plug-in 'acme' (algorithm, {ACME}) failed: IndexError: ")
    assert error.endswith("(acme_acme.py, line 12)")
    assert error.count("\n") == 0
    monkeypatch.setenv("HWNAS_TRACEBACK", "1")
    code, error = told(capsys, *command)
    assert code == 1
    assert error.startswith("Traceback")
    assert "return F[99]" in error


@pytest.mark.parametrize("answer", ["[[0, 0]]", "[[0.5, 0, 0]]", "[[99, 0, 0]]", "None", "'abc'", "[[1, 2, 3], [4]]"])
def test_what_an_algorithm_proposes_is_looked_at(site, scripted, capsys, answer):
    source = f"""
    def create(name, problem, evals, rng, settings):
        return Algorithm()

    class Algorithm:
        def ask(self):
            return {answer}

        def tell(self, X, F):
            pass
    """
    site.add("hwnas.algorithms", "acme", source)
    code, error = told(capsys, *MACS, "-a", "acme")
    assert code == 1
    assert "the algorithm acme_acme.Algorithm proposed what is no vectors: " in error
    assert error.count("\n") == 0


def test_a_mistake_of_ours_is_still_a_traceback(site, scripted, monkeypatch):
    site.add("hwnas.backends", "acme", BACKEND)

    def broken(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("hwnas.search.algorithms.random.create", broken)
    with pytest.raises(ZeroDivisionError):
        run([*MACS, "-a", "random"])


def test_what_an_objective_says_is_looked_at(site, scripted, capsys):
    source = """
    def create(name, sources):
        return Objective()

    class Objective:
        name, unit, maximise, source, costs_nothing, exact, batched = "acme", "", False, "acme", True, False, True

        def evaluate(self, X):
            return X
    """
    site.add("hwnas.objectives", "acme", source)
    code, error = told(capsys, "search", "toy", "-p", "scripted", "--objective", "acme", "--evals", "4", *TOY)
    assert (code, error) == (1, "error: acme from acme: gave a ndarray, expected an Outcome")


def test_a_super_network_whose_counts_are_none_is_refused(site, capsys):
    source = "import scripted_supernet\ndef create(name, options): return Odd(name, 1)\n"
    source += "class Odd(scripted_supernet.Toy):\n    def macs(self, X): return None\n"
    site.add("hwnas.supernets", "acme", source)
    code, error = told(capsys, "search", "acme", "-p", "torch", "--evals", "4", *TOY)
    assert code == 1
    assert "failed: TypeError: macs(X): expected a number for each sub-network, got None" in error
    assert run(["supernets"]) == 0


def test_a_process_beside_this_one_names_the_plug_in(site):
    from hwnas.search.processes import _outcome

    site.add("hwnas.objectives", "acme", "def create(name): raise RuntimeError('no')")
    import acme_acme

    raised, error = _outcome(acme_acme.create, ("acme",))
    assert raised
    assert str(error) == f"the plug-in 'acme' (objective, {ACME}) failed: RuntimeError: no (acme_acme.py, line 1)"


@pytest.mark.parametrize(
    ("settings", "run", "reason"),
    [
        ("n = 1", "return {}", "failed: TypeError: "),
        ("n: int = 1", "return {}['x']", "failed: KeyError: 'x' (acme_acme.py, line 14)"),
        ("n: int = 1", "raise SystemExit", "failed: SystemExit (acme_acme.py, line 14)"),
    ],
)
def test_a_kind_of_experiment_that_fails_is_named(site, capsys, tmp_path, settings, run, reason):
    head = "from dataclasses import dataclass\n\nSUMMARY = 'mine'\n\n\n"
    head += f"{'@dataclass(frozen=True)' if ':' in settings else '#'}\nclass Settings:\n    {settings}\n\n"
    body = "def check(settings, where): pass\n\n\ndef run(experiment, bench):\n    " + run
    rest = "\n\ndef verdicts(settings, data): return []\ndef sections(experiment, data, published): return []\n"
    rest += "def table(data): return None\ndef stand_ins(settings, environ): return []\ndef gist(data): return ''\n"
    site.add("hwnas.experiments", "acme", head + body + rest)
    file = tmp_path / "mine.toml"
    file.write_text('title = "t"\npaper = "p"\nshows = "s"\nkind = "acme"\n')
    code, error = told(capsys, "reproduce", "--file", str(file), "--out", str(tmp_path / "out"))
    assert code == 1
    assert f"the plug-in 'acme' (experiment, {ACME}) {reason}" in error.replace("\n", " ")
    assert "Traceback" not in error


# --- nobody else is hurt ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_commands_that_do_not_use_them_go_on(site, scripted, capsys, tmp_path):
    from installed import REGISTRIES

    for group in REGISTRIES:
        site.add(group, f"acme-{group.partition('.')[2]}", "raise RuntimeError('no')")
    for command in (["supernets"], ["backends"], ["platforms"], ["algorithms"], [*MACS, "-a", "random"]):
        assert run(command) == 0, command
    assert run(["supernets", "--json", "-"]) == 0
    capsys.readouterr()
    assert run(["algorithms", "--json", "-"]) == 0
    assert "does not load: RuntimeError: no" in json.loads(capsys.readouterr().out)["broken"]["acme-algorithms"]


def test_a_source_that_fails_to_say_whom_it_serves_gives_no_advice(site, scripted, capsys):
    site.add("hwnas.quality", "acme", QUALITY + "\ndef serves(name, net):\n    raise RuntimeError('no')\n")
    code, error = told(
        capsys, "search", "toy", "--platform", "scripted", "--quality", "surrogate", "--evals", "4", *TOY
    )
    assert code == 2
    assert "acme" not in error
