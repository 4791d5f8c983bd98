"""The scripts of the tutorials run, in small, each in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.harness.host.child import python_path

EXAMPLES = Path(__file__).parents[2] / "examples"
# What each is given to be done soon, and what it prints at least.
GIVEN = {
    "new_device.py": (("24",), "after the phone:  hypervolume "),
    "own_loop.py": ((), "24 evaluations"),
    "own_model.py": (("8",), "k MACs"),
    "own_quality.py": (("6",), "M MACs"),
    "profile_networks.py": ((), " ms "),
    "search_platform.py": (("12",), " %  "),
    "transfer_platforms.py": (("12",), "searched on lut:table=jetson-gpu, deployed on lut:table=note10: "),
}


def test_every_example_is_run():
    assert sorted(GIVEN) == sorted(file.name for file in EXAMPLES.glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GIVEN))
def test_an_example_runs(name, assets, tmp_path):
    arguments, printed = GIVEN[name]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": python_path()}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


@pytest.mark.slow
def test_the_loop_in_the_documentation_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (EXAMPLES.parent / "docs" / "search.md").read_text()
    section = page[page.index("## Your own loop") :]
    code, printed = re.search(r"```python\n(.*?)```\n+prints\n+```\n(.*?)```", section, re.DOTALL).groups()
    exec(compile(code, "search.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_every_example_is_shown_on_a_page():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (EXAMPLES.parent / "docs").rglob("*.md"))
    shown = re.findall(r'^--8<-- "(.+)"$', pages, re.MULTILINE)
    assert sorted(shown) == sorted(GIVEN)
