"""What ``suites.toml`` and ``equivalent.toml`` name is there: what was renamed or changed takes its entries along."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITES: dict[str, list[str]] = tomllib.loads((ROOT / "tests/mutants/suites.toml").read_text())
EQUIVALENT = tomllib.loads((ROOT / "tests/mutants/equivalent.toml").read_text())["equivalent"]


def functions() -> Iterator[tuple[str, str]]:
    """The functions of the modules that are tried, by mutmut's names, each with its lines on one."""
    for file in SUITES:
        text = (ROOT / file).read_text()
        module = f"hwnas.{file.removesuffix('.py').removesuffix('/__init__').replace('/', '.')}"
        for node in ast.parse(text).body:
            inside = [(f"{node.name}.", each) for each in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
            for place, one in inside:
                if isinstance(one, ast.FunctionDef):
                    lines = text.splitlines()[one.lineno - 1 : one.end_lineno]
                    yield f"{module}.{place}{one.name}", " ".join(line.strip() for line in lines)


FUNCTIONS = list(functions())


@pytest.mark.parametrize("module", SUITES)
def test_a_module_that_is_tried_and_its_tests_are_there(module):
    assert [path for path in (module, *SUITES[module]) if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("entry", EQUIVALENT, ids=lambda entry: f"{entry['where']}: {entry['old']}")
def test_what_is_listed_as_equivalent_changes_a_line_that_is_there(entry):
    # In a pattern only * is special, as where survivors are compared with it.
    where, old = (text.translate({ord("["): "[[]", ord("?"): "[?]"}) for text in (entry["where"], entry["old"]))
    assert any(fnmatchcase(name, where) and fnmatchcase(text, f"*{old}*") for name, text in FUNCTIONS)
